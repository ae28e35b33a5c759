"""The part of the route table about one's own profile. `server/app.py` hangs it up."""

from __future__ import annotations

from handlers.me import GrantsHandler, MeHandler, PlaceHandler, PlacesHandler, SubscriptionsHandler
from handlers.me_views import (
    GrantsForm,
    GrantsView,
    MeView,
    PlacesView,
    PlaceView,
    SubscriptionsForm,
    SubscriptionsView,
)
from handlers.routing import CITIZEN, Operation, Route
from server.domain.profile import NewPlace, ProfileChange
from server.services.profile import Profile


def me_routes(profile: Profile) -> list[Route]:
    """The own profile, its places, opt-outs and grants."""
    parts = {"profile": profile}
    unchanged = {304: "unchanged"}
    me = {
        "GET": Operation(summary="The own profile", entry=CITIZEN, gives=MeView, answers_as=unchanged),
        "PATCH": Operation(
            summary="Change language, elder mode, quiet hours, the order of channels, taking part in exercises",
            entry=CITIZEN, takes=ProfileChange, needs_version=True, gives=MeView,
        ),
    }  # fmt: skip
    places = {
        "GET": Operation(summary="The own places", entry=CITIZEN, gives=PlacesView, answers_as=unchanged),
        "POST": Operation(
            summary="Add a place, by division or point or both; at most ten",
            entry=CITIZEN, takes=NewPlace, gives=PlaceView, status=201,
            answers_as={200: "it was there: it has the new words"},
        ),
    }  # fmt: skip
    place = {
        "PUT": Operation(summary="Write over a place", entry=CITIZEN, takes=NewPlace, gives=PlaceView),
        "DELETE": Operation(summary="Take a place away", entry=CITIZEN, status=204),
    }
    subscriptions = {
        "GET": Operation(
            summary="What is switched off, and what can be", entry=CITIZEN, gives=SubscriptionsView,
            answers_as=unchanged,
        ),
        "PUT": Operation(
            summary="Switch off these topics, levels and channels and no others",
            entry=CITIZEN, takes=SubscriptionsForm, needs_version=True, gives=SubscriptionsView,
        ),
    }  # fmt: skip
    grants = {
        "GET": Operation(
            summary="What WeChat would take, and by which channels each level would reach one now",
            entry=CITIZEN, gives=GrantsView,
        ),
        "POST": Operation(
            summary="Tell what wx.requestSubscribeMessage answered",
            entry=CITIZEN, takes=GrantsForm, gives=GrantsView,
        ),
    }  # fmt: skip
    return [
        Route("/v1/me", MeHandler, me, parts),
        Route("/v1/me/places", PlacesHandler, places, parts),
        Route("/v1/me/places/{place}", PlaceHandler, place, parts),
        Route("/v1/me/subscriptions", SubscriptionsHandler, subscriptions, parts),
        Route("/v1/me/grants", GrantsHandler, grants, parts),
    ]
