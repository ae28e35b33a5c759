"""One small city per test, in this process: the product's databases, the sandbox's process, receipts by HTTP."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from channels.sandbox.faults import FaultScript, ProviderFaults
from channels.sandbox.journal import Entry
from channels.sandbox.process import SandboxProcess
from handlers.gate import Gate
from push.judge import Finding, judge
from push.worker import Worker
from server import assemble, assemble_public
from server.app import make_app, public_routes, services_of
from server.assemble import Assembly
from server.domain.broadcasts import Broadcast, Lane, State
from server.domain.pages import Page, effective
from server.domain.ranks import status
from server.settings import Settings
from server.storage import mongo
from server.storage.citizens import NewCitizen
from tests.push.city import Notice, accepted, crowd, is_of, owners_of, pages_of, warning

SEEDS = count(1)
DRAIN_WITHIN_S = 20.0
WITHIN_S = 45.0  # a machine may be busy with other things


@pytest.fixture(scope="session")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxProcess]:
    """The four providers, once per run."""
    command = [sys.executable, "-m", "server", "sandbox"]
    process = await SandboxProcess.start(command, tmp_path_factory.mktemp("providers"))
    yield process
    await process.stop()


@pytest.fixture(scope="session")
async def assembly(mongo_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Assembly]:
    """The product on the tests' databases without providers, once per run: it reads much data. Empty it with `db`."""
    home = tmp_path_factory.mktemp("assembly")
    settings = Settings(home=home, mongo_url=mongo_url, redis_url=redis_url, mongo_db="huimin_test")
    async with assemble.assemble(settings) as found:
        yield found


@dataclass
class City:
    """What a test works with. Workers run in this process until the test ends."""

    assembly: Assembly
    sandbox: SandboxProcess
    stack: AsyncExitStack
    callback: str
    began: int = 0  # journal entries of earlier tests
    citizens: list[NewCitizen] = field(default_factory=list)
    workers: list[asyncio.Task[None]] = field(default_factory=list)
    stops: list[asyncio.Event] = field(default_factory=list)

    async def people(
        self, number: int, change: Callable[[int, NewCitizen], NewCitizen] = lambda _, c: c, **recipe: Any
    ) -> list[NewCitizen]:
        """New citizens with all channels, in the order of their ids; `change` may alter each."""
        made = sorted(crowd(number, next(SEEDS), **recipe), key=lambda c: c.id)
        first = 1_0000_0000 + len(self.citizens)  # phones of their own: invented people of another seed have the same
        phones = [
            {"sms": (f"+86138{(first + i) % 10**8:08d}",)} if "sms" in c.addresses else {} for i, c in enumerate(made)
        ]
        made = [replace(c, addresses={**c.addresses, **phone}) for c, phone in zip(made, phones, strict=True)]
        made = [change(i, c) for i, c in enumerate(made)]
        await self.assembly.citizens.add(made)
        self.citizens += made
        return made

    def worker(self, *, rate_per_s: float | None = None) -> Worker:
        """A worker that is not running yet."""
        settings = self.assembly.settings
        if rate_per_s:
            paced = {"rate_per_s": rate_per_s}
            assert settings.wechat
            assert settings.fcm
            settings = settings.model_copy(
                update={
                    "wechat": settings.wechat.model_copy(update=paced),
                    "fcm": settings.fcm.model_copy(update=paced),
                    "sms": tuple(one.model_copy(update=paced) for one in settings.sms),
                }
            )
        return assemble.worker(replace(self.assembly, settings=settings), self.stack)

    def start(self, worker: Worker | None = None, *, rate_per_s: float | None = None) -> None:
        """Let a worker work."""
        self.stops.append(asyncio.Event())
        worker = worker or self.worker(rate_per_s=rate_per_s)
        self.workers.append(asyncio.get_running_loop().create_task(worker.run(self.stops[-1])))

    async def drain(self) -> None:
        """Tell all workers to stop and wait until they have."""
        for stop in self.stops:
            stop.set()
        loop = asyncio.get_running_loop()
        give_up = loop.time() + DRAIN_WITHIN_S
        while any(not task.done() for task in self.workers):
            if loop.time() > give_up:
                stuck = "\n".join(repr(task.get_coro()) + repr(task.get_stack(limit=1)) for task in asyncio.all_tasks())
                for task in self.workers:
                    task.cancel()
                raise AssertionError(f"a worker does not drain:\n{stuck}")
            for client in await self.assembly.redis.client_list():
                if client["cmd"] == "blmpop":  # nobody waits for its second to end
                    await self.assembly.redis.client_unblock(int(client["id"]))
            await asyncio.wait(self.workers, timeout=0.05)
        await asyncio.gather(*self.workers)
        self.workers.clear()

    async def release(self, id_: str, lane: Lane, **changes: Any) -> Broadcast:
        """Publish a warning for the district."""
        broadcast = warning(id_, lane, changes.pop("now", self.now()), **changes)
        await self.assembly.broadcasts.publish(broadcast)
        return broadcast

    async def finished(self, *broadcasts: Broadcast, within_s: float = WITHIN_S) -> None:
        """Wait until nothing is left to do."""

        async def done() -> bool:
            states = await self.assembly.broadcast_store.states([b.id for b in broadcasts])
            return set(states.values()) == {State.FINISHED}

        await until(done, within_s)

    async def sent(self, broadcast: Broadcast, number: int) -> None:
        """Wait until the providers have taken so many notices."""

        async def enough() -> bool:
            return self.journal(broadcast).total() >= number

        await until(enough)

    async def faults(self, **providers: ProviderFaults) -> None:
        """Put a fault script in force."""
        await self.sandbox.control("PUT", "faults", FaultScript(**providers).model_dump(mode="json"))

    async def receipts(self) -> None:
        """Let the providers tell all they know, and wait until it is taken."""
        await self.sandbox.control("POST", "flush")

    def now(self) -> datetime:
        """The database's clock."""
        return self.assembly.now()

    def entries(self, broadcast: Broadcast) -> list[Entry]:
        """What the providers took of this broadcast."""
        owners = owners_of(self.citizens)
        mine = [e for e in list(self.sandbox.journal())[self.began :] if is_of(e, broadcast)]
        return [e for e in mine if any((channel, e.address) in owners for channel in ("wechat", "push", "sms"))]

    def journal(self, broadcast: Broadcast) -> Counter[Notice]:
        """The same by (channel, citizen)."""
        return accepted(self.entries(broadcast), owners_of(self.citizens))

    async def pages(self, broadcast: Broadcast) -> list[Page]:
        """The broadcast's ledger."""
        return await pages_of(self.assembly, broadcast.id)

    async def finding(self, broadcast: Broadcast) -> Finding:
        """The ledger against the journal."""
        return judge(await self.pages(broadcast), self.journal(broadcast))

    async def standing(self, broadcast: Broadcast, citizen: NewCitizen) -> dict[str, list[str]]:
        """What one person stands at: channel -> statuses, pages in order."""
        found: dict[str, list[str]] = {}
        for page in await self.pages(broadcast):
            for i, rank in enumerate(effective(page)):
                if page.to[i] == citizen.id:
                    found.setdefault(page.channel, []).append(page.why.get(i, status(rank)))
        return found


async def until(condition: Callable[[], Any], within_s: float = WITHIN_S) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(0.03)


@pytest.fixture
async def city(
    db: mongo.Database, mongo_url: str, redis_url: str, sandbox: SandboxProcess, tmp_path: Path
) -> AsyncIterator[City]:
    """An empty city whose providers have a good day."""
    settings = Settings(home=tmp_path, mongo_url=mongo_url, redis_url=redis_url, mongo_db=db.name)
    async with AsyncExitStack() as stack:
        assembly = await stack.enter_async_context(
            assemble.assemble(settings.model_copy(update=dict(sandbox.accounts())))
        )
        await assembly.redis.flushall()
        services = services_of(assembly, assemble_public.public(assembly))
        server = HTTPServer(make_app(public_routes(services), Gate(None, None, assembly.now)))
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        callback = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/v1/receipts"
        await sandbox.control("PUT", "callback", {"url": callback})
        found = City(assembly, sandbox, stack, callback, began=len(list(sandbox.journal())))
        await found.faults()
        try:
            yield found
        finally:
            await sandbox.control("PUT", "callback", {"url": ""})
            await found.drain()
            server.stop()
            await server.close_all_connections()


def ids(citizens: Sequence[NewCitizen]) -> set[int]:
    """Who they are."""
    return {c.id for c in citizens}
