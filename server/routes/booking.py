"""The routes of booking for citizens, and of what everybody may look up."""

from __future__ import annotations

from handlers import booking as handlers
from handlers.booking_views import (
    BookingForm,
    BookingsQuery,
    BookingsView,
    BookingView,
    MoveForm,
    OffersView,
    ResourcesQuery,
    ResourcesView,
    ResourceView,
    ScanForm,
    SlotsQuery,
    TicketView,
)
from handlers.routing import CITIZEN, PUBLIC, Operation, Route
from server.assemble_booking import BookingParts
from server.services.own_bookings import OwnBookings


def routes(parts: BookingParts, own: OwnBookings) -> list[Route]:
    """The lines of the table."""
    return [*_search(parts), *_bookings(own)]


def _search(parts: BookingParts) -> list[Route]:
    search = {"search": parts.search}
    resources = Operation(
        summary="What can be booked, by id or nearest first", entry=PUBLIC, query=ResourcesQuery, gives=ResourcesView
    )
    resource = Operation(summary="One thing that can be booked", entry=PUBLIC, gives=ResourceView)
    slots = Operation(
        summary="Times and how many seats are free, never older than a second",
        entry=PUBLIC, query=SlotsQuery, gives=OffersView, answers_as={304: "unchanged"},
    )  # fmt: skip
    return [
        Route("/v1/resources", handlers.ResourcesHandler, {"GET": resources}, search),
        Route("/v1/resources/{resource}", handlers.ResourceHandler, {"GET": resource}, search),
        Route("/v1/slots", handlers.SlotsHandler, {"GET": slots}, search),
    ]


def _bookings(own: OwnBookings) -> list[Route]:
    one, verbs = "/v1/bookings/{booking}", {"bookings": own}
    bookings = {
        "GET": Operation(
            summary="Own bookings and those made for others", entry=CITIZEN, query=BookingsQuery, gives=BookingsView
        ),
        "POST": Operation(
            summary="Hold a seat for some minutes, for oneself or a relative; to be confirmed",
            entry=CITIZEN, takes=BookingForm, gives=BookingView, status=201,
        ),
    }  # fmt: skip
    booking = Operation(summary="One booking", entry=CITIZEN, gives=BookingView)
    confirm = Operation(summary="Book what is held", entry=CITIZEN, gives=BookingView)
    renew = Operation(summary="Hold it longer, as often as the rules allow", entry=CITIZEN, gives=BookingView)
    move = Operation(
        summary="Take another time in one step; if that cannot be, the booking stays where it is",
        entry=CITIZEN, takes=MoveForm, gives=BookingView,
    )  # fmt: skip
    cancel = Operation(summary="Give it back", entry=CITIZEN, gives=BookingView)
    ticket = Operation(summary="What to show as a QR code when checking in", entry=CITIZEN, gives=TicketView)
    check_in = Operation(
        summary="Check in by the code that hangs at the counter", entry=CITIZEN, takes=ScanForm, gives=BookingView
    )
    return [
        Route("/v1/bookings", handlers.BookingsHandler, bookings, verbs),
        Route(one, handlers.BookingHandler, {"GET": booking}, verbs),
        Route(f"{one}/confirm", handlers.ConfirmHandler, {"POST": confirm}, verbs),
        Route(f"{one}/renew", handlers.RenewHandler, {"POST": renew}, verbs),
        Route(f"{one}/move", handlers.MoveHandler, {"POST": move}, verbs),
        Route(f"{one}/cancel", handlers.CancelHandler, {"POST": cancel}, verbs),
        Route(f"{one}/ticket", handlers.TicketHandler, {"GET": ticket}, verbs),
        Route(f"{one}/check-in", handlers.CheckInHandler, {"POST": check_in}, verbs),
    ]
