"""The clock of an application, in working days of China: started, stopped for a while, and judged. Pure.

A clock is reckoned when a step is taken and kept with the application: citizen, officer and KPI read the same day, and
nothing moves when the calendar of a later year comes out. The day of the step does not count (行政许可法 第四十二条,
民法典 第二百零一条); the last day counts to its end. While the citizen has to bring something it stands still, and goes
on with the working days that were left. A pause heals nothing: what was late stays late. The citizen's own time to
bring it is counted the same way, where a workflow sets one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Protocol

from server.domain.china import CHINA
from server.domain.working_days import Reckoned

WARN_SHARE = 5  # the last fifth of the time, one day at least, is yellow


class Calendar(Protocol):
    """Which days offices work on: `working_days.WorkingDays`."""

    def add(self, day: date, count: int) -> Reckoned:
        """The `count`-th working day after `day`."""
        ...

    def between(self, start: date, end: date) -> int:
        """How many working days lie after `start` up to and with `end`."""
        ...


class Runs(StrEnum):
    """What is being counted."""

    NOTHING = "nothing"  # a draft
    INTAKE = "intake"  # until the unit says whether it takes the application
    WORK = "work"  # the promised time
    PAUSED = "paused"  # waits for the citizen
    DONE = "done"


class Card(StrEnum):
    """How a supervisor sees it."""

    NONE = "none"
    YELLOW = "yellow"  # the deadline is near
    RED = "red"  # it has passed


@dataclass(frozen=True, slots=True)
class Clock:
    """Where the time stands. `due_on` is the last day in time; `warn_on` the first yellow one.

    `left_days` and `resumes` are set while it is paused: what goes on, with how many days. `lapses_on`: the citizen's
    last day to bring what the pause waits for. `is_provisional`: a year on the way was not published when this was
    reckoned.
    """

    runs: Runs = Runs.NOTHING
    due_on: date | None = None
    warn_on: date | None = None
    is_provisional: bool = False
    left_days: int | None = None
    resumes: Runs | None = None
    ended_on: date | None = None
    lapses_on: date | None = None

    @property
    def lapses_at(self) -> datetime | None:
        """The moment from which what the citizen was asked for comes too late; None: there is no such time."""
        return after(self.lapses_on) if self.lapses_on else None

    @property
    def due_at(self) -> datetime | None:
        """The moment from which it is late; None while nothing is due."""
        return after(self.due_on) if self.due_on and self.is_ticking else None

    @property
    def is_ticking(self) -> bool:
        """Whether time runs against the unit."""
        return self.runs in (Runs.INTAKE, Runs.WORK)


def begin(runs: Runs, days: int, day: date, calendar: Calendar) -> Clock:
    """A fresh clock: `days` working days after `day`."""
    due = calendar.add(day, days)
    warn = calendar.add(day, max(0, days - max(1, days // WARN_SHARE)))
    return Clock(runs, due.day, min(warn.day, due.day), due.is_provisional)


def pause(clock: Clock, day: date, calendar: Calendar) -> Clock:
    """Stand still; what does not tick stays as it is."""
    if not clock.is_ticking or clock.due_on is None:
        return clock
    return replace(clock, runs=Runs.PAUSED, left_days=calendar.between(day, clock.due_on), resumes=clock.runs)


def resume(clock: Clock, day: date, calendar: Calendar) -> Clock:
    """Go on with what was left; a clock that is not paused stays as it is."""
    if clock.runs is not Runs.PAUSED or clock.left_days is None or clock.resumes is None:
        return clock
    if clock.left_days < 0:
        return replace(clock, runs=clock.resumes, left_days=None, resumes=None)
    fresh = begin(clock.resumes, clock.left_days, day, calendar)
    return replace(fresh, is_provisional=fresh.is_provisional or clock.is_provisional)


def stop(clock: Clock, day: date) -> Clock:
    """It is over; whether it was in time can be told for ever. A second stop changes nothing."""
    if clock.runs is Runs.DONE:
        return clock
    return replace(clock, runs=Runs.DONE, ended_on=day, left_days=None, resumes=None)


def set_to(clock: Clock, runs: Runs, days: int, day: date, calendar: Calendar) -> Clock:
    """The clock of the state that an application has come to. `days` are those of a clock that begins now."""
    if runs is clock.runs or (runs is Runs.PAUSED and not clock.is_ticking):
        return clock
    match runs:
        case Runs.PAUSED:
            return pause(clock, day, calendar)
        case Runs.DONE:
            return stop(clock, day)
        case Runs.NOTHING:
            return Clock()
        case _ if clock.resumes is runs:
            return resume(clock, day, calendar)
        case _:
            return begin(runs, days, day, calendar)


def days_before(end: date, count: int, calendar: Calendar) -> date:
    """The working day from which `count` more lead to `end`, itself a working day. `count` is 1 or more."""
    day = end - timedelta(days=1)
    while calendar.between(day - timedelta(days=1), end) <= count:
        day -= timedelta(days=1)
    return day


def card_on(clock: Clock, day: date) -> Card:
    """What a supervisor sees on this day; of what is over, whether it was late."""
    if clock.due_on is None or clock.warn_on is None:
        return Card.NONE
    if clock.runs is Runs.DONE:
        return Card.RED if clock.ended_on and clock.ended_on > clock.due_on else Card.NONE
    if not clock.is_ticking:
        return Card.NONE
    if day > clock.due_on:
        return Card.RED
    return Card.YELLOW if day >= clock.warn_on else Card.NONE


def next_card_at(clock: Clock, card: Card) -> datetime | None:
    """When somebody has to look at the card again; None: it will not change by itself."""
    if not clock.is_ticking or clock.warn_on is None or card is Card.RED:
        return None
    return clock.due_at if card is Card.YELLOW else after(clock.warn_on - timedelta(days=1))


def after(day: date) -> datetime:
    """The first moment after a day in China."""
    return datetime.combine(day + timedelta(days=1), time(), CHINA)
