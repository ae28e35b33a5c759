"""The news of bookings on a real mongod: nothing is lost, doubled, or told of what is over."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial

import pytest

from server.domain.booking import seats_of
from server.domain.china import china_day
from server.domain.outbox import Entry
from server.services.booking import Bookings
from server.services.booking_news import NAME, TAKE, BookingNews, Shelves, Told
from server.storage import catalogues
from server.storage.clock import DatabaseClock
from server.storage.followers import Followers
from server.storage.mongo import Database, Document, Session
from server.storage.outbox import Outbox
from server.storage.person_keys import PersonVault
from server.storage.resources import ResourceStore
from server.storage.vault import Vault
from tests.services.booking_world import Clock, Town, ask, slot_at

REGISTRY = catalogues.load_texts().templates
ANN, BOB, CHILD = 101, 102, 103


class Newsroom:
    """A town in the database's own time, and the desk that follows its bookings."""

    def __init__(self, db: Database, now: datetime) -> None:
        self.db = db
        self.day: date = china_day(now + timedelta(days=3))
        self.slots = [slot_at(hour, day=self.day) for hour in (10, 11, 15)]
        self.clock = Clock(now)
        self.town = Town(db, self.clock, *self.slots)
        vault = Vault({1: secrets.token_bytes(32)}, secrets.token_bytes(32), secrets.token_bytes)
        self.people = PersonVault(db, vault, secrets.token_bytes)
        self.desk = self.another()

    @property
    def counter(self) -> Bookings:
        """The booking counter."""
        return self.town.counter

    def another(
        self, outbox: Outbox | None = None, followers: Followers | None = None, take: int = TAKE
    ) -> BookingNews:
        """The desk of another process, with these stores if they are given."""
        shelves = Shelves(
            self.town.store,
            ResourceStore(self.db),
            outbox or Outbox(self.db),
            followers or Followers(self.db, secrets.token_hex(4)),
            self.people,
        )
        return BookingNews(shelves, REGISTRY, self.clock, take)

    async def book(self, citizen: int, n: int = 0, holder: int | None = None) -> str:
        """Somebody books the n-th slot; the code."""
        visit = await self.counter.hold(ask(self.slots[n], citizen, secrets.token_hex(4), holder))
        return (await self.counter.confirm(visit.booking.code, holder or citizen)).booking.code

    async def outbox(self) -> dict[str, Document]:
        """All entries by key."""
        return {d["_id"]: d async for d in self.db["outbox"].find({})}

    async def waiting(self, citizen: int) -> dict[str, datetime]:
        """What waits for somebody: template -> when it is due."""
        found = [d async for d in self.db["outbox"].find({"citizen": citizen, "state": "waiting"})]
        assert len({d["template"] for d in found}) == len(found)
        return {d["template"]: d["due_at"] for d in found}


async def opened(db: Database) -> Newsroom:
    """Three hours with three places each, in three days."""
    clock = DatabaseClock(db, lambda: 0.0)
    await clock.measure()
    made = Newsroom(db, clock.now().replace(microsecond=0))
    for slot in made.slots:
        await made.town.store.insert(seats_of(slot, {"online": 3}, made.clock.at - timedelta(days=1)))
    return made


@pytest.fixture
async def room(db: Database) -> Newsroom:
    return await opened(db)


async def test_a_confirmed_booking_is_told_and_reminded_of_once_however_often_anybody_looks(room: Newsroom):
    code = await room.book(ANN)
    told = [await room.desk.follow() for _ in range(3)]
    begins = room.slots[0].begins_at
    assert told == [Told(new=3), Told(), Told()]
    assert await room.waiting(ANN) == {
        "booking.confirmed": room.clock.at,
        "booking.reminder_day": begins - timedelta(days=1),
        "booking.reminder_hours": begins - timedelta(hours=2),
    }
    assert {d["about"] for d in (await room.outbox()).values()} == {code}


async def test_a_hold_is_told_of_only_to_who_has_it_and_only_shortly_before_it_ends(room: Newsroom):
    hold = (await room.counter.hold(ask(room.slots[0], CHILD, holder=ANN))).booking
    assert [await room.desk.follow() for _ in range(2)] == [Told(new=1), Told()]
    assert await room.waiting(ANN) == {"booking.hold_ends": hold.hold_until - timedelta(minutes=3)}
    assert await room.waiting(CHILD) == {}
    assert await room.desk.render("booking.hold_ends", [hold.code]) == {}
    room.clock.at = hold.hold_until - timedelta(minutes=3)
    [texts] = (await room.desk.render("booking.hold_ends", [hold.code])).values()
    assert "前确认" in str(texts["push"]["zh"]["body"])
    room.clock.at = hold.hold_until
    assert await room.desk.render("booking.hold_ends", [hold.code]) == {}


async def test_who_has_confirmed_or_extended_a_hold_is_not_told_that_it_ends(room: Newsroom):
    confirmed, extended = [
        (await room.counter.hold(ask(room.slots[n], who))).booking for n, who in enumerate((ANN, BOB))
    ]
    await room.desk.follow()
    room.clock.at += timedelta(minutes=5)
    await room.counter.confirm(confirmed.code, ANN)
    again = await room.counter.renew(extended.code, BOB)
    assert (await room.desk.follow()).withdrawn == 1
    room.clock.at = extended.hold_until - timedelta(minutes=3)
    assert await room.desk.render("booking.hold_ends", [confirmed.code, extended.code]) == {}
    ends = [d["expires_at"] for d in (await room.outbox()).values() if d["template"] == "booking.hold_ends"]
    assert again.booking.hold_until in ends


async def test_a_moved_booking_is_reminded_of_at_its_new_time_only(room: Newsroom):
    code = await room.book(ANN)
    await room.desk.follow()
    await room.counter.move(code, ANN, room.slots[2].id, "online")
    assert await room.desk.follow() == Told(new=3, withdrawn=3)
    found = await room.waiting(ANN)
    begins = room.slots[2].begins_at
    assert set(found) == {"booking.moved", "booking.reminder_day", "booking.reminder_hours"}
    assert found["booking.reminder_hours"] == begins - timedelta(hours=2)


async def test_a_cancelled_booking_reminds_nobody(room: Newsroom):
    code = await room.book(CHILD, holder=ANN)
    await room.desk.follow()
    await room.counter.cancel(code, ANN)
    assert await room.desk.follow() == Told(new=2, withdrawn=6)
    assert set(await room.waiting(ANN)) == set(await room.waiting(CHILD)) == {"booking.cancelled"}


async def test_a_closure_is_told_to_everybody_of_the_slot(room: Newsroom):
    codes = [await room.book(citizen) for citizen in (ANN, BOB)]
    await room.desk.follow()
    await room.counter.close(room.slots[0].id, "医生出差")
    await room.desk.follow()
    for citizen in (ANN, BOB):
        assert set(await room.waiting(citizen)) == {"booking.closed"}
    words = await room.desk.render("booking.closed", codes)
    assert all("医生出差" in str(words[code]["push"]["zh"]["body"]) for code in codes)


async def test_words_follow_the_booking_as_it_is_and_what_is_moot_has_none(room: Newsroom):
    codes = [await room.book(ANN), await room.book(BOB), "nobodys-code"]
    await room.counter.move(codes[0], ANN, room.slots[2].id, "online")
    await room.counter.cancel(codes[1], None)
    words = await room.desk.render("booking.confirmed", codes)
    assert set(words) == {codes[0]}
    assert "15:00" in str(words[codes[0]]["push"]["zh"]["body"])


async def test_who_was_erased_is_told_nothing(room: Newsroom):
    await room.book(CHILD, holder=ANN)
    await room.people.shred(CHILD)
    assert await room.desk.follow() == Told(new=3)
    assert await room.waiting(CHILD) == {}


async def test_of_two_processes_one_works_and_the_other_takes_over_when_it_is_gone(room: Newsroom):
    other = room.another()
    await room.book(ANN)
    first, second = await asyncio.gather(room.desk.follow(), other.follow())
    assert sorted([first, second]) == [Told(), Told(new=3)]
    idle = other if second == Told() else room.desk
    await room.book(BOB)
    assert await idle.follow() == Told()
    await room.db["followers"].update_one({"_id": NAME}, {"$set": {"until": datetime(2020, 1, 1, tzinfo=UTC)}})
    assert (await idle.follow()).new == 3
    assert len(await room.outbox()) == 6


async def test_more_changes_than_one_read_takes_are_all_seen(room: Newsroom):
    for n in range(3):
        for citizen in range(3):
            await room.book(1000 + 10 * n + citizen, n)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    await room.db["seats"].update_many({"slot": room.slots[0].id}, {"$set": {"changed_at": moment}})
    assert (await room.another(take=2).follow()).new == 27


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Life:
    """How many more writes a process gets done. Whether the last one arrives nobody knows: both are tried."""

    left: int
    is_last_done: bool

    async def spend(self, write: Callable[[], Awaitable[object]]) -> object:
        """One write more."""
        self.left -= 1
        if self.left < 0:
            if self.is_last_done and self.left == -1:
                await write()
            raise Killed
        return await write()


class MortalOutbox(Outbox):
    """An outbox whose process may die."""

    def __init__(self, db: Database, life: Life) -> None:
        super().__init__(db)
        self.life = life

    async def put(self, entries: Sequence[Entry], session: Session | None = None) -> int:
        """One by one: a bulk write may be cut anywhere."""
        assert session is None
        for entry in entries:
            await self.life.spend(partial(super().put, [entry]))
        return len(entries)

    async def withdraw_many(self, keys: Sequence[str], now: datetime) -> int:
        """One by one."""
        for key in keys:
            await self.life.spend(partial(super().withdraw_many, [key], now))
        return len(keys)


class MortalFollowers(Followers):
    """The mark of a process that may die."""

    def __init__(self, db: Database, life: Life) -> None:
        super().__init__(db, secrets.token_hex(4))
        self.life = life

    async def advance(self, name: str, seen_until: datetime) -> None:
        """One write."""
        await self.life.spend(partial(super().advance, name, seen_until))


async def test_killed_at_any_write_it_loses_and_doubles_nothing(room: Newsroom):
    codes = [await room.book(ANN), await room.book(BOB, holder=ANN)]
    await room.desk.follow()
    await room.counter.move(codes[0], ANN, room.slots[2].id, "online")
    await room.counter.cancel(codes[1], None)
    before, mark = await room.outbox(), await room.db["followers"].find_one({"_id": NAME})
    assert mark is not None

    async def rewind() -> None:
        await room.db["outbox"].delete_many({})
        await room.db["outbox"].insert_many(list(before.values()))
        await room.db["followers"].replace_one({"_id": NAME}, mark | {"until": mark["began_at"] - timedelta(days=1)})

    def told(entries: dict[str, Document]) -> dict[str, tuple[object, ...]]:
        return {key: (d["state"], d["due_at"], d["citizen"], d["template"]) for key, d in entries.items()}

    await rewind()
    await room.another().follow()
    wanted = told(await room.outbox())
    deaths = 0
    for n in range(100):
        for is_last_done in (False, True):
            await rewind()
            life = Life(n, is_last_done)
            mortal = room.another(MortalOutbox(room.db, life), MortalFollowers(room.db, life))
            try:
                await mortal.follow()
            except Killed:
                deaths += 1
            await room.db["followers"].update_one({"_id": NAME}, {"$set": {"until": mark["began_at"]}})
            await room.another().follow()
            assert told(await room.outbox()) == wanted
        if life.left >= 0:
            break
    assert deaths > 20


async def test_a_stale_reminder_that_a_slow_process_put_says_nothing(room: Newsroom):
    code = await room.book(ANN)
    seat = (await room.town.store.find_visits([code]))[code].seat
    far = replace(room.slots[0], begins_at=room.slots[0].begins_at + timedelta(days=14))
    await room.db["seats"].update_one({"_id": seat.id}, {"$set": {"begins_at": far.begins_at}})
    room.clock.at = room.slots[0].begins_at - timedelta(days=1)
    assert await room.desk.render("booking.reminder_day", [code]) == {}
    room.clock.at = far.begins_at - timedelta(days=1)
    assert set(await room.desk.render("booking.reminder_day", [code])) == {code}
