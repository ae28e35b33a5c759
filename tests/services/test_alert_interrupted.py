"""Release with the real publisher, and kill -9 around it: one broadcast, the one that was approved."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from redis.asyncio import Redis

from server.domain.alerts.model import Area
from server.domain.alerts.release import World
from server.domain.alerts.states import State
from server.domain.alerts.verbs import Change
from server.domain.broadcasts import State as BroadcastState
from server.domain.broadcasts import digest
from server.domain.wording import Kind
from server.services.alerts import Alerts
from server.services.audit import AuditLog
from server.storage.alerts import AlertStore
from server.storage.audit import AuditStore
from server.storage.broadcasts import Broadcasts
from server.storage.mongo import Database
from tests.services.desk import (
    DIVISIONS,
    NANSHAN_RING,
    TEXTS,
    Clock,
    followed,
    real_publisher,
    released,
    submitted,
    typhoon,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def real_desk(db: Database, redis: Redis, clock: Clock, audit: AuditLog) -> Alerts:
    return Alerts(AlertStore(db), World(DIVISIONS, TEXTS), real_publisher(db, redis), audit, now=clock)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_kill_around_the_publication_ends_in_exactly_one_broadcast(
    db: Database, real_desk: Alerts, mongo_url: str, redis_url: str, moment: str, tmp_path: Path
):
    name, signed = await submitted(real_desk, typhoon(area=Area(polygons=(NANSHAN_RING,), circles=("22.6,114.1 3",))))
    victim = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).parent / "killed_release.py"), mongo_url, redis_url, name, signed, moment,
        str(tmp_path),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert await asyncio.wait_for(victim.wait(), 30) == -signal.SIGKILL
    assert await db["broadcasts"].count_documents({}) == (moment == "after")
    steps = [entry.action async for entry in AuditStore(db).stream("alert")]
    assert steps == ["alert.draft", "alert.submit", "alert.release"]  # before anything was published
    assert await real_desk.finish_interrupted() == [name]
    assert await real_desk.finish_interrupted() == []
    assert await db["broadcasts"].count_documents({}) == 1
    alert = await AlertStore(db).get(name)
    stored = await Broadcasts(db).get(name)
    assert alert.state is State.RELEASED
    assert alert.broadcast is not None
    assert [entry.action async for entry in AuditStore(db).stream("alert")] == steps
    assert digest(stored) == alert.broadcast.digest == stored.digest


async def test_the_real_publisher_stops_the_whole_chain_before_the_all_clear(
    db: Database, real_desk: Alerts, clock: Clock
):
    first = await released(real_desk, typhoon())
    clock.pass_by(minutes=1)
    update = await followed(real_desk, first, Kind.UPDATE, Change())
    clock.pass_by(minutes=1)
    cancel = await followed(real_desk, first, Kind.CANCEL, Change(note="台风远离"))
    states = await Broadcasts(db).states([first, update, cancel])
    assert states == {
        first: BroadcastState.REPLACED,
        update: BroadcastState.CANCELLED,
        cancel: BroadcastState.LIVE,
    }
