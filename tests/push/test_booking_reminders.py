"""From a booking over the duty, the outbox and the engine to the provider's journal, on a clock the test moves."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from server import assemble
from server.domain.booking import Slot, seats_of
from server.domain.booking_news import News, reminders
from server.domain.china import china_day
from server.services.booking import Bookings
from server.services.booking_news import BookingNews, Shelves
from server.services.subjects import Subjects
from server.storage.citizens import NewCitizen
from server.storage.clock import DatabaseClock
from server.storage.followers import Followers
from server.storage.mongo import Database
from server.storage.resources import ResourceStore
from tests.push.city import accepted, owners_of
from tests.push.conftest import City, until
from tests.services.booking_world import Clock, Town, ask, slot_at

LOOKS = 1.6  # seconds: the filler of reminders looks every second


class Ahead(DatabaseClock):
    """The database's clock, and so much ahead of it."""

    def __init__(self, db: Database) -> None:
        super().__init__(db, time.monotonic)
        self.by = timedelta(0)

    def now(self) -> datetime:
        """The time it is in this test."""
        return super().now() + self.by

    def go_to(self, at: datetime) -> None:
        """Let time go by until then."""
        self.by += at - self.now()


class Office:
    """A counter, its news and a worker, all on one clock."""

    def __init__(self, city: City, clock: Ahead) -> None:
        self.city, self.clock = city, clock
        db = city.assembly.db
        self.slot: Slot = slot_at(10, day=china_day(clock.now() + timedelta(days=2)))
        self.town = Town(db, Clock(clock.now()), self.slot)
        people, outbox = city.assembly.person_vault, city.assembly.outbox
        shelves = Shelves(self.town.store, ResourceStore(db), outbox, Followers(db, "test"), people)
        self.news = BookingNews(shelves, city.assembly.templates, clock.now)
        self.counter: Bookings = self.town.counter
        assembly = replace(city.assembly, clock=clock, subjects=Subjects([self.news]))
        city.start(assemble.worker(assembly, city.stack))

    async def book(self, citizen: int, key: str = "") -> str:
        """The code of a booking that is confirmed."""
        visit = await self.counter.hold(ask(self.slot, citizen, key or secrets.token_hex(4)))
        return (await self.counter.confirm(visit.booking.code, citizen)).booking.code

    def got(self) -> dict[int, int]:
        """How many notices the provider took for each."""
        journal = accepted(list(self.city.sandbox.journal())[self.city.began :], owners_of(self.city.citizens))
        return {person: count for (_, person), count in journal.items()}

    async def gets(self, wanted: dict[int, int], *, for_s: float = 0) -> None:
        """Wait until the provider has taken so many for each, then see that it stays at that for so long."""

        async def is_so() -> bool:
            return self.got() == wanted

        await until(is_so)
        await asyncio.sleep(for_s)
        assert self.got() == wanted


@pytest.fixture
async def office(city: City) -> Office:
    clock = Ahead(city.assembly.db)
    await clock.measure()
    made = Office(city, clock)
    await made.town.store.insert(seats_of(made.slot, {"online": 3}, clock.now() - timedelta(days=1)))
    return made


def by_wechat(_: int, citizen: NewCitizen) -> NewCitizen:
    return replace(citizen, quiet=None, addresses={"wechat": citizen.addresses["wechat"]})


async def test_reminders_arrive_at_their_times_and_a_cancelled_booking_reminds_nobody(office: Office):
    one, other = [person.id for person in await office.city.people(2, by_wechat)]
    due = reminders(office.slot.begins_at)
    codes = [await office.book(person) for person in (one, other)]
    await office.news.follow()
    await office.gets({one: 1, other: 1})  # confirmed
    office.clock.go_to(due[News.REMINDER_DAY] - timedelta(seconds=60))
    await office.gets({one: 1, other: 1}, for_s=LOOKS)
    office.clock.go_to(due[News.REMINDER_DAY])
    await office.gets({one: 2, other: 2})
    office.town.clock.at = office.clock.now()
    await office.counter.cancel(codes[1], None)
    await office.news.follow()
    await office.gets({one: 2, other: 3})  # cancelled, said once
    office.clock.go_to(due[News.REMINDER_HOURS])
    await office.gets({one: 3, other: 3}, for_s=LOOKS)


async def test_who_holds_a_seat_is_told_once_before_it_goes_and_who_has_confirmed_is_not(office: Office):
    slow, quick = [person.id for person in await office.city.people(2, by_wechat)]
    hold = (await office.counter.hold(ask(office.slot, slow, "k"))).booking
    await office.counter.hold(ask(office.slot, quick, "k"))
    await office.news.follow()
    await office.book(quick, "k")
    await office.news.follow()
    await office.gets({quick: 1})  # confirmed
    office.clock.go_to(hold.hold_until - timedelta(minutes=2))
    await office.gets({quick: 1, slow: 1}, for_s=LOOKS)
    late = {"template": "booking.hold_ends", "state": "paged"}
    assert [d["citizen"] async for d in office.city.assembly.db["outbox"].find(late)] == [slow]


async def test_what_was_cancelled_before_it_was_followed_and_what_is_late_is_never_sent(office: Office):
    late, gone = [person.id for person in await office.city.people(2, by_wechat)]
    codes = [await office.book(person) for person in (late, gone)]
    await office.news.follow()
    await office.gets({late: 1, gone: 1})
    office.town.clock.at = office.clock.now()
    await office.counter.cancel(codes[1], None)  # nobody follows: the words are asked for when it is due
    office.clock.go_to(reminders(office.slot.begins_at)[News.REMINDER_DAY])
    await office.gets({late: 2, gone: 1}, for_s=LOOKS)
    office.clock.go_to(office.slot.begins_at + timedelta(minutes=1))
    await asyncio.sleep(LOOKS)
    assert office.got() == {late: 2, gone: 1}
    states = [d["state"] async for d in office.city.assembly.db["outbox"].find({"template": "booking.reminder_hours"})]
    assert states == ["late", "late"]
