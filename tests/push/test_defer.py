"""People in quiet hours are moved to a later page, and nobody is called moved who stands on none."""

from __future__ import annotations

from datetime import timedelta

from push.ladder import Ladder
from tests.push.conftest import City
from tests.storage.ledger import page


async def test_after_a_crash_only_those_on_the_later_page_count_as_moved(city: City):
    of = city.assembly
    ladder = Ladder(of.pages, of.citizens, of.queue, of.now)
    held = page(to=[10, 11, 12], broadcast="quiet")
    morning = of.now() + timedelta(hours=8)
    assert await ladder.defer(held, {morning: [0]}) == {0}  # and here the worker dies, before it has marked anybody
    assert await ladder.defer(held, {morning: [0, 2]}) == {0}
    assert await ladder.defer(held, {morning: [2]}) == {2}
    later = [p.to for p in await of.pages.of_range("quiet", 0)]
    assert sorted(i for to in later for i in to) == [10, 12]
