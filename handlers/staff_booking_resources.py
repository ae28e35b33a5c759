"""What can be booked, for its planners: /v1/staff/resources."""

from __future__ import annotations

from handlers.base import ApiHandler
from handlers.booking_office_views import (
    BreakagesView,
    KeptPage,
    KeptView,
    ResourceChangeForm,
    ResourceForm,
    StaffResourcesQuery,
)
from server.domain.errors import InvalidInputError
from server.domain.resources import Kept, Resource
from server.services.booking_planning import BookingPlanning


class _PlanningHandler(ApiHandler):
    """What these handlers share."""

    def initialize(self, planning: BookingPlanning) -> None:
        """`planning` asks the policy."""
        self.planning = planning

    def tell(self, kept: Kept, status: int = 200) -> None:
        """A resource with its version."""
        self.mark(f'"v{kept.version}"')
        self.respond(KeptView.of(kept), status)

    def fitting(self, form: ResourceForm, resource: str) -> Resource:
        """The body's resource; InvalidInputError `resource_other` if it is not the one of the path."""
        if form.resource.id != resource:
            raise InvalidInputError(
                "resource_other", zh="编号与地址不符", en="the id is not that of the address", field="resource.id"
            )
        return form.resource


class StaffResourcesHandler(_PlanningHandler):
    """All within reach."""

    async def get(self) -> None:
        """By id, open ones and closed ones."""
        query = self.asked(StaffResourcesQuery)
        found, following = await self.planning.page(self.officer, query.wanted, query.after, query.limit)
        self.link_next({"after": following})
        self.respond(KeptPage(resources=tuple(map(KeptView.of, found)), next=following))

    async def post(self) -> None:
        """A new one."""
        kept = await self.planning.create(self.officer, self.given(ResourceForm).resource)
        self.set_header("Location", f"/v1/staff/resources/{kept.resource.id}")
        self.tell(kept, 201)


class StaffResourceHandler(_PlanningHandler):
    """One of them."""

    async def get(self, resource: str) -> None:
        """With its schedule."""
        self.tell(await self.planning.get(self.officer, resource))

    async def put(self, resource: str) -> None:
        """Write over the version that was seen."""
        form = self.given(ResourceChangeForm)
        wanted = self.fitting(form, resource)
        self.tell(await self.planning.change(self.officer, wanted, self.version, form.accepted, form.reason))


class PreviewHandler(_PlanningHandler):
    """A change that is not made yet."""

    async def post(self, resource: str) -> None:
        """Which bookings it would break."""
        wanted = self.fitting(self.given(ResourceForm), resource)
        self.respond(BreakagesView.of(await self.planning.preview(self.officer, wanted)))
