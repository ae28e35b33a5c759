"""Holds are taken in batches: the requests that wait share one read of histories, one of free seats and one bulk.

A batch is worked off in turns. In each, everybody is judged anew against what is stored; who may book gets a free seat
assigned, no seat twice, and all seats are written at once, each only if it is still free. Who lost (another process was
quicker, or a unique index objected) is judged again in the next turn, so the answer always is the truth: the seat, or
the reason. A turn that is lost was won by somebody else, so turns end; after many of them the caller is told to retry.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from random import Random
from typing import Protocol

from server.domain import booking_refusals as refusals
from server.domain.booking import Ask, Booking, Seat, Slot, Visit, freed, known, taken
from server.domain.booking_rules import BookingRules, lapsed, may_book
from server.domain.errors import HuiminError
from server.storage.seats import Pair, SeatStore, Swap

TURNS = 30
READS = 8  # of different slots at once: far below the driver's pool
Answer = Visit | HuiminError


class Timetable(Protocol):
    """What is known of slots: their facts and the rules of their resources."""

    async def find(self, slots: Sequence[str]) -> Mapping[str, tuple[Slot, BookingRules]]:
        """Those of these that exist, also past ones; read once for a whole batch."""


@dataclass(frozen=True, slots=True)
class Means:
    """What makes a booking besides the citizen's wish. `now` is the database's clock, `code` 128 random bits."""

    now: Callable[[], datetime]
    random: Random
    code: Callable[[], str]

    def at(self) -> datetime:
        """Now, as the database can keep it."""
        now = self.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def spread(self, rules: BookingRules) -> timedelta:
        """How long a seat that comes back stays unseen."""
        return timedelta(milliseconds=self.random.randrange(rules.rerelease_max_s * 1000 + 1))


class Holds:
    """Answers batches of asks."""

    def __init__(self, seats: SeatStore, timetable: Timetable, means: Means) -> None:
        self._seats = seats
        self._timetable = timetable
        self._means = means

    async def take(self, asks: list[Ask]) -> list[Answer]:
        """A held seat, or why not, for each; the same key gets the same seat."""
        slots = await self._timetable.find(list({ask.slot for ask in asks}))
        answers: dict[int, Answer] = {i: refusals.slot_unknown() for i, ask in enumerate(asks) if ask.slot not in slots}
        for turn in range(TURNS):
            waiting = {i: ask for i, ask in enumerate(asks) if i not in answers}
            if not waiting:
                break
            answers |= await self._turn(waiting, slots, turn)
        return [answers.get(i) or refusals.booking_busy() for i in range(len(asks))]

    async def _turn(
        self, asks: Mapping[int, Ask], slots: Mapping[str, tuple[Slot, BookingRules]], turn: int
    ) -> dict[int, Answer]:
        at = self._means.at()
        memory = timedelta(days=max(slots[ask.slot][1].memory_days for ask in asks.values()))
        visits = _by_person(await self._seats.find_history(list(_people(asks.values())), (at - memory).date()))
        answers: dict[int, Answer] = {}
        in_the_way: dict[str, Pair] = {}
        ready: dict[tuple[str, str], list[int]] = defaultdict(list)
        busy: set[int] = set()
        for i, ask in asks.items():
            slot, rules = slots[ask.slot]
            both = (*visits[ask.citizen], *visits[ask.holder])
            own = list({visit.booking.code: visit for visit in both}.values())  # each once, also those of both
            if verdict := known(ask, own, at) or may_book(ask, slot, rules, own, at):
                answers[i] = verdict
            elif old := lapsed(ask, slot, own, at):
                in_the_way |= {seat.id: (seat, freed(seat, seat.open_at or at)) for seat in old}
            elif not busy & {ask.citizen, ask.holder}:  # of one person one at a time: limits see what came before
                busy |= {ask.citizen, ask.holder}
                ready[ask.slot, ask.quota].append(i)
        await self._seats.swap(list(in_the_way.values()))
        free = await self._find_free({kind: len(who) for kind, who in ready.items()}, at, turn)
        chosen: list[tuple[int, Pair]] = []
        for kind, who in ready.items():
            if not free[kind]:
                answers |= {i: refusals.slot_full() for i in who}
            rules = slots[kind[0]][1]
            chosen += [
                (i, (seat, self._taken(seat, asks[i], rules, at))) for i, seat in zip(who, free[kind], strict=False)
            ]
        swaps = await self._seats.swap([pair for _, pair in chosen])
        for (i, (_, seat)), swap in zip(chosen, swaps, strict=True):
            if swap is Swap.DONE and seat.booking:
                answers[i] = Visit(seat, seat.booking)
        return answers

    async def _find_free(
        self, wanted: Mapping[tuple[str, str], int], at: datetime, turn: int
    ) -> dict[tuple[str, str], list[Seat]]:
        """Free seats for each slot and quota; after a lost race chosen at random, so that rivals part ways."""
        found: dict[tuple[str, str], list[Seat]] = {}
        kinds = iter(wanted)
        while some := list(islice(kinds, READS)):
            wide = [wanted[kind] if turn == 0 else 4 * wanted[kind] + 16 for kind in some]
            reads = (self._seats.find_free(*kind, at, limit) for kind, limit in zip(some, wide, strict=True))
            found |= zip(some, await asyncio.gather(*reads), strict=True)
        if turn:
            found = {kind: self._means.random.sample(seats, len(seats)) for kind, seats in found.items()}
        return found

    def _taken(self, seat: Seat, ask: Ask, rules: BookingRules, at: datetime) -> Seat:
        booking = Booking(
            code=self._means.code(),
            citizen=ask.citizen,
            holder=ask.holder,
            key=ask.key,
            held_at=at,
            hold_until=at + timedelta(minutes=rules.hold_minutes),
            service=ask.service,
        )
        return taken(seat, booking, self._means.spread(rules))


def _people(asks: Iterable[Ask]) -> set[int]:
    return {person for ask in asks for person in (ask.citizen, ask.holder)}


def _by_person(visits: Iterable[Visit]) -> Mapping[int, list[Visit]]:
    found: dict[int, list[Visit]] = defaultdict(list)
    for visit in visits:
        for person in {visit.booking.citizen, visit.booking.holder}:
            found[person].append(visit)
    return found
