"""What has to be done again and again so that bookings stay right, by any number of processes: see `push/duties`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from server.domain.booking import Visit
from server.services.booking import Bookings
from server.services.schedules import Schedules
from server.storage.seats import SeatStore

SLOTS_AT_ONCE = 200


class Absent:
    """Marks as missed who did not come."""

    def __init__(self, bookings: Bookings, schedules: Schedules, seats: SeatStore, now: Callable[[], datetime]) -> None:
        self._bookings = bookings
        self._schedules = schedules
        self._seats = seats
        self._now = now

    async def miss(self) -> list[Visit]:
        """Go through all slots that have begun and still wait for somebody; those bookings that it marked."""
        now, after, marked = self._now(), "", list[Visit]()
        while slots := await self._seats.find_absent(now, after, SLOTS_AT_ONCE):
            after = slots[-1]
            for slot, (facts, rules) in (await self._schedules.find(slots)).items():
                if now > facts.begins_at + timedelta(minutes=rules.grace_minutes):
                    marked += await self._bookings.miss_absent(slot)
        return marked
