"""What people read about a broadcast adds up, and no figure is invented."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain import ranks
from server.domain.broadcasts import CHANNELS, UNREACHABLE, State
from server.domain.progress import (
    RATE_OVER_S,
    ChannelStanding,
    Mark,
    Seen,
    by_division,
    expected_left_s,
    rate_per_s,
    remember,
    standing,
)
from server.domain.report import FORMULA, safe, table

NOW = datetime(2026, 9, 1, tzinfo=UTC)
CODES = st.sampled_from(["440303", "440304", "440305"])
COUNTS = st.dictionaries(
    st.sampled_from([*CHANNELS, UNREACHABLE]),
    st.dictionaries(st.sampled_from(ranks.STATUSES), st.dictionaries(CODES, st.integers(0, 10**7), max_size=3)),
)


def channel(left: int, rate: float | None, audience: int = 0) -> ChannelStanding:
    return ChannelStanding(audience=audience or left, left=left, statuses={}, rate_per_s=rate)


@given(COUNTS)
def test_channels_divisions_and_the_table_all_hold_the_same_people(counts: dict[str, dict[str, dict[str, int]]]):
    found = standing(Seen("b", 1, State.LIVE, 1, 1, counts), (), NOW, str)
    everybody = sum(n for statuses in counts.values() for by in statuses.values() for n in by.values())
    told = sum(each.audience for each in found.channels.values()) + found.unreachable
    assert told == everybody
    turned = by_division(counts, str)
    assert sum(n for c in turned.values() for s in c.values() for n in s.values()) == everybody
    rows = list(csv.DictReader(StringIO(table(counts, str, str).removeprefix("\ufeff"))))
    assert sum(int(row["audience"]) for row in rows) == everybody
    for each in found.channels.values():
        assert sum(each.statuses.values()) == each.audience >= each.left >= 0


@given(st.text())
def test_no_cell_begins_as_a_formula_and_none_is_lost(cell: str):
    assert not safe(cell).startswith(FORMULA)
    assert safe(cell).removeprefix("'") == cell.removeprefix("'")


def test_a_rate_needs_two_moments_and_movement():
    assert rate_per_s([], "sms") is None
    assert rate_per_s([Mark(1.0, {"sms": 5})], "sms") is None
    assert rate_per_s([Mark(1.0, {"sms": 5}), Mark(3.0, {"sms": 5})], "sms") is None
    assert rate_per_s([Mark(1.0, {"sms": 5}), Mark(3.0, {"sms": 105})], "sms") == 50


def test_only_the_last_seconds_count_for_the_rate():
    marks: list[Mark] = []
    for second in range(60):
        done = 1_000 * second if second < 40 else 40_000 + second  # fast at first, then one a second
        marks = remember(marks, Mark(float(second), {"sms": done}))
    assert marks[0].at_s >= marks[-1].at_s - RATE_OVER_S
    assert rate_per_s(marks, "sms") == pytest.approx(1.0)


def test_the_expected_end_is_that_of_the_slowest_channel_and_unknown_if_one_stands_still():
    assert expected_left_s({"sms": channel(100, 10.0), "push": channel(10, 10.0)}, 1.0) == 10
    assert expected_left_s({"sms": channel(100, None), "push": channel(10, 10.0)}, 1.0) is None
    assert expected_left_s({"sms": channel(0, None)}, 1.0) == 0
    assert expected_left_s({"sms": channel(100, 10.0)}, 0.0) is None


def test_what_is_not_planned_yet_counts_as_more_of_the_same():
    assert expected_left_s({"sms": channel(100, 10.0, audience=400)}, 0.5) == pytest.approx((100 + 400) / 10)


@pytest.mark.parametrize("state", list(State))
def test_only_a_live_broadcast_has_an_expected_end(state: State):
    counts = {"sms": {"planned": {"440305": 100}}}
    marks = [Mark(0.0, {"sms": 0}), Mark(1.0, {"sms": 10})]
    found = standing(Seen("b", 1, state, 1, 1, counts), marks, NOW, str)
    assert found.expected_finish_at == (NOW + timedelta(seconds=10) if state is State.LIVE else None)
    assert found.is_over == (state in (State.CANCELLED, State.REPLACED, State.FINISHED))
    assert Counter(found.channels["sms"].statuses) == Counter(planned=100)
