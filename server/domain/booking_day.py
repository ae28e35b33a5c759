"""The day's list of a resource, as its officers see it: who has booked, who waits, who was called. Pure.

Names are masked: the list hangs where others can see it, and a counter calls by number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

from server.domain.booking import Seat, State
from server.domain.real_name import mask_name

SHOWN = (State.BOOKED, State.CHECKED_IN, State.CALLED, State.SERVED, State.MISSED)
ENTRY: JsonDict = {
    "id": "q83vEjRWeJASNFZ4kBI0Vg",
    "state": "called",
    "slot": "2026-11-25/sz-hall-car-1/0900",
    "begins_at": "2026-11-25T01:00:00Z",
    "number": 1,
    "quota": "online",
    "name": "张**",
    "service": "renew-licence",
    "checked_in_at": "2026-11-25T00:51:00Z",
    "queue_at": "2026-11-25T01:00:00Z",
    "called_at": "2026-11-25T01:02:00Z",
    "ended_at": None,
    "is_excused": False,
}
_DAY: JsonDict = {
    "resource": "sz-hall-car-1",
    "day": "2026-11-25",
    "at": "2026-11-25T01:10:00Z",
    "counts": {"free": 7, "booked": 1, "checked_in": 0, "called": 1},
    "bookings": [ENTRY],
}


class DayEntry(BaseModel):
    """One booking of the day."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": ENTRY})

    id: str
    state: State
    slot: str
    begins_at: datetime
    number: int
    quota: str
    name: str
    service: str
    checked_in_at: datetime | None
    queue_at: datetime | None
    called_at: datetime | None
    ended_at: datetime | None
    is_excused: bool


class DayList(BaseModel):
    """All of a day: bookings by time and number, and how many seats are in which state."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": _DAY})

    resource: str
    day: date
    at: datetime
    counts: Mapping[State, int]
    bookings: tuple[DayEntry, ...]


def day_list(resource: str, day: date, seats: Sequence[Seat], names: Mapping[int, str], at: datetime) -> DayList:
    """The list. `names`: the verified ones; who has none is shown without."""
    return DayList(
        resource=resource,
        day=day,
        at=at,
        counts=Counter(seat.state for seat in seats),
        bookings=tuple(day_entry(seat, names) for seat in seats if seat.booking and seat.state in SHOWN),
    )


def day_entry(seat: Seat, names: Mapping[int, str]) -> DayEntry:
    """One line of it, of a seat that somebody has."""
    booking = seat.booking
    assert booking is not None
    return DayEntry(
        id=booking.code,
        state=seat.state,
        slot=seat.slot,
        begins_at=seat.begins_at,
        number=seat.rank,
        quota=seat.quota,
        name=mask_name(names.get(booking.citizen, "")),
        service=booking.service,
        checked_in_at=booking.checked_in_at,
        queue_at=booking.queue_at,
        called_at=booking.called_at,
        ended_at=booking.ended_at,
        is_excused=bool(booking.excused_by),
    )
