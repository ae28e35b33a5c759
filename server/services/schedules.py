"""The counter of resources: seats are laid out ahead, and a changed schedule tells first which bookings it breaks.

Promises. Laying out may run anywhere, any number of times and be killed: a day's seats follow from the resource, and
what has not been laid out for its newest version is found by the next run. A booking is never dropped: what is in the
way of a new schedule is closed like any 停诊, by the hand that is given, which tells the person.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Protocol

from server.domain.booking import Seat, Slot
from server.domain.booking_rules import BookingRules
from server.domain.china import china_day
from server.domain.errors import ConflictError, NotFoundError
from server.domain.resources import Kept, Resource, Wanted
from server.domain.schedules import Change, change_of, layouts_on
from server.domain.working_days import WorkingDays
from server.services.known_slots import KnownSlots
from server.storage.resources import FOR_GOOD, ResourceStore
from server.storage.seats import SeatStore
from server.storage.seats_laid import LaidSeats

ONE_DAY = timedelta(days=1)
LONGEST = timedelta(days=367)  # no window is longer
RESOURCES_AT_ONCE = 50
LEASE = timedelta(minutes=1)  # longer than laying out one resource takes
TURNS = 10


@dataclass(frozen=True, slots=True)
class Breakage:
    """The seats of one day that somebody has and that a new schedule does not have."""

    day: date
    seats: Sequence[Seat]


class Closer(Protocol):
    """Ends bookings that the office has to end: see the closure of a slot."""

    async def close_seats(self, seats: Sequence[Seat], reason: str) -> None:
        """Close these seats and tell whoever had them. May be repeated."""


class Schedules:
    """The verbs. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        stores: tuple[ResourceStore, SeatStore, LaidSeats],
        calendar: WorkingDays,
        closer: Closer,
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self._resources, self._seats, self._laid = stores
        self._calendar = calendar
        self._closer = closer
        self._now = now
        self._known = KnownSlots(self._resources, self._laid, calendar, clock)

    async def get(self, resource_id: str) -> Kept:
        """One resource; NotFoundError."""
        kept = await self._resources.get(resource_id)
        if kept is None:
            raise _unknown()
        return kept

    async def find_resources(self, ids: Collection[str]) -> Mapping[str, Resource]:
        """Those of these that exist, as they were at most a second ago."""
        return await self._known.find_resources(set(ids))

    async def page(self, wanted: Wanted, after: str, limit: int) -> list[Kept]:
        """Some of those wanted, by id."""
        return await self._resources.page(wanted, after, limit)

    async def create(self, resource: Resource) -> Kept:
        """A new one, with its seats; ConflictError `resource_exists`."""
        if not await self._resources.create(resource, self._now()):
            raise ConflictError(
                "resource_exists", zh="这个编号已有资源", en="there is a resource of this id", field="id"
            )
        await self.lay(await self.get(resource.id))
        return await self.get(resource.id)

    async def breakages(self, resource: Resource) -> list[Breakage]:
        """Which bookings this version of an existing resource would break, day by day."""
        kept, today = await self.get(resource.id), self._today()
        found = []
        for n in range((kept.laid_until - today).days + 1):
            day = today + timedelta(days=n)
            if broken := (await self._change(resource, day)).broken:
                found.append(Breakage(day, broken))
        return found

    async def change(self, resource: Resource, version: int, accepted: int, reason: str) -> Kept:
        """Write over the version that was seen, and end the bookings that this breaks.

        `accepted`: how many broken bookings the caller has seen. ConflictError `bookings_break` if it is another number
        by now, `version_stale` if the resource has changed meanwhile.
        """
        count = sum(len(each.seats) for each in await self.breakages(resource))
        if count != accepted:
            raise ConflictError(
                "bookings_break",
                zh=f"此更改将影响{count}个预约，请确认后重试",
                en=f"this breaks {count} bookings: look at them, then send the number with the change",
                field="accepted",
            )
        written = await self._resources.replace(resource, version, reason, self._now())
        if written is None:
            raise ConflictError(
                "version_stale", zh="资源已被他人修改，请刷新", en="somebody has changed it: read it again"
            )
        await self.lay(written)
        return await self.get(resource.id)

    async def lay_out(self, is_stopped: Callable[[], bool] = lambda: False) -> int:
        """Lay out what is due; how many seats are new. To be run often, by anybody.

        Several at once share the work; who comes to an end also does what the others are at, for they may have died.
        A new city has a minute's work: `is_stopped` is asked before each resource, for a process that has to end.
        """
        new = 0
        while not is_stopped() and (
            one := await self._resources.claim_due(self._today(), self._now(), self._now() + LEASE)
        ):
            new += await self.lay(one)
        while not is_stopped() and (due := await self._resources.find_due(self._today(), RESOURCES_AT_ONCE)):
            for kept in due:
                if is_stopped():
                    break
                new += await self.lay(kept)
        return new

    async def lay(self, kept: Kept) -> int:
        """Lay out one resource up to the day after its window; how many seats are new."""
        resource, today = kept.resource, self._today()
        until = today + timedelta(days=resource.rules.window_days + 1) if resource.is_open else FOR_GOOD
        day = max(kept.laid_until + ONE_DAY, today)
        new = 0
        while day <= min(until, today + LONGEST):
            new += await self._lay_day(kept, day)
            day += ONE_DAY
        await self._resources.mark_laid(kept, until)
        return new

    async def find(self, slots: Sequence[str]) -> Mapping[str, tuple[Slot, BookingRules]]:
        """What is known of these slots, also of past and of closed ones: see `KnownSlots`."""
        return await self._known.find(slots)

    async def _change(self, resource: Resource, day: date) -> Change:
        """A resource that is not open any more loses its free seats and keeps its bookings."""
        there = await self._seats.find_day(resource.id, day)
        if not resource.is_open:
            return replace(change_of(there, [], {}), broken=())
        wanted = layouts_on(resource.where, resource.schedule, day, self._calendar)
        opens = {each.slot.id: resource.rules.opens_at(each.slot) for each in wanted}
        return change_of(there, wanted, opens)

    async def _lay_day(self, kept: Kept, day: date) -> int:
        """Bring a day to what it shall be. A free seat that somebody takes meanwhile is broken in the next turn."""
        new = 0
        for _ in range(TURNS):
            change = await self._change(kept.resource, day)
            if not (change.added or change.removed or change.broken):
                break
            new += await self._seats.insert(change.added)
            await self._laid.remove_free(change.removed)
            await self._closer.close_seats(change.broken, kept.reason)
        return new

    def _today(self) -> date:
        return china_day(self._now())


def _unknown() -> NotFoundError:
    return NotFoundError("resource_unknown", zh="没有这个预约资源", en="there is no such resource")
