"""What is held of a person's bookings: handed out whole, handed over without a clash, and gone when erased."""

from __future__ import annotations

import secrets
from functools import partial

import pytest

from server.domain.booking import State
from server.domain.errors import UnavailableError
from server.services.booking_holdings import BookingsHolding
from server.storage.mongo import Database, Session, in_transaction
from server.storage.seats_people import SeatPeople
from tests.services.booking_world import Clock, Town, ask, slot_at

SOURCE, TARGET, CHILD = 7_111_111_111, 7_222_222_222, 7_333_333_333
SLOTS = [
    *(slot_at(9, n) for n in (0, 30)),
    *(slot_at(10, n, resource=f"eye-{n}", group="h1/eye") for n in (0, 30)),
    slot_at(11, resource="skin-1", group="h1/skin"),
]


class World:
    """A town and the holding on it."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.clock = Clock()
        self.town = Town(db, self.clock, *SLOTS)
        numbers = iter(range(-1, -1000, -1))
        self.people = SeatPeople(db, partial(secrets.randbits, 63))
        self.holding = BookingsHolding(self.people, self.clock, lambda: next(numbers))

    async def book(self, slot: int, citizen: int, holder: int | None = None, key: str = "") -> str:
        """Booked; the code."""
        held = await self.town.counter.hold(ask(SLOTS[slot], citizen, key or f"k{slot}", holder))
        await self.town.counter.confirm(held.booking.code, held.booking.holder)
        return held.booking.code

    async def move(self) -> None:
        """Join SOURCE into TARGET."""

        async def work(session: Session) -> None:
            await self.holding.move(SOURCE, TARGET, session)

        await in_transaction(self.db, work)

    async def held(self, citizen: int) -> dict[str, str]:
        """State by code, as exported."""
        return {row["code"]: row["state"] for row in await self.holding.export(citizen)}

    async def mentions(self, citizen: int) -> bool:
        """Whether the number stands anywhere."""
        return str(citizen) in str(
            [d async for d in self.db["seats"].find({}, {"booking": 1, "past": 1, "transit": 1})]
        )


@pytest.fixture
async def world(db: Database) -> World:
    made = World(db)
    await made.town.open(online=3)
    return made


async def test_an_export_has_what_was_booked_for_and_by_somebody_and_nothing_internal(world: World):
    own, child = await world.book(0, SOURCE), await world.book(2, CHILD, SOURCE)
    await world.town.counter.cancel(own, SOURCE)
    rows = await world.holding.export(SOURCE)
    assert [(r["code"], r["state"], r["for"], r["made_by"]) for r in rows] == [
        (own, "cancelled", "me", "me"),
        (child, "booked", "another", "me"),
    ]
    assert [(r["code"], r["for"], r["made_by"]) for r in await world.holding.export(CHILD)] == [
        (child, "me", "another")
    ]
    assert not any(number in str(rows) for number in (str(SOURCE), str(CHILD)))


async def test_a_join_hands_over_all_and_where_both_have_a_seat_the_targets_stays(world: World):
    served, clashing = await world.book(2, SOURCE, key="same"), await world.book(0, SOURCE)
    theirs, child = await world.book(1, TARGET, key="same"), await world.book(2, CHILD, SOURCE)
    gone = await world.book(4, SOURCE)
    await world.town.counter.cancel(gone, SOURCE)
    hold = await world.town.counter.hold(ask(SLOTS[4], SOURCE, "held"))
    await world.town.counter.hold(ask(SLOTS[4], TARGET, "held"))
    for _ in range(2):
        await world.move()
    found = await world.held(TARGET)
    assert (
        found | {served: "booked", clashing: "withdrawn", theirs: "booked", child: "booked", gone: "cancelled"} == found
    )
    assert len(found) == 6, "and the target's own hold"
    assert hold.booking.code not in found
    assert await world.held(SOURCE) == {}
    assert not await world.mentions(SOURCE)
    history = await world.town.counter.history(TARGET, SLOTS[0].day)
    assert {visit.booking.code for visit in history} >= {served, clashing, theirs}


async def test_a_join_that_fails_has_moved_nothing(world: World):
    code = await world.book(0, SOURCE)

    async def work(session: Session) -> None:
        await world.holding.move(SOURCE, TARGET, session)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await in_transaction(world.db, work)
    assert await world.held(SOURCE) == {code: "booked"}


async def test_an_erasure_gives_back_what_lies_ahead_and_leaves_counts_without_the_person(world: World):
    counter = world.town.counter
    ahead, past, child = await world.book(0, SOURCE), await world.book(2, SOURCE), await world.book(4, CHILD, SOURCE)
    other = await world.book(3, TARGET)
    world.clock.at = SLOTS[2].begins_at
    for code, slot in ((past, SLOTS[2]), (other, SLOTS[3])):
        await counter.check_in(code)
        await counter.call_next(slot.resource, slot.day)
        await counter.serve(code)
    for _ in range(2):
        await world.holding.erase(SOURCE)
    assert await world.holding.export(SOURCE) == []
    assert not await world.mentions(SOURCE)
    assert (await counter.get(child, CHILD)).state is State.BOOKED
    over = await counter.get(ahead, None)
    assert (over.state, over.booking.citizen < 0, over.booking.key) == ("withdrawn", True, ahead)
    await world.holding.erase(TARGET)  # two who are nobody may have been in one group on one day
    assert {(await counter.get(code, None)).state for code in (past, other)} == {State.SERVED}


async def test_a_booking_on_its_way_to_another_seat_is_erased_once_it_is_there(world: World):
    code = await world.book(0, SOURCE)
    await world.db["seats"].update_one(
        {"booking.code": code},
        {"$set": {"transit": {"code": code, "other": f"{SLOTS[1].id}/0001", "until": world.clock()}}},
    )
    with pytest.raises(UnavailableError, match="booking_busy"):
        await world.holding.erase(SOURCE)
