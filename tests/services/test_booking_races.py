"""Many at once, from several processes' counters: never one seat too many, never one answer that is not true."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from server.domain.booking import Outcome, State, Visit
from server.domain.errors import HuiminError
from server.services.booking import Bookings
from server.storage.mongo import Database
from tests.services.booking_world import DAY, Clock, Town, ask, slot_at

ROOT = Path(__file__).parents[2]
EIGHT, NINE, TEN = slot_at(8), slot_at(9), slot_at(10)


async def rush(counters: list[Bookings], citizens: int) -> Counter[str]:
    """Everybody wants and confirms a seat at once; how often each answer was given."""

    async def one(citizen: int) -> str:
        counter = counters[citizen % len(counters)]
        try:
            visit = await counter.hold(ask(EIGHT, citizen))
            return (await counter.confirm(visit.booking.code, citizen)).state
        except HuiminError as error:
            return error.code

    return Counter(await asyncio.gather(*(one(n) for n in range(1, citizens + 1))))


async def test_of_a_thousand_citizens_exactly_one_gets_the_last_seat(db: Database):
    town = Town(db, Clock(), EIGHT)
    await town.open(online=1)
    assert await rush([town.another(n) for n in range(3)], 1_000) == {"booked": 1, "slot_full": 999}


@pytest.mark.parametrize("processes", [1, 4])
async def test_five_thousand_citizens_get_exactly_fifty_seats(db: Database, processes: int):
    town = Town(db, Clock(), EIGHT)
    await town.open(online=50)
    assert await rush([town.another(n) for n in range(processes)], 5_000) == {"booked": 50, "slot_full": 4_950}
    seats = await town.seats()
    assert len({seat.booking.citizen for seat in seats if seat.booking}) == len(seats) == 50


async def test_the_end_of_a_hold_against_its_confirmation_has_one_winner(db: Database):
    town = Town(db, Clock(), EIGHT)
    await town.open(online=40)
    held = [await town.counter.hold(ask(EIGHT, n)) for n in range(1, 41)]
    slow, fast = Clock(), Clock()  # two processes that do not agree whether it is over
    fast.pass_by(minutes=10, seconds=1)
    town.clock = slow
    here = town.another(1)
    town.clock = fast
    there = town.another(2)
    told = await asyncio.gather(
        *(here.confirm(v.booking.code, v.booking.citizen) for v in held),
        *(there.hold(ask(EIGHT, 100 + n)) for n in range(40)),
        return_exceptions=True,
    )
    confirmed = [each for each in told[:40] if isinstance(each, Visit)]
    retaken = [each for each in told[40:] if isinstance(each, Visit)]
    refused = {each.code for each in told if isinstance(each, HuiminError)}
    assert len(confirmed) + len(retaken) == 40
    assert {v.seat.id for v in confirmed}.isdisjoint(v.seat.id for v in retaken)
    assert refused <= {"hold_expired", "slot_full"}


async def test_moving_against_cancelling_ends_in_one_of_them(db: Database):
    town = Town(db, Clock(), EIGHT, NINE, TEN)
    await town.open(online=20)
    codes = [(await town.counter.hold(ask(EIGHT, n))).booking.code for n in range(1, 21)]
    await asyncio.gather(*(town.counter.confirm(code, n) for n, code in enumerate(codes, 1)))
    movers, cancellers = town.another(1), town.another(2)
    jobs = [
        job
        for n, code in enumerate(codes, 1)
        for job in (
            movers.move(code, n, NINE.id, "online"),
            cancellers.cancel(code, n),
            town.another(3).move(code, n, TEN.id, "online"),
        )
    ]
    Random(5).shuffle(jobs)  # noqa: S311 - an order, not a secret
    told = await asyncio.gather(*jobs, return_exceptions=True)
    assert {each.code for each in told if isinstance(each, HuiminError)} <= {"booking_over", "move_limit"}
    assert all(isinstance(each, HuiminError | Visit) for each in told)
    for n, code in enumerate(codes, 1):
        assert (await town.counter.get(code, n)).state is Outcome.CANCELLED  # a booking can be cancelled wherever it is
    assert all(seat.state is State.FREE for seat in await town.seats())


async def test_closing_a_slot_while_it_is_booked_leaves_nobody_on_it(db: Database):
    town = Town(db, Clock(), EIGHT)
    await town.open(online=200)
    told, ended = await asyncio.gather(
        rush([town.another(n) for n in range(2)], 300), town.another(9).close(EIGHT.id, "停诊")
    )
    assert all(seat.state is State.CLOSED for seat in await town.seats())
    assert set(told) <= {"booked", "slot_full", "hold_expired", "booking_over"}
    assert told["booked"] <= len(ended)  # who was told of a seat is told of its end


async def test_two_desks_that_call_at_once_never_call_the_same_person(db: Database):
    town = Town(db, Clock(), EIGHT)
    await town.open(online=30)
    await rush([town.counter], 30)
    town.clock.at = EIGHT.begins_at
    for seat in await town.seats():
        assert seat.booking
        await town.counter.check_in(seat.booking.code)
    calls = await asyncio.gather(*(town.another(n % 3).call_next("cardio-3", DAY) for n in range(40)))
    called = [v.booking.code for v in calls if v]
    assert len(called) == len(set(called)) == 30


async def test_processes_killed_in_the_middle_leave_seats_and_bookings_that_add_up(
    db: Database, mongo_url: str, tmp_path: Path
):
    town = Town(db, Clock(), EIGHT, NINE, TEN)
    await town.open(online=60)
    journals = [tmp_path / f"{life}.log" for life in range(4)]
    random = Random(11)  # noqa: S311 - moments of death, not secrets
    await asyncio.gather(*(die(mongo_url, n, path, random.uniform(0.2, 1.5)) for n, path in enumerate(journals)))
    told = [
        line.split() for path in journals for line in path.read_text().splitlines(keepends=True) if line[-1] == "\n"
    ]
    assert len(told) > 100
    town.clock.pass_by(minutes=11)  # what was only held is over
    await town.counter.finish_moves()
    assert await town.counter.finish_moves() == 0
    seats = await town.seats()
    assert len(seats) == 180
    live = [seat for seat in seats if seat.state is State.BOOKED and seat.booking]
    assert all((seat.state is State.BOOKED) == (seat.open_at is None) for seat in seats)
    codes = Counter(seat.booking.code for seat in live if seat.booking)
    codes.update(booking.code for seat in seats for booking in seat.past)
    assert set(codes.values()) == {1}  # a booking is in one place, also one that was being moved
    assert len({(seat.booking.citizen, seat.day) for seat in live if seat.booking}) == len(live)
    last = {code: verb for verb, code in told}  # of each booking; the step after it may have been done unheard
    assert set(last) <= set(codes)
    ended = {booking.code for seat in seats for booking in seat.past}
    assert {code for code, verb in last.items() if verb == "cancelled"} <= ended
    # And everything goes on: all that is free can be taken by others.
    free = sum(seat.booking is None or seat.state is State.HELD for seat in seats)
    counter = town.counter
    jobs = [
        counter.hold(ask(slot, 10_000 + n, key=slot.id, holder=20_000 + n))
        for n, slot in enumerate([EIGHT, NINE, TEN] * 61)
    ]
    got = await asyncio.gather(*jobs, return_exceptions=True)
    assert sum(isinstance(each, Visit) for each in got) == free


async def die(mongo_url: str, seed: int, journal: Path, after_s: float) -> None:
    """Let a process book without end, and kill it."""
    victim = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).parent / "killed_booking.py"), mongo_url, str(seed), str(journal),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert victim.stdout
        assert await asyncio.wait_for(victim.stdout.readline(), 30) == b"booking\n"
        await asyncio.sleep(after_s)
    finally:
        victim.send_signal(signal.SIGKILL)
        status = await victim.wait()
    assert status == -signal.SIGKILL
