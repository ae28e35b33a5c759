"""The filler: every entry of the outbox ends on its pages exactly once, whoever dies and however many fill at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from push.outbox import Filler
from push.parts import Parts
from server import assemble
from server.assemble import Assembly
from server.domain.broadcasts import UNREACHABLE, Lane
from server.domain.outbox import RANGES, Entry, Standing, day_of
from server.domain.pages import Page
from server.storage import mongo
from server.storage.citizens import NewCitizen
from server.storage.outbox import Outbox
from tests.push.city import crowd, pages_of

LANE = Lane.REMINDER
STANDING = Standing("t.one", LANE, topic="t", wechat_template="WX_NOTICE")
IDS = count(1)


class Words:
    """A subject that is never asked in these tests."""

    standing = {STANDING.template: STANDING}  # noqa: RUF012 - nobody changes it

    async def render(self, template: str, abouts: Any) -> Any:
        """Not here."""
        raise AssertionError(template, abouts)


class KilledError(BaseException):
    """The process is gone."""


@dataclass
class Fragile:
    """Passes calls on to a real store until the fuse is burnt; then dies, before or after the last one's effect."""

    real: Any
    fuse: Fuse

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.real, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            self.fuse.burn(is_before=True)
            result = await method(*args, **kwargs)
            self.fuse.burn(is_before=False)
            return result

        return call


@dataclass
class Fuse:
    """Burns down with every call."""

    left: float

    def burn(self, *, is_before: bool) -> None:
        """`left` counts half steps: death before a call and death after it."""
        self.left -= 0.5
        if self.left < 0:
            raise KilledError("before" if is_before else "after")


@dataclass
class Desk:
    """Fillers and what they fill from."""

    assembly: Assembly
    parts: Parts
    people: list[NewCitizen] = field(default_factory=list)

    @property
    def outbox(self) -> Outbox:
        """Where entries wait."""
        return self.assembly.outbox

    def filler(self, **changes: Any) -> Filler:
        """One whose parts may differ."""
        outbox = changes.pop("outbox", self.outbox)
        return Filler(replace(self.parts, **changes), outbox, lambda: f"batch{next(IDS)}")

    def dying(self, calls: float) -> Filler:
        """One that is killed after so many calls to the databases."""
        fuse = Fuse(calls)
        stores = {
            name: Fragile(getattr(self.parts, name), fuse) for name in ("pages", "broadcasts", "citizens", "queue")
        }
        return self.filler(outbox=Fragile(self.outbox, fuse), **stores)

    def later(self, seconds: float) -> Filler:
        """One that runs so much later."""
        return self.filler(now=lambda: self.parts.now() + timedelta(seconds=seconds))

    def entry(self, key: str, person: int, **changes: Any) -> Entry:
        """Something that one of the people is to be told now."""
        now = self.parts.now()
        made = Entry(key, "t.one", self.people[person].id, f"thing-{key}", LANE, now, now + timedelta(hours=1))
        return replace(made, **changes)

    async def pages(self) -> list[Page]:
        """All pages of today."""
        return await pages_of(self.assembly, f"t.one-{day_of(self.parts.now())}")

    async def stand(self) -> Counter[tuple[int, str]]:
        """(citizen, thing) over all pages."""
        return Counter(pair for page in await self.pages() for pair in zip(page.to, page.about, strict=True))

    async def states(self) -> Counter[str]:
        """How many entries are in which state."""
        return Counter([d["state"] async for d in self.assembly.db["outbox"].find({})])


@pytest.fixture
async def desk(db: mongo.Database, assembly: Assembly) -> AsyncIterator[Desk]:
    assert db.name == assembly.db.name
    await assembly.redis.flushall()
    people = crowd(40, 1)
    await assembly.citizens.add(people)
    async with AsyncExitStack() as stack:
        yield Desk(assembly, replace(assemble.engine(assembly, stack), subjects=Words()), people)


async def test_what_is_due_is_put_on_pages_of_the_first_channel_by_range_and_marked(desk: Desk):
    entries = [desk.entry(f"k{n}", n) for n in range(40)]
    await desk.outbox.put(entries)
    assert await desk.filler().fill(LANE) == 40
    pages = await desk.pages()
    assert await desk.stand() == {(e.citizen, e.about): 1 for e in entries}
    assert {page.channel for page in pages} == {"wechat"}
    assert len(pages) == len({page.number for page in pages}) <= RANGES
    assert await desk.states() == {"paged": 40}
    assert await desk.filler().fill(LANE) == 0
    hints = await desk.parts.queue.pop("wechat", [LANE], count=100)
    assert sorted(hints or []) == [page.id for page in pages]


async def test_wherever_a_filler_is_killed_the_next_one_finishes_and_nobody_stands_twice(desk: Desk):
    entries: list[Entry] = []
    is_killed, half_steps = True, 0
    while is_killed:
        fresh = [desk.entry(f"k{half_steps}.{n}", n % 5) for n in range(8)]
        entries += fresh
        await desk.outbox.put(fresh)
        try:
            await desk.dying(half_steps / 2).fill(LANE)
            is_killed = False
        except KilledError:
            half_steps += 1
        await desk.later(1).fill(LANE)
        await desk.later(10).finish_left()
        assert await desk.stand() == {(e.citizen, e.about): 1 for e in entries}
    assert await desk.states() == {"paged": len(entries)}
    assert await desk.assembly.db["batches"].count_documents({}) == 0
    assert half_steps >= 2 * 12, "a round makes a dozen calls, each of which may be the last"


async def test_two_who_finish_a_batch_while_addresses_change_agree_on_where_people_go(desk: Desk):
    await desk.outbox.put([desk.entry("a", 0)])
    person = desk.people[0]
    with pytest.raises(KilledError):
        await desk.dying(6.0).fill(LANE)  # decided, no page yet
    index = desk.assembly.citizens.index("wechat", person.addresses["wechat"][0])
    await desk.assembly.citizens.retire("wechat", [(person.id, index)], code="gone", now=desk.parts.now())
    await asyncio.gather(*(desk.later(10).finish_left() for _ in range(4)))
    assert [(page.channel, list(page.to)) for page in await desk.pages()] == [("wechat", [person.id])]


async def test_many_fillers_at_once_do_each_entry_once(desk: Desk):
    entries = [desk.entry(f"k{n}", n % 40) for n in range(200)]
    fillers = [desk.filler() for _ in range(4)]

    async def fill(filler: Filler) -> None:
        for _ in range(6):
            await filler.fill(LANE)
            await filler.finish_left()

    async def put() -> None:
        for start in range(0, 200, 20):
            await desk.outbox.put(entries[start : start + 20])

    await asyncio.gather(put(), *(fill(filler) for filler in fillers))
    await desk.filler().fill(LANE)
    assert await desk.stand() == {(e.citizen, e.about): 1 for e in entries}
    assert await desk.states() == {"paged": 200}


async def test_what_is_late_is_dropped_and_counted(desk: Desk):
    past = desk.parts.now() - timedelta(hours=1)
    late = desk.entry("late", 0, due_at=past, expires_at=past + timedelta(minutes=1))
    await desk.outbox.put([late, desk.entry("a", 1)])
    await desk.filler().fill(LANE)
    assert await desk.stand() == {(desk.people[1].id, "thing-a"): 1}
    assert await desk.states() == {"late": 1, "paged": 1}
    assert desk.parts.counters.events["outbox_late"] == 1


async def test_those_who_cannot_be_reached_are_listed_and_those_who_do_not_exist_are_counted(desk: Desk):
    lonely = replace(crowd(1, 99)[0], addresses={})
    await desk.assembly.citizens.add([lonely])
    await desk.outbox.put([desk.entry("a", 0, citizen=lonely.id), desk.entry("b", 0, citizen=12345)])
    await desk.filler().fill(LANE)
    assert [(page.channel, list(page.to)) for page in await desk.pages()] == [(UNREACHABLE, [lonely.id])]
    assert desk.parts.counters.events["outbox_nobody"] == 1
    assert await desk.states() == {"paged": 2}


async def test_a_standing_broadcast_shares_its_day_and_starts_a_new_one_at_midnight_in_china(desk: Desk):
    clock = datetime(2026, 7, 1, 15, 59, 50, tzinfo=UTC)
    for seconds in (0, 5, 15):
        now = clock + timedelta(seconds=seconds)
        times = {"due_at": now, "expires_at": now + timedelta(hours=1)}
        await desk.outbox.put([desk.entry(f"k{seconds}", 0, **times)])
        await desk.filler(now=fixed(now)).fill(LANE)
    counts = [len(await pages_of(desk.assembly, f"t.one-{day}")) for day in ("20260701", "20260702")]
    assert counts == [2, 1]


def fixed(now: datetime) -> Callable[[], datetime]:
    """A clock that stands."""
    return lambda: now
