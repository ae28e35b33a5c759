"""What booking holds about one person: see `holdings` and `domain/booking_people`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from server.domain.booking import Visit, visits_of
from server.domain.booking_people import forgotten, handed_over
from server.domain.booking_refusals import booking_busy
from server.storage.mongo import Session
from server.storage.seats_people import SeatPeople

AT_ONCE = 200
TURNS = 1_000


class BookingsHolding:
    """Bookings for somebody and by somebody. `nobody` is a fresh random number that no citizen has."""

    name = "bookings"
    collections = ("seats",)

    def __init__(self, seats: SeatPeople, now: Callable[[], datetime], nobody: Callable[[], int]) -> None:
        self._seats = seats
        self._now = now
        self._nobody = nobody

    async def export(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """One row a booking, by time of the visit."""
        return [
            _row(visit, citizen)
            for seat in await self._seats.find(citizen)
            for visit in visits_of(seat)
            if citizen in (visit.booking.citizen, visit.booking.holder)
        ]

    async def move(self, source: int, target: int, session: Session) -> None:
        """All become the target's; of two seats where one may be, the target's own stays."""
        own = await self._seats.find(target, session)
        for seat in await self._seats.find(source, session):
            after = handed_over(seat, source, target, own, self._now())
            if await self._seats.write([(seat, after)], session):
                own.append(after)

    async def erase(self, citizen: int) -> None:
        """Give back what lies ahead, and take the person out of what is past; UnavailableError while one is moving."""
        for _ in range(TURNS):
            found = await self._seats.find(citizen, limit=AT_ONCE)
            if not found:
                return
            still = [seat for seat in found if seat.transit is None]
            pairs = [(seat, forgotten(seat, citizen, self._nobody, self._now())) for seat in still]
            if not await self._seats.write(pairs):
                break
        raise booking_busy()


def _row(visit: Visit, citizen: int) -> dict[str, Any]:
    seat, booking = visit.seat, visit.booking
    moments = {
        name: moment.isoformat() if moment else None
        for name in ("held_at", "booked_at", "checked_in_at", "called_at", "ended_at")
        for moment in [getattr(booking, name)]
    }
    return {
        "code": booking.code,
        "for": "me" if booking.citizen == citizen else "another",
        "made_by": "me" if booking.holder == citizen else "another",
        "resource": seat.resource,
        "unit": seat.unit,
        "begins_at": seat.begins_at.isoformat(),
        "ends_at": seat.ends_at.isoformat(),
        "service": booking.service,
        "state": visit.state.value,
        **moments,
        "reason": booking.reason,
    }
