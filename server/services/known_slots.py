"""The timetable of the booking counter: slots follow from resources, and past or closed ones from the seats they left.

Reads are few: a resource that was read is believed for a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime

from server.domain.booking import Slot
from server.domain.booking_rules import BookingRules
from server.domain.china import CHINA
from server.domain.resources import Resource
from server.domain.schedules import layouts_on
from server.domain.working_days import WorkingDays
from server.storage.resources import ResourceStore
from server.storage.seats_laid import LaidSeats

FRESH_S = 1.0


class KnownSlots:
    """Implements `Timetable`. `clock` is monotonic, in seconds."""

    def __init__(
        self, resources: ResourceStore, laid: LaidSeats, calendar: WorkingDays, clock: Callable[[], float]
    ) -> None:
        self._resources = resources
        self._laid = laid
        self._calendar = calendar
        self._clock = clock
        self._read: dict[str, tuple[float, Resource]] = {}

    async def find(self, slots: Sequence[str]) -> Mapping[str, tuple[Slot, BookingRules]]:
        """What is known of these slots, also of past and of closed ones."""
        keys = {slot: parts for slot in slots if (parts := _parts(slot))}
        resources = await self.find_resources({resource for resource, _ in keys.values()})
        found: dict[str, tuple[Slot, BookingRules]] = {}
        missing = []
        for slot, (resource, day) in keys.items():
            if resource not in resources:
                continue
            of_day = layouts_on(resources[resource].where, resources[resource].schedule, day, self._calendar)
            match = next((each.slot for each in of_day if each.slot.id == slot), None)
            if match:
                found[slot] = (match, resources[resource].rules)
            else:
                missing.append(slot)
        for slot, facts in (await self._laid.find_slots(missing) if missing else {}).items():
            found[slot] = (facts, resources[facts.resource].rules)
        return found

    async def find_resources(self, ids: set[str]) -> dict[str, Resource]:
        """Resources that were read within the last second, the rest read now."""
        at = self._clock()
        for i in [i for i, (read_at, _) in self._read.items() if at - read_at >= FRESH_S]:
            del self._read[i]
        unread = ids - self._read.keys()
        for i, kept in (await self._resources.find(unread) if unread else {}).items():
            self._read[i] = (at, kept.resource)
        return {i: self._read[i][1] for i in ids if i in self._read}


def _parts(slot: str) -> tuple[str, date] | None:
    """The resource and the day in a slot's id; None if it is no such id."""
    day, _, rest = slot.partition("/")
    resource, _, clock = rest.rpartition("/")
    try:
        datetime.combine(date.fromisoformat(day), datetime.strptime(clock, "%H%M").time(), CHINA)  # noqa: DTZ007
    except ValueError:
        return None
    return (resource, date.fromisoformat(day)) if resource else None
