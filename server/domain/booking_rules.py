"""Who may book what and when: a unit's rules as data, and the verdicts that follow from them and a person's history.

Nothing here is national law; the defaults are what live hospitals publish. A ban is not stored anywhere: it follows
from the history, so lifting one means excusing its strikes, and both are explained to the citizen from the same facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from pydantic import BaseModel, ConfigDict, Field

from server.domain import booking_refusals as refusals
from server.domain.booking import Ask, Outcome, Seat, Slot, State, Visit
from server.domain.china import CHINA, china_day
from server.domain.errors import HuiminError


class CutOff(BaseModel):
    """A last moment before a slot: a clock time some days before its day, or so many minutes before it begins."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: int = Field(default=0, ge=0, le=60)
    at: time | None = Field(default=None, description="in China; with `days` 1 and 15:00: the day before at three")
    minutes: int = Field(default=0, ge=0, le=60 * 24 * 60, description="if no clock time is given")

    def moment(self, begins_at: datetime) -> datetime:
        """When it is over for a slot that begins then."""
        if self.at is None:
            return begins_at - timedelta(days=self.days, minutes=self.minutes)
        return datetime.combine(china_day(begins_at) - timedelta(days=self.days), self.at, CHINA)


class Penalty(BaseModel):
    """So many strikes within a period ban for so long; a strike counts towards one ban only."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strike: State | Outcome = Field(description="missed, or cancelled")
    strikes: int = Field(ge=1, le=100)
    period_days: int = Field(ge=1, le=366)
    ban_days: int = Field(ge=1, le=366)


PENALTIES = (
    Penalty(strike=State.MISSED, strikes=3, period_days=90, ban_days=90),
    Penalty(strike=Outcome.CANCELLED, strikes=3, period_days=30, ban_days=30),
)


class BookingRules(BaseModel):
    """Rules of a resource. All clock times are China's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    window_days: int = Field(default=7, ge=0, le=366, description="how many days ahead a day is opened")
    release_time: time = Field(default=time(6, 30), description="at what time of day it is opened")
    book_until: CutOff = CutOff(minutes=30)
    cancel_until: CutOff = CutOff(days=1, at=time(15, 0))
    hold_minutes: int = Field(default=10, ge=1, le=120)
    renewals: int = Field(default=1, ge=0, le=10, description="how often a hold may be extended")
    moves: int = Field(default=2, ge=0, le=20, description="how often a booking may be moved")
    max_open: int = Field(default=5, ge=1, le=100, description="bookings of one person ahead at one unit")
    offer_minutes: int = Field(default=30, ge=5, le=24 * 60, description="how long who waits may think an offer over")
    rerelease_max_s: int = Field(default=600, ge=0, le=86_400, description="a freed seat shows within this, at random")
    check_in_opens_minutes: int = Field(default=120, ge=0, le=24 * 60)
    grace_minutes: int = Field(default=30, ge=0, le=24 * 60, description="later than this is missed")
    penalties: tuple[Penalty, ...] = PENALTIES

    def opens_at(self, slot: Slot) -> datetime:
        """When the slot's day is opened for booking; also the `open_at` that its seats are made with."""
        first = china_day(slot.begins_at) - timedelta(days=self.window_days)
        return datetime.combine(first, self.release_time, CHINA)

    @property
    def memory_days(self) -> int:
        """How far back a history can still matter."""
        return max((p.period_days + p.ban_days for p in self.penalties), default=0)


@dataclass(frozen=True, slots=True)
class Ban:
    """No booking at a unit until then, because of these bookings (public codes)."""

    until: datetime
    penalty: Penalty
    codes: tuple[str, ...]


def ban_of(citizen: int, unit: str, visits: Sequence[Visit], rules: BookingRules, at: datetime) -> Ban | None:
    """The ban that is in force, the longest if several are; visits of other people and units do not count."""
    excused = {v.booking.whole for v in visits if v.booking.excused_by}
    own = [v for v in visits if v.booking.citizen == citizen and v.seat.unit == unit and v.booking.whole not in excused]
    bans = [ban for penalty in rules.penalties if (ban := _ban(penalty, own)) and ban.until > at]
    return max(bans, key=lambda ban: ban.until, default=None)


def _ban(penalty: Penalty, visits: Sequence[Visit]) -> Ban | None:
    last: Ban | None = None
    open_strikes: list[tuple[datetime, str]] = []
    period = timedelta(days=penalty.period_days)
    strikes: dict[str, tuple[datetime, str]] = {}  # of a visit of several seats: one
    for when, visit in sorted(((_struck_at(v), v) for v in visits if v.state == penalty.strike), key=_by_time):
        strikes.setdefault(visit.booking.whole, (when, visit.booking.code))
    for when, code in strikes.values():
        open_strikes = [strike for strike in open_strikes if when - strike[0] <= period] + [(when, code)]
        if len(open_strikes) >= penalty.strikes:
            last = Ban(when + timedelta(days=penalty.ban_days), penalty, tuple(code for _, code in open_strikes))
            open_strikes = []
    return last


def _by_time(strike: tuple[datetime, Visit]) -> tuple[datetime, str]:
    return strike[0], strike[1].booking.code


def _struck_at(visit: Visit) -> datetime:
    return visit.booking.ended_at or visit.seat.begins_at


def may_book(ask: Ask, slot: Slot, rules: BookingRules, visits: Sequence[Visit], at: datetime) -> HuiminError | None:
    """Why this may not be booked, or None, if a seat is free. `visits`: all of the citizen's and the holder's."""
    return (
        in_window(slot, rules, at)
        or _conflict(ask.citizen, slot, visits, at)
        or _hold(ask, slot, visits, at)
        or _ban_verdict(ask, slot, rules, visits, at)
        or _open(ask, slot, rules, visits, at)
    )


def may_replace(ask: Ask, slot: Slot, rules: BookingRules, visits: Sequence[Visit], at: datetime) -> HuiminError | None:
    """The same for one whose booking the office has ended: neither a ban nor a limit stands in the way."""
    return in_window(slot, rules, at) or _conflict(ask.citizen, slot, visits, at) or _hold(ask, slot, visits, at)


def in_window(slot: Slot, rules: BookingRules, at: datetime) -> HuiminError | None:
    """Whether the slot can be booked by anybody now."""
    if at >= min(slot.begins_at, rules.book_until.moment(slot.begins_at)):
        return refusals.slot_past()
    opens_at = rules.opens_at(slot)
    return refusals.window_closed(opens_at) if at < opens_at else None


def may_move(
    visit: Visit, slot: Slot, rules: BookingRules, visits: Sequence[Visit], at: datetime
) -> HuiminError | None:
    """Whether a booking may take a seat in that slot instead of its own."""
    if slot.group != visit.seat.group:
        return refusals.other_service()
    others = [v for v in visits if v.booking.code != visit.booking.code]
    return in_window(slot, rules, at) or _conflict(visit.booking.citizen, slot, others, at)


def lapsed(ask: Ask, slot: Slot, visits: Sequence[Visit], at: datetime) -> list[Seat]:
    """Seats whose hold ran out but that still stand in the way of what is asked: to be freed first."""
    return [
        v.seat
        for v in visits
        if _is_lapsed(v, at)
        and (
            (v.booking.holder == ask.holder and (v.seat.group == slot.group or v.booking.key == ask.key))
            or (v.booking.citizen == ask.citizen and v.seat.group == slot.group and v.seat.day == slot.day)
        )
    ]


def _is_lapsed(visit: Visit, at: datetime) -> bool:
    return visit.state is State.HELD and visit.booking.is_lapsed(at)


def _conflict(citizen: int, slot: Slot, visits: Sequence[Visit], at: datetime) -> HuiminError | None:
    same = [
        v.seat
        for v in visits
        if v.is_live
        and v.booking.citizen == citizen
        and v.seat.group == slot.group
        and v.seat.day == slot.day
        and not _is_lapsed(v, at)
    ]
    if not same:
        return None
    return refusals.already_booked() if any(s.slot == slot.id for s in same) else refusals.group_conflict()


def _hold(ask: Ask, slot: Slot, visits: Sequence[Visit], at: datetime) -> HuiminError | None:
    holds = (v for v in visits if v.state is State.HELD and v.booking.holder == ask.holder and not _is_lapsed(v, at))
    return refusals.hold_limit() if any(v.seat.group == slot.group for v in holds) else None


def _ban_verdict(
    ask: Ask, slot: Slot, rules: BookingRules, visits: Sequence[Visit], at: datetime
) -> HuiminError | None:
    ban = ban_of(ask.citizen, slot.unit, visits, rules, at)
    if ban is None:
        return None
    return refusals.banned(ban.until, len(ban.codes), is_missed=ban.penalty.strike is State.MISSED)


def _open(ask: Ask, slot: Slot, rules: BookingRules, visits: Sequence[Visit], at: datetime) -> HuiminError | None:
    ahead = {
        v.booking.whole
        for v in visits
        if v.booking.citizen == ask.citizen
        and v.seat.unit == slot.unit
        and v.state in (State.HELD, State.BOOKED)
        and v.seat.begins_at > at
        and not _is_lapsed(v, at)
    }
    return refusals.open_limit(rules.max_open) if len(ahead) >= rules.max_open else None
