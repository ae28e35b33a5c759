"""Ranges cut the id space without gaps, and every id finds its range."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from server.domain.broadcasts import (
    ID_SPACE,
    Audience,
    Broadcast,
    Lane,
    Policy,
    bounds,
    digest,
    page_id,
    range_of,
    ranges_for,
)

AN_ID = st.integers(0, ID_SPACE - 1)
RANGES = st.integers(1, 20_000)


@given(AN_ID, RANGES)
def test_an_id_lies_within_the_bounds_of_its_range(citizen: int, ranges: int):
    lo, hi = bounds(range_of(citizen, ranges), ranges)
    assert lo <= citizen < hi


@given(RANGES, st.data())
def test_ranges_follow_each_other_without_gap_and_their_edges_belong_to_them(ranges: int, data: st.DataObject):
    number = data.draw(st.integers(0, ranges - 1))
    lo, hi = bounds(number, ranges)
    assert range_of(lo, ranges) == range_of(hi - 1, ranges) == number
    assert hi == (bounds(number + 1, ranges)[0] if number + 1 < ranges else ID_SPACE)


@pytest.mark.parametrize(
    ("audience", "ranges"), [(0, 1), (8_000, 1), (80_000, 10), (10_000_000, 1_250), (10**12, 20_000)]
)
def test_ranges_are_sized_to_the_audience(audience: int, ranges: int):
    assert ranges_for(audience) == ranges


@given(
    st.tuples(st.integers(0, 19_999), st.integers(0, 99_999)), st.tuples(st.integers(0, 19_999), st.integers(0, 99_999))
)
def test_page_ids_sort_like_range_and_number(a: tuple[int, int], b: tuple[int, int]):
    assert (page_id("b", "sms", *a) < page_id("b", "sms", *b)) == (a < b)


def test_the_digest_covers_what_two_persons_signed_and_not_how_it_is_cut():
    now = datetime(2026, 7, 1, tzinfo=UTC)
    one = Broadcast(
        id="b", subject="s", chain="c", lane=Lane.RED, policy=Policy.ALL, texts={"sms": {"zh": {"text": "x"}}},
        audience=Audience(divisions=("440305",)), released_at=now, expires_at=now + timedelta(hours=1),
    )  # fmt: skip
    assert digest(one) == digest(one.model_copy(update={"ranges": 7, "released_at": now + timedelta(minutes=1)}))
    for change in (
        {"texts": {"sms": {"zh": {"text": "y"}}}},
        {"lane": Lane.ORANGE},
        {"audience": Audience(divisions=("440304",))},
        {"expires_at": now + timedelta(hours=2)},
        {"is_loud": False},
        {"is_exercise": True},
        {"policy": Policy.LADDER},
    ):
        assert digest(one.model_copy(update=change)) != digest(one)


def test_red_and_orange_are_never_on_a_ladder():
    now = datetime(2026, 7, 1, tzinfo=UTC)
    with pytest.raises(ValidationError, match="all channels at once"):
        Broadcast(
            id="b", subject="s", chain="c", lane=Lane.ORANGE, policy=Policy.LADDER, texts={}, audience=Audience(),
            released_at=now, expires_at=now,
        )  # fmt: skip
