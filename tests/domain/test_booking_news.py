"""What a booking gives its people to hear of: when reminders ring, what is moot, what a text may say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.booking import Booking, Outcome, Seat, State, Transit, Visit, ended, kept, stepped
from server.domain.booking_moves import left
from server.domain.booking_news import News, change_of, is_told, lane_of, reminders
from server.domain.booking_words import SAYINGS, Facts, facts_of, frames_of, texts_of
from server.domain.broadcasts import Lane
from server.domain.china import CHINA
from server.domain.resources import Kind, Named, Resource, Service
from server.domain.schedules import Schedule
from server.domain.templates import segments, units, wechat_limit
from server.domain.wording import LANGUAGES, Words
from server.storage import catalogues

FRAMES = frames_of(catalogues.load_texts().templates)
DAY = date(2026, 11, 30)
BOOKED = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


def at(hour: int, minute: int = 0, *, day: date = DAY) -> datetime:
    """A time of China."""
    return datetime.combine(day, time(hour, minute), CHINA).astimezone(UTC)


def visit(begins_at: datetime, *, booked_at: datetime = BOOKED, holder: int = 1, **changes: object) -> Visit:
    booking = Booking("code", 1, holder, "k", booked_at, booked_at + timedelta(minutes=5), booked_at=booked_at)
    booking = replace(booking, **changes)  # type: ignore[arg-type] - fields of a booking
    seat = Seat(
        "s/0001", "s", "cardio-1", "h1", "cardio", begins_at.date(), begins_at, begins_at + timedelta(minutes=30),
        "online", 1, State.BOOKED, booking=booking,
    )  # fmt: skip
    return Visit(seat, booking)


def in_state(one: Visit, state: State) -> Visit:
    seat = stepped(one.seat, state, one.booking)
    return Visit(seat, one.booking)


def over(one: Visit, outcome: Outcome) -> Visit:
    done = ended(one.booking, BOOKED + timedelta(hours=1), outcome)
    return Visit(replace(kept(one.seat, done), state=State.FREE, booking=None), done)


def kinds(one: Visit, changed_at: datetime = BOOKED) -> dict[str, datetime]:
    return {entry.template: entry.due_at for entry in change_of(one, changed_at).entries}


@pytest.mark.parametrize(
    ("begins", "day_before", "hours_before"),
    [
        (at(10), at(10, day=date(2026, 11, 29)), at(8)),
        (at(14, 30), at(14, 30, day=date(2026, 11, 29)), at(12, 30)),
        (at(8), at(8, day=date(2026, 11, 29)), at(20, day=date(2026, 11, 29))),  # not at six: the evening before
        (at(9, 59), at(9, 59, day=date(2026, 11, 29)), at(20, day=date(2026, 11, 29))),
        (at(6, 30), at(8, day=date(2026, 11, 29)), at(20, day=date(2026, 11, 29))),
        (at(23), at(20, day=date(2026, 11, 29)), at(20)),
    ],
)
def test_reminders_ring_by_day_and_before_an_early_visit_the_evening_before(
    begins: datetime, day_before: datetime, hours_before: datetime
):
    assert reminders(begins) == {News.REMINDER_DAY: day_before, News.REMINDER_HOURS: hours_before}


@given(MOMENTS)
def test_every_reminder_rings_between_eight_and_eight_and_comes_before_its_visit(begins: datetime):
    due = reminders(begins)
    for kind, moment in due.items():
        assert time(8) <= moment.astimezone(CHINA).time() <= time(20)
        assert moment <= begins - timedelta(hours=2)
        assert is_told(kind, visit(begins), moment)
    assert due[News.REMINDER_DAY] < due[News.REMINDER_HOURS]


@given(MOMENTS, st.integers(0, 60 * 24 * 3))
def test_no_reminder_is_put_that_was_due_before_the_booking_or_within_the_hour(begins: datetime, minutes: int):
    booked_at = begins - timedelta(minutes=minutes)
    for entry in change_of(visit(begins, booked_at=booked_at), booked_at).entries:
        if entry.lane is Lane.REMINDER:
            assert entry.due_at >= booked_at + timedelta(hours=1)
            assert entry.due_at < entry.expires_at <= begins


def test_a_booking_is_confirmed_at_once_and_reminded_of_twice():
    assert kinds(visit(at(10))) == {
        "booking.confirmed": BOOKED,
        "booking.reminder_day": at(10, day=date(2026, 11, 29)),
        "booking.reminder_hours": at(8),
    }
    assert [lane_of(kind) for kind in (News.CONFIRMED, News.CLOSED, News.REMINDER_HOURS)] == [
        Lane.TRANSACTIONAL, Lane.TRANSACTIONAL, Lane.REMINDER,
    ]  # fmt: skip


def test_a_family_booking_is_told_to_whom_it_is_for_and_to_who_made_it():
    change = change_of(visit(at(10), holder=2), BOOKED)
    assert {(entry.citizen, entry.template) for entry in change.entries} == {
        (who, what)
        for who in (1, 2)
        for what in ("booking.confirmed", "booking.reminder_day", "booking.reminder_hours")
    }
    assert len({entry.key for entry in change.entries}) == 6
    assert {entry.about for entry in change.entries} == {"code"}


@pytest.mark.parametrize(
    ("key", "minutes", "expected"),
    [
        ("k", 5, {}),  # who took it is still at it
        ("k", 10, {"booking.hold_ends": 7}),
        ("waiting e1", 10, {}),
        ("waiting e1", 30, {"booking.offer_ends": 20}),
    ],
)
def test_a_kept_seat_is_told_of_before_it_goes_if_it_was_kept_long_enough(
    key: str, minutes: int, expected: dict[str, int]
):
    until = BOOKED + timedelta(minutes=minutes)
    one = visit(at(10), key=key, hold_until=until, booked_at=BOOKED)
    one = in_state(replace(one, booking=replace(one.booking, booked_at=None)), State.HELD)
    assert kinds(one) == {kind: BOOKED + timedelta(minutes=after) for kind, after in expected.items()}
    for entry in change_of(one, BOOKED).entries:
        assert is_told(News(entry.template), one, entry.due_at)
        assert not is_told(News(entry.template), one, entry.expires_at)
        page = facts_of(one, None).page
        assert page.startswith("pages/waiting/" if entry.template == "booking.offer_ends" else "pages/booking/")


def test_looking_again_comes_to_the_same_keys_and_takes_nothing_back():
    first, later = (change_of(visit(at(10)), BOOKED + timedelta(minutes=n)) for n in (0, 30))
    assert {entry.key for entry in first.entries} == {entry.key for entry in later.entries}
    assert first.moot == later.moot == ()


def test_a_moved_booking_takes_back_what_was_said_of_the_earlier_seat_and_nothing_else():
    before = change_of(visit(at(10)), BOOKED)
    moved = change_of(visit(at(15), moves=1, sequence=1), BOOKED + timedelta(hours=2))
    assert set(moved.moot) == {entry.key for entry in before.entries}
    assert {entry.key for entry in moved.entries}.isdisjoint(moved.moot)
    assert next(entry.template for entry in moved.entries) == "booking.moved"


def test_a_booking_on_its_way_says_nothing_and_takes_nothing_back():
    one = visit(at(10))
    seat = left(one, replace(one.seat, id="s/0002", booking=None), BOOKED)
    assert isinstance(seat.transit, Transit)
    assert seat.transit.booking
    change = change_of(Visit(seat, seat.transit.booking), BOOKED)
    assert (change.entries, change.moot) == ((), ())


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Outcome.CANCELLED, News.CANCELLED),
        (Outcome.WITHDRAWN, News.CANCELLED),
        (Outcome.CLOSED, News.CLOSED),
    ],
)
def test_whatever_was_put_is_moot_when_the_booking_ends(outcome: Outcome, kind: News):
    one = visit(at(10))
    done = over(one, outcome)
    change = change_of(done, BOOKED + timedelta(hours=1))
    assert [entry.template for entry in change.entries] == [kind.value]
    assert set(change.moot) == {entry.key for entry in change_of(one, BOOKED).entries}
    told = {each for each in News if is_told(each, done, at(9))}
    assert told == {kind}


def test_who_has_arrived_is_not_reminded_any_more_and_keeps_the_confirmation():
    there = in_state(visit(at(10)), State.CHECKED_IN)
    assert set(change_of(there, at(9)).moot) == {"code.0.booking.reminder_day", "code.0.booking.reminder_hours"}
    assert is_told(News.CONFIRMED, there, at(9))
    assert not is_told(News.REMINDER_HOURS, there, at(9))


def test_every_call_is_told_and_only_while_it_stands():
    calls = [in_state(visit(at(10), called_at=at(10, minute)), State.CALLED) for minute in (1, 7)]
    keys = [entry.key for call in calls for entry in change_of(call, at(10, 7)).entries]
    assert len(set(keys)) == 2
    done = in_state(calls[1], State.SERVED)
    assert keys[1] in change_of(done, at(10, 20)).moot
    assert not is_told(News.CALLED, done, at(10, 20))


def test_a_reminder_of_a_visit_that_was_moved_far_away_is_moot():
    moved = visit(at(10, day=date(2026, 12, 14)), moves=1)
    assert not is_told(News.REMINDER_DAY, moved, at(10, day=date(2026, 11, 29)))
    assert is_told(News.REMINDER_DAY, moved, at(10, day=date(2026, 12, 13)))


def test_old_news_is_not_put_again_when_its_seat_changes_much_later():
    assert change_of(over(visit(at(10)), Outcome.CANCELLED), BOOKED + timedelta(days=5)).entries == ()


RESOURCE = Resource(
    id="cardio-1", unit="h1", unit_name=Named(zh="市人民医院", en="City Hospital"), group="h1-cardio",
    group_name=Named(zh="心内科", en="Cardiology"), kind=Kind.HOSPITAL, name=Named(zh="李医生", en="Dr Li"),
    division="440305", services=(Service(code="visit", name=Named(zh="普通门诊")),), schedule=Schedule(weekly=()),
)  # fmt: skip


@pytest.mark.parametrize("kind", News)
def test_each_kind_of_news_names_time_and_place_in_both_languages(kind: News):
    texts = texts_of(kind, facts_of(visit(at(10)), RESOURCE), FRAMES[kind])
    bodies = [str(texts["push"][language]["body"]) for language in LANGUAGES]
    assert all(word in bodies[0] for word in ("市人民医院", "心内科 李医生"))
    assert all(word in bodies[1] for word in ("City Hospital", "Cardiology Dr Li"))
    if kind is not News.CALLED:
        assert "11月30日（周一）10:00" in bodies[0]
        assert "Mon 30 Nov 10:00" in bodies[1]
    assert texts["wechat"]["zh"]["page"] == "pages/booking/booking?id=code"


@given(st.sampled_from(News), st.text(max_size=300), st.text(max_size=300), st.text(max_size=300), MOMENTS)
def test_whatever_things_are_called_the_texts_fit_every_channel(
    kind: News, what: str, where: str, reason: str, moment: datetime
):
    facts = Facts(Words(what, what), Words(where, where), moment, "pages/booking/booking?id=c", reason, moment)
    texts = texts_of(kind, facts, FRAMES[kind])
    for language in LANGUAGES:
        push, wechat, sms = (texts[channel][language] for channel in ("push", "wechat", "sms"))
        assert 0 < units(str(push["title"])) <= 65
        assert 0 < units(str(push["body"])) <= 240
        data = wechat["data"]
        assert isinstance(data, dict)
        assert all(0 < units(value) <= wechat_limit(key) for key, value in data.items())
        assert segments(str(sms["text"])) == 1


def test_no_advice_is_cut_and_no_sms_names_anything():
    for kind, saying in SAYINGS.items():
        assert max(units(word) for word in saying.advice) <= 20, kind
        assert max(units(word) for word in saying.title) <= 20, kind
        facts = facts_of(visit(at(10)), RESOURCE)
        other = replace(facts, what=Words("x", "x"), where=Words("y", "y"), begins_at=at(11))
        assert texts_of(kind, facts, FRAMES[kind])["sms"] == texts_of(kind, other, FRAMES[kind])["sms"]
