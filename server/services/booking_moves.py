"""Moves bookings from seat to seat and finishes moves whose mover died; the steps: `server/domain/booking_moves.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

from server.domain import booking_moves as steps
from server.domain import booking_refusals as refusals
from server.domain.booking import Ask, Seat, Slot, State, Visit, freed, may_leave
from server.domain.booking_rules import BookingRules, lapsed, may_move
from server.domain.errors import HuiminError
from server.services.booking_holds import TURNS, Means, Timetable
from server.storage.seats import SeatStore, Swap

AT_ONCE = 8  # of one process
TARGETS = 16
PATIENCE = timedelta(seconds=30)  # a move takes milliseconds; its mover is thought dead after this
MAX_SWEPT = 500


class Moves:
    """One seat for another; nothing is lost or doubled wherever a process dies."""

    def __init__(self, seats: SeatStore, timetable: Timetable, means: Means) -> None:
        self._seats = seats
        self._timetable = timetable
        self._means = means
        self._moving = asyncio.Semaphore(AT_ONCE)

    async def move(self, visit: Visit, slot: str, quota: str, *, turn: int, by_office: bool) -> HuiminError | None:
        """One try to get this booking to that slot, as judged now; who finds it there afterwards has succeeded."""
        at = self._means.at()
        slots = await self._timetable.find([slot, visit.seat.slot])
        if slot not in slots:
            return refusals.slot_unknown()
        if refusal := await self._judge(visit, slots, slot, at, by_office=by_office):
            return refusal
        async with self._moving:
            free = await self._seats.find_free(slot, quota, at, TARGETS)
            if not free:
                return refusals.slot_full()
            target = self._means.random.choice(free) if turn else free[0]
            kept = steps.awaited(target, visit, at + PATIENCE)
            if await self._seats.swap([(target, kept)]) != [Swap.DONE]:
                return None
            origin = steps.left(visit, kept, at + PATIENCE)
            if await self._seats.swap([(visit.seat, origin)]) == [Swap.DONE]:
                await self.settle(origin)
            else:
                await self._seats.swap([(kept, freed(kept, target.open_at or at))])
        return None

    async def _judge(
        self,
        visit: Visit,
        slots: Mapping[str, tuple[Slot, BookingRules]],
        wanted: str,
        at: datetime,
        *,
        by_office: bool,
    ) -> HuiminError | None:
        slot, rules = slots[wanted]
        booking, seat = visit.booking, visit.seat
        own = slots[seat.slot][1] if seat.slot in slots else BookingRules()
        until = None if by_office else own.cancel_until.moment(seat.begins_at)
        history = await self._seats.find_history([booking.citizen, booking.holder], at.date() - timedelta(days=1))
        refusal = may_leave(visit, at, until, own.moves) or may_move(visit, slot, rules, history, at)
        if not refusal:
            ask = Ask(slot.id, "", booking.citizen, booking.holder, booking.key)
            old = lapsed(ask, slot, history, at)
            await self._seats.swap([(each, freed(each, each.open_at or at)) for each in old])
        return refusal

    async def settle(self, seat: Seat) -> None:
        """Finish the move that this seat is an end of, forwards or back. A second call changes nothing."""
        for _ in range(TURNS):
            found = await self._seats.find(seat.id)
            if found is None or found.transit is None:
                return
            other = await self._seats.find(found.transit.other)
            assert other is not None, found.transit.other
            if found.state is State.LEFT:
                await self._settle_origin(found, other)
            elif steps.is_for(found, other):
                await self._settle_origin(other, found)
            elif found.transit.until > self._means.at() and not found.transit.is_refused:
                return  # its mover is about to take the second step
            # No booking is on its way here: make sure that none will be, then let the seat go.
            elif await self._seats.swap([(other, steps.touched(other))]) == [Swap.DONE]:
                await self._seats.swap([(found, freed(found, self._means.at()))])
        raise refusals.booking_busy()

    async def refuse(self, target: Seat) -> None:
        """Do not take the booking that is awaited; it goes back."""
        if target.transit and not target.transit.is_refused:
            await self._seats.swap([(target, steps.refused(target))])
        await self.settle(target)

    async def sweep(self) -> int:
        """Finish the moves of movers that died; how many ends there were."""
        found = await self._seats.find_moving(self._means.at(), MAX_SWEPT)
        for seat in found:
            await self.settle(seat)
        return len(found)

    async def _settle_origin(self, origin: Seat, target: Seat) -> None:
        """One step on: the new seat takes the booking, or gives it back, or the old one is free."""
        at = self._means.at()
        if not steps.is_for(target, origin):  # it has arrived
            slots = await self._timetable.find([origin.slot])
            spread = self._means.spread(slots[origin.slot][1] if origin.slot in slots else BookingRules())
            await self._seats.swap([(origin, freed(origin, at + spread))])
        elif target.transit and target.transit.is_refused:
            if await self._seats.swap([(origin, steps.restored(origin))]) == [Swap.CLASH]:
                await self._seats.swap([(origin, steps.withdrawn(origin, at))])
        elif await self._seats.swap([(target, steps.arrived(target, origin))]) == [Swap.CLASH]:
            await self._give_way(origin, target, at)

    async def _give_way(self, origin: Seat, target: Seat, at: datetime) -> None:
        """The citizen took another seat while this one was on its way: a mere hold gives way, a booking stays."""
        assert origin.transit is not None
        assert origin.transit.booking is not None
        rivals = await self._seats.find_rivals(origin.transit.booking, target)
        if all(rival.state is State.HELD for rival in rivals):
            await self._seats.swap([(rival, freed(rival, rival.open_at or at)) for rival in rivals])
        else:
            await self._seats.swap([(target, steps.refused(target))])
