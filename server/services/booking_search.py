"""What everybody may look up: resources, and how many seats are free at what time.

Counts are never older than a second (`FreeSeats`); which times there are follows from the schedule, so a full one is
shown as full and one whose day is not released yet says from when it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from server.domain.booking import Slot
from server.domain.errors import NotFoundError
from server.domain.resources import Near, Resource, Wanted
from server.domain.schedules import Quota, layouts_on
from server.domain.working_days import WorkingDays
from server.storage.resources import ResourceStore
from server.storage.seats_free import FreeSeats

PUBLIC_QUOTAS = (Quota.ONLINE, Quota.ELDER)
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Offer:
    """One time that can be booked now or later. `free`: by the quotas that citizens book from."""

    slot: Slot
    free: Mapping[Quota, int]
    opens_at: datetime | None  # if that is still to come


@dataclass(frozen=True, slots=True)
class Offers:
    """Times of some resources, counted at `as_of`."""

    as_of: datetime
    offers: Sequence[Offer]
    next: str


@dataclass(frozen=True, slots=True)
class Found:
    """A resource, and how far it is from where somebody asked."""

    resource: Resource
    distance_m: float | None = None


class Search:
    """The verbs."""

    def __init__(
        self, resources: ResourceStore, free: FreeSeats, calendar: WorkingDays, now: Callable[[], datetime]
    ) -> None:
        self._resources = resources
        self._free = free
        self._calendar = calendar
        self.now = now

    async def resource(self, resource_id: str) -> Resource:
        """One of them; NotFoundError `resource_unknown`."""
        kept = await self._resources.get(resource_id)
        if kept is None:
            raise NotFoundError("resource_unknown", zh="没有这个预约资源", en="there is no such resource")
        return kept.resource

    async def resources(self, wanted: Wanted, near: Near | None, after: str, limit: int) -> tuple[list[Found], str]:
        """Some of those wanted, by id or nearest first, and the mark of what follows ("": nothing)."""
        if near is None:
            kept = await self._resources.page(wanted, after, limit + 1)
            found = [Found(each.resource) for each in kept[:limit]]
            return found, found[-1].resource.id if len(kept) > limit else ""
        skipped = int(after) if after.isdigit() else 0
        measured = await self._resources.nearest(wanted, near, skipped, limit + 1)
        return (
            [Found(each.resource, distance_m) for each, distance_m in measured[:limit]],
            str(skipped + limit) if len(measured) > limit else "",
        )

    async def offers(self, wanted: Wanted, ids: Sequence[str], days: Sequence[date], after: str, limit: int) -> Offers:
        """Times of these resources (of those wanted, if none is named), by resource and time."""
        if ids:
            kept = await self._resources.find(ids)
            resources, more = [kept[i].resource for i in dict.fromkeys(ids) if i in kept], ""
        else:
            found, more = await self.resources(wanted, None, after, limit)
            resources = [each.resource for each in found]
        named = [each.id for each in resources]
        counts = {quota: await self._free.free_by_slot(named, days, quota.value) for quota in PUBLIC_QUOTAS}
        slots = {quota: free.slots for quota, free in counts.items()}
        at = self.now()
        offers = [
            Offer(slot, {q: slots[q].get(slot.id, 0) for q in quotas}, opens_at if opens_at > at else None)
            for resource in resources
            if resource.is_open
            for day in days
            for slot, quotas, opens_at in self._bookable(resource, day, at)
        ]
        return Offers(min(free.as_of for free in counts.values()), offers, more)

    def _bookable(self, resource: Resource, day: date, at: datetime) -> list[tuple[Slot, list[Quota], datetime]]:
        """Slots of a day that are not over for booking, with their quotas and the time of their release."""
        rules = resource.rules
        return [
            (each.slot, [q for q in PUBLIC_QUOTAS if each.places.get(q)], rules.opens_at(each.slot))
            for each in layouts_on(resource.where, resource.schedule, day, self._calendar)
            if at < min(each.slot.begins_at, rules.book_until.moment(each.slot.begins_at))
            and any(each.places.get(quota) for quota in PUBLIC_QUOTAS)
        ]
