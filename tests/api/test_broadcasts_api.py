"""Officers watch, stop and read a broadcast over HTTP."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from io import StringIO
from itertools import pairwise
from typing import Any

import pytest

from handlers.bounds import listen
from handlers.broadcasts import EventsHandler, Pace
from handlers.routing import Route
from server import assemble
from server.app import make_app
from server.domain import ranks
from server.domain.broadcasts import Broadcast, Lane, State, page_id
from server.domain.officers import Officer, Role, Unit
from server.domain.pages import Page, PageState
from tests.api.client import Client, Officers
from tests.push.city import DIVISIONS, crowd, warning

UNIT = Unit(code="44030041600000", name="深圳市气象台", sender="weather@sz.example", division="440300")
PEOPLE = 40
QUICK = Pace(heartbeat_s=0.2, stuck_s=0.5, quiet_s=0.2, longest_s=20.0)
LIST = "/v1/staff/broadcasts/storm/unreached?division=440305&purpose=telephone%20them"


def officer(division: str = "440300", *roles: Role) -> Officer:
    """Somebody at the desk."""
    fields: dict[str, Any] = {"id": f"of-{division}", "person": "p1", "name": "王敏", "unit": UNIT, "events": ("11",)}
    return Officer(**fields, roles=frozenset(roles or {Role.CHIEF}), division=division)


@pytest.fixture
async def storm(assembly: assemble.Assembly) -> Broadcast:
    """A released broadcast of one range with nobody at work on it."""
    broadcast = warning("storm", Lane.RED, assembly.now())
    await assembly.broadcasts.publish(broadcast)
    return broadcast


async def sums(assembly: assemble.Assembly, **statuses: int) -> None:
    """Somebody has recomputed the sums of the range: SMS only."""
    nanshan = str(DIVISIONS.index_of("440305"))
    counted = {"sms": {status: {nanshan: people} for status, people in statuses.items()}}
    await assembly.broadcast_store.set_sums("storm/00000", counted, datetime.now(UTC))


@pytest.fixture
async def live(routes: list[Route], officers: Officers) -> AsyncIterator[int]:
    """The same API with an event stream in a hurry; its port."""
    hurried = [
        Route(r.path, r.handler, r.operations, {**r.parts, "pace": QUICK}) if r.handler is EventsHandler else r
        for r in routes
    ]
    server, port = listen(make_app(hurried, officers.gate()), 0, "127.0.0.1")
    yield port
    server.stop()
    await server.close_all_connections()


class Events:
    """A reader of an event stream, as a browser is one."""

    def __init__(self, port: int, token: str, last: str = "") -> None:
        self._port = port
        self._ask = (
            "GET /v1/staff/broadcasts/storm/events HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {token}\r\n" + (f"Last-Event-ID: {last}\r\n" if last else "") + "\r\n"
        )
        self.head = ""

    async def __aenter__(self) -> Events:
        """Ask, and read the head of the answer."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        self.writer.write(self._ask.encode())
        self.head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Go."""
        self.writer.close()

    async def next(self) -> tuple[str, dict[str, Any]]:
        """The next event: its id and data. EOFError when the stream has ended."""
        id_ = ""
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 10)).decode().strip()
            if line.startswith("id: "):
                id_ = line.removeprefix("id: ")
            if line.startswith("data: "):
                return id_, json.loads(line.removeprefix("data: "))
            if line == "0" or self.reader.at_eof():
                raise EOFError


async def test_the_version_grows_with_every_change_of_state_plan_and_sums(
    assembly: assemble.Assembly, storm: Broadcast
):
    async def pause() -> None:
        assert await assembly.broadcasts.pause(storm.id)

    async def resume() -> None:
        assert await assembly.broadcasts.resume(storm.id)

    async def plan() -> None:
        await assembly.broadcast_store.claim_range("storm/00000", "w")
        await assembly.broadcast_store.finish_range("storm/00000", "w", is_planned=True)

    versions = [(await assembly.broadcasts.progress(storm.id)).version]
    for change in (pause, lambda: sums(assembly, planned=5), resume, plan, lambda: sums(assembly, accepted=5)):
        await asyncio.sleep(0.01)
        await change()
        versions.append((await assembly.broadcasts.progress(storm.id)).version)
    assert all(a < b for a, b in pairwise(versions)), versions


async def test_events_are_states_and_resume_by_last_event_id(
    assembly: assemble.Assembly, storm: Broadcast, live: int, officers: Officers
):
    token = officers.enter("t", officer())
    await sums(assembly, planned=30, accepted=10)
    async with Events(live, token) as first:
        assert "text/event-stream" in first.head
        id_, standing = await first.next()
        assert standing["channels"]["sms"]["statuses"] == {"planned": 30, "accepted": 10}
        assert (standing["state"], str(standing["version"])) == ("live", id_)
    await sums(assembly, accepted=40)
    async with Events(live, token, id_) as again:  # what happened in between comes as one state
        newer, standing = await again.next()
        assert standing["channels"]["sms"] == {
            "audience": 40, "left": 0, "statuses": {"accepted": 40}, "rate_per_s": None
        }  # fmt: skip
        assert int(newer) > int(id_)
    async with Events(live, token, newer) as seen:  # who has seen all of it waits for news
        await assembly.broadcast_store.set_state(storm.id, State.FINISHED, only_from=[State.LIVE], now=assembly.now())
        last, standing = await seen.next()
        assert standing["is_over"]
        with pytest.raises(EOFError):
            await seen.next()  # over and quiet: the stream ends
    async with Events(live, token, last) as over:
        assert over.head.startswith("HTTP/1.1 204")


async def test_a_reader_that_takes_nothing_is_cut_off_and_the_others_go_on(
    assembly: assemble.Assembly, storm: Broadcast, live: int, officers: Officers
):
    token = officers.enter("t", officer())
    stuck_head = Events(live, token)
    async with stuck_head as stuck, Events(live, token) as good:
        stuck.reader._transport.pause_reading()  # type: ignore[attr-defined]  # noqa: SLF001
        await good.next()
        huge = {str(DIVISIONS.index_of(code)): 1 for code in DIVISIONS.by_code}  # 70 kB a state
        changed = 0
        for n in range(100):
            statuses = {status: dict.fromkeys(huge, n + 1) for status in ranks.STATUSES}
            await assembly.broadcast_store.set_sums("storm/00000", {"sms": statuses}, datetime.now(UTC))
            await good.next()
            changed += 1
            if stuck.writer.transport.is_closing() or await is_reset(stuck):
                break
        assert changed < 100
        assert storm.id


async def is_reset(events: Events) -> bool:
    """Whether the server has closed this connection."""
    events.writer.write(b" ")
    await asyncio.sleep(0)
    return events.writer.transport.is_closing()
