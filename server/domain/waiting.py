"""The waiting list (候补): who wants a seat that comes free, and which seat is offered to whom. Pure.

An entry only says what is wanted. Whether something is offered to it now, or was taken, is told by the seats: an offer
is a hold under the entry's own key, so nobody has two offers for one wish, and no seat is offered twice. What an entry
keeps besides is which offers it has had, so that nobody is asked the same thing again.

Who lost a booking because it was closed goes before all others. Everybody else goes by the time of asking.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import IntEnum, StrEnum

from server.domain.booking import Ask, Booking, Seat, Slot, State, Visit, taken
from server.domain.booking_rules import BookingRules, may_book, may_replace
from server.domain.china import CHINA, china_day
from server.domain.errors import ConflictError, HuiminError, InvalidInputError, NotFoundError

MOST_ENTRIES = 5  # of one person at a time; those that replace a closed booking do not count
MOST_DAYS = 14
MOST_OFFERS = 3  # then somebody else shall have a turn
SOON = timedelta(hours=12)  # a seat so near is offered at any hour
SHORTEST = timedelta(minutes=5)  # an offer that would end sooner is none
DECENT_FROM, DECENT_UNTIL = time(8), time(21)  # in China; the clock of an offer runs only then
REPLACEMENT_DAYS = 14
HOLD_KEY = "waiting "


class Priority(IntEnum):
    """Who goes first."""

    CLOSED = 0  # their booking was closed by the office
    USUAL = 1


class Stage(StrEnum):
    """Where an entry stands."""

    WAITING = "waiting"  # also while something is offered to it
    DONE = "done"  # took an offer
    WITHDRAWN = "withdrawn"
    OVER = "over"  # its last day has begun, or it had its offers


@dataclass(frozen=True, slots=True)
class Offer:
    """A seat that was offered. `code` is the hold's, and the booking's if it is taken."""

    code: str
    seat: str
    slot: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """What one person waits for: a seat of that quota in the group, or at one resource of it, on one of those days."""

    id: str  # public: 128 random bits
    citizen: int
    holder: int
    key: str  # the holder's own name for the request
    group: str
    unit: str
    quota: str
    first_day: date
    last_day: date
    asked_at: datetime
    resource: str | None = None
    priority: Priority = Priority.USUAL
    stage: Stage = Stage.WAITING
    offers: tuple[Offer, ...] = ()
    replaces: str = ""  # the code of the booking that was closed

    @property
    def hold_key(self) -> str:
        """The key of its holds. No request of a citizen can have it: it has a blank."""
        return f"{HOLD_KEY}{self.id}"

    @property
    def days(self) -> list[date]:
        """All of them."""
        return [self.first_day + timedelta(days=n) for n in range((self.last_day - self.first_day).days + 1)]

    @property
    def order(self) -> tuple[int, datetime, str]:
        """Who comes first."""
        return self.priority, self.asked_at, self.id

    def wants(self, seat: Seat) -> bool:
        """Whether this is what it waits for, and it was not offered before."""
        return (
            seat.group == self.group
            and seat.quota == self.quota
            and self.resource in (None, seat.resource)
            and self.first_day <= seat.day <= self.last_day
            and all(offer.slot != seat.slot for offer in self.offers)
        )

    def ask(self, slot: str) -> Ask:
        """The same as a request for a seat there."""
        return Ask(slot, self.quota, self.citizen, self.holder, self.hold_key)


def refused_days(first: date, last: date, at: datetime) -> HuiminError | None:
    """Why nobody can wait for these days."""
    today = china_day(at)
    if first < today or not timedelta(0) <= last - first < timedelta(days=MOST_DAYS):
        return InvalidInputError(
            "waiting_days",
            zh=f"候补日期须从今天起，最多连续{MOST_DAYS}天，请重新选择",
            en=f"wait for today or later, at most {MOST_DAYS} days in a row: choose the days again",
            field="last_day",
        )
    return None


def waiting_limit() -> ConflictError:
    """As many wishes as one person may have."""
    return ConflictError(
        "waiting_limit",
        zh=f"最多同时候补{MOST_ENTRIES}项，请先取消其中一项",
        en=f"no more than {MOST_ENTRIES} wishes wait at once: take one back first",
    )


def waiting_unknown() -> NotFoundError:
    """No such entry, or not theirs."""
    return NotFoundError(
        "waiting_unknown",
        zh="没有这项候补，请在“我的候补”中核对",
        en="no such entry: check the list of what you wait for",
        field="entry",
    )


def no_offer() -> ConflictError:
    """Nothing is offered to it now."""
    return ConflictError(
        "offer_over",
        zh="该候补号已过期或已放弃，如仍在候补，有新号会再通知您",
        en="this offer has ended: if you still wait, the next one will be told to you",
    )


def entry_of(booking: Booking) -> str:
    """The entry that this is an offer to; "" for any other booking."""
    return booking.key.removeprefix(HOLD_KEY) if booking.key.startswith(HOLD_KEY) else ""


def offer_until(at: datetime, begins_at: datetime, rules: BookingRules) -> datetime | None:
    """Until when a seat is kept for whom it is offered to; None: too late for that.

    Its minutes run in decent hours only, so that nobody loses a seat asleep, unless the slot is so near that waiting
    for the morning would waste it.
    """
    last = min(begins_at, rules.book_until.moment(begins_at))
    minutes = timedelta(minutes=rules.offer_minutes)
    until = at + minutes
    if begins_at - at > SOON:
        until = max(at, _morning(at)) + minutes
        if _is_night(until):
            until = _morning(until) + (until - _evening(until))
    until = min(until, last)
    return until if until - at >= SHORTEST else None


def offered(seat: Seat, entry: Entry, code: str, at: datetime, until: datetime, spread: timedelta) -> Seat:
    """The seat held for the one who waits."""
    return taken(seat, Booking(code, entry.citizen, entry.holder, entry.hold_key, at, until), spread)


def is_grantable(seat: Seat, at: datetime) -> bool:
    """Whether nobody has it: free, or a hold that has run out."""
    if seat.open_at is None:
        return False
    return seat.state is State.FREE or (
        seat.state is State.HELD and seat.booking is not None and seat.booking.is_lapsed(at)
    )


@dataclass(frozen=True, slots=True)
class Scene:
    """What decides who is offered what: known slots with their rules, and each person's history."""

    slots: Mapping[str, tuple[Slot, BookingRules]]
    visits: Mapping[int, Sequence[Visit]]
    at: datetime
    barred: Collection[tuple[str, str]] = field(default_factory=frozenset)  # (entry, slot) that an index refused

    def fits(self, entry: Entry, seat: Seat) -> datetime | None:
        """Until when this seat may be offered to this entry; None: it may not."""
        if not entry.wants(seat) or seat.slot not in self.slots or (entry.id, seat.slot) in self.barred:
            return None
        slot, rules = self.slots[seat.slot]
        both = (*self.visits.get(entry.citizen, ()), *self.visits.get(entry.holder, ()))
        own = list({visit.booking.code: visit for visit in both}.values())
        may = may_replace if entry.priority is Priority.CLOSED else may_book
        if may(entry.ask(seat.slot), slot, rules, own, self.at):
            return None
        return offer_until(self.at, seat.begins_at, rules)


@dataclass(frozen=True, slots=True)
class Grant:
    """This seat for this entry until then, by these rules."""

    entry: Entry
    seat: Seat
    until: datetime
    rules: BookingRules


def grants(entries: Sequence[Entry], seats: Sequence[Seat], scene: Scene) -> list[Grant]:
    """Who is offered what now: in the order of the list, each the earliest seat that fits.

    So no seat goes to somebody while one who came before and whom it fits is left with nothing.
    """
    left = sorted((seat for seat in seats if is_grantable(seat, scene.at)), key=lambda s: (s.begins_at, s.id))
    found: list[Grant] = []
    busy: set[int] = set()  # of one person one at a time: limits see what came before
    for entry in sorted(entries, key=lambda each: each.order):
        if busy & {entry.citizen, entry.holder}:
            continue
        for seat in left:
            if until := scene.fits(entry, seat):
                found.append(Grant(entry, seat, until, scene.slots[seat.slot][1]))
                left.remove(seat)
                busy |= {entry.citizen, entry.holder}
                break
    return found


def is_over(entry: Entry, at: datetime) -> bool:
    """Whether nothing will be offered to it any more."""
    return china_day(at) > entry.last_day or (len(entry.offers) >= MOST_OFFERS and at >= entry.offers[-1].until)


def replacement(visit: Visit, id_: str, at: datetime) -> Entry:
    """The wish of one whose booking was closed: the same group and quota, from that day or today on.

    Of a visit of several seats: one wish, for the part that was closed.
    """
    seat, booking = visit.seat, visit.booking
    first = max(china_day(at), seat.day)
    return Entry(
        id=id_,
        citizen=booking.citizen,
        holder=booking.holder,
        key=f"replaces {booking.whole}",
        group=seat.group,
        unit=seat.unit,
        quota=seat.quota,
        first_day=first,
        last_day=first + timedelta(days=REPLACEMENT_DAYS - 1),
        asked_at=at,
        priority=Priority.CLOSED,
        replaces=booking.code,
    )


def _is_night(moment: datetime) -> bool:
    return not DECENT_FROM <= moment.astimezone(CHINA).time() < DECENT_UNTIL


def _morning(moment: datetime) -> datetime:
    """The moment itself by day, else when the next day begins to be decent."""
    local = moment.astimezone(CHINA)
    if not _is_night(moment):
        return moment
    day = local.date() if local.time() < DECENT_FROM else local.date() + timedelta(days=1)
    return datetime.combine(day, DECENT_FROM, CHINA)


def _evening(moment: datetime) -> datetime:
    """When the decent hours ended before this moment of the night."""
    local = moment.astimezone(CHINA)
    day = local.date() if local.time() >= DECENT_UNTIL else local.date() - timedelta(days=1)
    return datetime.combine(day, DECENT_UNTIL, CHINA)
