"""How a batch of personal notices becomes pages."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from server.domain.broadcasts import CHANNELS, ID_SPACE, PAGE_SIZE, UNREACHABLE, Lane, Policy, bounds
from server.domain.outbox import Place, Standing, arrange, day_of
from server.domain.pages import PageState

NOW = datetime(2026, 7, 1, 4, tzinfo=UTC)
STANDING = Standing("t.one", Lane.REMINDER, "t", "WX", policy=Policy.ALL)
BROADCAST = STANDING.broadcast("20260701", NOW)
PLACES = st.lists(
    st.builds(
        Place,
        key=st.text("abc", min_size=1, max_size=6),
        citizen=st.integers(0, 30) | st.integers(0, ID_SPACE - 1),
        about=st.sampled_from(["x", "y"]),
        expires_at=st.integers(1, 400).map(lambda s: NOW + timedelta(seconds=s)),
        division=st.integers(0, 9),
        channels=st.lists(st.sampled_from(CHANNELS), min_size=1, unique=True).map(tuple) | st.just((UNREACHABLE,)),
    ),
    max_size=40,
    unique_by=lambda p: p.key,
)


@given(PLACES)
def test_everybody_stands_on_every_channel_once_per_notice(places: list[Place]):
    pages = arrange("b1", BROADCAST, places)
    stand = Counter((page.channel, i, about) for page in pages for i, about in zip(page.to, page.about, strict=True))
    assert stand == Counter((channel, p.citizen, p.about) for p in places for channel in p.channels)


@given(PLACES)
def test_a_page_is_ascending_within_its_range_and_ends_with_the_first_of_its_people_and_at_most_a_minute_early(
    places: list[Place],
):
    times = {(p.citizen, p.about, p.division): [] for p in places}
    for p in places:
        times[p.citizen, p.about, p.division].append(p.expires_at)
    for page in arrange("b1", BROADCAST, places):
        lo, hi = bounds(page.number, BROADCAST.ranges)
        assert list(page.to) == sorted(set(page.to))
        assert lo <= page.to[0] <= page.to[-1] < hi
        assert page.state is (PageState.DONE if page.channel == UNREACHABLE else PageState.OPEN)
        for who in zip(page.to, page.about, page.divisions, strict=True):
            assert any(page.expires_at <= at < page.expires_at + timedelta(minutes=1) for at in times[who])


@given(PLACES, st.data())
def test_whoever_arranges_a_batch_comes_to_the_same_pages(places: list[Place], data: st.DataObject):
    shuffled = data.draw(st.permutations(places))
    pages = arrange("b1", BROADCAST, places)
    assert arrange("b1", BROADCAST, shuffled) == pages
    assert len({page.id for page in pages}) == len(pages)


def test_many_people_fill_whole_pages():
    places = [Place(f"k{n}", n, "x", NOW, 0, ("sms",)) for n in range(1_201)]
    assert [len(page.to) for page in arrange("b1", BROADCAST, places)] == [PAGE_SIZE, PAGE_SIZE, 201]


def test_a_standing_broadcast_is_named_after_its_day_in_china_and_outlives_it_by_two():
    late = datetime(2026, 7, 1, 16, 30, tzinfo=UTC)  # half past midnight in China
    assert day_of(late) == "20260702"
    broadcast = STANDING.broadcast(day_of(late), late)
    assert broadcast.id == "t.one-20260702"
    assert broadcast.expires_at == datetime(2026, 7, 4, 16, tzinfo=UTC)
    assert broadcast.kind == "standing"
