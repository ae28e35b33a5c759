"""Visits of several seats: hold, confirm, move and cancel all of it, or nothing.

Promises. The record of a chain is written before each stage begins, and that write decides: whoever confirms, moves or
cancels the same visit writes the same record, so one of them wins. Wherever a process dies, whoever sweeps or wants
something of the visit finishes the stage, forwards or back, and no seat is left alone. Every verb may be repeated.

`by` is the citizen who asks; None is the office.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from server.domain import booking_refusals as refusals
from server.domain.booking import Ask, Outcome, Slot, State, Visit, freed
from server.domain.booking_rules import BookingRules, lapsed, may_book, may_move
from server.domain.chains import (
    Chain,
    Stage,
    Step,
    has_same_shape,
    in_a_row,
    in_order,
    other_shape,
    part_numbers,
    too_many,
)
from server.domain.errors import HuiminError
from server.services.booking import KEY
from server.services.booking_holds import TURNS, Means, Timetable
from server.services.chain_steps import PATIENCE, ChainSteps, Slots, until_of
from server.storage.chains import ChainStore
from server.storage.seats import SeatStore

MOST_SWEPT = 200
UNDER_WAY = (Stage.TAKING, Stage.CONFIRMING, Stage.KEEPING, Stage.MOVING, Stage.ENDING)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for: seats of this quota for all these steps, by time."""

    citizen: int
    holder: int
    key: str
    quota: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """A chain and its bookings, by time; those that were given up are missing."""

    chain: Chain
    visits: tuple[Visit, ...]


class Chains:
    """The verbs."""

    def __init__(self, stores: tuple[ChainStore, SeatStore], timetable: Timetable, means: Means) -> None:
        self._chains, self._seats = stores
        self._timetable = timetable
        self._means = means
        self._steps = ChainSteps(self._seats, timetable, means)

    async def hold(self, wish: Wish) -> Whole:
        """All seats for as long as the rules say, or none. The same holder's same key is the same visit.

        `visit_size`, `visit_order`, `slots_missing`, and whatever a single hold is refused for.
        """
        if not KEY.fullmatch(wish.key):
            raise refusals.key_malformed()
        rows = await self._rows(wish.steps)
        slots = [slot for row in rows for slot in row]
        known = await self._timetable.find([slot.id for slot in slots])
        if len(known) < len(slots):
            raise refusals.slot_unknown()
        chain = await self._chains.find_keyed(wish.holder, wish.key)
        if chain and chain.stage is Stage.HELD and await self._is_over(chain):
            chain = None
        if chain is None:
            await self._judge(wish, slots, known)
            chain = await self._chains.insert(_new(self._means.code(), wish, rows, self._means.at()))
        if (chain.citizen, chain.quota) != (wish.citizen, wish.quota) or (
            chain.slots != tuple(slot.id for slot in slots) and not chain.moves
        ):
            raise refusals.key_reused()
        if chain.stage is Stage.TAKING:
            await self._take(chain, known)
        return await self.get(chain.code, wish.holder)

    async def get(self, code: str, by: int | None) -> Whole:
        """One visit as it is. NotFoundError `booking_unknown`."""
        chain = await self._own(code, by)
        return Whole(chain, tuple(visit for visit in await self._steps.visits(chain) if visit))

    async def history(self, person: int, since: datetime) -> list[Whole]:
        """For or by this person, newest time first."""
        found = await self._chains.find_of(person, since)
        visits = await self._seats.find_visits([code for chain in found for code in chain.codes])
        return [Whole(chain, tuple(visits[code] for code in chain.codes if code in visits)) for chain in found]

    async def confirm(self, code: str, by: int) -> Whole:
        """What is held is booked: all of it. ConflictError `hold_expired`."""
        for _ in range(TURNS):
            chain = await self._own(code, by)
            if chain.stage is Stage.BOOKED:
                return await self.get(code, by)
            if chain.stage is Stage.ENDED:
                raise refusals.booking_over()
            if chain.stage is Stage.HELD:
                if await self._is_over(chain):
                    raise refusals.hold_expired()
                await self._write(chain, chain.stepped(Stage.CONFIRMING, self._means.at() + PATIENCE))
            elif not await self._go_on(chain):
                raise refusals.hold_expired()
        raise refusals.booking_busy()

    async def cancel(self, code: str, by: int | None) -> Whole:
        """All seats are free again after a while; one strike at most. ConflictError `cut_off`, `booking_state`."""
        for _ in range(TURNS):
            whole = await self.get(code, by)
            chain, at = whole.chain, self._means.at()
            if chain.stage is Stage.ENDED:
                return whole
            if chain.stage is Stage.HELD:
                ending = chain.ending(Outcome.GIVEN_UP, at, at + PATIENCE)
                if await self._chains.swap(chain, ending):
                    await self._go_on(ending)
                    return Whole(ending, ())
            elif chain.stage is Stage.BOOKED:
                if refusal := await self._may_change(whole, by, at):
                    raise refusal
                outcome = Outcome.WITHDRAWN if by is None else Outcome.CANCELLED
                await self._write(chain, chain.ending(outcome, at, at + PATIENCE))
            else:
                await self._go_on(chain)
        raise refusals.booking_busy()

    async def move(self, code: str, by: int | None, steps: tuple[Step, ...]) -> Whole:
        """The same visit at other times; if one of them cannot be had, all stays where it is.

        ConflictError `visit_shape`, `slot_full`, `cut_off`, `move_limit`, and what another move is refused for.
        """
        slots = [slot for row in await self._rows(steps) for slot in row]
        wanted = tuple(slot.id for slot in slots)
        for _ in range(TURNS):
            whole = await self.get(code, by)
            chain, at = whole.chain, self._means.at()
            if chain.stage in UNDER_WAY:
                await self._go_on(chain)
                continue
            if chain.stage is not Stage.BOOKED:
                raise refusals.booking_over() if chain.stage is Stage.ENDED else refusals.booking_state()
            if chain.slots == wanted:
                return whole
            if refusal := await self._may_change(whole, by, at) or await self._may_move(whole, slots, at):
                raise refusal
            keeping = replace(chain.stepped(Stage.KEEPING, at + PATIENCE), targets=wanted)
            if await self._chains.swap(chain, keeping) and (refusal := await self._keep(keeping)):
                raise refusal
        raise refusals.booking_busy()

    async def end_closed(self, chain: str) -> None:
        """The office has closed a part of it: the rest ends too, and is no strike. May be repeated."""
        for _ in range(TURNS):
            found = await self._chains.find(chain)
            if found is None or found.stage is Stage.ENDED:
                return
            at = self._means.at()
            if found.stage in (Stage.TAKING, Stage.HELD, Stage.CONFIRMING):
                await self._write(found, found.ending(Outcome.GIVEN_UP, at, at + PATIENCE))
            elif found.stage is Stage.BOOKED:
                await self._write(found, found.ending(Outcome.WITHDRAWN, at, at + PATIENCE))
            else:
                await self._go_on(found)
        raise refusals.booking_busy()

    async def finish(self) -> int:
        """Finish what was left half done, and end holds that ran out; to be called every few seconds."""
        at = self._means.at()
        due = await self._chains.find_due(at, MOST_SWEPT)
        for chain in due:
            if chain.stage in (Stage.TAKING, Stage.HELD):
                await self._write(chain, chain.ending(Outcome.GIVEN_UP, at, at + PATIENCE))
            else:
                await self._go_on(chain)
        return len(due)

    async def _is_over(self, chain: Chain) -> bool:
        """Whether its time to confirm is over; then it is given back."""
        at = self._means.at()
        if chain.until is None or at < chain.until:
            return False
        await self._write(chain, chain.ending(Outcome.GIVEN_UP, at, at + PATIENCE))
        return True

    async def _take(self, chain: Chain, slots: Slots) -> None:
        refusal = await self._steps.take(chain, slots)
        at = self._means.at()
        if refusal:
            if await self._write(chain, chain.ending(Outcome.GIVEN_UP, at, at + PATIENCE)):
                raise refusal
            return  # another request for the same visit got further
        await self._chains.swap(chain, chain.stepped(Stage.HELD, until_of(await self._steps.visits(chain))))

    async def _keep(self, chain: Chain) -> HuiminError | None:
        """Keep all, then go; or leave everything as it was."""
        refusal = await self._steps.keep(chain)
        if refusal is None:
            await self._write(chain, chain.stepped(Stage.MOVING, self._means.at() + PATIENCE))
        else:
            await self._go_on(chain)
        return refusal

    async def _write(self, old: Chain, new: Chain) -> bool:
        """Decide, and do what was decided; False: somebody was quicker, look again."""
        is_mine = await self._chains.swap(old, new)
        if is_mine:
            await self._go_on(new)
        return is_mine

    async def _go_on(self, chain: Chain) -> bool:
        """Finish the stage that somebody has begun; False: it came to nothing. May be repeated by anybody."""
        at = self._means.at()
        match chain.stage:
            case Stage.TAKING:  # whoever takes is at it, or will be thought dead
                return chain.until is not None and at < chain.until
            case Stage.CONFIRMING:
                if await self._steps.confirm(chain):
                    await self._chains.swap(chain, chain.stepped(Stage.BOOKED))
                    return True
                await self._write(chain, chain.ending(Outcome.GIVEN_UP, at, at + PATIENCE))
                return False
            case Stage.KEEPING:
                kept = await self._steps.kept(chain)  # read while they can only be this move's
                if await self._chains.swap(chain, replace(chain.stepped(Stage.BOOKED), targets=())):
                    await self._steps.let_go(kept)
            case Stage.MOVING:
                if await self._steps.move(chain):
                    await self._chains.swap(chain, await self._arrived(chain))
                else:
                    await self._write(chain, chain.ending(Outcome.WITHDRAWN, at, at + PATIENCE))
            case Stage.ENDING:
                await self._steps.end(chain)
                if chain.outcome is Outcome.GIVEN_UP:
                    await self._chains.remove(chain)
                    return False
                await self._chains.swap(chain, chain.stepped(Stage.ENDED))
        return True

    async def _arrived(self, chain: Chain) -> Chain:
        begins_at = min(visit.seat.begins_at for visit in await self._steps.visits(chain) if visit)
        booked = chain.stepped(Stage.BOOKED)
        return replace(booked, slots=chain.targets, targets=(), begins_at=begins_at, moves=chain.moves + 1)

    async def _own(self, code: str, by: int | None) -> Chain:
        chain = await self._chains.find(code)
        if chain is None or (by is not None and by not in (chain.citizen, chain.holder)):
            raise refusals.booking_unknown()
        return chain

    async def _rows(self, steps: Sequence[Step]) -> list[list[Slot]]:
        """The slots that each of these steps takes, by time."""
        if not steps:
            raise too_many()
        rows = []
        for step in steps:
            day, resource = _day_of(step.slot)
            row = in_a_row(step.slot, step.minutes, await self._seats.find_times(resource, day))
            if isinstance(row, HuiminError):
                raise row
            rows.append(row)
        if refusal := in_order(rows):
            raise refusal
        return rows

    async def _judge(self, wish: Wish, slots: Sequence[Slot], known: Slots) -> None:
        """Raise why one of the slots may not be booked; holds of this person that ran out are out of the way then."""
        at = self._means.at()
        visits = await self._visits_of(wish.citizen, wish.holder, known, at)
        for slot in slots:
            ask = Ask(slot.id, wish.quota, wish.citizen, wish.holder, wish.key)
            if refusal := may_book(ask, slot, known[slot.id][1], visits, at):
                raise refusal
            old = lapsed(ask, slot, visits, at)
            await self._seats.swap([(each, freed(each, each.open_at or at)) for each in old])

    async def _may_change(self, whole: Whole, by: int | None, at: datetime) -> HuiminError | None:
        """Whether it is early enough, and nobody has come yet."""
        if any(visit.state is not State.BOOKED for visit in whole.visits):
            return refusals.booking_state()
        if by is None:
            return None
        first = whole.chain.slots[0]
        known = await self._timetable.find([first])
        rules = known[first][1] if first in known else BookingRules()
        until = rules.cancel_until.moment(whole.chain.begins_at)
        return refusals.cut_off(until) if at >= until else None

    async def _may_move(self, whole: Whole, slots: Sequence[Slot], at: datetime) -> HuiminError | None:
        chain = whole.chain
        known = await self._timetable.find([*(slot.id for slot in slots), *chain.slots])
        facts = {slot: fact for slot, (fact, _) in known.items()}
        if len(whole.visits) != len(slots) or not has_same_shape(chain, slots, facts):
            return other_shape()
        most = min(rules.moves for _, rules in known.values())
        if chain.moves >= most:
            return refusals.move_limit(most)
        visits = await self._visits_of(chain.citizen, chain.holder, known, at)
        others = [visit for visit in visits if visit.booking.chain != chain.code]
        for visit, slot in zip(whole.visits, slots, strict=True):
            if refusal := may_move(visit, slot, known[slot.id][1], others, at):
                return refusal
        return None

    async def _visits_of(self, citizen: int, holder: int, known: Slots, at: datetime) -> list[Visit]:
        memory = timedelta(days=max(rules.memory_days for _, rules in known.values()))
        return await self._seats.find_history(list({citizen, holder}), (at - memory).date())


def _new(code: str, wish: Wish, rows: Sequence[Sequence[Slot]], at: datetime) -> Chain:
    slots = [slot for row in rows for slot in row]
    return Chain(
        code=code,
        citizen=wish.citizen,
        holder=wish.holder,
        key=wish.key,
        quota=wish.quota,
        slots=tuple(slot.id for slot in slots),
        parts=part_numbers(slots),
        services=tuple(step.service for step, row in zip(wish.steps, rows, strict=True) for _ in row),
        begins_at=slots[0].begins_at,
        stage=Stage.TAKING,
        until=at + PATIENCE,
    )


def _day_of(slot: str) -> tuple[date, str]:
    """The day and the resource in a slot's id; NotFoundError `slot_unknown`."""
    day, _, rest = slot.partition("/")
    resource, _, _ = rest.rpartition("/")
    try:
        return date.fromisoformat(day), resource
    except ValueError:
        raise refusals.slot_unknown() from None
