"""One's own profile over HTTP: /v1/me, its places, subscriptions and grants."""

from __future__ import annotations

from handlers.base import ApiHandler
from handlers.me_views import (
    GrantsForm,
    GrantsView,
    MeView,
    PlacesView,
    PlaceView,
    SubscriptionsForm,
    SubscriptionsView,
)
from server.domain.profile import NewPlace, ProfileChange
from server.services.profile import Profile


class _OwnHandler(ApiHandler):
    """What these handlers share."""

    def initialize(self, profile: Profile) -> None:
        """`profile` holds the verbs."""
        self.profile = profile


class MeHandler(_OwnHandler):
    """The settings."""

    async def get(self) -> None:
        """All of them."""
        account, kept = self.caller.account, await self.profile.settings(self.caller)
        self.mark(f'"v{account.version}"')
        self.respond(MeView.about(account, kept))

    async def patch(self) -> None:
        """Change some."""
        account, kept = await self.profile.change(self.caller, self.version, self.given(ProfileChange))
        self.mark(f'"v{account.version}"')
        self.respond(MeView.about(account, kept))


class PlacesHandler(_OwnHandler):
    """The places."""

    async def get(self) -> None:
        """All of them, in the order in which they came."""
        version, places = await self.profile.places(self.caller)
        self.mark(f'"v{version}"')
        divisions = self.profile.city.divisions
        self.respond(PlacesView(places=tuple(PlaceView.about(place, divisions) for place in places)))

    async def post(self) -> None:
        """Add one; 200 if it was there."""
        place, is_new = await self.profile.add_place(self.caller, self.given(NewPlace))
        self.respond(PlaceView.about(place, self.profile.city.divisions), 201 if is_new else 200)


class PlaceHandler(_OwnHandler):
    """One place."""

    async def put(self, place: str) -> None:
        """Write over it."""
        changed = await self.profile.set_place(self.caller, place, self.given(NewPlace))
        self.respond(PlaceView.about(changed, self.profile.city.divisions))

    async def delete(self, place: str) -> None:
        """Take it away."""
        await self.profile.drop_place(self.caller, place)
        self.set_status(204)


class SubscriptionsHandler(_OwnHandler):
    """The opt-outs."""

    async def get(self) -> None:
        """What is off, and what there is."""
        off = await self.profile.off(self.caller)
        self.mark(f'"v{self.caller.account.version}"')
        self.respond(SubscriptionsView.about(off, self.profile.city.topics))

    async def put(self) -> None:
        """Switch off these and nothing else."""
        account, off = await self.profile.set_off(self.caller, self.version, self.given(SubscriptionsForm).wanted)
        self.mark(f'"v{account.version}"')
        self.respond(SubscriptionsView.about(off, self.profile.city.topics))


class GrantsHandler(_OwnHandler):
    """What WeChat would take."""

    async def get(self) -> None:
        """By template and by level."""
        await self._show()

    async def post(self) -> None:
        """What the mini-program was answered."""
        given = self.given(GrantsForm)
        await self.profile.tell_grants(self.caller, given.id, given.said)
        await self._show()

    async def _show(self) -> None:
        grants, reached = await self.profile.grants(self.caller)
        self.respond(GrantsView.about(grants, reached, self.profile.city.templates, self.profile.now()))
