"""Resources are loaded once, what an officer has made of them stays, and seats are laid ahead by whoever is there."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from functools import partial

import pytest

from server.domain.booking import Seat
from server.domain.booking_rules import BookingRules
from server.domain.resources import Kind, Named, Resource, Service
from server.domain.schedules import Quota, Schedule, Weekday, Weekly
from server.domain.working_days import WorkingDays
from server.services.booking_seeding import Loaded, all_of, lay_out, load
from server.services.schedules import Schedules
from server.storage.mongo import Database
from server.storage.resources import ResourceStore, Wanted
from server.storage.seats import SeatStore
from server.storage.seats_laid import LaidSeats

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)  # a Monday


def court(n: int, division: str = "440305") -> Resource:
    weekly = Weekly(
        days=tuple(Weekday), begins=clock_time(9), ends=clock_time(11), slot_minutes=60, places={Quota.ONLINE: 1}
    )
    return Resource(
        id=f"court-{n:03}", unit="gym", unit_name=Named(zh="体育馆"), group="gym-court", group_name=Named(zh="场地"),
        kind=Kind.SPORTS, name=Named(zh=f"{n}号场"), division=division,
        services=(Service(code="play", name=Named(zh="打球")),),
        rules=BookingRules(window_days=1), schedule=Schedule(weekly=(weekly,)),
    )  # fmt: skip


class _Nobody:
    """Closes nothing: no booking is in the way here."""

    async def close_seats(self, seats: Sequence[Seat], reason: str) -> None:
        assert not seats, reason


@pytest.fixture
def store(db: Database) -> ResourceStore:
    return ResourceStore(db)


@pytest.fixture
def counter(db: Database, store: ResourceStore) -> Schedules:
    stores = (store, SeatStore(db, partial(secrets.randbits, 63)), LaidSeats(db))
    return Schedules(stores, WorkingDays(), _Nobody(), lambda: NOW, time.monotonic)


async def test_a_second_load_adds_nothing_and_an_officers_change_stays(store: ResourceStore):
    told: list[int] = []
    courts = [court(n) for n in range(600)]
    assert await load(store, courts[:-1], NOW, told.append) == Loaded(599, 0, ())
    assert sum(told) == 599
    changed = courts[5].model_copy(update={"name": Named(zh="维修中")})
    await store.replace(changed, 1, "维修", NOW)
    assert await load(store, courts, NOW, told.append) == Loaded(1, 598, ("court-005",))
    kept = await store.get("court-005")
    assert kept is not None
    assert kept.resource == changed


async def test_only_what_is_wanted_is_laid_out_and_a_second_time_nothing(
    store: ResourceStore, counter: Schedules, db: Database
):
    await load(store, [court(n, "440305" if n % 2 else "130102") for n in range(20)], NOW, lambda _: None)
    told: list[int] = []
    chosen = await all_of(counter, Wanted(division="440300"))
    assert await lay_out(counter, chosen, told.append) == 10 * 3 * 2, "today, the window and a day more, two slots each"
    assert len(told) == 10
    assert await lay_out(counter, await all_of(counter, Wanted(division="440300")), told.append) == 0
    assert await db["seats"].distinct("day") == [f"2026-11-{day}" for day in (23, 24, 25)]


async def test_what_one_worker_is_at_another_leaves_alone_until_its_time_is_over(store: ResourceStore):
    await load(store, [court(1), court(2)], NOW, lambda _: None)
    claim = partial(store.claim_due, NOW.date())
    claimed = await asyncio.gather(*(claim(NOW, NOW + timedelta(minutes=1)) for _ in range(3)))
    assert sorted(each.resource.id for each in claimed if each) == ["court-001", "court-002"]
    later = NOW + timedelta(minutes=1)
    assert await claim(later, later + timedelta(minutes=1)) is not None


async def test_a_resource_that_a_dead_worker_was_at_is_laid_out_all_the_same(store: ResourceStore, counter: Schedules):
    await load(store, [court(1)], NOW, lambda _: None)
    await store.claim_due(NOW.date(), NOW, NOW + timedelta(minutes=1))
    assert await counter.lay_out() == 6
    (kept,) = await all_of(counter, Wanted())
    assert kept.laid_until == date(2026, 11, 25)


async def test_a_process_that_has_to_end_lays_out_no_more(store: ResourceStore, counter: Schedules):
    await load(store, [court(n) for n in range(5)], NOW, lambda _: None)
    answers = iter([False, False, True])
    assert await counter.lay_out(lambda: next(answers, True)) == 2 * 6, "two resources, then it is told to stop"
    assert await counter.lay_out() == 3 * 6, "the next run finds the others"
