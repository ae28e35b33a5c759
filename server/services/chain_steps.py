"""The work at a visit of several seats, step by step: take, confirm, end, keep, move. See `server/domain/chains.py`.

Every step reads what is there, does what is missing and can be repeated by anybody at any time. It says whether all of
it is done now; if not, somebody else was in the way for good, and the caller decides what becomes of the chain. Seats
are written one by one in the order of their slots, so that two visits that want the same seats cannot wait in a circle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from server.domain import booking_moves as moving
from server.domain import booking_refusals as refusals
from server.domain.booking import Outcome, Seat, Slot, State, Visit, confirmed, freed, taken
from server.domain.booking_rules import BookingRules
from server.domain.chains import Chain, ended_part
from server.domain.errors import HuiminError
from server.services.booking_holds import TURNS, Means, Timetable
from server.services.booking_moves import Moves
from server.storage.seats import SeatStore, Swap

PATIENCE = timedelta(seconds=30)  # whoever works at a chain is thought dead after this
KEPT_FOR = 8 * PATIENCE  # seats that a visit moves to wait longer, so that the move of a dead process is finished
TARGETS = 16
Slots = Mapping[str, tuple[Slot, BookingRules]]


class ChainSteps:
    """What can be done with the seats of a chain."""

    def __init__(self, seats: SeatStore, timetable: Timetable, means: Means) -> None:
        self._seats = seats
        self._timetable = timetable
        self._means = means
        self._moves = Moves(seats, timetable, means)

    async def visits(self, chain: Chain) -> list[Visit | None]:
        """Its bookings, by time; those on their way arrive first. None: that seat is lost or was never taken."""
        for _ in range(TURNS):
            found = await self._seats.find_visits(chain.codes)
            leaving = [v.seat for v in found.values() if v.is_live and v.seat.state is State.LEFT]
            if not leaving:
                return [found.get(code) for code in chain.codes]
            for seat in leaving:
                await self._moves.settle(seat)
        raise refusals.booking_busy()

    async def take(self, chain: Chain, slots: Slots) -> HuiminError | None:
        """Hold all seats, or say why one cannot be had."""
        for n in _in_order(chain.slots):
            if refusal := await self._take(chain, n, slots[chain.slots[n]][1]):
                return refusal
        return None

    async def confirm(self, chain: Chain) -> bool:
        """Book all seats that are held; False: one is lost."""
        for n in _in_order(chain.slots):
            if not await self._confirm(chain.codes[n]):
                return False
        return True

    async def end(self, chain: Chain) -> None:
        """No seat is this chain's any more, but those where somebody came."""
        slots = await self._timetable.find(list({*chain.slots, *chain.targets}))
        for n in range(len(chain.codes)):
            await self._end(chain, n, slots)
        await self.let_go(await self.kept(chain))

    async def keep(self, chain: Chain) -> HuiminError | None:
        """Keep a seat at each of the times that it shall move to, or say why one cannot be had."""
        for n in _in_order(chain.targets):
            if refusal := await self._keep(chain, n):
                return refusal
        return None

    async def kept(self, chain: Chain) -> list[Seat]:
        """The seats that are kept for it."""
        return await self._seats.find_awaiting(chain.codes)

    async def let_go(self, kept: Sequence[Seat]) -> None:
        """Let these go, as they were read. Only when nothing can leave for them any more."""
        at = self._means.at()
        await self._seats.swap([(seat, freed(seat, at)) for seat in kept])

    async def move(self, chain: Chain) -> bool:
        """Move all its bookings to the seats that are kept; False: one cannot go."""
        for n in _in_order(chain.targets):
            if not await self._move(chain, n):
                return False
        return True

    async def _take(self, chain: Chain, n: int, rules: BookingRules) -> HuiminError | None:
        for turn in range(TURNS):
            at = self._means.at()
            if await self._has(chain.codes[n], at):
                return None
            free = await self._seats.find_free(chain.slots[n], chain.quota, at, TARGETS)
            if not free:  # unless another request for the same visit took the last one
                return None if await self._has(chain.codes[n], at) else refusals.slot_full()
            seat = self._means.random.choice(free) if turn else free[0]
            booking = chain.booking(n, at, at + timedelta(minutes=rules.hold_minutes))
            swap = (await self._seats.swap([(seat, taken(seat, booking, self._means.spread(rules)))]))[0]
            if swap is Swap.DONE:
                return None
            if swap is Swap.CLASH and not await self._has(booking.code, at):
                return refusals.group_conflict()
        return refusals.booking_busy()

    async def _has(self, code: str, at: datetime) -> bool:
        visit = (await self._seats.find_visits([code])).get(code)
        return visit is not None and visit.is_live and not visit.booking.is_lapsed(at)

    async def _confirm(self, code: str) -> bool:
        for _ in range(TURNS):
            visit = (await self._seats.find_visits([code])).get(code)
            if visit is None or not visit.is_live:
                return False
            new = confirmed(visit, self._means.at())
            if isinstance(new, HuiminError):
                return False
            if new is visit.seat or await self._seats.swap([(visit.seat, new)]) == [Swap.DONE]:
                return True
        return False

    async def _end(self, chain: Chain, n: int, slots: Slots) -> None:
        for _ in range(TURNS):
            visit = (await self.visits(chain))[n]
            if visit is None:
                return
            rules = slots[visit.seat.slot][1] if visit.seat.slot in slots else BookingRules()
            outcome = chain.outcome or Outcome.GIVEN_UP
            at = self._means.at()
            new = ended_part(visit, outcome, chain.ended_at or at, self._means.spread(rules))
            if isinstance(new, HuiminError) or new is visit.seat:
                return
            if await self._seats.swap([(visit.seat, new)]) == [Swap.DONE]:
                return
        raise refusals.booking_busy()

    async def _keep(self, chain: Chain, n: int) -> HuiminError | None:
        code, target = chain.codes[n], chain.targets[n]
        for turn in range(TURNS):
            visit = (await self.visits(chain))[n]
            if visit is None or not visit.is_live:
                return refusals.booking_over()
            if visit.seat.slot == target or await self._kept_at(code, target):
                return None
            at = self._means.at()
            free = await self._seats.find_free(target, chain.quota, at, TARGETS)
            if not free:
                return refusals.slot_full()
            seat = self._means.random.choice(free) if turn else free[0]
            await self._seats.swap([(seat, moving.awaited(seat, visit, at + KEPT_FOR))])
        return refusals.booking_busy()

    async def _kept_at(self, code: str, slot: str) -> Seat | None:
        return next((seat for seat in await self._seats.find_awaiting([code]) if seat.slot == slot), None)

    async def _move(self, chain: Chain, n: int) -> bool:
        code = chain.codes[n]
        for _ in range(TURNS):
            visit = (await self.visits(chain))[
                n
            ]  # before the seat that is kept: who lets that go writes this one first
            if visit is None or not visit.is_live:
                return False
            if visit.seat.slot == chain.targets[n]:
                return True
            kept = await self._kept_at(code, chain.targets[n])
            if kept is None or visit.seat.state is not State.BOOKED:
                return False
            origin = moving.left(visit, kept, self._means.at() + PATIENCE)
            if await self._seats.swap([(visit.seat, origin)]) == [Swap.DONE]:
                await self._moves.settle(origin)
        return False


def until_of(visits: Sequence[Visit | None]) -> datetime:
    """When the first of these holds ends."""
    return min(visit.booking.hold_until for visit in visits if visit)


def _in_order(slots: Sequence[str]) -> list[int]:
    return sorted(range(len(slots)), key=lambda n: slots[n])
