"""A seat IS the booking: the states of one seat, and the pure steps from one to the next.

free -> held -> booked -> checked_in -> called -> served
  ^       |       |            missed <- booked, called (not there), and back to checked_in if the office says so
  |       |       +-> free (cancelled, moved), closed (停诊)
  +-------+ given up or expired: whoever comes after `open_at` may take it

A step takes a seat as it was read and returns it as it shall be, one version on; the store writes it only if nobody was
quicker. So there is no counter that can drift and nothing to be made good after a crash. `open_at` alone says from when
a seat can be taken: the day's release for a new one, some random time after the cancellation or the end of the hold for
one that somebody had, so that no one can hand a seat to a friend. What a seat was before stays in `past`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from server.domain import booking_refusals as refusals
from server.domain.china import CHINA, china_day
from server.domain.errors import HuiminError


class State(StrEnum):
    """Where a seat stands."""

    FREE = "free"
    HELD = "held"  # while the citizen fills in a form; expires
    BOOKED = "booked"
    CHECKED_IN = "checked_in"  # there, and waiting to be called
    CALLED = "called"
    SERVED = "served"
    MISSED = "missed"
    CLOSED = "closed"  # 停诊: nobody can take it
    AWAITED = "awaited"  # kept for a booking that is on its way here: see booking_moves
    LEFT = "left"  # its booking is on its way to another seat


class Outcome(StrEnum):
    """How a booking ended whose seat went on without it."""

    CANCELLED = "cancelled"  # by the citizen: a strike
    WITHDRAWN = "withdrawn"  # by the office
    CLOSED = "closed"  # its slot was closed: a replacement is due
    GIVEN_UP = "given_up"  # a hold that nobody keeps: only the answer to giving it up says so


@dataclass(frozen=True, slots=True)
class Booking:
    """One person's claim to a seat. `code` is public and stays the same when the booking moves to another seat."""

    code: str
    citizen: int  # whom it is for
    holder: int  # who made it; differs for family members
    key: str  # the holder's own name for the request: the same key never books twice
    held_at: datetime
    hold_until: datetime
    renewals: int = 0
    moves: int = 0
    sequence: int = 0  # of the calendar entry, RFC 5545: rises with each change of time or end
    booked_at: datetime | None = None
    checked_in_at: datetime | None = None
    queue_at: datetime | None = None  # the place in the queue: one's time, or when one came if that was later
    called_at: datetime | None = None
    ended_at: datetime | None = None  # served, missed, cancelled, closed
    outcome: Outcome | None = None
    reason: str = ""
    chain: str = ""  # the visit of several seats that this is one seat of, by the code of its first: see chains
    part: int = 0  # among that visit's seats in the same group on the same day
    excused_by: str = ""  # the officer who said that it is no strike
    service: str = ""  # which of the resource's services, if one was chosen

    @property
    def is_first(self) -> bool:
        """Whether it speaks for all that was booked with it: what is told of a visit is told once."""
        return not self.chain or self.code == self.chain

    @property
    def whole(self) -> str:
        """The code of all that was booked with it: one visit, one strike, one place among those that lie ahead."""
        return self.chain or self.code

    def is_lapsed(self, at: datetime) -> bool:
        """Whether the time to confirm is over."""
        return self.booked_at is None and at >= self.hold_until


@dataclass(frozen=True, slots=True)
class Transit:
    """One end of a move: the other seat, and on the seat that was left the booking itself."""

    code: str
    other: str
    until: datetime  # whoever moves it is thought dead from then on
    booking: Booking | None = None
    is_refused: bool = False  # this seat will not take it


@dataclass(frozen=True, slots=True)
class Slot:
    """A time at a resource. The id begins with the day and the resource: a prefix of it finds all of a day."""

    resource: str
    unit: str  # the institution: strikes and open bookings are counted there
    group: str  # one booking per person, group and day: a department, a kind of business
    begins_at: datetime
    ends_at: datetime

    @property
    def day(self) -> date:
        """The local day."""
        return china_day(self.begins_at)

    @property
    def id(self) -> str:
        """2026-11-25/sz-people-cardio-3/0830."""
        return f"{day_prefix(self.day, self.resource)}{self.begins_at.astimezone(CHINA):%H%M}"


def day_prefix(day: date, resource: str | None = None) -> str:
    """What the ids of all slots of a day, or of one resource on that day, begin with.

    >>> day_prefix(date(2026, 11, 25)), day_prefix(date(2026, 11, 25), "court-1")
    ('2026-11-25/', '2026-11-25/court-1/')
    """
    return f"{day.isoformat()}/" if resource is None else f"{day.isoformat()}/{resource}/"


@dataclass(frozen=True, slots=True)
class Seat:
    """One place in a slot. A seat that nobody can take (taken for good, or closed) has no `open_at`."""

    id: str  # <slot>/<rank>
    slot: str
    resource: str
    unit: str
    group: str
    day: date
    begins_at: datetime
    ends_at: datetime
    quota: str  # the channel it is for: online, phone, counter, elder
    rank: int  # its number within the slot; lower ones go first
    state: State = State.FREE
    open_at: datetime | None = None
    version: int = 0
    booking: Booking | None = None
    past: tuple[Booking, ...] = ()
    transit: Transit | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """A booking, live or ended, and the seat where it is or was."""

    seat: Seat
    booking: Booking

    @property
    def is_live(self) -> bool:
        """Whether the seat is still this booking's."""
        return self.booking.outcome is None

    @property
    def state(self) -> State | Outcome:
        """The seat's state while the booking lives, else how it ended."""
        return self.booking.outcome or self.seat.state


@dataclass(frozen=True, slots=True)
class Ask:
    """What a citizen wants: a seat of this quota in this slot, for `citizen`, asked for by `holder` under `key`."""

    slot: str
    quota: str
    citizen: int
    holder: int
    key: str
    service: str = ""


def seats_of(slot: Slot, places: Mapping[str, int], open_at: datetime, *, first: int = 1) -> list[Seat]:
    """All seats of a slot, numbered on from `first` in the order of the quotas given."""
    quotas = [quota for quota, count in places.items() for _ in range(count)]
    return [
        Seat(
            id=f"{slot.id}/{rank:04}",
            slot=slot.id,
            resource=slot.resource,
            unit=slot.unit,
            group=slot.group,
            day=slot.day,
            begins_at=slot.begins_at,
            ends_at=slot.ends_at,
            quota=quota,
            rank=rank,
            open_at=open_at,
        )
        for rank, quota in enumerate(quotas, first)
    ]


def visits_of(seat: Seat) -> list[Visit]:
    """Every booking this seat has known, oldest first."""
    live = seat.booking or (seat.transit and seat.transit.booking)
    return [Visit(seat, booking) for booking in (*seat.past, *([live] if live else []))]


def visit_in(seat: Seat, code: str) -> Visit | None:
    """The booking with this code on this seat."""
    return next((visit for visit in visits_of(seat) if visit.booking.code == code), None)


def known(ask: Ask, visits: Sequence[Visit], at: datetime) -> Visit | HuiminError | None:
    """What the same holder got for the same key; a hold that ran out before it was confirmed is nothing.

    The key of another request is refused; a booking that was moved is the same request all the same.
    """
    for visit in visits:
        booking = visit.booking
        if (booking.holder, booking.key) != (ask.holder, ask.key) or booking.is_lapsed(at):
            continue
        is_other = (booking.citizen, booking.service) != (ask.citizen, ask.service)
        if is_other or (visit.seat.slot != ask.slot and not booking.moves):
            return refusals.key_reused()
        return visit
    return None


# The steps. Each returns the seat one version on, the same seat if the step was done before, or why it may not be done.
Stepped = Seat | HuiminError


def taken(seat: Seat, booking: Booking, spread: timedelta) -> Seat:
    """Held for somebody; from the end of the hold and a random `spread` on, others may take it."""
    return replace(
        seat, state=State.HELD, open_at=booking.hold_until + spread, version=seat.version + 1, booking=booking
    )


def confirmed(visit: Visit, at: datetime) -> Stepped:
    """A held seat is booked. The hold's end is decided here, and by the version that is written against."""
    seat, booking = visit.seat, visit.booking
    if not visit.is_live:
        return refusals.booking_over()
    if seat.state is not State.HELD:
        return seat
    if booking.is_lapsed(at):
        return refusals.hold_expired()
    return stepped(seat, State.BOOKED, replace(booking, booked_at=at))


def renewed(visit: Visit, at: datetime, hold: timedelta, limit: int, spread: timedelta) -> Stepped:
    """A hold lasts longer, so often."""
    seat, booking = visit.seat, visit.booking
    if not visit.is_live:
        return refusals.booking_over()
    if seat.state is not State.HELD:
        return refusals.booking_state()
    if booking.is_lapsed(at):
        return refusals.hold_expired()
    if booking.renewals >= limit:
        return refusals.renew_limit()
    return taken(seat, replace(booking, renewals=booking.renewals + 1, hold_until=at + hold), spread)


def cancelled(visit: Visit, at: datetime, until: datetime, spread: timedelta, *, by_office: bool = False) -> Stepped:
    """The seat is free again after a random `spread`. A hold is given up without a trace and at any time."""
    seat, booking = visit.seat, visit.booking
    if not visit.is_live:
        return seat
    if seat.state is State.HELD:
        return freed(seat, at + spread)
    if seat.state is not State.BOOKED:
        return refusals.booking_state()
    if not by_office and at >= until:
        return refusals.cut_off(until)
    outcome = Outcome.WITHDRAWN if by_office else Outcome.CANCELLED
    return freed(kept(seat, ended(booking, at, outcome)), at + spread)


def freed(seat: Seat, open_at: datetime) -> Seat:
    """Nobody's, to be taken from then on."""
    return replace(seat, state=State.FREE, open_at=open_at, version=seat.version + 1, booking=None, transit=None)


def may_leave(visit: Visit, at: datetime, until: datetime | None, most_moves: int) -> HuiminError | None:
    """Whether a booking may give up its seat for another one."""
    if not visit.is_live:
        return refusals.booking_over()
    if visit.seat.state is not State.BOOKED:
        return refusals.booking_state()
    if until and at >= until:
        return refusals.cut_off(until)
    return refusals.move_limit(most_moves) if visit.booking.moves >= most_moves else None


def checked_in(visit: Visit, at: datetime, early: timedelta, grace: timedelta) -> Stepped:
    """Arrived. Who comes after the own time queues from then on; who comes after the grace has missed it."""
    seat, booking = visit.seat, visit.booking
    if not visit.is_live:
        return refusals.booking_over()
    if seat.state in (State.CHECKED_IN, State.CALLED, State.SERVED):
        return seat
    if seat.state is not State.BOOKED:
        return refusals.booking_state()
    if at < seat.begins_at - early:
        return refusals.too_early(seat.begins_at - early)
    if at > seat.begins_at + grace:
        return refusals.too_late(int(grace.total_seconds() // 60))
    return stepped(seat, State.CHECKED_IN, replace(booking, checked_in_at=at, queue_at=max(at, seat.begins_at)))


def served(visit: Visit, at: datetime) -> Stepped:
    """Done, after being called."""
    return _ended(visit, State.SERVED, (State.CALLED,), at)


def missed(visit: Visit, at: datetime, grace: timedelta) -> Stepped:
    """Not there: booked and the grace is over, or called in vain."""
    if visit.seat.state is State.BOOKED and at <= visit.seat.begins_at + grace:
        return refusals.booking_state()
    return _ended(visit, State.MISSED, (State.BOOKED, State.CALLED), at)


def requeued(visit: Visit, at: datetime) -> Stepped:
    """Back into the queue, behind those who are waiting: was called in vain, or came late and the office is kind."""
    if visit.is_live and visit.seat.state is State.CHECKED_IN:
        return visit.seat
    if not visit.is_live or visit.seat.state not in (State.CALLED, State.MISSED):
        return refusals.booking_state()
    booking = replace(visit.booking, queue_at=at, called_at=None, ended_at=None)
    return stepped(visit.seat, State.CHECKED_IN, replace(booking, checked_in_at=booking.checked_in_at or at))


def excused(visit: Visit, officer: str, reason: str) -> Stepped:
    """This booking is no strike."""
    if visit.booking.excused_by:
        return visit.seat
    if visit.state not in (State.MISSED, Outcome.CANCELLED):
        return refusals.booking_state()
    new = replace(visit.booking, excused_by=officer, reason=reason)
    if visit.is_live:
        return stepped(visit.seat, visit.seat.state, new)
    past = tuple(new if booking.code == new.code else booking for booking in visit.seat.past)
    return replace(visit.seat, past=past, version=visit.seat.version + 1)


def closed(seat: Seat, at: datetime, reason: str) -> Seat:
    """停诊: nobody can take it; a booking on it ends without a strike. What has been served or missed stays.

    A seat with a move under way is left to `booking_moves` first.
    """
    if seat.state in (State.CLOSED, State.SERVED, State.MISSED):
        return seat
    if seat.booking and seat.state is not State.HELD:
        seat = kept(seat, replace(ended(seat.booking, at, Outcome.CLOSED), reason=reason))
    return replace(seat, state=State.CLOSED, open_at=None, version=seat.version + 1, booking=None)


def reopened(seat: Seat, open_at: datetime) -> Seat:
    """A closed seat can be taken again; who had it before has lost it."""
    return freed(seat, open_at) if seat.state is State.CLOSED else seat


def ended(booking: Booking, at: datetime, outcome: Outcome) -> Booking:
    """Over, with a newer calendar entry that says so."""
    return replace(booking, ended_at=at, outcome=outcome, sequence=booking.sequence + 1)


def _ended(visit: Visit, state: State, before: Sequence[State], at: datetime) -> Stepped:
    if not visit.is_live:
        return refusals.booking_over()
    if visit.seat.state is state:
        return visit.seat
    if visit.seat.state not in before:
        return refusals.booking_state()
    return stepped(visit.seat, state, replace(visit.booking, ended_at=at))


def stepped(seat: Seat, state: State, booking: Booking) -> Seat:
    """The seat in its next state, with the booking as it is then; nobody else can take it."""
    return replace(seat, state=state, open_at=None, version=seat.version + 1, booking=booking)


def kept(seat: Seat, booking: Booking) -> Seat:
    """With this ended booking among what it was before."""
    return replace(seat, past=(*seat.past, booking))
