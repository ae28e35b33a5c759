"""What is done beside sending goes on whatever happens to one of it, and ends when the worker does."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

from pymongo.errors import AutoReconnect

from channels.base import Outcome, Verdict
from push.duties import Duty, Meter, keep, recount
from push.parts import Counters as EngineCounters
from server.domain.broadcasts import Lane, State
from server.storage.broadcasts import Broadcasts
from server.storage.counters import Counters
from server.storage.mongo import Database
from server.storage.rates import Rates
from tests.push.city import warning

NOW = datetime(2026, 9, 1, tzinfo=UTC)


async def test_a_duty_that_breaks_is_tried_again_and_stops_no_other_and_all_end_with_the_worker():
    calls: Counter[str] = Counter()
    stop = asyncio.Event()

    async def broken() -> None:
        calls["broken"] += 1
        raise ZeroDivisionError

    async def away() -> None:
        calls["away"] += 1
        raise AutoReconnect

    async def slow() -> None:
        calls["slow"] += 1
        await asyncio.sleep(3600)

    async def good() -> None:
        calls["good"] += 1
        if calls["good"] == 5:
            stop.set()

    duties = [Duty(do.__name__, 0.01, do) for do in (broken, away, slow, good)]
    await asyncio.wait_for(keep(duties, stop), 5)
    assert calls["good"] == 5
    assert calls["slow"] == 1
    assert min(calls["broken"], calls["away"]) >= 3


async def test_a_duty_that_swallows_its_cancel_ends_all_the_same():
    stop = asyncio.Event()

    async def deaf() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return

    kept = asyncio.create_task(keep([Duty("deaf", 60.0, deaf)], stop))
    await asyncio.sleep(0.05)
    stop.set()
    await asyncio.wait_for(kept, 2)


async def test_the_meter_tells_every_accepted_notice_once(db: Database):
    outcomes = EngineCounters()
    meter = Meter(outcomes, {}, Rates(db), lambda: NOW)
    meter._channel_of = {"a": "sms", "b": "sms"}  # noqa: SLF001 - accounts need a channel with a connection
    for account, verdict in (("a", Verdict.ACCEPTED), ("b", Verdict.ACCEPTED), ("a", Verdict.REFUSED)):
        for _ in range(10):
            outcomes.outcome(account, Outcome(verdict, "x"))
        await meter.tell()
        await meter.tell()
    told = await db["rates"].find().to_list()
    assert {d["account"]: d["accepted"] for d in told} == {"a": 10, "b": 10}


async def test_people_are_counted_again_when_the_counters_are_old_but_never_during_a_warning(db: Database):
    counters, broadcasts = Counters(db), Broadcasts(db)
    await broadcasts.insert(warning("storm", Lane.RED, NOW))
    assert not await recount(counters, broadcasts, lambda: NOW)
    await broadcasts.set_state("storm", State.FINISHED, only_from=[State.LIVE], now=NOW)
    assert await recount(counters, broadcasts, lambda: NOW)
    assert not await recount(counters, broadcasts, lambda: NOW + timedelta(minutes=50))
    assert await recount(counters, broadcasts, lambda: NOW + timedelta(minutes=70))
