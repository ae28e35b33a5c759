"""Ends bookings that the office has to end, seat by seat: the plainest `Closer`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from server.domain.booking import Seat, closed
from server.storage.seats import SeatStore


class SeatCloser:
    """Closes what it is given; a seat that was written meanwhile is left to the next call."""

    def __init__(self, seats: SeatStore, now: Callable[[], datetime]) -> None:
        self._seats = seats
        self._now = now

    async def close_seats(self, seats: Sequence[Seat], reason: str) -> None:
        """Close these seats. May be repeated."""
        at = self._now()
        pairs = [(seat, new) for seat in seats if not seat.transit and (new := closed(seat, at, reason)) is not seat]
        await self._seats.swap(pairs)
