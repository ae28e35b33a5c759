"""Closures on a real mongod: who loses a seat comes first in the waiting list, and a closure that died is finished."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.domain.booking import Outcome, State
from server.domain.booking_rules import BookingRules
from server.domain.waiting import Entry, Priority
from server.services.booking import Bookings
from server.services.closures import Closures
from server.services.waiting import Waiting
from server.storage.closures import ClosureStore
from server.storage.mongo import Database
from tests.services.booking_world import DAY, Clock, ask
from tests.services.mortal_stores import KilledError, Life, MortalSeats
from tests.services.waiting_world import WaitingTown, slot

EIGHT, NINE, TOMORROW = slot(8), slot(9), slot(8, day=DAY + timedelta(days=1))
RULES = BookingRules(rerelease_max_s=600)


class MortalList(Waiting):
    """A waiting list whose process is about to die."""

    life: Life

    async def join_replacement(self, entry: Entry) -> Entry:
        """Write, perhaps for the last time."""
        self.life.write()
        return await super().join_replacement(entry)


class NoVisits:
    """Nobody has a visit of several seats; whose end was asked for is kept."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def end_closed(self, chain: str) -> None:
        """End it."""
        self.asked.append(chain)


class ClosingTown(WaitingTown):
    """The town and its office."""

    def __init__(self, db: Database) -> None:
        super().__init__(db, Clock(), EIGHT, NINE, TOMORROW, rules=RULES)
        self.db = db
        self.office = self.another_office()

    def another_office(self, life: Life | None = None) -> Closures:
        """Of another process, which may be about to die."""
        if life is None:
            counter, means, people = self.counter, self.means, self.list
            return Closures((ClosureStore(self.db), self.store), counter, people, NoVisits(), means)
        seats = MortalSeats(self.db, life)
        counter = Bookings(seats, self, self.means)
        dying = MortalList((self.entries, seats, self.resources), (counter, self), self.means, self.post)
        dying.life = life
        return Closures((ClosureStore(self.db), seats), counter, dying, NoVisits(), self.means)


@pytest.fixture
async def town(db: Database) -> ClosingTown:
    made = ClosingTown(db)
    await made.begin(online=3)
    return made


async def test_who_loses_a_seat_is_offered_the_next_one_before_those_who_wait_longer(town: ClosingTown):
    for citizen in (4, 5, 6):
        await town.book(NINE, citizen)
    for citizen in (11, 12, 13):
        await town.book(TOMORROW, citizen)
    waiting = await town.wait(8, days=(DAY, DAY + timedelta(days=1)))
    await town.list.offer()
    await town.list.decline(waiting.id, 8)  # eight does not suit
    visit = await town.book(EIGHT, 7)
    (ended,) = await town.office.close_slot(EIGHT.id, "停诊")
    assert (ended.booking.code, ended.state, ended.booking.reason) == (visit.booking.code, Outcome.CLOSED, "停诊")
    (nine,) = await town.counter.history(4, DAY)
    await town.counter.cancel(nine.booking.code, 4)
    assert await town.list.offer() == 1
    (entry,) = await town.entries.find_of(7)
    assert (entry.priority, entry.replaces) == (Priority.CLOSED, visit.booking.code)
    assert await town.offered(entry) == NINE.id
    assert await town.counter.ban(7, "h1", RULES) is None


async def test_closing_may_be_repeated_and_a_person_has_one_replacement(town: ClosingTown):
    await town.book(EIGHT, 7)
    told = [await town.office.close_slot(EIGHT.id, "停诊") for _ in range(3)]
    assert [len(visits) for visits in told] == [1, 1, 1]
    assert len(await town.entries.find_of(7)) == 1
    assert await town.office.finish() == 0


@pytest.mark.parametrize("writes", range(3))  # all seats, and a replacement for each of two people
async def test_a_closure_whose_closer_died_is_finished_by_the_next_run(town: ClosingTown, writes: int):
    await town.book(EIGHT, 7)
    await town.book(NINE, 8)
    dying = town.another_office(Life(writes))
    with pytest.raises(KilledError):
        await dying.close_day("cardio-3", DAY, "停诊")
    assert await town.office.finish() == 0  # it may still be alive
    town.clock.pass_by(seconds=61)
    assert await town.office.finish() == 1
    assert [len(await town.entries.find_of(citizen)) for citizen in (7, 8)] == [1, 1]
    assert {seat.state for seat in await town.seats() if seat.day == DAY} == {State.CLOSED}


async def test_two_offices_that_close_the_same_day_at_once_end_each_booking_once(town: ClosingTown):
    for citizen in (7, 8, 9):
        await town.book(EIGHT, citizen)
    await asyncio.gather(*(town.another_office().close_day("cardio-3", DAY, "停诊") for _ in range(3)))
    assert [len(await town.entries.find_of(citizen)) for citizen in (7, 8, 9)] == [1, 1, 1]
    assert sum(len(seat.past) for seat in await town.seats()) == 3


async def test_a_slot_that_opens_again_goes_to_those_who_wait_before_everybody(town: ClosingTown):
    await town.book(EIGHT, 7)
    await town.office.close_slot(EIGHT.id, "停诊")
    for n, citizen in enumerate((21, 22, 23)):
        await town.book(NINE, citizen)
        await town.book(TOMORROW, 30 + n)
    assert await town.list.offer() == 0
    assert await town.office.reopen(EIGHT.id) == 3
    free = [seat for seat in await town.seats() if seat.slot == EIGHT.id and seat.open_at]
    assert all(seat.open_at > town.clock() for seat in free if seat.open_at)
    assert await town.list.offer() == 1
    (entry,) = await town.entries.find_of(7)
    assert await town.offered(entry) == EIGHT.id


async def test_what_is_held_only_is_closed_without_a_replacement(town: ClosingTown):
    seat = (await town.counter.hold(ask(EIGHT, 7))).seat
    await town.office.close_seats([seat], "停诊")
    (closed,) = [each for each in await town.seats() if each.id == seat.id]
    assert (closed.state, closed.past) == (State.CLOSED, ())
    assert await town.entries.find_of(7) == []


async def test_the_rest_of_a_visit_ends_with_its_closed_part(town: ClosingTown, db: Database):
    await town.book(EIGHT, 7)
    await db["seats"].update_one({"booking.citizen": 7}, {"$set": {"booking.chain": "a-visit"}})
    whole = NoVisits()
    office = Closures((ClosureStore(db), town.store), town.counter, town.list, whole, town.means)
    await office.close_slot(EIGHT.id, "停诊")
    assert whole.asked == ["a-visit"]
