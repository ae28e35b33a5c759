"""Bookings as calendars take them: read back by the library, and by the letter of RFC 5545."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar, Event

from server.domain.booking import Booking, Outcome, Seat, State, Visit, ended, kept
from server.domain.booking_moves import left
from server.domain.calendar import (
    KEPT,
    Appointment,
    appointment_of,
    belongs_in_feed,
    etag_of,
    write_feed,
    write_file,
)
from server.domain.resources import Kind, Named, Resource, Service, Spot
from server.domain.schedules import Schedule
from server.domain.wording import Words

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
BEGINS = datetime(2026, 11, 30, 2, 0, tzinfo=UTC)  # ten in the morning
CODE = "mQk3VZ0c9hT1xYb7LrWn2A"
MOMENTS = st.datetimes(datetime(1992, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
RESOURCE = Resource(
    id="cardio-1", unit="h1", unit_name=Named(zh="市人民医院", en="City Hospital"), group="h1-cardio",
    group_name=Named(zh="心内科", en="Cardiology"), kind=Kind.HOSPITAL, name=Named(zh="李医生", en="Dr Li"),
    division="440305", address=Named(zh="南山区深南大道1号"), spot=Spot(latitude=22.54, longitude=113.93),
    services=(Service(code="visit", name=Named(zh="普通门诊")),), schedule=Schedule(weekly=()),
)  # fmt: skip


def visit(*, sequence: int = 0, citizen: int = 1, holder: int = 1) -> Visit:
    booking = Booking(CODE, citizen, holder, "k", NOW, NOW, sequence=sequence, booked_at=NOW)
    seat = Seat(
        "s/0001", "s", "cardio-1", "h1", "h1-cardio", date(2026, 11, 30), BEGINS, BEGINS + timedelta(minutes=30),
        "online", 1, State.BOOKED, booking=booking,
    )  # fmt: skip
    return Visit(seat, booking)


def over(one: Visit, at: datetime = NOW, outcome: Outcome = Outcome.CANCELLED) -> Visit:
    done = ended(one.booking, at, outcome)
    return Visit(replace(kept(one.seat, done), state=State.FREE, booking=None), done)


def shown(one: Visit, reader: int = 1) -> Appointment:
    found = appointment_of(one, RESOURCE, reader)
    assert found
    return found


def read(body: bytes) -> tuple[Calendar, list[Event]]:
    calendar = Calendar.from_ical(body)
    assert not [error for each in calendar.walk() for error in each.errors]
    return calendar, calendar.events


def by_the_letter(body: bytes) -> list[str]:
    """RFC 5545, 3.1, without the library: lines end with CRLF, none is over 75 octets, unfolded they are UTF-8."""
    assert body.endswith(b"\r\n")
    lines = body.split(b"\r\n")[:-1]
    assert all(0 < len(line) <= 75 for line in lines)
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    return body.replace(b"\r\n ", b"").decode().split("\r\n")[:-1]


def test_a_file_of_one_booking_asks_a_calendar_to_take_it():
    calendar, [event] = read(write_file(shown(visit()), "zh", NOW))
    assert (calendar["METHOD"], calendar["VERSION"], event["STATUS"]) == ("REQUEST", "2.0", "CONFIRMED")
    assert str(event["UID"]).startswith(CODE)
    assert (event["SEQUENCE"], event["DTSTAMP"].dt, event.DTSTART, event.DTEND) == (
        0, NOW, BEGINS, BEGINS + timedelta(minutes=30),
    )  # fmt: skip
    assert event["SUMMARY"] == "预约：心内科 李医生"
    assert event["LOCATION"] == "市人民医院，南山区深南大道1号"
    assert (event["GEO"].latitude, event["GEO"].longitude) == (22.54, 113.93)
    assert [alarm["TRIGGER"].dt for alarm in event.walk("VALARM")] == [timedelta(days=-1), timedelta(hours=-2)]


def test_times_are_those_of_shanghai_and_the_zone_is_in_the_file():
    lines = by_the_letter(write_file(shown(visit()), "zh", NOW))
    assert "DTSTART;TZID=Asia/Shanghai:20261130T100000" in lines
    zone = lines[lines.index("BEGIN:VTIMEZONE") : lines.index("END:VTIMEZONE")]
    assert {"TZID:Asia/Shanghai", "TZOFFSETTO:+0800"} <= set(zone)
    assert lines.index("BEGIN:VTIMEZONE") < lines.index("BEGIN:VEVENT")


def test_a_cancelled_booking_is_the_same_event_one_sequence_on_and_rings_no_alarm():
    before = read(write_file(shown(visit()), "en", NOW))[1][0]
    calendar, [event] = read(write_file(shown(over(visit())), "en", NOW))
    assert (calendar["METHOD"], event["STATUS"]) == ("CANCEL", "CANCELLED")
    assert (event["UID"], event["SEQUENCE"]) == (before["UID"], before["SEQUENCE"] + 1)
    assert event.walk("VALARM") == []


def test_a_feed_publishes_all_events_under_one_zone_and_names_no_attendee():
    body = write_feed([shown(visit()), replace(shown(over(visit())), code="x" * 22)], "en", NOW)
    calendar, events = read(body)
    assert (calendar["METHOD"], [event["STATUS"] for event in events]) == ("PUBLISH", ["CONFIRMED", "CANCELLED"])
    assert len(calendar.timezones) == 1
    assert not any("ATTENDEE" in event for event in events)
    assert "REFRESH-INTERVAL;VALUE=DURATION:PT1H" in by_the_letter(body)


def test_an_empty_feed_is_a_calendar_too():
    assert read(write_feed([], "zh", NOW))[1] == []


def test_a_relatives_booking_says_so_and_not_whose():
    event = read(write_file(shown(visit(citizen=2), reader=1), "zh", NOW))[1][0]
    assert event["SUMMARY"] == "预约（家人）：心内科 李医生"


def test_a_hold_is_no_appointment_and_a_resource_that_is_gone_leaves_the_time():
    one = visit()
    hold = Visit(one.seat, replace(one.booking, booked_at=None))
    assert appointment_of(hold, RESOURCE, 1) is None
    bare = appointment_of(one, None, 1)
    assert bare
    event = read(write_file(bare, "zh", NOW))[1][0]
    assert (event["SUMMARY"], event.DTSTART, "LOCATION" in event) == ("预约：预约", BEGINS, False)


def test_a_booking_on_its_way_shows_where_it_was_under_its_old_sequence():
    one = visit(sequence=3)
    seat = left(one, replace(one.seat, id="s/0002"), NOW)
    assert seat.transit
    assert seat.transit.booking
    assert shown(Visit(seat, seat.transit.booking)).sequence == 3


@pytest.mark.parametrize("outcome", [Outcome.CANCELLED, Outcome.WITHDRAWN, Outcome.CLOSED])
def test_what_was_cancelled_stays_in_the_feed_for_thirty_days(outcome: Outcome):
    done = over(visit(), outcome=outcome)
    assert belongs_in_feed(done, NOW + KEPT - timedelta(seconds=1))
    assert not belongs_in_feed(done, NOW + KEPT)


def test_the_tag_changes_with_what_is_said_and_not_with_when():
    one = shown(visit())
    tags = [etag_of(write_feed([each], "zh", at)) for each, at in (
        (one, NOW), (one, NOW + timedelta(hours=1)), (replace(one, sequence=1), NOW), (shown(over(visit())), NOW),
    )]  # fmt: skip
    assert tags[0] == tags[1]
    assert len(set(tags)) == 3
    assert tags[0].startswith('W/"')


@given(st.text(max_size=200), st.text(max_size=200), st.integers(0, 9), MOMENTS)
@settings(max_examples=40, deadline=None)
def test_whatever_things_are_called_they_come_back_as_they_were(what: str, where: str, sequence: int, at: datetime):
    begins = at.replace(microsecond=0)
    one = Appointment(
        CODE, sequence, begins, begins + timedelta(hours=1), is_cancelled=False,
        what=Words(f"甲{what}乙", ""), where=Words(f"丙{where}丁", ""),
    )  # fmt: skip
    for body in (write_file(one, "zh", NOW), write_feed([one], "zh", NOW)):
        lines = by_the_letter(body)
        assert lines.count("BEGIN:VEVENT") == lines.count("END:VEVENT") == 1
        event = read(body)[1][0]
        summary = str(event["SUMMARY"])
        assert summary.startswith("预约：甲")
        assert summary.endswith("乙")
        assert (event.DTSTART, event["SEQUENCE"]) == (begins, sequence)
        assert str(event["LOCATION"]).endswith("丁")
