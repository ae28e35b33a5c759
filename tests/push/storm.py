"""A broadcast in a storm: real processes, and everything that may fail is killed in the middle of it.

Two warnings of one district go out at once: a red one over all channels and a yellow one up the ladder. While they do,
workers are killed -9 again and again, mongod and Valkey are killed once each and come back, Valkey is flushed, and the
providers are busy, reset connections after they took a notice, hang, and send receipts late, twice and out of order.
Afterwards the ledger must say what the providers wrote down. The seed decides people, faults and times.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from redis.asyncio import Redis

from channels.sandbox.faults import FaultScript, ProviderFaults, ReceiptFaults
from push.judge import Finding, judge
from server.assemble import Assembly, assemble
from server.commands.town import Process, Town, town
from server.domain.broadcasts import Broadcast, Lane, State
from server.domain.errors import UnavailableError
from server.domain.pages import MOVED, Page, effective
from server.domain.ranks import SUPPRESSED, status
from server.embedded import Databases, databases
from server.processes import Server
from server.settings import Settings
from server.storage.citizens import NewCitizen
from tests.push.city import DIVISIONS, accepted, crowd, is_of, owners_of, pages_of, warning

Notice = tuple[str, int]
BATCH = 2_000
LEAST_KILLS = 4  # of workers, however slow the machine is


@dataclass(frozen=True, slots=True)
class Plan:
    """How big and how bad. Times are seconds after the release."""

    seed: int
    citizens: int
    rate_per_s: float
    kill_every_s: float
    mongod_at_s: float
    valkey_at_s: float
    flush_at_s: float
    away_s: float = 1.0
    patience_s: float = 50.0


@dataclass(slots=True)
class Aftermath:
    """What stands in the ledger and in the journal when all is quiet again."""

    kills: Counter[str] = field(default_factory=Counter)
    states: dict[str, State] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)
    pages: dict[str, list[Page]] = field(default_factory=dict)
    stored_sums: dict[str, Counter[tuple[str, str, str]]] = field(default_factory=dict)
    citizens: Sequence[NewCitizen] = ()
    retired: set[Notice] = field(default_factory=set)
    took_s: float = 0.0

    def missing(self, broadcast: str) -> set[int]:
        """People of the audience who stand on no page of the broadcast at all."""
        planned = {i for page in self.pages[broadcast] for i in page.to}
        return {c.id for c in self.citizens} - planned

    def missing_notices(self, broadcast: str) -> set[Notice]:
        """(channel, citizen) with a usable address, but on no page of that channel."""
        planned = {(page.channel, i) for page in self.pages[broadcast] for i in page.to}
        return {(channel, c.id) for c in self.citizens for channel in c.addresses} - planned - self.retired

    def page_sums(self, broadcast: str) -> Counter[tuple[str, str, str]]:
        """(channel, status, district) counted from the pages, by other code than the product's."""
        counted: Counter[tuple[str, str, str]] = Counter()
        for page in self.pages[broadcast]:
            for i, rank in enumerate(effective(page)):
                if not (rank == SUPPRESSED and page.why.get(i) == MOVED):
                    counted[page.channel, status(rank), DIVISIONS.code_at(page.divisions[i])[:6]] += 1
        return counted


def weather(seed: int) -> FaultScript:
    """Providers on a bad day."""
    receipts = ReceiptFaults(
        delay_ms=100, jitter_ms=400, undelivered=0.02, lost=0.02, doubled=0.1, reordered=0.2, late=0.05, late_ms=3_000
    )
    common: dict[str, Any] = {"reset": 0.01, "reset_after": 0.02, "hang_after": 0.003, "error_after": 0.005}
    return FaultScript(
        seed=seed,
        wechat=ProviderFaults(too_many=0.001, busy=0.03, grant_gone=0.03, dead=0.01, receipts=receipts, **common),
        fcm=ProviderFaults(too_many=0.001, dead=0.02, **common),
        sms_aliyun=ProviderFaults(too_many=0.02, latency_ms=10, reset_after=0.05, error_after=0.02, receipts=receipts),
        sms_tencent=ProviderFaults(partial=0.02, receipts=receipts, reset_after=0.05),
    )


async def storm(plan: Plan, home: Path) -> Aftermath:
    """Live through it."""
    own = Settings(home=home, mongo_url=None, redis_url=None, mongo_db="huimin_storm")
    after = Aftermath(citizens=crowd(plan.citizens, plan.seed, has_all_channels=False))
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(databases(own, mongo_cache_gb=0.25))
        named = own.model_copy(update={"mongo_url": running.mongo_url, "redis_url": running.redis_url})
        city = await stack.enter_async_context(assemble(named))
        for start in range(0, plan.citizens, BATCH):
            await city.citizens.add(after.citizens[start : start + BATCH])
        place = await stack.enter_async_context(
            town(named, home, workers=2, faults=weather(plan.seed), rate_per_s=plan.rate_per_s)
        )
        released = [warning("red", Lane.RED, city.now()), warning("yellow", Lane.YELLOW, city.now(), wait_s=2.0)]
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for broadcast in released:
            await city.broadcasts.publish(broadcast)
        await _rage(plan, running, place, after)
        await _finish(plan, city, released, after)
        after.took_s = loop.time() - began_s
        await place.control("flush", {}, method="POST")
        await _look(city, place, released, after)
    return after


async def _rage(plan: Plan, running: Databases, place: Town, after: Aftermath) -> None:
    """All that is planned to go wrong, by the clock. Ends when the last of it is over."""
    assert running.mongod is not None
    assert running.valkey is not None
    random = Random(plan.seed)  # noqa: S311 - a storm to be repeated
    async with asyncio.TaskGroup() as group, Redis.from_url(running.redis_url) as redis:
        over = group.create_task(_at(plan.mongod_at_s, lambda: _strike(running.mongod, plan, after, "mongod")))
        others = [
            group.create_task(_at(plan.valkey_at_s, lambda: _strike(running.valkey, plan, after, "valkey"))),
            group.create_task(_at(plan.flush_at_s, redis.flushall)),
        ]
        up = list(place.workers)
        while after.kills["worker"] < LEAST_KILLS or not (over.done() and all(task.done() for task in others)):
            await asyncio.sleep(plan.kill_every_s * (0.7 + 0.6 * random.random()))
            if up:
                worker = up.pop(random.randrange(len(up)))
                after.kills["worker"] += 1
                await worker.kill()
                group.create_task(_supervise(worker, up))


async def _supervise(worker: Process, up: list[Process]) -> None:
    """Start it again, as whatever runs it in production would: while mongod is away a start fails."""
    for _ in range(10):
        try:
            await worker.start()
        except UnavailableError:
            continue
        up.append(worker)
        return
    raise AssertionError("a worker does not start any more")


async def _at(when_s: float, what: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    await asyncio.sleep(when_s)
    await what()


async def _strike(server: Server | None, plan: Plan, after: Aftermath, name: str) -> None:
    assert server is not None
    after.kills[name] += 1
    await server.kill()
    await asyncio.sleep(plan.away_s)
    await server.start()


async def _finish(plan: Plan, city: Assembly, released: Sequence[Broadcast], after: Aftermath) -> None:
    """Wait until nothing is left to do; gives up, with the states as they are, when patience ends."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + plan.patience_s
    while loop.time() < give_up:
        after.states = await city.broadcast_store.states([b.id for b in released])
        if set(after.states.values()) == {State.FINISHED}:
            return
        await asyncio.sleep(0.2)


async def _look(city: Assembly, place: Town, released: Sequence[Broadcast], after: Aftermath) -> None:
    """Read the ledger, the sums and the journal."""
    owners = owners_of(after.citizens)
    entries = place.entries()
    for broadcast in released:
        pages = after.pages[broadcast.id] = await pages_of(city, broadcast.id)
        journal = accepted([entry for entry in entries if is_of(entry, broadcast)], owners)
        after.findings[broadcast.id] = judge(pages, journal)
        for _ in range(50):  # the last receipts reach the sums within a second or two
            standing = await city.broadcasts.progress(broadcast.id)
            sums = {
                (channel, status_, DIVISIONS.code_at(int(district))): count
                for channel, statuses in standing.by_channel.items()
                for status_, districts in statuses.items()
                for district, count in districts.items()
            }
            after.stored_sums[broadcast.id] = Counter(sums)
            if Counter(sums) == after.page_sums(broadcast.id):
                break
            await asyncio.sleep(0.1)
    reached = {m.id: set(m.channels) for m in await city.citizens.by_id([c.id for c in after.citizens])}
    after.retired = {(ch, c.id) for c in after.citizens for ch in c.addresses if ch not in reached.get(c.id, set())}
