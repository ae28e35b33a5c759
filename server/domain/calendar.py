"""Bookings as calendars take them: iCalendar (RFC 5545) with the words of scheduling (RFC 5546). Pure.

A booking is one event for ever: its UID is made from the public code, SEQUENCE rises with each change of time or end,
and an event that was cancelled stays as CANCELLED, so that a calendar which saw it strikes it out. Nothing personal is
in it but what the person needs to get there: no name, no number, no telephone. Organiser and attendee are required by
RFC 5546; both are addresses that nobody can write to (RFC 2606).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import Alarm, Calendar, Component, Event, Timezone, vCalAddress, vDuration, vText

from server.domain.booking import State, Visit
from server.domain.booking_words import what_of, where_of
from server.domain.resources import Resource, Spot
from server.domain.templates import clean
from server.domain.wording import NO_WORDS, Words

TYPE = "text/calendar"
ZONE = ZoneInfo("Asia/Shanghai")
SINCE = date(1992, 1, 1)  # no summer time since: the zone is one line long
KEPT = timedelta(days=30)  # so long what was cancelled stays in a feed
MAX_EVENTS = 100  # newest times first: nobody has so many
REFRESH = timedelta(hours=1)
ALARMS = (timedelta(days=-1), timedelta(hours=-2))
NOBODY = "mailto:noreply@huimin.invalid"
SOMEBODY = "mailto:citizen@huimin.invalid"
_SUMMARY = Words("预约：{what}", "Booking: {what}")
_FOR_OTHER = Words("预约（家人）：{what}", "Booking (family): {what}")
_SOMETHING = Words("预约", "Booking")
_BRING = Words("如不能前往，请在惠民小程序中尽早取消。", "If you cannot come, please cancel early in Huimin.")
_OVER = Words("此预约已取消。", "This booking is cancelled.")
_NAME = Words("惠民预约", "Huimin bookings")


def _zone() -> Component:
    """China's time as the library knows it, since the last summer time."""
    zone = Timezone.from_tzid(ZONE.key, first_date=SINCE)
    zone.pop("comment", None)  # it says until when the library looked
    return zone


_ZONE = _zone()  # takes ten milliseconds, and nobody changes it


@dataclass(frozen=True, slots=True)
class Appointment:
    """What a calendar has to know of one booking."""

    code: str
    sequence: int
    begins_at: datetime
    ends_at: datetime
    is_cancelled: bool
    is_for_other: bool = False  # made by the reader for a relative, who is not named
    what: Words = _SOMETHING
    where: Words = NO_WORDS
    address: Words = NO_WORDS
    spot: Spot | None = None


def appointment_of(visit: Visit, resource: Resource | None, reader: int) -> Appointment | None:
    """Of a booking, as this person reads it; None for a hold, which is none yet.

    One that is on its way to another seat shows where it was, under the sequence it had there.
    """
    seat, booking = visit.seat, visit.booking
    if booking.booked_at is None:
        return None
    known = Appointment(
        code=booking.code,
        sequence=booking.sequence - (visit.is_live and seat.state is State.LEFT),
        begins_at=seat.begins_at,
        ends_at=seat.ends_at,
        is_cancelled=not visit.is_live,
        is_for_other=booking.citizen != reader,
    )
    if resource is None:
        return known
    address = resource.address
    return replace(
        known,
        what=what_of(resource),
        where=where_of(resource),
        address=Words(address.get("zh"), address.get("en")) if address else NO_WORDS,
        spot=resource.spot,
    )


def belongs_in_feed(visit: Visit, now: datetime) -> bool:
    """Whether a feed still shows it: what is ahead, what is not long over, what was not long ago cancelled."""
    over_at = visit.booking.ended_at if not visit.is_live else visit.seat.ends_at
    return over_at is None or now < over_at + KEPT


def method_of(appointment: Appointment) -> str:
    """What a file of this one booking asks a calendar to do."""
    return "CANCEL" if appointment.is_cancelled else "REQUEST"


def write_file(appointment: Appointment, language: str, now: datetime) -> bytes:
    """One booking, to be opened with any calendar: METHOD REQUEST, or CANCEL if it is over."""
    method = method_of(appointment)
    calendar = _calendar(method, language)
    event = _event(appointment, language, now)
    attendee = vCalAddress(SOMEBODY)
    attendee.params.update({"PARTSTAT": "ACCEPTED", "RSVP": "FALSE", "ROLE": "REQ-PARTICIPANT"})
    event.add("attendee", attendee)
    calendar.add_component(event)
    return bytes(calendar.to_ical())


def write_feed(appointments: Sequence[Appointment], language: str, now: datetime) -> bytes:
    """All of them, to be subscribed to: METHOD PUBLISH; a calendar looks again every hour (RFC 7986)."""
    calendar = _calendar("PUBLISH", language)
    name = _NAME.get(language)
    calendar.add("name", name)
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", vDuration(REFRESH), parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", vDuration(REFRESH))
    for appointment in appointments[:MAX_EVENTS]:
        calendar.add_component(_event(appointment, language, now))
    return bytes(calendar.to_ical())


def etag_of(body: bytes) -> str:
    """The version of a calendar, whenever it was written: DTSTAMP does not count, so the tag is a weak one."""
    said = b"\r\n".join(line for line in body.split(b"\r\n") if not line.startswith(b"DTSTAMP:"))
    return f'W/"{hashlib.sha256(said).hexdigest()[:32]}"'


def _calendar(method: str, language: str) -> Calendar:
    calendar = Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", f"-//Huimin//Bookings//{language.upper()}")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", method)
    calendar.add_component(_ZONE)
    return calendar


def _event(appointment: Appointment, language: str, now: datetime) -> Event:
    """One event; its alarms ring as our reminders do, on a device that is offline too."""
    event = Event()
    what, where = clean(appointment.what.get(language)), clean(appointment.where.get(language))
    summary = (
        (_FOR_OTHER if appointment.is_for_other else _SUMMARY)
        .get(language)
        .format_map({"what": what or _SOMETHING.get(language)})
    )
    event.add("uid", f"{appointment.code}@booking.huimin.invalid")
    event.add("sequence", appointment.sequence)
    event.add("dtstamp", now.replace(microsecond=0))
    event.add("dtstart", appointment.begins_at.astimezone(ZONE))
    event.add("dtend", appointment.ends_at.astimezone(ZONE))
    event.add("summary", summary)
    event.add("description", (_OVER if appointment.is_cancelled else _BRING).get(language))
    place = [text for text in (where, clean(appointment.address.get(language))) if text]
    if place:
        event.add("location", ("，" if language == "zh" else ", ").join(place))
    if appointment.spot:
        event.add("geo", (appointment.spot.latitude, appointment.spot.longitude))
    event.add("status", "CANCELLED" if appointment.is_cancelled else "CONFIRMED")
    event.add("transp", "TRANSPARENT" if appointment.is_cancelled else "OPAQUE")
    event.add("class", "PRIVATE")
    organizer = vCalAddress(NOBODY)
    organizer.params["CN"] = vText(where or _NAME.get(language))
    event.add("organizer", organizer)
    if not appointment.is_cancelled:
        for before in ALARMS:
            event.add_component(_alarm(before, summary))
    return event


def _alarm(before: timedelta, text: str) -> Alarm:
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", text)
    alarm.add("trigger", before)
    return alarm
