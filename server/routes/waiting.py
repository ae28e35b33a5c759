"""The routes of the waiting list and of visits of several seats."""

from __future__ import annotations

from handlers import waiting as handlers
from handlers.booking_views import BookingView
from handlers.routing import CITIZEN, Operation, Route
from handlers.waiting_views import (
    StepsForm,
    VisitForm,
    VisitsView,
    VisitView,
    WaitingForm,
    WaitingListView,
    WaitingView,
)
from server.services.own_visits import OwnVisits
from server.services.own_waiting import OwnWaiting


def routes(waiting: OwnWaiting, visits: OwnVisits) -> list[Route]:
    """The lines of the table."""
    return [*_waiting({"waiting": waiting}), *_visits({"visits": visits})]


def _waiting(verbs: dict[str, object]) -> list[Route]:
    one = "/v1/waiting/{entry}"
    all_of_them = {
        "GET": Operation(summary="What the caller waits for, for whomever", entry=CITIZEN, gives=WaitingListView),
        "POST": Operation(
            summary="Wait for a seat of a group or resource on one of some days",
            entry=CITIZEN, takes=WaitingForm, gives=WaitingView, status=201,
        ),
    }  # fmt: skip
    entry = {
        "GET": Operation(summary="One entry, and what is offered to it", entry=CITIZEN, gives=WaitingView),
        "DELETE": Operation(summary="Wait no more", entry=CITIZEN, status=204),
    }
    accept = Operation(summary="Book the seat that is offered", entry=CITIZEN, gives=BookingView)
    decline = Operation(summary="Leave it to the next, and go on waiting", entry=CITIZEN, gives=WaitingView)
    return [
        Route("/v1/waiting", handlers.WaitingHandler, all_of_them, verbs),
        Route(one, handlers.WaitingEntryHandler, entry, verbs),
        Route(f"{one}/accept", handlers.AcceptHandler, {"POST": accept}, verbs),
        Route(f"{one}/decline", handlers.DeclineHandler, {"POST": decline}, verbs),
    ]


def _visits(verbs: dict[str, object]) -> list[Route]:
    one = "/v1/visits/{visit}"
    all_of_them = {
        "GET": Operation(summary="Visits of several seats", entry=CITIZEN, gives=VisitsView),
        "POST": Operation(
            summary="Hold seats for all steps of a visit, or none", entry=CITIZEN,
            takes=VisitForm, gives=VisitView, status=201,
        ),
    }  # fmt: skip
    visit = Operation(summary="One visit with its seats", entry=CITIZEN, gives=VisitView)
    confirm = Operation(summary="Book all of it", entry=CITIZEN, gives=VisitView)
    move = Operation(
        summary="Move all of it to other times, or nothing", entry=CITIZEN, takes=StepsForm, gives=VisitView
    )
    cancel = Operation(summary="Give all of it back", entry=CITIZEN, gives=VisitView)
    return [
        Route("/v1/visits", handlers.VisitsHandler, all_of_them, verbs),
        Route(one, handlers.VisitHandler, {"GET": visit}, verbs),
        Route(f"{one}/confirm", handlers.VisitConfirmHandler, {"POST": confirm}, verbs),
        Route(f"{one}/move", handlers.VisitMoveHandler, {"POST": move}, verbs),
        Route(f"{one}/cancel", handlers.VisitCancelHandler, {"POST": cancel}, verbs),
    ]
