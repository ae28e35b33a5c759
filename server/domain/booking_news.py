"""What a booking gives its people to hear of, and when. Pure.

Everything follows from the booking as it stands: whoever looks at it later, or twice, comes to the same notices under
the same keys. A key names the booking, how often it was moved and the kind of news, so what was true of an earlier seat
can be taken back by name. It does not name the calendar's SEQUENCE: that also rises with a move that was given up
(`booking_moves.restored`), of which nobody need hear.

A reminder rings between eight in the morning and eight in the evening. One that would come in the night before an early
visit comes the evening before; a person's own quiet hours hold besides, as for every notice.

A seat that is held, or offered to who waits, is told of once more shortly before it goes to somebody else; not if it
was held for so short a time that whoever took it is still at it. A hold that was extended has a reminder of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from enum import StrEnum

from server.domain.booking import Booking, Outcome, State, Visit
from server.domain.broadcasts import Lane
from server.domain.china import CHINA
from server.domain.outbox import Entry, Standing
from server.domain.waiting import entry_of

TOPIC = "booking"
DAY = timedelta(days=1)
AHEAD = timedelta(hours=2)
MORNING, EVENING = time(8), time(20)  # in China: a reminder rings from the one to the other
APART = timedelta(hours=1)  # who has booked within the hour needs no reminder yet
CALL_LASTS = timedelta(minutes=15)
CALL_WAIT_S = 20.0  # before the next channel is tried: somebody stands at a counter


class News(StrEnum):
    """What can be told; the values are the names of templates."""

    CONFIRMED = "booking.confirmed"
    MOVED = "booking.moved"
    CANCELLED = "booking.cancelled"  # by the citizen, or for a reason of its own by the office
    CLOSED = "booking.closed"  # 停诊
    REMINDER_DAY = "booking.reminder_day"
    REMINDER_HOURS = "booking.reminder_hours"
    CALLED = "booking.called"
    OFFERED = "booking.offered"  # 候补: told by the waiting list, in the words of `booking_words`
    HOLD_ENDS = "booking.hold_ends"  # a seat that is held will be free again in minutes
    OFFER_ENDS = "booking.offer_ends"  # the same of one that was offered to who waits


# How long before its end a kept seat is told of, and how long it has to be kept for that to be of use.
ENDS = {
    News.HOLD_ENDS: (timedelta(minutes=3), timedelta(minutes=8)),
    News.OFFER_ENDS: (timedelta(minutes=10), timedelta(minutes=20)),
}
ON_SCREEN = ("wechat", "push")  # an SMS would come too late, and cost more than it is worth
REMINDERS = (News.REMINDER_DAY, News.REMINDER_HOURS)
OF_EACH = (News.CALLED, News.CLOSED)  # of a visit of several seats, told of each; all else only of its first
# How long before a visit a reminder may still be of this visit and not of the one it was moved away from.
_EARLIEST = {News.REMINDER_DAY: timedelta(hours=30), News.REMINDER_HOURS: timedelta(hours=15)}
_KEPT = frozenset({State.BOOKED, State.CHECKED_IN, State.CALLED, State.SERVED, State.MISSED})


@dataclass(frozen=True, slots=True)
class Change:
    """What one look at a booking comes to: notices that shall wait, and keys of those that are not true any more."""

    entries: tuple[Entry, ...]
    moot: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Item:
    kind: News
    key: str
    due_at: datetime
    expires_at: datetime


def lane_of(kind: News) -> Lane:
    """Reminders give way to what somebody waits for."""
    return Lane.REMINDER if kind in REMINDERS else Lane.TRANSACTIONAL


def standing_of(kind: News, wechat_template: str) -> Standing:
    """The template of this kind of news, for whoever tells it."""
    usual = Standing(kind.value, lane_of(kind), TOPIC, wechat_template)
    if kind in ENDS:
        return replace(usual, wait_s=CALL_WAIT_S, order=ON_SCREEN)
    return replace(usual, wait_s=CALL_WAIT_S) if kind is News.CALLED else usual


def reminders(begins_at: datetime) -> dict[News, datetime]:
    """When to remind of a visit that begins then.

    >>> at = reminders(datetime(2026, 11, 30, 8, 0, tzinfo=CHINA))[News.REMINDER_HOURS]
    >>> at.astimezone(CHINA).isoformat()
    '2026-11-29T20:00:00+08:00'
    """
    return {
        News.REMINDER_DAY: _ringing(begins_at - DAY, late=MORNING),
        News.REMINDER_HOURS: _ringing(begins_at - AHEAD, late=None),
    }


def is_told(kind: News, visit: Visit, now: datetime) -> bool:
    """Whether this is (still) to be said of this booking."""
    state = visit.state
    match kind:
        case News.CONFIRMED | News.MOVED:
            is_so = state in _KEPT
        case News.CANCELLED:
            is_so = state in (Outcome.CANCELLED, Outcome.WITHDRAWN)
        case News.CLOSED:
            is_so = state is Outcome.CLOSED
        case News.CALLED:
            is_so = state is State.CALLED
        case News.REMINDER_DAY | News.REMINDER_HOURS:
            left = visit.seat.begins_at - now
            is_so = state is State.BOOKED and timedelta(0) < left <= _EARLIEST[kind]
        case News.HOLD_ENDS | News.OFFER_ENDS:
            is_so = state is State.HELD and _is_ending(visit.booking, kind, now)
        case News.OFFERED:  # told by the waiting list
            is_so = False
    return is_so


def change_of(visit: Visit, changed_at: datetime) -> Change:
    """All that a booking's people have to hear, of the booking as it was written at `changed_at`.

    What would have been late by then is left out: it was told at an earlier change, or nobody needs it any more.
    """
    people = _people(visit.booking)
    entries = tuple(
        Entry(
            key=f"{item.key}{mark}",
            template=item.kind.value,
            citizen=person,
            about=visit.booking.code,
            lane=lane_of(item.kind),
            due_at=item.due_at,
            expires_at=item.expires_at,
        )
        for item in _items(visit, changed_at)
        if item.expires_at > changed_at and (visit.booking.is_first or item.kind in OF_EACH)
        for mark, person in people.items()
        if item.kind is not News.HOLD_ENDS or person == visit.booking.holder  # who has it before them
    )
    return Change(entries, tuple(f"{key}{mark}" for key in _moot(visit) for mark in people))


def _items(visit: Visit, changed_at: datetime) -> Iterator[_Item]:
    booking, seat, state = visit.booking, visit.seat, visit.state
    if state is State.BOOKED and booking.booked_at:
        kind, since = (News.MOVED, changed_at) if booking.moves else (News.CONFIRMED, booking.booked_at)
        yield _Item(kind, _key(booking, booking.moves, kind), since, since + DAY)
        due = reminders(seat.begins_at)
        ends = {News.REMINDER_DAY: max(due[News.REMINDER_HOURS], due[News.REMINDER_DAY] + AHEAD)}
        for reminder, due_at in due.items():
            if due_at >= since + APART:
                expires_at = min(ends.get(reminder, seat.begins_at), seat.begins_at)
                yield _Item(reminder, _key(booking, booking.moves, reminder), due_at, expires_at)
    elif state is State.HELD and booking.booked_at is None:
        kind = _ends(booking)
        before, at_least = ENDS[kind]
        if booking.hold_until - changed_at >= at_least:
            yield _Item(kind, _ends_key(booking), booking.hold_until - before, booking.hold_until)
    elif state is State.CALLED and booking.called_at:
        yield _Item(News.CALLED, _call_key(booking, booking.called_at), booking.called_at, _after_call(booking))
    elif not visit.is_live and booking.ended_at:
        kind = News.CLOSED if state is Outcome.CLOSED else News.CANCELLED
        yield _Item(kind, _key(booking, booking.moves, kind), booking.ended_at, booking.ended_at + DAY)


def _moot(visit: Visit) -> Iterator[str]:
    """Keys of what may have been put about this booking and is true no more; none while it is on its way."""
    booking, state = visit.booking, visit.state
    if state is State.LEFT:
        return
    for moves in range(booking.moves + 1):
        is_over = moves < booking.moves or not visit.is_live
        if is_over:
            yield _key(booking, moves, News.MOVED if moves else News.CONFIRMED)
        if is_over or state not in (State.HELD, State.BOOKED):
            yield from (_key(booking, moves, reminder) for reminder in REMINDERS)
    if state is not State.HELD and booking.hold_until - booking.held_at >= ENDS[_ends(booking)][1]:
        yield _ends_key(booking)
    if booking.called_at and state is not State.CALLED:
        yield _call_key(booking, booking.called_at)


def _ringing(at: datetime, *, late: time | None) -> datetime:
    """The time itself if it is day; after the evening, that evening; before the morning `late`, or the evening before.

    Evening comes before the visit in any case, and so does the morning of the day before it.
    """
    local = at.astimezone(CHINA)
    if local.time() > EVENING:
        moved = datetime.combine(local.date(), EVENING, CHINA)
    elif local.time() >= MORNING:
        return at
    elif late:
        moved = datetime.combine(local.date(), late, CHINA)
    else:
        moved = datetime.combine(local.date() - DAY, EVENING, CHINA)
    return moved.astimezone(at.tzinfo)


def _after_call(booking: Booking) -> datetime:
    assert booking.called_at is not None
    return booking.called_at + CALL_LASTS


def _people(booking: Booking) -> dict[str, int]:
    """By what their keys end with: whom it is for, and who made it if that is somebody else."""
    return {"": booking.citizen} | ({".h": booking.holder} if booking.holder != booking.citizen else {})


def _key(booking: Booking, moves: int, kind: News) -> str:
    return f"{booking.code}.{moves}.{kind.value}"


def _is_ending(booking: Booking, kind: News, now: datetime) -> bool:
    return _ends(booking) is kind and timedelta(0) < booking.hold_until - now <= ENDS[kind][0]


def _ends(booking: Booking) -> News:
    return News.OFFER_ENDS if entry_of(booking) else News.HOLD_ENDS


def _ends_key(booking: Booking) -> str:
    """Of this end: a hold may be extended."""
    return f"{booking.code}.{int(booking.hold_until.timestamp())}.{_ends(booking).value}"


def _call_key(booking: Booking, called_at: datetime) -> str:
    return f"{booking.code}.{int(called_at.timestamp())}.{News.CALLED.value}"
