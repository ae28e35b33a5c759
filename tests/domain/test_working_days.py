"""The calendar of working days: the published year 2026, the unpublished 2027, and a city's own file."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.working_days import WorkingDays, by_year, read_year

DAYS = WorkingDays()
OFF_2026 = [  # the State Council's notice: holidays that fall on weekdays, by their first and last day
    (date(2026, 1, 1), date(2026, 1, 2)),
    (date(2026, 2, 16), date(2026, 2, 23)),
    (date(2026, 4, 6), date(2026, 4, 6)),
    (date(2026, 5, 1), date(2026, 5, 1)),
    (date(2026, 5, 4), date(2026, 5, 5)),
    (date(2026, 6, 19), date(2026, 6, 19)),
    (date(2026, 9, 25), date(2026, 9, 25)),
    (date(2026, 10, 1), date(2026, 10, 2)),
    (date(2026, 10, 5), date(2026, 10, 7)),
]
MADE_UP_2026 = {date(2026, *day) for day in [(1, 4), (2, 14), (2, 28), (5, 9), (9, 20), (10, 10)]}
A_DAY = st.dates(date(2024, 1, 1), date(2030, 12, 31))


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def test_every_day_of_2026_is_as_the_notice_says():
    off = {day for span in OFF_2026 for day in days(*span)}
    for day in days(date(2026, 1, 1), date(2026, 12, 31)):
        wanted = day in MADE_UP_2026 or (day.weekday() < 5 and day not in off)
        assert DAYS.is_working(day) is wanted, day
        assert not DAYS.is_provisional(day)


def test_a_year_that_nobody_has_published_follows_the_week_and_says_so():
    assert not DAYS.is_working(date(2027, 1, 2))
    assert DAYS.is_working(date(2027, 1, 4))
    assert DAYS.is_provisional(date(2027, 1, 4))


def test_a_deadline_over_the_turn_of_the_year_is_provisional_and_one_before_it_is_not():
    assert not DAYS.add(date(2026, 12, 21), 5).is_provisional
    beyond = DAYS.add(date(2026, 12, 29), 5)
    assert (beyond.day, beyond.is_provisional) == (date(2027, 1, 5), True)


def test_a_deadline_counts_the_days_that_make_up_for_holidays():
    assert DAYS.add(date(2026, 9, 30), 3).day == date(2026, 10, 10)
    assert DAYS.add(date(2026, 10, 1), 0).day == date(2026, 10, 8)


@given(A_DAY, st.integers(0, 400))
def test_counting_there_and_counting_between_agree(day: date, count: int):
    reached = DAYS.add(day, count).day
    assert DAYS.is_working(reached)
    if count:
        assert DAYS.between(day, reached) == count
        assert DAYS.between(reached, day) == -count


def test_the_citys_own_file_comes_first_and_its_year_is_not_provisional_any_more():
    own = WorkingDays(by_year([read_year("date,is_working,name\n2027-01-04,no,test\n2027-01-09,yes,调休\n")]))
    assert not own.is_working(date(2027, 1, 4))
    assert own.is_working(date(2027, 1, 9))
    assert not own.is_provisional(date(2027, 6, 1))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("day,works\n", "first line"),
        ("date,is_working,name\n2027-13-01,no,x\n", "line 2"),
        ("date,is_working,name\n2027-01-01,maybe,x\n", "line 2"),
        ("date,is_working,name\n2027-01-01,no,x\n2027-01-01,no,x\n", "line 3"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_line(text: str, complaint: str):
    with pytest.raises(ValueError, match=complaint):
        read_year(text)


def test_a_file_of_two_years_or_two_files_of_one_year_are_refused():
    one = read_year("date,is_working,name\n2027-01-01,no,x\n")
    with pytest.raises(ValueError, match="one year"):
        by_year([one, one])
    with pytest.raises(ValueError, match="one year"):
        by_year([{date(2027, 1, 1): False, date(2028, 1, 1): False}])


def test_centuries_of_working_days_are_no_deadline():
    with pytest.raises(ValueError, match="not in"):
        DAYS.add(date(2026, 1, 1), 4_000)
