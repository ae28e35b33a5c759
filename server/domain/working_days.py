"""Working days of China: which days offices work, with the holidays and the 调休 days that make up for them.

Three sources, the first that knows the year decides: the city's own file of the year (`data/working_days/2027.csv`),
the State Council's notices as chinese-calendar carries them, and else Monday to Friday, said to be *provisional*. The
notice for a year comes out in the November before it, so a deadline may be reckoned before anybody knows: then the
answer says that it may still move, and it never fails.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from io import StringIO

import chinese_calendar

FIELDS = ["date", "is_working", "name"]
LONGEST = 3_650  # working days; no deadline is longer than that
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Reckoned:
    """A day that was counted to. `is_provisional`: a year on the way is not published yet, so it may still move."""

    day: date
    is_provisional: bool = False


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """The calendar. `own`: {year: {day: works}} of the city; days that a year's file does not list follow the week."""

    own: Mapping[int, Mapping[date, bool]] = field(default_factory=dict)

    def is_working(self, day: date) -> bool:
        """Whether offices work on this day."""
        of_year = self.own.get(day.year)
        if of_year is not None:
            return of_year.get(day, day.weekday() < 5)
        published = _published(day)
        return day.weekday() < 5 if published is None else published

    def is_provisional(self, day: date) -> bool:
        """Whether nobody has published this day's year yet."""
        return day.year not in self.own and _published(day) is None

    def add(self, day: date, count: int) -> Reckoned:
        """The `count`-th working day after `day`; 0: `day` itself, or the next that works.

        >>> WorkingDays().add(date(2026, 9, 30), 1).day  # before the National Day holidays
        datetime.date(2026, 10, 8)
        """
        if not 0 <= count <= LONGEST:
            raise ValueError(f"{count} working days are not in 0..{LONGEST}")
        provisional = False
        while count or not self.is_working(day):
            day += ONE_DAY
            provisional = provisional or self.is_provisional(day)
            count -= bool(count) and self.is_working(day)
        return Reckoned(day, provisional)

    def between(self, start: date, end: date) -> int:
        """How many working days lie after `start` up to and with `end`; negative if `end` is the earlier one.

        >>> WorkingDays().between(date(2026, 9, 30), date(2026, 10, 10))  # 8, 9 and, to make up, Saturday the 10th
        3
        """
        if end < start:
            return -self.between(end, start)
        return sum(self.is_working(start + n * ONE_DAY) for n in range(1, (end - start).days + 1))


def read_year(text: str) -> dict[date, bool]:
    r"""A year's file: CSV with a line for each day that does not follow the week. ValueError names the line.

    >>> read_year("date,is_working,name\n2027-01-01,no,元旦\n")
    {datetime.date(2027, 1, 1): False}
    """
    rows = csv.DictReader(StringIO(text))
    if rows.fieldnames != FIELDS:
        raise ValueError(f"the first line is not {','.join(FIELDS)}")
    days: dict[date, bool] = {}
    for number, row in enumerate(rows, start=2):
        try:
            day, works = date.fromisoformat(row["date"]), {"yes": True, "no": False}[row["is_working"]]
        except (KeyError, ValueError, TypeError):
            raise ValueError(f"line {number}: a date like 2027-01-01, then yes or no") from None
        if day in days:
            raise ValueError(f"line {number}: {day} stands twice")
        days[day] = works
    return days


def by_year(files: Iterable[Mapping[date, bool]]) -> dict[int, dict[date, bool]]:
    """The files of several years as one table; a file may list days of its own year only (ValueError)."""
    table: dict[int, dict[date, bool]] = {}
    for days in files:
        years = {day.year for day in days}
        if len(years) != 1 or years & table.keys():
            raise ValueError(f"a file is of one year and a year has one file, this one has {sorted(years)}")
        table[years.pop()] = dict(days)
    return table


@cache
def _published(day: date) -> bool | None:
    """What the State Council's notice says; None if the library does not know the year."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return None
