"""A small town of resources, its clock and its dice, for the tests of booking."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from random import Random

from server.domain.booking import Ask, Seat, Slot, seats_of
from server.domain.booking_rules import BookingRules
from server.domain.china import CHINA
from server.services.booking import Bookings
from server.services.booking_holds import Means
from server.storage.mongo import Database
from server.storage.seats import SeatStore

DAY = date(2026, 11, 30)
NOW = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)  # 10:00 in China, three days before
RULES = BookingRules(rerelease_max_s=0)


class Clock:
    """A clock the test moves."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def __call__(self) -> datetime:
        """The time it is."""
        return self.at

    def pass_by(self, **delta: float) -> None:
        """Let time go by."""
        self.at += timedelta(**delta)


def slot_at(
    hour: int, minute: int = 0, *, day: date = DAY, resource: str = "cardio-3", group: str = "h1/cardio"
) -> Slot:
    """Half an hour with a doctor."""
    begins_at = datetime.combine(day, time(hour, minute), CHINA).astimezone(UTC)
    return Slot(resource, "h1", group, begins_at, begins_at + timedelta(minutes=30))


class Town:
    """Slots with the rules that hold there, and the counter on them."""

    def __init__(self, db: Database, clock: Clock, *slots: Slot, rules: BookingRules = RULES) -> None:
        self.slots = {slot.id: (slot, rules) for slot in slots}
        self.clock = clock
        self.store = SeatStore(db, partial(secrets.randbits, 63))
        self.counter = self.another()

    async def find(self, slots: Sequence[str]) -> Mapping[str, tuple[Slot, BookingRules]]:
        """The timetable."""
        return {slot: self.slots[slot] for slot in slots if slot in self.slots}

    def another(self, seed: int = 1) -> Bookings:
        """The counter of another process."""
        code = partial(secrets.token_urlsafe, 16)
        return Bookings(self.store, self, Means(self.clock, Random(seed), code))  # noqa: S311 - no secret

    async def open(self, **places: int) -> None:
        """Make the seats of all slots, released long ago."""
        for slot, _ in self.slots.values():
            await self.store.insert(seats_of(slot, places, NOW - timedelta(days=3)))

    async def seats(self) -> list[Seat]:
        """Every seat of the town."""
        return [seat for slot in self.slots for seat in await self.store.find_slot(slot)]


def ask(slot: Slot, citizen: int, key: str = "k", holder: int | None = None, quota: str = "online") -> Ask:
    """A citizen's wish, for oneself unless a holder is named."""
    return Ask(slot.id, quota, citizen, citizen if holder is None else holder, key)
