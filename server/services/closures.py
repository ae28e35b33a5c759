"""Closures (停诊): the office closes seats; who had one comes first in the waiting list, and what hung on it ends too.

Promises. A closure is written down before it begins. Wherever a process dies, the next run does all of it again: seats
that are closed stay so, a booking gets one replacement, whoever tells the person does so once. It is never a strike.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Protocol

from server.domain.booking import Seat, Visit
from server.domain.waiting import replacement
from server.services.booking import Bookings
from server.services.booking_holds import Means
from server.services.waiting import Waiting
from server.storage.closures import Closure, ClosureStore
from server.storage.seats import SeatStore

PATIENCE = timedelta(seconds=60)  # a closer that takes longer is thought dead
SEATS_AT_ONCE = 500
MOST_AT_ONCE = 100  # overdue ones in one run


class Whole(Protocol):
    """Ends what a closed seat was a part of: visits of several seats."""

    async def end_closed(self, chain: str) -> None:
        """End the rest of it; no strike. May be repeated."""
        ...


class Closures:
    """The verbs. Implements the `Closer` that schedules need."""

    def __init__(
        self, stores: tuple[ClosureStore, SeatStore], bookings: Bookings, waiting: Waiting, whole: Whole, means: Means
    ) -> None:
        self._closures, self._seats = stores
        self._bookings = bookings
        self._waiting = waiting
        self._whole = whole
        self._means = means

    async def close_seats(self, seats: Sequence[Seat], reason: str) -> None:
        """Close these seats; who had one gets a replacement. May be repeated."""
        await self._close([seat.id for seat in seats], reason)

    async def close_slot(self, slot: str, reason: str) -> list[Visit]:
        """Close a slot; all bookings that this has ended, at this or any call."""
        return await self._close([seat.id for seat in await self._seats.find_slot(slot)], reason)

    async def close_day(self, resource: str, day: date, reason: str) -> list[Visit]:
        """Close a resource for a day."""
        return await self._close([seat.id for seat in await self._seats.find_day(resource, day)], reason)

    async def reopen(self, slot: str) -> int:
        """Closed seats of a slot come back, those who wait first; how many. What is still being closed is done first.

        Who lost a seat there has a replacement or waits for one with priority, also for this very slot.
        """
        seats = [seat.id for seat in await self._seats.find_slot(slot)]
        for closure in await self._closures.find_open(seats):
            await self._carry_out(closure)
        return await self._bookings.reopen(slot)

    async def finish(self) -> int:
        """Do what others left half done; to be called every few seconds. How many closures there were."""
        for n in range(MOST_AT_ONCE):
            at = self._means.at()
            closure = await self._closures.take_overdue(at, at + PATIENCE)
            if closure is None:
                return n
            await self._carry_out(closure)
        return MOST_AT_ONCE

    async def _close(self, seats: Sequence[str], reason: str) -> list[Visit]:
        """In order of their ids, some at a time; each part is written down before it begins."""
        due_at = self._means.at() + PATIENCE
        ordered = sorted(seats)
        parts = [
            Closure(self._means.code(), tuple(ordered[start : start + SEATS_AT_ONCE]), reason)
            for start in range(0, len(ordered), SEATS_AT_ONCE)
        ]
        for part in parts:
            await self._closures.begin(part, due_at)
        return [visit for part in parts for visit in await self._carry_out(part)]

    async def _carry_out(self, closure: Closure) -> list[Visit]:
        ended = await self._bookings.close_seats(closure.seats, closure.reason)
        for visit in ended:
            if visit.booking.chain:
                await self._whole.end_closed(visit.booking.chain)
            await self._waiting.join_replacement(replacement(visit, self._means.code(), self._means.at()))
        await self._closures.finish(closure.id, self._means.at())
        return ended
