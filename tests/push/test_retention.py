"""After thirty days a broadcast has sums and no people."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from push.parts import Parts
from push.retention import KEEP, Retention
from push.totals import Totals
from server import assemble
from server.assemble import Assembly
from server.domain import ranks
from server.domain.broadcasts import Audience, Broadcast, Lane, State, page_id, range_id
from server.domain.pages import Page, PageState
from server.storage import mongo
from tests.push.city import DISTRICT, DIVISIONS, warning

A_DAY = timedelta(days=1)
PAGES, PEOPLE = 6, 10


@dataclass
class Archive:
    """An engine that has broadcasts of long ago."""

    assembly: Assembly
    parts: Parts

    @property
    def totals(self) -> Totals:
        """The engine's."""
        return Totals(self.parts, assemble.district_of(self.assembly.divisions))

    def retention(self, **changes: Any) -> Retention:
        """One whose parts may differ."""
        return Retention(replace(self.parts, **changes), self.totals)

    async def old(
        self, id_: str, *, age: timedelta = KEEP + A_DAY, ends: str = "finished", **changes: Any
    ) -> Broadcast:
        """A broadcast of so long ago on two ranges, with all its pages sent."""
        broadcast = warning(id_, Lane.YELLOW, self.parts.now() - age, ranges=2, **changes)
        await self.parts.broadcasts.insert(broadcast)
        await self.parts.broadcasts.cut(broadcast)
        await self.parts.broadcasts.close_ranges(id_)
        await self.parts.pages.insert([_page(broadcast, n) for n in range(PAGES)])
        for number in range(2):
            await self.totals.recompute(range_id(id_, number))
        if ends != "live":
            await self.parts.broadcasts.set_state(id_, State(ends), only_from=[State.LIVE], now=broadcast.released_at)
        return broadcast

    async def pages(self, id_: str) -> int:
        """How many there are."""
        return await self.assembly.db["pages"].count_documents({"broadcast": id_})

    async def statuses(self, id_: str) -> Counter[str]:
        """What the report says about the SMS."""
        return (await self.assembly.broadcasts.progress(id_)).statuses("sms")


def _page(broadcast: Broadcast, n: int) -> Page:
    return Page(
        id=page_id(broadcast.id, "sms", n % 2, n),
        broadcast=broadcast.id,
        channel="sms",
        number=n % 2,
        lane=broadcast.lane,
        state=PageState.DONE,
        to=range(n * PEOPLE, (n + 1) * PEOPLE),
        divisions=[DIVISIONS.index_of(DISTRICT)] * PEOPLE,
        not_before=broadcast.released_at,
        expires_at=broadcast.expires_at,
        outcomes=[ranks.DELIVERED if i % 2 else ranks.REFUSED for i in range(PEOPLE)],
    )


@pytest.fixture
async def archive(db: mongo.Database, assembly: Assembly) -> AsyncIterator[Archive]:
    assert db.name == assembly.db.name
    async with AsyncExitStack() as stack:
        yield Archive(assembly, assemble.engine(assembly, stack))


SUMS = {"delivered": PAGES * PEOPLE // 2, "refused": PAGES * PEOPLE // 2}


@pytest.mark.parametrize("ends", ["finished", "cancelled", "replaced"])
async def test_an_old_broadcast_keeps_its_sums_per_division_and_nobody(archive: Archive, ends: str):
    await archive.old("old", ends=ends, audience=Audience(citizens=(1, 2, 3)))
    if ends != "finished":
        await archive.totals.sum_up_stopped()
    assert await archive.retention().bare_some() == PAGES
    assert await archive.pages("old") == 0
    assert await archive.statuses("old") == SUMS
    by_channel = (await archive.assembly.broadcasts.progress("old")).by_channel
    assert by_channel["sms"]["delivered"] == {str(DIVISIONS.index_of(DISTRICT)): SUMS["delivered"]}
    assert (await archive.parts.broadcasts.get("old")).audience.citizens == ()
    assert await archive.parts.broadcasts.find_old(archive.parts.now(), archive.parts.now(), limit=9) == []


@pytest.mark.parametrize(
    "why",
    [
        {"age": KEEP - A_DAY},
        {"ends": "live"},
        {"ends": "cancelled"},  # not summed up yet
    ],
)
async def test_what_is_young_or_not_at_its_end_keeps_its_people(archive: Archive, why: dict[str, Any]):
    await archive.old("kept", **why)
    assert await archive.retention().bare_some() == 0
    assert await archive.pages("kept") == PAGES


async def test_while_an_alert_is_in_force_its_people_are_kept_for_the_all_clear(archive: Archive):
    until = archive.parts.now() + A_DAY
    await archive.old("drought", expires_at=until)
    assert await archive.retention().bare_some() == 0
    later = archive.parts.now() + 2 * A_DAY
    assert await archive.retention(now=lambda: later).bare_some() == PAGES


async def test_a_round_deletes_no_more_than_its_share_and_the_oldest_first(archive: Archive):
    await archive.old("older", age=KEEP + 2 * A_DAY)
    await archive.old("old")
    left = []
    for _ in range(4):
        assert await archive.retention().bare_some(4) <= 4
        left.append((await archive.pages("older"), await archive.pages("old")))
    assert left == [(2, 6), (0, 4), (0, 0), (0, 0)]
    assert await archive.statuses("older") == await archive.statuses("old") == SUMS


async def test_a_recount_of_a_half_deleted_range_changes_no_sum(archive: Archive):
    await archive.old("old")
    await archive.retention().bare_some(2)
    await archive.totals.recompute(range_id("old", 0))
    await archive.retention().bare_some()
    await archive.totals.recompute(range_id("old", 1))
    assert await archive.statuses("old") == SUMS


async def test_a_receipt_after_the_last_count_is_in_the_sums_that_remain(archive: Archive):
    await archive.old("old")
    await archive.parts.pages.apply({page_id("old", "sms", 0, 0): {"$max": {"s.1": ranks.READ}}})
    await archive.retention().bare_some()
    assert (await archive.statuses("old"))["read"] == 1
