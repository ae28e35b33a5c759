"""Slots from hours, holidays and exceptions; and what a change of a schedule breaks."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from server.domain.booking import Booking, Seat, State, seats_of, taken
from server.domain.schedules import (
    Change,
    Exceptional,
    Layout,
    Quota,
    Schedule,
    Session,
    Weekday,
    Weekly,
    Where,
    change_of,
    layouts_on,
)
from server.domain.working_days import WorkingDays

CALENDAR = WorkingDays()
WHERE = Where("sz-people-cardio-3", "sz-people", "sz-people-cardio")
MORNING = {"begins": time(8), "ends": time(10), "slot_minutes": 30, "places": {Quota.ONLINE: 2, Quota.COUNTER: 1}}
WEEK = Schedule(weekly=(Weekly(days=tuple(Weekday)[:5], **MORNING),))
MONDAY, MADE_UP, HOLIDAY = date(2026, 9, 14), date(2026, 10, 10), date(2026, 10, 1)
OPEN_AT = datetime(2026, 9, 1, tzinfo=UTC)


def slots(schedule: Schedule, day: date) -> list[str]:
    return [each.slot.id.rsplit("/")[-1] for each in layouts_on(WHERE, schedule, day, CALENDAR)]


def laid(schedule: Schedule, day: date = MONDAY) -> list[Seat]:
    return change([], schedule, day).added


def change(there: list[Seat], schedule: Schedule, day: date = MONDAY) -> Change:
    wanted = layouts_on(WHERE, schedule, day, CALENDAR)
    return change_of(there, wanted, {each.slot.id: OPEN_AT for each in wanted})


def booked(seat: Seat) -> Seat:
    booking = Booking("code", 1, 1, "key", OPEN_AT, OPEN_AT + timedelta(minutes=10))
    return taken(seat, booking, timedelta(0))


def test_a_stretch_is_cut_into_slots_with_places_per_channel():
    assert slots(WEEK, MONDAY) == ["0800", "0830", "0900", "0930"]
    seats = laid(WEEK)
    assert len(seats) == 12
    assert [seat.quota for seat in seats[:3]] == ["online", "online", "counter"]
    assert [seat.rank for seat in seats[:3]] == [1, 2, 3]


def test_a_remainder_that_is_shorter_than_a_slot_is_not_booked():
    odd = Schedule(weekly=(Weekly(days=(Weekday.MONDAY,), **{**MORNING, "slot_minutes": 45}),))
    assert slots(odd, MONDAY) == ["0800", "0845"]


def test_a_holiday_is_closed_unless_the_schedule_says_otherwise():
    assert slots(WEEK, HOLIDAY) == []
    assert slots(WEEK.model_copy(update={"is_open_on_holidays": True}), HOLIDAY) != []


def test_a_saturday_that_is_a_working_day_has_the_hours_of_the_day_it_stands_for():
    assert slots(WEEK, MADE_UP) == slots(WEEK, MONDAY)
    assert slots(WEEK.model_copy(update={"makeup_as": None}), MADE_UP) == []


def test_an_exception_beats_the_week_and_the_calendar():
    closed = Schedule(weekly=WEEK.weekly, exceptions=(Exceptional(on=MONDAY, reason="盘点"),))
    assert slots(closed, MONDAY) == []
    late = Session(**{**MORNING, "begins": time(9)})
    opened = Schedule(weekly=WEEK.weekly, exceptions=(Exceptional(on=HOLIDAY, sessions=(late,), reason="假日门诊"),))
    assert slots(opened, HOLIDAY) == ["0900", "0930"]


def test_a_stretch_holds_for_its_part_of_the_year_only():
    summer = Weekly(days=(Weekday.MONDAY,), until_date=date(2026, 9, 13), **MORNING)
    assert slots(Schedule(weekly=(summer,)), MONDAY) == []
    assert slots(Schedule(weekly=(summer,)), MONDAY - timedelta(days=7)) != []


@pytest.mark.parametrize(
    "wrong",
    [
        {"weekly": [{"days": [1], "begins": "08:00", "ends": "08:10", "slot_minutes": 30, "places": {"online": 1}}]},
        {"weekly": [{"days": [1], "begins": "08:00", "ends": "09:00", "slot_minutes": 30, "places": {"online": 0}}]},
        {"weekly": [{"days": [1], "begins": "08:00", "ends": "09:00", "slot_minutes": 30, "places": {"friends": 1}}]},
        {"weekly": [{"days": [8], "begins": "08:00", "ends": "09:00", "slot_minutes": 30, "places": {"online": 1}}]},
        {
            "weekly": [
                {"days": [1, 2], "begins": "08:00", "ends": "09:00", "slot_minutes": 30, "places": {"online": 1}},
                {"days": [2, 3], "begins": "08:30", "ends": "10:00", "slot_minutes": 30, "places": {"online": 1}},
            ]
        },
        {"weekly": [], "exceptions": [{"on": "2026-10-01", "reason": "x"}, {"on": "2026-10-01", "reason": "y"}]},
    ],
)
def test_a_schedule_that_cannot_be_meant_is_refused(wrong: dict[str, Any]):
    with pytest.raises(ValidationError):
        Schedule.model_validate(wrong)


def test_two_stretches_of_different_seasons_may_have_the_same_hours():
    summer = Weekly(days=(Weekday.MONDAY,), until_date=date(2026, 9, 30), **MORNING)
    winter = Weekly(days=(Weekday.MONDAY,), from_date=date(2026, 10, 1), **MORNING)
    assert slots(Schedule(weekly=(summer, winter)), MONDAY) == slots(WEEK, MONDAY)


def test_laying_a_day_out_twice_changes_nothing():
    assert change(laid(WEEK), WEEK) == Change([], [], [])


def test_a_shorter_day_takes_free_seats_away_and_names_those_that_somebody_has():
    there = laid(WEEK)
    there[-1] = booked(there[-1])
    shorter = Schedule(weekly=(Weekly(days=(Weekday.MONDAY,), **{**MORNING, "ends": time(9)}),))
    found = change(there, shorter)
    assert found.added == []
    assert [seat.id for seat in found.broken] == [there[-1].id]
    assert len(found.removed) == 5


def test_fewer_places_keep_those_who_are_booked():
    there = laid(WEEK)
    there[1] = booked(there[1])
    fewer = Schedule(weekly=(Weekly(days=(Weekday.MONDAY,), **{**MORNING, "places": {Quota.ONLINE: 1}}),))
    found = change(there, fewer)
    assert not found.broken
    assert there[1] not in found.removed


def test_other_lengths_at_the_same_time_break_what_was_promised():
    there = laid(WEEK)
    there[0] = booked(there[0])
    longer = Schedule(weekly=(Weekly(days=(Weekday.MONDAY,), **{**MORNING, "slot_minutes": 60}),))
    found = change(there, longer)
    assert [seat.id for seat in found.broken] == [there[0].id]
    assert {seat.id for seat in found.added}.isdisjoint({seat.id for seat in there})


COUNTS = st.dictionaries(st.sampled_from(list(Quota)), st.integers(1, 4), min_size=1)


@given(COUNTS, COUNTS, st.sets(st.integers(0, 30)))
def test_after_any_change_each_slot_has_the_places_it_should_and_nobody_was_dropped_silently(
    before: dict[Quota, int], after: dict[Quota, int], has: set[int]
):
    def week(places: dict[Quota, int]) -> Schedule:
        return Schedule(weekly=(Weekly(days=(Weekday.MONDAY,), **{**MORNING, "places": places}),))

    there = [booked(seat) if n in has else seat for n, seat in enumerate(laid(week(before)))]
    found = change(there, week(after))
    left = [seat for seat in there if seat not in found.removed and seat not in found.broken] + list(found.added)
    for layout in layouts_on(WHERE, week(after), MONDAY, CALENDAR):
        assert places_of(left, layout) == {quota: count for quota, count in after.items() if count}
    assert all(seat.state is State.FREE for seat in found.removed)
    assert len({seat.id for seat in [*there, *found.added]}) == len(there) + len(found.added)


def places_of(seats: list[Seat], layout: Layout) -> dict[str, int]:
    counts: dict[str, int] = {}
    for seat in seats:
        if seat.slot == layout.slot.id:
            counts[seat.quota] = counts.get(seat.quota, 0) + 1
    return counts


def test_seats_are_numbered_on_after_those_that_are_there():
    there = laid(WEEK)
    more = Schedule(
        weekly=(Weekly(days=(Weekday.MONDAY,), **{**MORNING, "places": {Quota.ONLINE: 4, Quota.COUNTER: 1}}),)
    )
    assert [seat.rank for seat in change(there, more).added] == [4, 5] * 4
    assert seats_of(layouts_on(WHERE, WEEK, MONDAY, CALENDAR)[0].slot, {"online": 1}, OPEN_AT, first=7)[0].rank == 7
