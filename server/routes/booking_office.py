"""The routes of booking for officers: the counter, and what can be booked."""

from __future__ import annotations

from handlers import staff_booking as handlers
from handlers import staff_booking_resources as planning
from handlers.booking_office_views import (
    BanView,
    BreakagesView,
    CalledView,
    ClosedView,
    DayQuery,
    ErrandForm,
    KeptPage,
    KeptView,
    LiftForm,
    PersonForm,
    ReasonForm,
    ReopenedView,
    ResourceChangeForm,
    ResourceForm,
    StaffResourcesQuery,
    StopForm,
)
from handlers.booking_views import ScanForm, TicketView
from handlers.routing import EVENT_STREAM, Operation, Route, officer
from handlers.streaming import Pace
from server.assemble_booking import OfficeParts
from server.domain.access import Deed
from server.domain.booking_day import DayEntry, DayList
from server.services.booking_office import BookingOffice

RESOURCES = "/v1/staff/resources"
RESOURCE = f"{RESOURCES}/{{resource}}"
BOOKINGS = "/v1/staff/bookings"
BOOKING = f"{BOOKINGS}/{{booking}}"


def routes(parts: OfficeParts) -> list[Route]:
    """The lines of the table."""
    return [*_planning(parts), *_queue(parts), *_bookings(parts), *_decisions(parts)]


def _planning(parts: OfficeParts) -> list[Route]:
    own = {"planning": parts.planning}
    read, manage = officer(Deed.RESOURCE_READ), officer(Deed.RESOURCE_MANAGE)
    resources = {
        "GET": Operation(
            summary="What an institution offers, open or not", entry=read, query=StaffResourcesQuery, gives=KeptPage
        ),
        "POST": Operation(
            summary="Something new that can be booked; its seats are laid out",
            entry=manage, takes=ResourceForm, gives=KeptView, status=201,
        ),
    }  # fmt: skip
    resource = {
        "GET": Operation(
            summary="One of them with its schedule", entry=read, gives=KeptView, answers_as={304: "unchanged"}
        ),
        "PUT": Operation(
            summary="Write over it; who loses a booking by that is told",
            entry=manage, takes=ResourceChangeForm, needs_version=True, gives=KeptView,
        ),
    }  # fmt: skip
    preview = Operation(
        summary="Which bookings a change would break", entry=manage, takes=ResourceForm, gives=BreakagesView
    )
    return [
        Route(RESOURCES, planning.StaffResourcesHandler, resources, own),
        Route(RESOURCE, planning.StaffResourceHandler, resource, own),
        Route(f"{RESOURCE}/preview", planning.PreviewHandler, {"POST": preview}, own),
    ]


def _queue(parts: OfficeParts) -> list[Route]:
    own = {"office": parts.office}
    read, serve = officer(Deed.BOOKING_READ), officer(Deed.BOOKING_SERVE)
    day = Operation(summary="The day's list, names masked", entry=read, query=DayQuery, gives=DayList)
    events = Operation(
        summary="The day's list as server-sent events, whole with each change, resumed by Last-Event-ID",
        entry=read,
        query=DayQuery,
        gives_raw={EVENT_STREAM: 'id: 1795572000000\nevent: day\ndata: {"resource":"sz-hall-car-1"}\n\n'},
    )
    call = Operation(summary="Call who waits longest", entry=serve, gives=CalledView)
    poster = Operation(
        summary="The code of the day, to hang up: who scans it with the app checks in", entry=serve, gives=TicketView
    )
    return [
        Route(f"{RESOURCE}/poster", handlers.PosterHandler, {"GET": poster}, own),
        Route(f"{RESOURCE}/day", handlers.DayHandler, {"GET": day}, own),
        Route(f"{RESOURCE}/day/events", handlers.DayEventsHandler, {"GET": events}, own | {"pace": Pace()}),
        Route(f"{RESOURCE}/call-next", handlers.CallNextHandler, {"POST": call}, own),
    ]


def _bookings(parts: OfficeParts) -> list[Route]:
    own, serve, book = {"office": parts.office}, officer(Deed.BOOKING_SERVE), officer(Deed.BOOKING_BOOK)
    scan = Operation(summary="Check in who shows this ticket", entry=serve, takes=ScanForm, gives=DayEntry)
    make = Operation(
        summary="Book for somebody at the counter or on the telephone, at once",
        entry=book, takes=ErrandForm, gives=DayEntry, status=201,
    )  # fmt: skip
    cancel = Operation(summary="End a booking without a strike", entry=book, takes=ReasonForm, status=204)
    steps: tuple[tuple[str, str, handlers.Step], ...] = (
        ("check-in", "Check somebody in who has no ticket to show", BookingOffice.check_in),
        ("serve", "Done", BookingOffice.serve),
        (
            "requeue",
            "Called in vain or marked as missed, but here: back to the end of the queue",
            BookingOffice.requeue,
        ),
        ("miss", "Not there: a strike", BookingOffice.miss),
    )
    return [
        Route(f"{BOOKINGS}/check-in", handlers.ScanHandler, {"POST": scan}, own),
        Route(f"{RESOURCE}/bookings", handlers.OfficeBookingsHandler, {"POST": make}, own),
        Route(f"{BOOKING}/cancel", handlers.OfficeCancelHandler, {"POST": cancel}, own),
        *(
            Route(
                f"{BOOKING}/{name}",
                handlers.StepHandler,
                {"POST": Operation(summary=summary, entry=serve, gives=DayEntry)},
                own | {"step": step},
            )
            for name, summary, step in steps
        ),
    ]


def _decisions(parts: OfficeParts) -> list[Route]:
    own, excuses, closes = {"office": parts.office}, officer(Deed.BOOKING_EXCUSE), officer(Deed.BOOKING_CLOSE)
    excuse = Operation(
        summary="A missed or cancelled booking is no strike; the reason is logged",
        entry=excuses, takes=ReasonForm, status=204,
    )  # fmt: skip
    ban = Operation(
        summary="Whether somebody is banned at this unit, until when and why; the look is in their list of uses",
        entry=officer(Deed.BOOKING_BOOK), takes=PersonForm, gives=BanView,
    )  # fmt: skip
    lift = Operation(
        summary="Lift a ban: excuse all that it follows from; the reason is logged",
        entry=excuses, takes=LiftForm, gives=BanView,
    )  # fmt: skip
    close = Operation(
        summary="Close a time, a day or everything ahead (停诊); who had a booking is told",
        entry=closes, takes=StopForm, gives=ClosedView,
    )  # fmt: skip
    reopen = Operation(summary="Open it again", entry=closes, takes=StopForm, gives=ReopenedView)
    return [
        Route(f"{BOOKING}/excuse", handlers.ExcuseHandler, {"POST": excuse}, own),
        Route(f"{RESOURCE}/ban", handlers.BanHandler, {"POST": ban}, own),
        Route(f"{RESOURCE}/ban/lift", handlers.LiftHandler, {"POST": lift}, own),
        Route(f"{RESOURCE}/close", handlers.CloseHandler, {"POST": close}, own),
        Route(f"{RESOURCE}/reopen", handlers.ReopenHandler, {"POST": reopen}, own),
    ]
