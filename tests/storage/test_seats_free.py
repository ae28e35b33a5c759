"""Counts of free seats follow what is written and what time opens, within a second, in every process."""

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime, timedelta
from functools import partial

from server.domain.booking import Booking, Seat, Slot, seats_of, taken
from server.storage.mongo import Database
from server.storage.seats import SeatStore, Swap
from server.storage.seats_free import FreeSeats

NOW = datetime(2020, 1, 1, tzinfo=UTC)  # long ago by the database's clock


class Clock:
    """Close to the database's clock, and moved by the test: `changed_at` is the database's own."""

    def __init__(self) -> None:
        self.passed = timedelta()

    def __call__(self) -> datetime:
        """The time it is."""
        return datetime.now(UTC) + self.passed


def slot_of(resource: str, hour: int) -> Slot:
    at = datetime(2026, 11, 30, hour, tzinfo=UTC)
    return Slot(resource, "h1", resource, at, at + timedelta(hours=1))


async def held(store: SeatStore, seat: Seat, citizen: int, until: datetime) -> None:
    booking = Booking(f"code-{citizen}", citizen, citizen, "k", NOW, until)
    assert await store.swap([(seat, taken(seat, booking, timedelta()))]) == [Swap.DONE]


async def test_counts_follow_writes_and_time(db: Database):
    clock = Clock()
    store = SeatStore(db, partial(secrets.randbits, 63))
    one, two, later = slot_of("a", 1), slot_of("b", 1), slot_of("b", 2)
    await store.insert(seats_of(one, {"online": 2, "elder": 1}, NOW))
    await store.insert(seats_of(two, {"online": 1}, NOW))
    await store.insert(seats_of(later, {"online": 3}, clock() + timedelta(seconds=60)))
    free = FreeSeats(db, clock)
    day = date(2026, 11, 30)

    async def counts(quota: str = "online") -> dict[str, int]:
        clock.passed += timedelta(seconds=0.7)  # an answer may be a second old
        found = await free.free_by_slot(["a", "b", "nowhere"], [day, day + timedelta(days=1)], quota)
        assert clock() - found.as_of <= timedelta(seconds=1)
        return found.slots

    assert await counts() == {one.id: 2, two.id: 1}
    assert await counts("elder") == {one.id: 1}
    seats = await store.find_slot(one.id)
    await held(store, seats[0], 1, clock() + timedelta(seconds=30))
    await held(store, (await store.find_slot(two.id))[0], 2, clock() + timedelta(days=1))
    new = slot_of("a", 3)
    await store.insert(seats_of(new, {"online": 4}, NOW))
    assert await counts() == {one.id: 1, new.id: 4}
    clock.passed += timedelta(seconds=30)
    assert await counts() == {one.id: 2, new.id: 4}  # the hold is over, and nobody wrote anything
    clock.passed += timedelta(seconds=30)
    assert await counts() == {one.id: 2, new.id: 4, later.id: 3}  # the day was released
    assert await counts("nothing") == {}


async def test_a_second_insertion_changes_nothing(db: Database):
    store = SeatStore(db, partial(secrets.randbits, 63))
    seats = seats_of(slot_of("a", 1), {"online": 2}, NOW)
    assert await store.insert(seats) == 2
    await held(store, seats[0], 1, NOW + timedelta(minutes=10))
    before = await db["seats"].find().to_list()
    assert await store.insert(seats) == 0
    assert await db["seats"].find().to_list() == before


async def test_the_queries_of_a_rush_read_indexes_only(db: Database):
    store = SeatStore(db, partial(secrets.randbits, 63))
    for n in range(40):
        await store.insert(seats_of(slot_of(f"r{n}", 1), {"online": 5}, NOW))
    for seat in (await store.find_slot(slot_of("r1", 1).id))[:3]:
        await held(store, seat, seat.rank, NOW + timedelta(minutes=10))
    queries = [
        {"slot": slot_of("r1", 1).id, "quota": "online", "open_at": {"$lte": NOW}},
        {"booking.code": {"$in": ["code-1", "x"]}},
        {"transit.code": {"$in": ["code-1", "x"]}},
        {"past.code": {"$in": ["code-1", "x"]}},
        {
            "$or": [
                {field: {"$in": [1, 2, 99]}}
                for field in ("booking.citizen", "booking.holder", "past.citizen", "transit.booking.citizen")
            ]
        },
        {"changed_at": {"$gte": datetime.now(UTC) + timedelta(days=1)}},
    ]
    for query in queries:
        told = await db.command("explain", {"find": "seats", "filter": query}, verbosity="executionStats")
        assert told["executionStats"]["totalDocsExamined"] <= 4, query
        assert "COLLSCAN" not in str(told["queryPlanner"]["winningPlan"]), query
