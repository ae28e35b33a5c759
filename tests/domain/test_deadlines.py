"""The clock of an application: working days with 调休, pauses that take nothing and heal nothing, cards."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.deadlines import (
    Card,
    Clock,
    Runs,
    begin,
    card_on,
    days_before,
    next_card_at,
    pause,
    resume,
    set_to,
    stop,
)
from server.domain.working_days import WorkingDays

DAYS = WorkingDays()
dates = st.dates(date(2025, 1, 1), date(2029, 12, 31))


@pytest.mark.parametrize(
    ("day", "days", "due"),
    [
        (date(2026, 9, 30), 1, date(2026, 10, 8)),  # National Day: the first to the seventh
        (date(2026, 9, 30), 3, date(2026, 10, 10)),  # Saturday the tenth is worked
        (date(2026, 2, 13), 1, date(2026, 2, 14)),  # Saturday before the Spring Festival is worked
        (date(2026, 2, 14), 1, date(2026, 2, 24)),
        (date(2026, 11, 24), 5, date(2026, 12, 1)),
        (date(2026, 11, 28), 1, date(2026, 11, 30)),  # handed in on a Saturday
        (date(2026, 11, 28), 0, date(2026, 11, 30)),
    ],
)
def test_a_deadline_is_counted_in_working_days_from_the_next_day_on(day: date, days: int, due: date):
    assert begin(Runs.WORK, days, day, DAYS).due_on == due


def test_a_deadline_in_a_year_that_nobody_has_published_is_provisional_and_not_an_error():
    clock = begin(Runs.WORK, 60, date(2026, 12, 20), DAYS)
    assert (clock.is_provisional, clock.due_on is not None) == (True, True)
    assert begin(Runs.WORK, 3_650, date(2026, 12, 20), DAYS).is_provisional


@given(dates, st.integers(1, 90), st.integers(0, 60), st.integers(0, 60))
def test_a_pause_takes_no_working_day_and_adds_none(day: date, days: int, before: int, length: int):
    clock = begin(Runs.WORK, days, day, DAYS)
    assert clock.due_on is not None
    paused_on = min(day + timedelta(days=before), clock.due_on)
    resumed_on = paused_on + timedelta(days=length)
    paused = pause(clock, paused_on, DAYS)
    resumed = resume(paused, resumed_on, DAYS)
    assert resumed.due_on is not None
    assert (paused.due_at, resumed.runs) == (None, Runs.WORK)
    assert DAYS.between(resumed_on, resumed.due_on) == max(
        DAYS.between(paused_on, clock.due_on), 0 if DAYS.is_working(resumed_on) else 1
    )
    if length == 0 and DAYS.is_working(paused_on):
        assert resumed.due_on == clock.due_on


@given(dates, st.integers(1, 30), st.integers(1, 30), st.integers(0, 30))
def test_a_pause_heals_nothing_that_was_late(day: date, days: int, late: int, length: int):
    clock = begin(Runs.WORK, days, day, DAYS)
    assert clock.due_on is not None
    paused_on = clock.due_on + timedelta(days=late)
    if DAYS.between(clock.due_on, paused_on) == 0:
        paused_on = DAYS.add(paused_on, 1).day
    resumed = resume(pause(clock, paused_on, DAYS), paused_on + timedelta(days=length), DAYS)
    assert resumed.due_on == clock.due_on
    assert card_on(resumed, paused_on) is Card.RED


@given(dates, st.integers(1, 90), st.integers(0, 200))
def test_a_card_is_none_then_yellow_then_red_and_the_next_change_is_known(day: date, days: int, after: int):
    clock = begin(Runs.WORK, days, day, DAYS)
    assert clock.due_on is not None
    assert clock.warn_on is not None
    today = day + timedelta(days=after)
    card = card_on(clock, today)
    expected = Card.RED if today > clock.due_on else Card.YELLOW if today >= clock.warn_on else Card.NONE
    assert card is expected
    change_at = next_card_at(clock, card)
    if change_at is None:
        assert card is Card.RED
    else:
        assert card_on(clock, change_at.date()) is not card


def test_the_last_day_counts_to_its_end_in_china():
    clock = begin(Runs.WORK, 1, date(2026, 11, 24), DAYS)
    assert clock.due_at == datetime(2026, 11, 25, 16, 0, tzinfo=UTC)


def test_what_is_over_says_for_ever_whether_it_was_in_time():
    clock = begin(Runs.WORK, 1, date(2026, 11, 24), DAYS)
    assert card_on(stop(clock, date(2026, 11, 25)), date(2027, 1, 1)) is Card.NONE
    assert card_on(stop(clock, date(2026, 11, 26)), date(2027, 1, 1)) is Card.RED
    assert stop(stop(clock, date(2026, 11, 25)), date(2026, 12, 1)).ended_on == date(2026, 11, 25)


@given(st.sampled_from(Runs), st.sampled_from(Runs), dates)
def test_every_change_of_state_sets_the_clock(before: Runs, after: Runs, day: date):
    clock = Clock() if before is Runs.NOTHING else begin(Runs.WORK, 5, day, DAYS)
    clock = set_to(clock, before, 5, day, DAYS)
    assert set_to(clock, after, 5, day, DAYS).runs in (after, clock.runs)


@given(dates, st.integers(1, 20))
def test_days_before_a_working_day_lead_back_to_a_working_day_from_which_so_many_more_follow(day: date, count: int):
    end = DAYS.add(day, 1).day
    found = days_before(end, count, DAYS)
    assert DAYS.is_working(found)
    assert DAYS.add(found, count).day == end
