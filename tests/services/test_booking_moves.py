"""A move whose mover died after any of its steps is finished by whoever comes next, forwards or back, exactly once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from server.domain import booking_moves as steps
from server.domain.booking import Booking, Outcome, Seat, State, freed
from server.storage.mongo import Database
from server.storage.seats import Swap
from tests.services.booking_world import DAY, Clock, Town, ask, slot_at

EIGHT, NINE = slot_at(8), slot_at(9)
TOMORROW = slot_at(8, day=DAY + timedelta(days=1))


class Half:
    """A booking of citizen 7 at eight that somebody began to move to another slot."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.code = ""

    async def begin(self, done: int, slot: str = NINE.id) -> Half:
        """Do so many of the four steps, and die."""
        counter, store = self.town.counter, self.town.store
        self.code = (await counter.hold(ask(EIGHT, 7))).booking.code
        visit = await counter.confirm(self.code, 7)
        target = (await store.find_free(slot, "online", self.town.clock(), 1))[0]
        until = self.town.clock() + timedelta(seconds=30)
        kept = steps.awaited(target, visit, until)
        origin = steps.left(visit, kept, until)
        pairs = [
            (target, kept),
            (visit.seat, origin),
            (kept, steps.arrived(kept, origin)),
            (origin, freed(origin, self.town.clock())),
        ]
        for pair in pairs[:done]:
            assert await store.swap([pair]) == [Swap.DONE]
        return self

    async def where(self) -> tuple[str, State | Outcome]:
        """The slot and state of the booking."""
        visit = await self.town.counter.get(self.code, 7)
        return visit.seat.slot, visit.state


@pytest.fixture
async def town(db: Database) -> Town:
    made = Town(db, Clock(), EIGHT, NINE, TOMORROW)
    await made.open(online=1)
    return made


async def settled(town: Town) -> dict[str, State]:
    """The states of the seats once nothing is on its way."""
    town.clock.pass_by(seconds=31)
    await town.counter.finish_moves()
    assert await town.counter.finish_moves() == 0
    seats = await town.seats()
    assert all(seat.transit is None for seat in seats)
    return {seat.slot: seat.state for seat in seats}


@pytest.mark.parametrize(
    ("done", "at_eight", "at_nine"),
    [
        (1, State.BOOKED, State.FREE),
        (2, State.FREE, State.BOOKED),
        (3, State.FREE, State.BOOKED),
        (4, State.FREE, State.BOOKED),
    ],
)
async def test_after_a_death_at_any_step_the_sweep_leaves_one_booking_and_one_free_seat(
    town: Town, done: int, at_eight: State, at_nine: State
):
    half = await Half(town).begin(done)
    states = await settled(town)
    assert (states[EIGHT.id], states[NINE.id]) == (at_eight, at_nine)
    assert await half.where() == (EIGHT.id if done == 1 else NINE.id, State.BOOKED)


@pytest.mark.parametrize("done", [1, 2, 3, 4])
async def test_after_a_death_at_any_step_the_booking_can_be_cancelled_at_once(town: Town, done: int):
    half = await Half(town).begin(done)
    assert (await town.counter.cancel(half.code, 7)).state is Outcome.CANCELLED
    assert (await half.where())[1] is Outcome.CANCELLED
    assert set((await settled(town)).values()) == {State.FREE}


async def test_a_mover_that_was_thought_dead_cannot_take_its_second_step(town: Town):
    half = await Half(town).begin(1)
    visit = await town.counter.get(half.code, 7)
    target = next(seat for seat in await town.seats() if seat.slot == NINE.id)
    await settled(town)
    late = steps.left(visit, target, town.clock())
    assert await town.store.swap([(visit.seat, late)]) == [Swap.LOST]
    assert await half.where() == (EIGHT.id, State.BOOKED)


async def test_if_the_new_slot_is_closed_on_the_way_the_booking_stays_where_it_was(town: Town):
    half = await Half(town).begin(2)
    assert await town.counter.close(NINE.id, "停诊") == []
    assert await half.where() == (EIGHT.id, State.BOOKED)
    assert (await settled(town))[NINE.id] is State.CLOSED


async def test_if_the_old_slot_is_closed_on_the_way_the_booking_arrives(town: Town):
    half = await Half(town).begin(2)
    assert await town.counter.close(EIGHT.id, "停诊") == []
    assert await half.where() == (NINE.id, State.BOOKED)
    assert (await settled(town))[EIGHT.id] is State.CLOSED


def rival(seat: Seat, state: State, booking: Booking) -> Seat:
    """What a race of the citizen with oneself could leave behind."""
    own = replace(booking, code="rival", key="rival", booked_at=None if state is State.HELD else booking.booked_at)
    return replace(seat, state=state, booking=own, version=seat.version + 1)


@pytest.mark.parametrize(("state", "slot"), [(State.HELD, TOMORROW), (State.BOOKED, EIGHT)])
async def test_a_hold_gives_way_to_what_arrives_and_a_booking_does_not(db: Database, state: State, slot: object):
    town = Town(db, Clock(), EIGHT, NINE, TOMORROW)
    await town.open(online=2)
    half = await Half(town).begin(2, TOMORROW.id)
    free = (await town.store.find_free(TOMORROW.id, "online", town.clock(), 1))[0]
    origin = next(seat for seat in await town.seats() if seat.state is State.LEFT)
    assert origin.transit
    assert origin.transit.booking
    assert await town.store.swap([(free, rival(free, state, origin.transit.booking))]) == [Swap.DONE]
    assert await half.where() == (slot.id, State.BOOKED)  # type: ignore[attr-defined]
    await settled(town)


async def test_if_both_places_are_taken_by_the_citizens_own_other_booking_that_one_stays(db: Database):
    town = Town(db, Clock(), EIGHT, NINE, TOMORROW)
    await town.open(online=2)
    half = await Half(town).begin(2)
    free = (await town.store.find_free(EIGHT.id, "online", town.clock(), 1))[0]
    origin = next(seat for seat in await town.seats() if seat.state is State.LEFT)
    assert origin.transit
    assert origin.transit.booking
    assert await town.store.swap([(free, rival(free, State.BOOKED, origin.transit.booking))]) == [Swap.DONE]
    assert (await half.where())[1] is Outcome.WITHDRAWN
    assert (await settled(town))[NINE.id] is State.FREE
