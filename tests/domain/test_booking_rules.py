"""Rules of booking as data: windows, cut-offs, strikes and bans follow from a history and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from server.domain.booking import Booking, Outcome, Seat, Slot, State, Visit, day_prefix, seats_of, visits_of
from server.domain.booking_rules import BookingRules, CutOff, Penalty, ban_of, in_window
from server.domain.china import CHINA

RULES = BookingRules()
BEGINS = datetime(2026, 11, 30, 8, 0, tzinfo=CHINA)
SLOT = Slot("cardio-3", "h1", "h1/cardio", BEGINS, BEGINS + timedelta(minutes=30))


def missed(at: datetime, n: int, *, unit: str = "h1", citizen: int = 7, excused_by: str = "") -> Visit:
    slot = Slot("cardio-3", unit, "g", at, at + timedelta(minutes=30))
    booking = Booking(f"c{n}", citizen, citizen, "k", at, at, booked_at=at, excused_by=excused_by)
    seat = replace(seats_of(slot, {"online": 1}, at)[0], state=State.MISSED, open_at=None, booking=booking)
    return Visit(seat, booking)


def code(at: datetime) -> str | None:
    refusal = in_window(SLOT, RULES, at)
    return refusal.code if refusal else None


def test_a_day_opens_and_closes_to_the_minute():
    opens_at = datetime(2026, 11, 23, 6, 30, tzinfo=CHINA)
    assert code(opens_at - timedelta(milliseconds=1)) == "window_closed"
    assert code(opens_at) is None
    assert code(BEGINS - timedelta(minutes=30, milliseconds=1)) is None
    assert code(BEGINS - timedelta(minutes=30)) == "slot_past"


def test_a_cut_off_is_a_clock_time_in_china_or_minutes_before():
    assert CutOff(days=1, at=time(15)).moment(BEGINS.astimezone(UTC)) == datetime(2026, 11, 29, 7, tzinfo=UTC)
    assert CutOff(minutes=30).moment(BEGINS) == BEGINS - timedelta(minutes=30)


def test_slots_and_seats_are_named_by_their_local_time():
    assert SLOT.id == "2026-11-30/cardio-3/0800"
    assert SLOT.id.startswith(day_prefix(SLOT.day, "cardio-3"))
    seats = seats_of(SLOT, {"online": 2, "elder": 1}, BEGINS)
    assert [(s.id[-4:], s.quota) for s in seats] == [("0001", "online"), ("0002", "online"), ("0003", "elder")]


def test_three_missed_within_three_months_ban_for_three():
    days = [BEGINS - timedelta(days=n) for n in (89, 40, 1)]
    visits = [missed(at, n) for n, at in enumerate(days)]
    ban = ban_of(7, "h1", visits, RULES, BEGINS)
    assert ban
    assert (ban.until, ban.codes) == (days[2] + timedelta(days=90), ("c0", "c1", "c2"))
    assert ban_of(7, "h1", visits, RULES, ban.until) is None
    assert ban_of(7, "h2", visits, RULES, BEGINS) is None
    assert ban_of(8, "h1", visits, RULES, BEGINS) is None
    assert ban_of(7, "h1", [*visits[:2], missed(days[2], 2, excused_by="o")], RULES, BEGINS) is None


def test_a_strike_counts_towards_one_ban_only():
    visits = [missed(BEGINS - timedelta(days=n), n) for n in (80, 79, 78, 77)]
    rules = BookingRules(penalties=(Penalty(strike=State.MISSED, strikes=3, period_days=90, ban_days=1),))
    assert ban_of(7, "h1", visits, rules, BEGINS) is None
    again = [missed(BEGINS - timedelta(hours=n), 100 + n) for n in (1, 2)]
    ban = ban_of(7, "h1", [*visits, *again], rules, BEGINS)
    assert ban
    assert ban.codes == ("c77", "c102", "c101")


@given(st.lists(st.integers(0, 400), max_size=8), st.integers(0, 400))
def test_a_ban_never_needs_fewer_strikes_than_the_rule_says(days: list[int], today: int):
    visits = [missed(BEGINS + timedelta(days=day), n) for n, day in enumerate(days)]
    ban = ban_of(7, "h1", visits, RULES, BEGINS + timedelta(days=today))
    struck = sorted(days)
    near = any(c - a <= 90 for a, c in zip(struck, struck[2:], strict=False))
    assert ban is None or (near and len(ban.codes) == 3)


def test_rules_from_outside_are_checked():
    with pytest.raises(ValidationError):
        BookingRules.model_validate({"hold_minutes": 0})
    with pytest.raises(ValidationError):
        BookingRules.model_validate({"hold_minute": 5})
    assert BookingRules.model_validate_json(RULES.model_dump_json()) == RULES


def test_a_seat_tells_all_its_bookings():
    live, old = missed(BEGINS, 1).booking, missed(BEGINS, 2).booking
    seat: Seat = replace(missed(BEGINS, 1).seat, past=(replace(old, outcome=Outcome.CANCELLED),))
    assert [(v.booking.code, v.state) for v in visits_of(seat)] == [
        ("c2", Outcome.CANCELLED),
        (live.code, State.MISSED),
    ]
