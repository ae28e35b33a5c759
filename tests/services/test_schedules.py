"""The counter of resources on a real mongod: laying out, changing, and what becomes of bookings in the way."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial

import pytest

from server.domain.booking import Booking, Seat, State, closed, confirmed, taken, visits_of
from server.domain.booking_rules import BookingRules
from server.domain.errors import ConflictError, NotFoundError
from server.domain.resources import Kind, Named, Resource, Service, Wanted
from server.domain.schedules import Quota, Schedule, Weekday, Weekly
from server.domain.working_days import WorkingDays
from server.services.schedules import Schedules
from server.storage.mongo import Database
from server.storage.resources import ResourceStore
from server.storage.seats import SeatStore
from server.storage.seats_laid import LaidSeats

NOW = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)  # a Wednesday
FRIDAY, SATURDAY = date(2026, 11, 27), date(2026, 11, 28)


def resource(name: str = "clinic-1", *, ends: time = time(10), window: int = 3, is_open: bool = True) -> Resource:
    weekly = Weekly(
        days=tuple(Weekday)[:5], begins=time(8), ends=ends, slot_minutes=30, places={Quota.ONLINE: 2, Quota.COUNTER: 1}
    )
    return Resource(
        id=name, unit="h1", unit_name=Named(zh="市人民医院"), group="h1-cardio", group_name=Named(zh="心内科"),
        kind=Kind.HOSPITAL, name=Named(zh="李医生"), division="440305",
        services=(Service(code="visit", name=Named(zh="普通门诊")),),
        rules=BookingRules(window_days=window), schedule=Schedule(weekly=(weekly,)), is_open=is_open,
    )  # fmt: skip


class Town:
    """A counter of resources whose clock the test moves; what it closes is closed at once."""

    def __init__(self, db: Database) -> None:
        self.at = NOW
        self.resources = ResourceStore(db)
        self.seats = SeatStore(db, partial(secrets.randbits, 63))
        self.closed: list[str] = []
        self.counter = self.another(db)

    def another(self, db: Database) -> Schedules:
        """The counter of another process."""
        stores = (self.resources, self.seats, LaidSeats(db))
        return Schedules(stores, WorkingDays(), self, self.now, self.clock)

    def now(self) -> datetime:
        """The time it is."""
        return self.at

    def clock(self) -> float:
        """The same in seconds."""
        return self.at.timestamp()

    async def close_seats(self, seats: Sequence[Seat], reason: str) -> None:
        """The hand that closes."""
        await self.seats.swap([(seat, closed(seat, self.at, reason)) for seat in seats])
        self.closed += [seat.id for seat in seats]

    async def book(self, day: date, n: int, citizen: int = 7) -> Seat:
        """Somebody gets the n-th seat of a day."""
        seat = (await self.seats.find_day("clinic-1", day))[n]
        booking = Booking(
            secrets.token_hex(8), citizen, citizen, secrets.token_hex(4), self.at, self.at + timedelta(minutes=9)
        )
        held = taken(seat, booking, timedelta(0))
        booked = confirmed(visits_of(held)[0], self.at)
        assert isinstance(booked, Seat)
        await self.seats.swap([(seat, held)])
        await self.seats.swap([(held, booked)])
        return booked


@pytest.fixture
def town(db: Database) -> Town:
    return Town(db)


async def days_with_seats(town: Town, name: str = "clinic-1") -> dict[int, int]:
    found = {}
    for n in range(12):
        day = NOW.date() + timedelta(days=n)
        if seats := await town.seats.find_day(name, day):
            found[day.day] = len(seats)
    return found


async def test_a_new_resource_has_seats_up_to_the_day_after_its_window(town: Town):
    await town.counter.create(resource(window=3))
    assert await days_with_seats(town) == {25: 12, 26: 12, 27: 12}
    await town.counter.create(resource("clinic-2", window=6))
    assert await days_with_seats(town, "clinic-2") == {25: 12, 26: 12, 27: 12, 30: 12, 31 - 30: 12, 2: 12}


async def test_every_day_the_job_lays_out_one_more_and_a_second_run_changes_nothing(town: Town):
    await town.counter.create(resource(window=3))
    assert await town.counter.lay_out() == 0
    town.at += timedelta(days=1)
    assert await town.counter.lay_out() == 12
    assert await town.counter.lay_out() == 0


async def test_processes_that_lay_out_at_once_lay_each_seat_once(town: Town, db: Database):
    await town.resources.put_all([resource(f"clinic-{n}") for n in range(1, 8)], NOW)
    new = await asyncio.gather(*(town.another(db).lay_out() for _ in range(4)))
    assert sum(new) == 7 * 36
    assert await db["seats"].count_documents({}) == 7 * 36


async def test_the_seats_open_when_the_window_reaches_their_day(town: Town):
    await town.counter.create(resource(window=3))
    seat = (await town.seats.find_day("clinic-1", FRIDAY))[0]
    assert seat.open_at == datetime(2026, 11, 23, 22, 30, tzinfo=UTC)  # 06:30 in China on the 24th


async def test_a_change_tells_first_what_it_breaks_and_wants_to_hear_that_number(town: Town):
    kept = await town.counter.create(resource())
    late = await town.book(FRIDAY, -1)
    await town.book(FRIDAY, 0, citizen=8)
    shorter = resource(ends=time(9))
    assert [(each.day, [seat.id for seat in each.seats]) for each in await town.counter.breakages(shorter)] == [
        (FRIDAY, [late.id])
    ]
    with pytest.raises(ConflictError, match="bookings_break"):
        await town.counter.change(shorter, kept.version, 0, "缩短")
    assert await days_with_seats(town) == {25: 12, 26: 12, 27: 12}
    changed = await town.counter.change(shorter, kept.version, 1, "缩短")
    assert (changed.version, town.closed) == (kept.version + 1, [late.id])
    assert await days_with_seats(town) == {25: 6, 26: 6, 27: 7}  # the broken one stays, closed
    ended = next(seat for seat in await town.seats.find_day("clinic-1", FRIDAY) if seat.id == late.id)
    assert (ended.state, ended.past[-1].reason) == (State.CLOSED, "缩短")


async def test_two_officers_who_change_the_same_version_do_not_both(town: Town):
    kept = await town.counter.create(resource())
    await town.counter.change(resource(ends=time(9)), kept.version, 0, "x")
    with pytest.raises(ConflictError, match="version_stale"):
        await town.counter.change(resource(ends=time(11)), kept.version, 0, "x")


async def test_a_change_that_died_before_its_seats_is_finished_by_the_job(town: Town):
    kept = await town.counter.create(resource())
    late = await town.book(FRIDAY, -1)
    await town.resources.replace(resource(ends=time(9)), kept.version, "缩短", NOW)
    await town.counter.lay_out()
    assert town.closed == [late.id]
    assert await days_with_seats(town) == {25: 6, 26: 6, 27: 7}


async def test_a_resource_that_is_not_open_any_more_keeps_its_bookings_and_loses_its_free_seats(town: Town):
    kept = await town.counter.create(resource())
    await town.book(FRIDAY, 0)
    await town.counter.change(resource(is_open=False), kept.version, 0, "退役")
    assert await days_with_seats(town) == {27: 1}
    town.at += timedelta(days=9)
    assert await town.counter.lay_out() == 0


async def test_the_timetable_knows_slots_of_the_schedule_those_that_were_closed_and_no_others(town: Town):
    kept = await town.counter.create(resource())
    await town.book(FRIDAY, -1)
    await town.counter.change(resource(ends=time(9)), kept.version, 1, "缩短")
    town.at += timedelta(seconds=2)
    asked = [f"2026-11-27/clinic-1/{clock}" for clock in ("0800", "0930", "0815", "2500")]
    asked += ["2026-11-28/clinic-1/0800", "2026-11-27/nobody/0800", "x", "2026-13-01/clinic-1/0800"]
    found = await town.counter.find(asked)
    assert sorted(found) == ["2026-11-27/clinic-1/0800", "2026-11-27/clinic-1/0930"]
    slot, rules = found["2026-11-27/clinic-1/0930"]
    assert (slot.unit, slot.id, rules.window_days) == ("h1", "2026-11-27/clinic-1/0930", 3)


async def test_resources_are_found_by_what_they_are_and_paged_by_id(town: Town):
    await town.resources.put_all([resource(f"clinic-{n}") for n in range(1, 6)], NOW)
    wanted = Wanted(kind=Kind.HOSPITAL, unit="h1", division="440300", service="visit")
    first = await town.counter.page(wanted, "", 3)
    rest = await town.counter.page(wanted, first[-1].resource.id, 3)
    assert [kept.resource.id for kept in [*first, *rest]] == [f"clinic-{n}" for n in range(1, 6)]
    assert await town.counter.page(Wanted(division="440306"), "", 9) == []
    with pytest.raises(NotFoundError, match="resource_unknown"):
        await town.counter.get("nobody")
    with pytest.raises(ConflictError, match="resource_exists"):
        await town.counter.create(resource())
