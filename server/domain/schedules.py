"""When a resource can be booked, as data: hours of the week, exceptions, holidays and the days that make up for them.

A schedule and a calendar give the slots of a day; nothing else is needed, so the job that lays seats out ahead may run
twice, and what a change of a schedule would break is known before it is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import IntEnum, StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from server.domain.booking import Seat, Slot, State, seats_of
from server.domain.china import CHINA
from server.domain.working_days import WorkingDays

MOST_PLACES = 500  # at one time: a sports hall, an examination room
Places = Mapping["Quota", Annotated[int, Field(ge=0, le=MOST_PLACES)]]


class Weekday(IntEnum):
    """As ISO 8601 counts them."""

    MONDAY = 1
    TUESDAY = 2
    WEDNESDAY = 3
    THURSDAY = 4
    FRIDAY = 5
    SATURDAY = 6
    SUNDAY = 7


class Quota(StrEnum):
    """The channel that a place is kept for."""

    ONLINE = "online"
    PHONE = "phone"
    COUNTER = "counter"
    ELDER = "elder"  # people from 60 on, and those who book for them


class Session(BaseModel):
    """Opening hours of one stretch: a slot every `slot_minutes`, each with so many places per channel.

    A remainder shorter than a slot is not booked. Clock times are China's; a stretch does not cross midnight.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    begins: time
    ends: time
    slot_minutes: int = Field(ge=5, le=480)
    places: Places

    @model_validator(mode="after")
    def _has_a_slot(self) -> Self:
        if _minute(self.begins) + self.slot_minutes > _minute(self.ends):
            raise ValueError("ends before its first slot does")
        if not 0 < sum(self.places.values()) <= MOST_PLACES:
            raise ValueError(f"has 1 to {MOST_PLACES} places at a time, over all channels")
        return self


class Weekly(Session):
    """A stretch on some days of every week, for a part of the year if it says so."""

    days: tuple[Weekday, ...] = Field(min_length=1, max_length=7)
    from_date: date | None = None
    until_date: date | None = None  # the last day


class Exceptional(BaseModel):
    """One day that is not as the week has it: other hours, or none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on: date
    sessions: tuple[Session, ...] = Field(default=(), max_length=20, description="none: closed")
    reason: str = Field(min_length=1, max_length=100)


class Schedule(BaseModel):
    """All of a resource's hours."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weekly: tuple[Weekly, ...] = Field(max_length=50)
    exceptions: tuple[Exceptional, ...] = Field(default=(), max_length=400)
    is_open_on_holidays: bool = Field(default=False, description="a weekday that is a holiday is open as usual")
    makeup_as: Weekday | None = Field(
        default=Weekday.MONDAY,
        description="whose hours a Saturday or Sunday has that is a working day (调休); None: none",
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if len({each.on for each in self.exceptions}) < len(self.exceptions):
            raise ValueError("has two exceptions for one day")
        for sessions in [*(each.sessions for each in self.exceptions), *(self._of_weekday(day) for day in Weekday)]:
            _refuse_overlap(sessions)
        return self

    def sessions_on(self, day: date, calendar: WorkingDays) -> Sequence[Session]:
        """The stretches of one day."""
        for each in self.exceptions:
            if each.on == day:
                return each.sessions
        weekday, works = Weekday(day.isoweekday()), calendar.is_working(day)
        if weekday <= Weekday.FRIDAY and not works and not self.is_open_on_holidays:
            return ()
        if weekday > Weekday.FRIDAY and works and self.makeup_as is not None:
            weekday = self.makeup_as
        return [each for each in self._of_weekday(weekday) if _holds(each, day)]

    def _of_weekday(self, weekday: Weekday) -> list[Weekly]:
        return [each for each in self.weekly if weekday in each.days]


@dataclass(frozen=True, slots=True)
class Where:
    """Whose slots they are: the resource, its unit, and the group in which a person books once a day."""

    resource: str
    unit: str
    group: str


@dataclass(frozen=True, slots=True)
class Layout:
    """One slot and the places that it has."""

    slot: Slot
    places: Mapping[Quota, int]


def layouts_on(where: Where, schedule: Schedule, day: date, calendar: WorkingDays) -> list[Layout]:
    """The slots of a day, by time."""
    found = []
    for session in sorted(schedule.sessions_on(day, calendar), key=lambda each: each.begins):
        length = timedelta(minutes=session.slot_minutes)
        begins_at, ends_at = (datetime.combine(day, each, CHINA) for each in (session.begins, session.ends))
        while begins_at + length <= ends_at:
            slot = Slot(where.resource, where.unit, where.group, begins_at, begins_at + length)
            found.append(Layout(slot, session.places))
            begins_at += length
    return found


@dataclass(frozen=True, slots=True)
class Change:
    """What has to happen to the seats of a day: new ones, free ones to go, and those that somebody has."""

    added: Sequence[Seat] = ()
    removed: Sequence[Seat] = ()  # free: nobody notices
    broken: Sequence[Seat] = ()  # held or booked at a time or in a number that will be no more


def change_of(there: Sequence[Seat], wanted: Iterable[Layout], open_at: Mapping[str, datetime]) -> Change:
    """From the seats that a day has to those that it shall have. `open_at`: of each wanted slot.

    Per slot and channel, seats that somebody has are kept as far as there are places; served and missed ones are
    history, and closed ones stay closed. A slot of the same beginning and another length is another slot: who has a
    seat in it was promised other times.
    """
    left: dict[tuple[str, str], list[Seat]] = {}
    for seat in sorted(there, key=_keep_first):
        left.setdefault((seat.slot, seat.quota), []).append(seat)
    ranks: dict[str, int] = {}
    for seat in there:
        ranks[seat.slot] = max(seat.rank, ranks.get(seat.slot, 0))
    added: list[Seat] = []
    for each in wanted:
        for quota, count in each.places.items():
            had = left.get((each.slot.id, quota), [])
            kept = [seat for seat in had if seat.ends_at == each.slot.ends_at][:count]
            left[each.slot.id, quota] = [seat for seat in had if seat not in kept]
            first = ranks.get(each.slot.id, 0) + 1
            new = seats_of(each.slot, {quota: count - len(kept)}, open_at[each.slot.id], first=first)
            ranks[each.slot.id] = first - 1 + len(new)
            added += new
    over = [seat for seats in left.values() for seat in seats]
    return Change(
        added,
        [seat for seat in over if seat.state is State.FREE],
        [seat for seat in over if seat.state in (State.HELD, State.BOOKED, State.CHECKED_IN, State.CALLED)],
    )


def _keep_first(seat: Seat) -> tuple[bool, int]:
    return seat.state is State.FREE, seat.rank


def _holds(weekly: Weekly, day: date) -> bool:
    return (weekly.from_date or date.min) <= day <= (weekly.until_date or date.max)


def _refuse_overlap(sessions: Sequence[Session]) -> None:
    """ValueError for stretches of one day that overlap, unless they hold in different parts of the year."""
    ordered = sorted(sessions, key=lambda each: each.begins)
    for number, earlier in enumerate(ordered):
        for later in ordered[number + 1 :]:
            if later.begins < earlier.ends and _meet(earlier, later):
                raise ValueError(f"{earlier.begins:%H:%M}-{earlier.ends:%H:%M} overlaps {later.begins:%H:%M}")


def _meet(one: Session, other: Session) -> bool:
    if not isinstance(one, Weekly) or not isinstance(other, Weekly):
        return True
    begin = max(one.from_date or date.min, other.from_date or date.min)
    return begin <= min(one.until_date or date.max, other.until_date or date.max)


def _minute(clock: time) -> int:
    return clock.hour * 60 + clock.minute
