"""The routes of people's own calendars."""

from __future__ import annotations

from handlers.calendars import (
    BookingFileHandler,
    CalendarFeedHandler,
    CalendarMade,
    CalendarView,
    OwnCalendarHandler,
)
from handlers.routing import CITIZEN, PUBLIC, Operation, Route
from server.domain.calendar import TYPE
from server.services.calendars import Calendars

SAMPLE = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Huimin//Bookings//ZH\r\nMETHOD:PUBLISH\r\nEND:VCALENDAR\r\n"
UNCHANGED = {304: "unchanged"}


def routes(calendars: Calendars, base: str) -> list[Route]:
    """The lines of the table. `base`: the public origin, "" if there is none."""
    own = {"calendars": calendars}
    file = Operation(
        summary="One booking as a calendar file (RFC 5545): METHOD REQUEST, or CANCEL if it is over",
        entry=CITIZEN, gives_raw={TYPE: SAMPLE}, answers_as=UNCHANGED,
    )  # fmt: skip
    feed = Operation(
        summary="All bookings as a calendar to subscribe to; its address is its only key",
        entry=PUBLIC, gives_raw={TYPE: SAMPLE}, answers_as=UNCHANGED,
    )  # fmt: skip
    mine = {
        "GET": Operation(summary="Whether the caller has a calendar feed", entry=CITIZEN, gives=CalendarView),
        "POST": Operation(
            summary="A calendar feed with a new address; the old one ends",
            entry=CITIZEN,
            gives=CalendarMade,
            status=201,
        ),
        "DELETE": Operation(summary="End the calendar feed", entry=CITIZEN, status=204),
    }
    return [
        Route("/v1/bookings/{booking}.ics", BookingFileHandler, {"GET": file}, own),
        Route("/v1/calendars/{secret}.ics", CalendarFeedHandler, {"GET": feed}, own),
        Route("/v1/me/calendar", OwnCalendarHandler, mine, own | {"base": base}),
    ]
