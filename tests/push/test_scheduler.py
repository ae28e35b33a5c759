"""The scheduler of reminders: whatever happens to those who serve it, each due one leaves exactly once, or is counted.

The clock of these fillers is the test's: it stands, jumps and goes back, as a machine's does.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from push.outbox import LEFT_AFTER_S, TAKE, Filler
from server import assemble
from server.assemble import Assembly
from server.domain.outbox import Entry, day_of
from server.storage import mongo
from server.storage.outbox import LATE_AFTER, Outbox
from tests.push.city import crowd, pages_of
from tests.push.test_filler import LANE, Desk, KilledError, Words, fixed
from tests.storage.test_application_indexes import SENT_ALONG, Heard

START = datetime(2026, 7, 1, 2, 0, tzinfo=UTC)  # ten in the morning in China: no test passes midnight
MINUTE = timedelta(minutes=1)
WAITING = 100_000
DUE = 1_500
SLOWEST_PER_S = 500  # entries onto pages; two busy cores did 4,000
STORES = ("pages", "broadcasts", "citizens", "queue")


class Scheduler(Desk):
    """A desk whose fillers run at the times that a test names."""

    def at(self, now: datetime, dies_after: float | None = None, gate: Gate | None = None) -> Filler:
        """One that sees this time, and perhaps is killed after so many calls to the databases, or stopped at one."""
        then = Scheduler(self.assembly, replace(self.parts, now=fixed(now)), self.people)
        if gate:
            stores = {name: Stopped(getattr(self.parts, name), gate) for name in STORES}
            return then.filler(outbox=Stopped(self.outbox, gate), **stores)
        return then.filler() if dies_after is None else then.dying(dies_after)

    async def round(self, now: datetime) -> None:
        """What a filler does in a turn of its loops: all that is due, and what others have left."""
        filler = self.at(now)
        while await filler.fill(LANE) == TAKE:
            pass
        await filler.finish_left()

    def due(self, key: str, at: datetime, lasts: timedelta = timedelta(hours=1)) -> Entry:
        """A reminder for one of the people."""
        person = int(key.rpartition(".")[2] or 0) % len(self.people)
        return self.entry(key, person, due_at=at, expires_at=at + lasts)

    async def left(self) -> dict[str, int]:
        """Which things stand on pages, and how often."""
        pages = await pages_of(self.assembly, f"t.one-{day_of(START)}")
        return dict(Counter(about for page in pages for about in page.about))

    async def late(self) -> set[str]:
        """The keys of those that left, marked as late."""
        return {d["_id"] async for d in self.assembly.db["outbox"].find({"is_late": True})}


@pytest.fixture
async def desk(db: object, assembly: Assembly) -> AsyncIterator[Scheduler]:
    assert db is not None
    await assembly.redis.flushall()
    people = crowd(40, 1)
    await assembly.citizens.add(people)
    async with AsyncExitStack() as stack:
        yield Scheduler(assembly, replace(assemble.engine(assembly, stack), subjects=Words()), people)


def once(entries: list[Entry]) -> dict[str, int]:
    """Each of them left, and once."""
    return {entry.about: 1 for entry in entries}


@dataclass
class Gate:
    """Stops who passes it for the n-th time, until it is opened."""

    left: int
    is_reached: asyncio.Event = field(default_factory=asyncio.Event)
    is_open: asyncio.Event = field(default_factory=asyncio.Event)

    async def pass_(self) -> None:
        """Go on, or stand still here."""
        self.left -= 1
        if self.left == 0:
            self.is_reached.set()
            await self.is_open.wait()


@dataclass
class Stopped:
    """Passes calls on to a real store, through the gate."""

    real: Any
    gate: Gate

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.real, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self.gate.pass_()
            return await method(*args, **kwargs)

        return call


async def test_two_fillers_of_which_one_is_killed_at_every_touch_of_a_database_let_each_reminder_leave_once(
    desk: Scheduler,
):
    entries: list[Entry] = []
    now, kills = START, 0
    for half_steps in range(26):
        fresh = [desk.due(f"k{half_steps}.{n}", now) for n in range(6)]
        entries += fresh
        await desk.outbox.put(fresh)
        killed, _ = await asyncio.gather(
            desk.at(now, dies_after=half_steps / 2).fill(LANE), desk.at(now).fill(LANE), return_exceptions=True
        )
        kills += isinstance(killed, KilledError)
        now += timedelta(seconds=LEFT_AFTER_S + 1)
        await asyncio.gather(*(desk.round(now) for _ in range(2)))
    assert kills >= 12, "seven calls at least, before and after each"
    assert await desk.left() == once(entries)
    assert (await desk.states(), await desk.late()) == ({"paged": len(entries)}, set())


async def test_a_filler_that_stands_still_for_ten_minutes_at_any_touch_and_then_goes_on_doubles_nothing(
    desk: Scheduler,
):
    entries: list[Entry] = []
    now, touch, was_stopped = START, 0, True
    while was_stopped:
        touch += 1
        fresh = [desk.due(f"k{touch}.{n}", now) for n in range(4)]
        entries += fresh
        await desk.outbox.put(fresh)
        gate = Gate(touch)
        filling = asyncio.create_task(desk.at(now, gate=gate).fill(LANE))
        reached = asyncio.create_task(gate.is_reached.wait())
        await asyncio.wait([filling, reached], return_when=asyncio.FIRST_COMPLETED)
        was_stopped = gate.is_reached.is_set()
        reached.cancel()
        now += 10 * MINUTE
        await desk.round(now)
        gate.is_open.set()
        await filling
        await desk.round(now)
    assert touch > 10, "each of a dozen calls may be where it stands still"
    assert await desk.left() == once(entries)
    assert await desk.states() == {"paged": len(entries)}


async def test_after_a_pause_of_ten_minutes_all_leave_once_late_ones_marked_and_expired_ones_dropped_and_counted(
    desk: Scheduler,
):
    lasting = [desk.due(f"a.{minute}", START + minute * MINUTE) for minute in range(30)]
    short = [desk.due(f"b.{minute}", START + minute * MINUTE, lasts=4 * MINUTE) for minute in range(30)]
    await desk.outbox.put([*lasting, *short])
    for minute in [*range(11), *range(20, 30)]:  # nobody is there from the eleventh to the nineteenth
        await desk.round(START + minute * MINUTE)
    gone = {f"b.{minute}" for minute in range(11, 17)}
    assert await desk.left() == once([*lasting, *(e for e in short if e.key not in gone)])
    assert await desk.late() == {f"a.{minute}" for minute in range(11, 20 - int(LATE_AFTER / MINUTE))}
    dropped = {d["_id"] async for d in desk.assembly.db["outbox"].find({"state": "late"})}
    assert dropped == gone
    assert desk.parts.counters.events["outbox_late"] == len(gone)
    assert desk.parts.counters.events["outbox_was_late"] == len(await desk.late())


@pytest.mark.parametrize("seed", range(3))
async def test_a_clock_that_steps_back_and_forth_lets_each_reminder_leave_once(desk: Scheduler, seed: int):
    dice = random.Random(seed)  # noqa: S311 - no secret
    entries = [desk.due(f"k.{n}", START + dice.uniform(0, 30) * MINUTE, lasts=6 * 60 * MINUTE) for n in range(60)]
    await desk.outbox.put(entries)
    kills = 0
    for minute in range(0, 30, 2):
        now = START + (minute + dice.choice((-10, 0, 0, 10))) * MINUTE
        try:
            await desk.at(now, dies_after=dice.choice((2.5, 3.5, 5, 7))).fill(LANE)
        except KilledError:
            kills += 1
        await desk.round(now)
    assert kills >= 2
    for _ in range(2):
        await desk.round(START + 60 * MINUTE)  # later than any time at which somebody was killed
    assert await desk.left() == once(entries)
    assert await desk.states() == {"paged": len(entries)}


async def test_what_a_clock_that_ran_ahead_began_is_finished_when_the_time_has_come_round_again(desk: Scheduler):
    entry = desk.due("k.1", START)
    await desk.outbox.put([entry])
    with pytest.raises(KilledError):
        await desk.at(START + 10 * MINUTE, dies_after=3).fill(LANE)
    await desk.round(START)
    assert await desk.left() == {}
    await desk.round(START + 11 * MINUTE)
    assert await desk.left() == once([entry])


async def test_among_a_hundred_thousand_that_wait_the_due_ones_are_found_by_looking_at_little_more_than_them(
    desk: Scheduler, mongo_url: str
):
    await fill_up(desk)
    heard = Heard()
    async with AsyncMongoClient[dict[str, Any]](mongo_url, event_listeners=[heard]) as client:
        outbox = Outbox(mongo.database(client, desk.assembly.db.name))
        found = await outbox.find_due(LANE, ["t.one"], START, limit=TAKE)
    assert len(found) == DUE
    [command] = [each for each in heard.searches if each["find"] == "outbox"]
    kept = {name: value for name, value in command.items() if name not in SENT_ALONG}
    stats = (await desk.assembly.db.command({"explain": kept, "verbosity": "executionStats"}))["executionStats"]
    assert stats["nReturned"] == DUE
    assert max(stats["totalDocsExamined"], stats["totalKeysExamined"]) <= 1.01 * DUE + 1
    began = time.monotonic()
    await desk.round(START)
    assert DUE / (time.monotonic() - began) >= SLOWEST_PER_S
    assert await desk.states() == {"paged": DUE, "waiting": WAITING - DUE}
    assert sum((await desk.left()).values()) == DUE


async def fill_up(desk: Scheduler) -> None:
    """A hundred thousand reminders of which some are due."""
    entries = desk.assembly.db["outbox"]
    await desk.outbox.put([desk.due("k.0", START)])
    model = await entries.find_one_and_delete({"_id": "k.0"})
    assert model is not None
    for start in range(0, WAITING, 20_000):
        await entries.insert_many(
            [
                model
                | {
                    "_id": f"k.{n}",
                    "item": f"{n:032x}",
                    "about": f"thing-{n}",
                    "citizen": desk.people[n % len(desk.people)].id,
                    "due_at": START + (timedelta(0) if n < DUE else (n % 40_000 + 1) * MINUTE),
                    "expires_at": START + 60_000 * MINUTE,
                }
                for n in range(start, start + 20_000)
            ],
            ordered=False,
        )
