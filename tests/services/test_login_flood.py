"""With the real hasher: a flood of log-ins stalls nobody, and its cost tells nobody who exists."""

from __future__ import annotations

import asyncio
import statistics
import time

import pytest

from server.domain.errors import TooManyError, UnauthenticatedError
from server.services.audit import AuditLog
from server.services.officers import LogIn
from server.services.passwords import MAX_WAITING, Argon2
from server.storage.mongo import Database
from tests.services.desk import Clock
from tests.services.office import hired, office_of

FLOOD = 100


async def lags(stop: asyncio.Event) -> list[float]:
    """How late a coroutine that wants to run every 5 ms was, in seconds."""
    found = []
    while not stop.is_set():
        before = time.perf_counter()
        await asyncio.sleep(0.005)
        found.append(time.perf_counter() - before - 0.005)
    return found


async def test_a_flood_of_log_ins_does_not_stall_the_loop(db: Database, audit: AuditLog, clock: Clock):
    office = office_of(db, audit, clock, Argon2())
    stop = asyncio.Event()
    watch = asyncio.create_task(lags(stop))
    tries = [office.log_in(LogIn(f"name {n}", "wrong", "000000", f"10.0.0.{n}")) for n in range(FLOOD)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    stop.set()
    late = sorted(await watch)
    assert all(isinstance(result, UnauthenticatedError) for result in results)
    assert len(late) > FLOOD / 2
    assert late[int(len(late) * 0.99)] < 0.1


async def test_a_known_and_an_unknown_name_cost_the_same(db: Database, audit: AuditLog, clock: Clock):
    """In processor time of all threads, which a busy machine does not blur as it does a stopwatch."""
    office = office_of(db, audit, clock, Argon2())
    person = await hired(office, clock)
    took: dict[str, list[float]] = {person.name: [], "无名氏": []}
    for n in range(24):
        clock.pass_by(hours=25)  # failures are forgotten, so that every try is looked at
        for name in sorted(took, reverse=bool(n % 2)):
            before = time.process_time()
            with pytest.raises(UnauthenticatedError, match="login_failed"):
                await office.log_in(person.log_in(name=name, password="wrong", origin=f"10.0.0.{n}"))
            took[name].append(time.process_time() - before)
    known, unknown = (statistics.median(times) for times in took.values())
    assert min(known, unknown) > 0.005  # it is the real hasher
    assert abs(known - unknown) < min(0.01, known / 4)


async def test_behind_a_flood_of_strangers_an_officer_at_the_own_desk_still_gets_in(
    db: Database, audit: AuditLog, clock: Clock
):
    office = office_of(db, audit, clock, Argon2())
    person = await hired(office, clock)
    await office.log_in(person.log_in())
    clock.pass_by(minutes=1)
    strangers = [LogIn(f"name {n}", "wrong", "000000", f"10.0.{n // 250}.{n % 250}") for n in range(MAX_WAITING + 20)]
    flood = [asyncio.create_task(office.log_in(given)) for given in strangers]
    while not any(task.done() for task in flood):
        await asyncio.sleep(0.01)
    session, _ = await office.log_in(person.log_in())
    assert session.officer.id == person.id
    assert sum(not task.done() for task in flood) > MAX_WAITING / 2  # they are still waiting
    for task in flood:
        task.cancel()
    await asyncio.gather(*flood, return_exceptions=True)


async def test_who_comes_when_the_queue_is_full_is_told_to_come_back():
    hasher = Argon2()
    tries = [asyncio.create_task(hasher.verify(None, "x")) for _ in range(MAX_WAITING + 10)]
    await asyncio.sleep(0)
    refused = [task for task in tries if task.done() and isinstance(task.exception(), TooManyError)]
    assert len(refused) == 10
    for task in tries:
        task.cancel()
    await asyncio.gather(*tries, return_exceptions=True)
    assert await hasher.verify(await hasher.hash("correct"), "correct")
