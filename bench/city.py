"""The ground that the rows stand on: databases, seeded cities, towns of real processes, and what they used.

Towns are those of the demo and the tests (`server.commands.town`); only the accounts' limits differ, and receipts are
off unless a row is about them, on both sides of every ratio alike.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from bench.processes import cpu_s
from bench.seeding import seed
from channels.sandbox.faults import FaultScript
from server.assemble import Assembly, assemble
from server.commands.town import Town, environment, town
from server.domain.broadcasts import Audience, Broadcast, Lane, Policy
from server.domain.divisions import Divisions
from server.domain.texts import Facts, render
from server.domain.wording import Kind, Wording, Words
from server.settings import AliyunSmsAccount, Settings, TencentSmsAccount
from server.storage import mongo, queue

EVENT = "11B03"  # rainstorm
RATE_PER_S = 1_000_000.0  # an account limit that never binds
CONNECTIONS = 256
POLL_S = 0.1
TELL_EVERY = 5  # polls
GIVE_UP_S = 600.0
LEDGER = ("pages", "ranges", "broadcasts", "callbacks")

Tell = Callable[[str, int, int], None]  # what, done, of how many


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the rows are."""

    people: int = 200_000
    city: int = 1_000_000
    small_city: int = 10_000
    repeats: int = 3
    releases: int = 40
    rivals: int = 3_000  # messages given to the slow ones
    receipts: int = 20_000


QUICK = Sizes(people=6_000, city=20_000, small_city=3_000, repeats=1, releases=4, rivals=200, receipts=1_000)


@dataclass(slots=True)
class Stage:
    """One run of the bench. `settings` name the databases; `pids` are the databases' processes where they are ours."""

    settings: Settings
    home: Path
    sizes: Sizes
    tell: Tell
    pids: Mapping[str, int]
    wording: Wording

    async def city(self, people: int) -> Settings:
        """The settings of a database with so many citizens, seeded when first asked for, its ledger empty."""
        settings = self.settings.model_copy(update={"mongo_db": f"bench_{people}"})
        done = 0

        def tell(more: int) -> None:
            nonlocal done
            done += more
            self.tell(f"seeding a city of {people:,}", done, people)

        await seed(settings, people, tell)
        await clear(settings)
        return settings

    @asynccontextmanager
    async def town(self, settings: Settings, wish: Wish) -> AsyncIterator[Run]:
        """A town in that city, its workers ready, its journal empty."""
        home = self.home / f"town-{time.time_ns():x}"
        async with AsyncExitStack() as stack:
            found = await stack.enter_async_context(town(settings, home, workers=0, faults=wish.faults))
            if not wish.has_receipts:
                await found.control("callback", {"url": ""})
            found.settings = widened(found.settings, wish)
            run = Run(self, found, await stack.enter_async_context(assemble(found.settings)))
            await run.add_workers(wish.workers)
            yield run
        shutil.rmtree(home)  # after an error its logs stay


@dataclass(frozen=True, slots=True)
class Wish:
    """What a row wants of its town. `sms` are the SMS accounts it uses, the first one first."""

    workers: int = 2
    connections: int = CONNECTIONS
    faults: FaultScript = field(default_factory=FaultScript)
    has_receipts: bool = False
    sms: Sequence[str] = ("sms_tencent", "sms_aliyun")


@dataclass(frozen=True, slots=True)
class Sent:
    """One broadcast, from its release to the last outcome in the ledger, and the processor time it took."""

    people: int
    seconds: float
    cpu_s: Mapping[str, float]

    @property
    def per_s(self) -> float:
        """Notices a second."""
        return self.people / self.seconds


@dataclass(frozen=True, slots=True)
class Run:
    """A running town and our own view of its databases."""

    stage: Stage
    town: Town
    assembly: Assembly

    def broadcast(self, lane: Lane, audience: Audience, channel: str) -> Broadcast:
        """A rainstorm warning in the product's own words, released now, for everyone of the audience on one channel."""
        return make_broadcast(self.stage.wording, self.assembly.divisions, lane, audience, channel)

    def whole_city(self, lane: Lane, channel: str) -> Broadcast:
        """The same for everyone."""
        return self.broadcast(lane, Audience(divisions=(self.assembly.settings.city,)), channel)

    async def send(self, broadcast: Broadcast, expect: int) -> Sent:
        """Release, wait for the last outcome to be durable, and see that the provider took exactly `expect` notices."""
        accepted = await self.accepted()
        self.stage.tell("sending", 0, expect)
        before, began = cpu_s(self.pids()), time.perf_counter()
        await self.assembly.broadcasts.publish(broadcast)
        await self.settled(broadcast.id, expect)
        seconds = time.perf_counter() - began
        after = cpu_s(self.pids())
        took = await self.accepted() - accepted
        if took != expect:
            raise RuntimeError(f"the providers took {took} notices, not {expect}")
        return Sent(expect, seconds, {name: round(after[name] - before.get(name, 0.0), 2) for name in after})

    async def settled(self, broadcast: str, expect: int) -> None:
        """Wait until everything is planned and no page is open any more."""
        store, pages = self.assembly.broadcast_store, self.assembly.pages
        patient_until = time.monotonic() + GIVE_UP_S
        begun_with = await self.accepted()
        for turn in count():
            if not (await store.is_any_range_open(broadcast) or await pages.is_any_open(broadcast)):
                return
            if time.monotonic() > patient_until:
                raise TimeoutError(f"{broadcast} is not finished after {GIVE_UP_S:.0f} s")
            if turn % TELL_EVERY == 0:
                self.stage.tell("sending", await self.accepted() - begun_with, expect)
            await asyncio.sleep(POLL_S)

    async def accepted(self) -> int:
        """How many notices all providers have taken so far."""
        counts = await self.town.control("counts", method="GET")
        return sum(int(of_one.get("accepted", 0)) for of_one in counts.values())

    async def add_workers(self, count: int) -> None:
        """Start more workers with the accounts as they are now."""
        more = count if self.town.workers else 1 + count  # a town's first worker is for what is urgent
        await asyncio.gather(*(self.town.new_worker().start() for _ in range(more)))

    def change_accounts(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Change accounts (wechat, fcm) for the workers that will be started."""
        settings = self.town.settings
        changed = {name: getattr(settings, name).model_copy(update=dict(c)) for name, c in changes.items()}
        self.town.settings = settings.model_copy(update=changed)

    def pids(self) -> dict[str, int]:
        """All processes that take part, by name."""
        town = self.town
        mine = {"sandbox": town.sandbox.pid, "api": town.api.pid, "bench": os.getpid()}
        workers = {f"worker{n}": worker.pid for n, worker in enumerate(town.workers)}
        return dict(self.stage.pids) | {name: pid for name, pid in (mine | workers).items() if pid is not None}


async def clear(settings: Settings) -> None:
    """An empty ledger in freshly made collections, and no hint or provider token of an earlier town."""
    assert settings.mongo_url is not None
    assert settings.redis_url is not None
    async with mongo.client(settings.mongo_url) as client:
        db = mongo.database(client, settings.mongo_db)
        for name in LEDGER:
            await db.drop_collection(name)
        await mongo.prepare(db)
    async with queue.connect(settings.redis_url) as redis:
        await redis.flushall()


def widened(settings: Settings, wish: Wish) -> Settings:
    """The same accounts with limits that do not bind."""
    wide: dict[str, Any] = {"rate_per_s": RATE_PER_S, "connections": wish.connections}
    named: dict[str, AliyunSmsAccount | TencentSmsAccount] = {a.provider: a for a in settings.sms}
    assert settings.wechat is not None
    assert settings.fcm is not None
    changed = {
        "wechat": settings.wechat.model_copy(update=wide),
        "fcm": settings.fcm.model_copy(update=wide),
        "sms": tuple(named[provider].model_copy(update=wide) for provider in wish.sms),
    }
    return settings.model_copy(update=changed)


def account_of(settings: Settings, name: str) -> dict[str, Any]:
    """One account with its secrets in clear, for a child process."""
    account: dict[str, Any] = json.loads(environment(settings)[f"HUIMIN_{name.upper()}"])
    return account


def make_broadcast(wording: Wording, divisions: Divisions, lane: Lane, audience: Audience, channel: str) -> Broadcast:
    """See `Run.broadcast`. Red is an alert, the rest an upgrade: the journal tells them apart by their template."""
    now = datetime.now(UTC)
    id_ = f"bench-{lane.value}-{time.time_ns():x}"
    facts = Facts(
        event=EVENT,
        colour="red" if lane is Lane.RED else "yellow",
        kind=Kind.ALERT if lane is Lane.RED else Kind.UPGRADE,
        areas=[divisions.area(code) for code in audience.divisions[:1]],
        sender=Words("市气象台", "Observatory"),
        sent_at=now,
        expires_at=now + timedelta(hours=6),
        page=f"pages/alert/alert?id={id_}",
        previous=None if lane is Lane.RED else "blue",
    )
    return Broadcast(
        id=id_,
        subject=id_,
        chain=id_,
        lane=lane,
        policy=Policy.ALL,
        order=(channel,),
        texts=render(facts, wording),
        audience=audience,
        released_at=now,
        expires_at=facts.expires_at,
    )
