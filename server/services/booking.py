"""The booking counter: hold, confirm, renew, cancel, move, check in, call, serve, miss, close.

Promises. Nothing is oversold or lost, whatever happens in which order and wherever a process dies: each verb writes one
seat, if it is still as it was read; moving a booking takes four such writes, and anybody can finish them. Every verb
may be repeated: the second click gets the first one's answer. Requests that wait are worked off together
(`Gathering`), so a rush costs the database a fraction of what single requests would.

`by` is the citizen who asks, and has to be whom the booking is for or who made it; None is the office, which the caller
has checked.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial

from server.domain import booking_refusals as refusals
from server.domain.booking import (
    Ask,
    Outcome,
    Seat,
    State,
    Stepped,
    Visit,
    cancelled,
    checked_in,
    closed,
    confirmed,
    excused,
    missed,
    renewed,
    reopened,
    requeued,
    served,
    visit_in,
    visits_of,
)
from server.domain.booking_rules import Ban, BookingRules, ban_of
from server.domain.errors import HuiminError
from server.services.booking_holds import TURNS, Answer, Holds, Means, Timetable
from server.services.booking_moves import Moves
from server.storage.gathering import Gathering
from server.storage.seats import SeatStore, Swap

KEY = re.compile(r"[!-~]{1,64}")
Step = Callable[[Visit, datetime, BookingRules], Stepped]


@dataclass(frozen=True, slots=True)
class _Order:
    """One step of one booking, for somebody."""

    code: str
    by: int | None
    step: Step
    unknown: Callable[[], HuiminError] = refusals.booking_unknown


class Bookings:
    """The verbs. One object per process: its batches are what makes a rush cheap."""

    def __init__(self, seats: SeatStore, timetable: Timetable, means: Means) -> None:
        self._seats = seats
        self._timetable = timetable
        self._means = means
        self._holds: Gathering[Ask, Visit] = Gathering(Holds(seats, timetable, means).take)
        self._steps: Gathering[_Order, Visit] = Gathering(self._step_all)
        self._moves = Moves(seats, timetable, means)

    async def hold(self, ask: Ask) -> Visit:
        """A seat for as long as the rules say. The same holder's same key gets the same booking, whatever became of it.

        Any of the refusals of `may_book`, `slot_full`, `booking_key`, `booking_key_reused`, `booking_busy`.
        """
        if not KEY.fullmatch(ask.key):
            raise refusals.key_malformed()
        return await self._holds.ask(ask)

    async def confirm(self, code: str, by: int) -> Visit:
        """A held seat is booked. ConflictError `hold_expired`, also where somebody else has the seat by now."""
        return await self._steps.ask(_Order(code, by, _alone(lambda v, at, _: confirmed(v, at)), refusals.hold_expired))

    async def renew(self, code: str, by: int) -> Visit:
        """A hold begins anew. ConflictError `renew_limit`, `hold_expired`."""

        def step(visit: Visit, at: datetime, rules: BookingRules) -> Stepped:
            hold = timedelta(minutes=rules.hold_minutes)
            return renewed(visit, at, hold, rules.renewals, self._means.spread(rules))

        return await self._steps.ask(_Order(code, by, _alone(step), refusals.hold_expired))

    async def cancel(self, code: str, by: int | None) -> Visit:
        """The seat is free again after a while. ConflictError `cut_off`. A hold is given up without a trace."""

        def step(visit: Visit, at: datetime, rules: BookingRules) -> Stepped:
            until = rules.cancel_until.moment(visit.seat.begins_at)
            return cancelled(visit, at, until, self._means.spread(rules), by_office=by is None)

        return await self._steps.ask(_Order(code, by, _alone(step)))

    async def check_in(self, code: str, by: int | None = None) -> Visit:
        """There, and in the queue. ConflictError `check_in_early`, `check_in_late`."""

        def step(visit: Visit, at: datetime, rules: BookingRules) -> Stepped:
            early, grace = timedelta(minutes=rules.check_in_opens_minutes), timedelta(minutes=rules.grace_minutes)
            return checked_in(visit, at, early, grace)

        return await self._steps.ask(_Order(code, by, step))

    async def call_next(self, resource: str, day: date) -> Visit | None:
        """Call who waits longest; None: nobody does. Two desks that call at once get two people."""
        seat = await self._seats.call_next(resource, day, self._means.at())
        return Visit(seat, seat.booking) if seat and seat.booking else None

    async def serve(self, code: str) -> Visit:
        """Done."""
        return await self._steps.ask(_Order(code, None, lambda v, at, _: served(v, at)))

    async def requeue(self, code: str) -> Visit:
        """Called in vain or marked as missed, but here after all: back to the end of the queue."""
        return await self._steps.ask(_Order(code, None, lambda v, at, _: requeued(v, at)))

    async def miss(self, code: str) -> Visit:
        """Not there, once the grace is over or after being called."""
        return await self._steps.ask(_Order(code, None, _missed))

    async def miss_absent(self, slot: str) -> list[Visit]:
        """Mark everybody of a slot who did not come and whose grace is over; those it marked."""
        absent = [s for s in await self._seats.find_slot(slot) if s.state is State.BOOKED and s.booking]
        rules = await self._rules(absent)
        at = self._means.at()
        visits = [Visit(seat, seat.booking) for seat in absent if seat.booking]
        pairs = [
            (visit.seat, new)
            for visit in visits
            if not isinstance(new := _missed(visit, at, rules[visit.seat.slot]), HuiminError)
        ]
        swaps = await self._seats.swap(pairs)
        return [
            Visit(new, new.booking)
            for (_, new), swap in zip(pairs, swaps, strict=True)
            if swap is Swap.DONE and new.booking
        ]

    async def excuse(self, code: str, officer: str, reason: str) -> Visit:
        """A missed or cancelled booking is no strike."""
        return await self._steps.ask(_Order(code, None, lambda v, _, __: excused(v, officer, reason)))

    async def ban(self, citizen: int, unit: str, rules: BookingRules) -> Ban | None:
        """The ban in force, and the bookings that it follows from."""
        at = self._means.at()
        since = (at - timedelta(days=rules.memory_days)).date()
        return ban_of(citizen, unit, await self._seats.find_history([citizen], since), rules, at)

    async def lift(self, ban: Ban, officer: str, reason: str) -> None:
        """Excuse all that a ban follows from."""
        for code in ban.codes:
            await self.excuse(code, officer, reason)

    async def close(self, slot: str, reason: str) -> list[Visit]:
        """停诊: nobody can take a seat of the slot any more. All bookings that this has ended, at this or any call."""
        return await self._close(partial(self._seats.find_slot, slot), reason)

    async def close_seats(self, seats: Sequence[str], reason: str) -> list[Visit]:
        """The same for single seats, by their ids."""
        return await self._close(partial(self._seats.find_all, seats), reason)

    async def _close(self, find: Callable[[], Awaitable[list[Seat]]], reason: str) -> list[Visit]:
        for _ in range(TURNS):
            at = self._means.at()
            seats = await find()
            for seat in seats:
                if seat.state is State.AWAITED:
                    await self._moves.refuse(seat)
                elif seat.state is State.LEFT:
                    await self._moves.settle(seat)
            if any(seat.transit for seat in seats):
                continue
            pairs = [(seat, new) for seat in seats if (new := closed(seat, at, reason)) is not seat]
            if not pairs:
                return [v for seat in seats for v in visits_of(seat) if v.booking.outcome is Outcome.CLOSED]
            await self._seats.swap(pairs)
        raise refusals.booking_busy()

    async def reopen(self, slot: str) -> int:
        """Closed seats can be taken again, each after a while, so that those who wait come first; how many."""
        at = self._means.at()
        seats = await self._seats.find_slot(slot)
        rules = await self._rules(seats)
        pairs = [
            (seat, new) for seat in seats if (new := reopened(seat, at + self._means.spread(rules[slot]))) is not seat
        ]
        return sum(swap is Swap.DONE for swap in await self._seats.swap(pairs))

    async def get(self, code: str, by: int | None) -> Visit:
        """One booking, live or ended. NotFoundError `booking_unknown`."""
        for _ in range(TURNS):
            visit = (await self._seats.find_visits([code])).get(code)
            if visit is None or not _may_see(visit, by):
                raise refusals.booking_unknown()
            if visit.seat.state is not State.LEFT or not visit.is_live:
                return visit
            await self._moves.settle(visit.seat)
        raise refusals.booking_busy()

    async def history(self, citizen: int, since: date) -> list[Visit]:
        """Every booking for or by a citizen, newest time first; holds that ran out are not in it."""
        at = self._means.at()
        history = await self._seats.find_history([citizen], since, made=True)
        found = [visit for visit in history if not visit.booking.is_lapsed(at)]
        return sorted(found, key=lambda v: v.seat.begins_at, reverse=True)

    async def move(self, code: str, by: int | None, slot: str, quota: str) -> Visit:
        """The same booking on a seat of another slot of its group; if that cannot be, it stays where it is.

        Any of `slot_full`, `cut_off`, `move_limit`, `other_service`, and what a new booking can be refused for.
        """
        for turn in range(TURNS):
            visit = await self.get(code, by)
            if visit.booking.chain:
                raise refusals.part_of_visit()
            if visit.is_live and visit.seat.slot == slot:
                return visit
            if refusal := await self._moves.move(visit, slot, quota, turn=turn, by_office=by is None):
                raise refusal
        raise refusals.booking_busy()

    async def finish_moves(self) -> int:
        """Finish what processes that died left on its way; to be called every few seconds. How much there was."""
        return await self._moves.sweep()

    async def _step_all(self, orders: list[_Order]) -> list[Answer]:
        """One batch: read all, step each, write all; who lost is read and judged again."""
        answers: dict[int, Answer] = {}
        for _ in range(TURNS):
            waiting = {i: order for i, order in enumerate(orders) if i not in answers}
            if not waiting:
                break
            visits = await self._seats.find_visits(list({order.code for order in waiting.values()}))
            rules = await self._rules([visit.seat for visit in visits.values()])
            at = self._means.at()
            steps: dict[int, tuple[Visit, Seat]] = {}
            for i, order in waiting.items():
                visit = visits.get(order.code)
                if visit is None or not _may_see(visit, order.by):
                    answers[i] = order.unknown() if visit is None else refusals.booking_unknown()
                elif visit.is_live and visit.seat.state is State.LEFT:
                    await self._moves.settle(visit.seat)
                elif isinstance(new := order.step(visit, at, rules[visit.seat.slot]), HuiminError):
                    answers[i] = new
                elif new is visit.seat:
                    answers[i] = visit
                else:
                    steps[i] = (visit, new)
            swaps = await self._seats.swap([(visit.seat, new) for visit, new in steps.values()])
            for (i, (visit, new)), swap in zip(steps.items(), swaps, strict=True):
                if swap is Swap.DONE:
                    answers[i] = visit_in(new, visit.booking.code) or _given_up(visit, new, at)
        return [answers.get(i) or refusals.booking_busy() for i in range(len(orders))]

    async def _rules(self, seats: Sequence[Seat]) -> dict[str, BookingRules]:
        """Rules by slot; a booking whose resource is gone can still be cancelled, by the default rules."""
        slots = list({seat.slot for seat in seats})
        found = await self._timetable.find(slots) if slots else {}
        return {slot: found[slot][1] if slot in found else BookingRules() for slot in slots}


def _alone(step: Step) -> Step:
    """The same step, but not for one seat of a visit of several: all of it goes together, see `chains`."""

    def of_one(visit: Visit, at: datetime, rules: BookingRules) -> Stepped:
        return refusals.part_of_visit() if visit.booking.chain and visit.is_live else step(visit, at, rules)

    return of_one


def _may_see(visit: Visit, by: int | None) -> bool:
    return by is None or by in (visit.booking.citizen, visit.booking.holder)


def _missed(visit: Visit, at: datetime, rules: BookingRules) -> Stepped:
    return missed(visit, at, timedelta(minutes=rules.grace_minutes))


def _given_up(visit: Visit, seat: Seat, at: datetime) -> Visit:
    return Visit(seat, replace(visit.booking, outcome=Outcome.GIVEN_UP, ended_at=at))
