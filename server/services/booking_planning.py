"""What can be booked, as its planners write it: list, create, see what a change would break, change.

Promises. Every verb asks the policy table with the division and the institution of the resource, of the old one and of
the new one. Nothing that is booked is broken unless the planner has seen how much it is. Changes are in the audit log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from server.domain.access import Deed, refuse_at
from server.domain.audit import Detail, Event
from server.domain.errors import ConflictError, ForbiddenError
from server.domain.officers import Officer
from server.domain.resources import Kept, Resource, Wanted
from server.services.audit import Audit
from server.services.schedules import Breakage, Schedules


class BookingPlanning:
    """The verbs. All raise NotFoundError `resource_unknown` and ForbiddenError."""

    def __init__(self, schedules: Schedules, audit: Audit) -> None:
        self._schedules = schedules
        self._audit = audit

    async def page(self, officer: Officer, wanted: Wanted, after: str, limit: int) -> tuple[list[Kept], str]:
        """Resources of one of the officer's institutions in the own division, and the mark of what follows."""
        unit = wanted.unit or next(iter(officer.institutions), "")
        division = wanted.division or officer.division
        refuse_at(officer, Deed.RESOURCE_READ, division, unit)
        found = await self._schedules.page(replace(wanted, unit=unit, division=division), after, limit + 1)
        return found[:limit], found[limit - 1].resource.id if len(found) > limit else ""

    async def get(self, officer: Officer, resource: str) -> Kept:
        """One of them."""
        kept = await self._schedules.get(resource)
        refuse_at(officer, Deed.RESOURCE_READ, kept.resource.division, kept.resource.unit)
        return kept

    async def create(self, officer: Officer, resource: Resource) -> Kept:
        """A new one; its seats are laid out. ConflictError `resource_exists`."""
        refuse_at(officer, Deed.RESOURCE_MANAGE, resource.division, resource.unit)
        kept = await self._schedules.create(resource)
        await self._log(officer, resource, step="create")
        return kept

    async def preview(self, officer: Officer, resource: Resource) -> Sequence[Breakage]:
        """Which bookings a new version would break."""
        await self._both(officer, resource)
        return await self._schedules.breakages(resource)

    async def change(self, officer: Officer, resource: Resource, version: int, accepted: int, reason: str) -> Kept:
        """Write it. ConflictError `version_stale`; `bookings_break` unless it breaks as many as were `accepted`."""
        kept = await self._both(officer, resource)
        if kept.version != version:
            raise ConflictError(
                "version_stale", zh="资源已被他人修改，请刷新", en="somebody has changed it: read it again"
            )
        changed = await self._schedules.change(resource, version, accepted, reason)
        await self._log(officer, resource, step="change", version=changed.version, broken=accepted, reason=reason)
        return changed

    async def _both(self, officer: Officer, resource: Resource) -> Kept:
        """The version that there is; both have to be the officer's, and of one institution: its strikes stand there."""
        kept = await self._schedules.get(resource.id)
        for each in (kept.resource, resource):
            refuse_at(officer, Deed.RESOURCE_MANAGE, each.division, each.unit)
        if kept.resource.unit != resource.unit:
            raise ForbiddenError(
                "resource_moves",
                zh="资源不能改属其他单位，请新建资源",
                en="a resource stays with its unit: create another one",
            )
        return kept

    async def _log(self, officer: Officer, resource: Resource, **details: Detail) -> None:
        event = Event(officer.id, Deed.RESOURCE_MANAGE, f"resource/{resource.id}", details=details)
        await self._audit.record(event)
