"""Scale-out shown: three mongods, two API and two worker processes; the primary steps down, then the next is killed.

The set's electionTimeoutMillis is 2,000 here (the server's default is 10,000): a production set that wants the pause of
this test has to be configured the same way. All else is the product's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo.errors import PyMongoError
from tornado.httpclient import AsyncHTTPClient

from channels.sandbox.faults import FaultScript, ProviderFaults, ReceiptFaults
from push.judge import judge
from server.assemble import Assembly, assemble
from server.binaries import MONGOD, VALKEY, find
from server.commands.town import Process, environment, free_port, town
from server.domain.broadcasts import Lane, State
from server.embedded import REPLICA_SET, mongod, valkey
from server.processes import Server
from server.settings import Settings
from server.storage import mongo
from tests.push.city import accepted, crowd, owners_of, pages_of, warning

PEOPLE = 1_200
RATE_PER_S = 120.0  # of each account: some ten seconds of sending, with both failures in it
STEPDOWN_AT_S, KILL_AT_S, BACK_AFTER_S = 2.0, 6.0, 3.0
PATIENCE_S = 60.0
MAX_PAUSE_S = 5.0
ELECTION_MS = 2_000
RECEIPTS = ReceiptFaults(delay_ms=100, jitter_ms=400)


@dataclass(slots=True)
class ReplicaSet:
    """Three members on loopback."""

    members: list[Server]
    url: str

    @property
    def ports(self) -> list[int]:
        """Of the members, in their order."""
        return [urlsplit(member.url).port or 0 for member in self.members]

    async def primary(self, client: Any) -> Server:
        """The member that takes writes now."""
        hello = await client.admin.command("hello")
        return self.members[self.ports.index(int(hello["primary"].rsplit(":", 1)[1]))]


@pytest.fixture
async def replica_set(tmp_path: Path) -> AsyncIterator[ReplicaSet]:
    """Three mongods that have elected a primary."""
    binary = find(MONGOD, None).path
    members = [mongod(tmp_path / f"m{n}", binary, cache_gb=0.25, is_member=True) for n in range(3)]
    async with AsyncExitStack() as stack:
        for member in members:
            stack.push_async_callback(member.kill)
        await asyncio.gather(*(member.start() for member in members))
        found = ReplicaSet(members, "")
        hosts = [f"127.0.0.1:{port}" for port in found.ports]
        found.url = f"mongodb://{','.join(hosts)}/?replicaSet={REPLICA_SET}"
        config = {
            "_id": REPLICA_SET,
            "members": [{"_id": n, "host": host} for n, host in enumerate(hosts)],
            "settings": {"electionTimeoutMillis": ELECTION_MS, "heartbeatIntervalMillis": 500},
        }
        async with mongo.client(f"mongodb://{hosts[0]}/?directConnection=true") as client:
            await client.admin.command("replSetInitiate", config)
            while not (await client.admin.command("hello")).get("primary"):
                await asyncio.sleep(0.05)
        yield found


class Probe:
    """Writes as the product does, again and again, and remembers the longest time without a success."""

    def __init__(self, db: mongo.Database) -> None:
        self._probe = db["probe"]
        self.longest_s = 0.0
        self.writes = 0

    async def run(self) -> None:
        """Until cancelled."""
        clock = asyncio.get_running_loop().time
        last = clock()
        while True:
            try:
                await self._probe.update_one({"_id": 1}, {"$inc": {"n": 1}}, upsert=True)
            except PyMongoError:
                continue
            self.longest_s, last = max(self.longest_s, clock() - last), clock()
            self.writes += 1
            await asyncio.sleep(0.02)


async def fail(replica_set: ReplicaSet, city: Assembly) -> None:
    """A stepdown, then a killed primary that comes back."""
    client = city.db.client
    await asyncio.sleep(STEPDOWN_AT_S)
    first = await replica_set.primary(client)
    async with mongo.client(f"{first.url}&directConnection=true") as direct:
        await direct.admin.command("replSetStepDown", 20)
    await asyncio.sleep(KILL_AT_S - STEPDOWN_AT_S)
    second = await replica_set.primary(client)
    assert second is not first
    await second.kill()
    await asyncio.sleep(BACK_AFTER_S)
    await second.start()


async def test_a_broadcast_over_a_stepdown_and_a_killed_primary_loses_nothing(replica_set: ReplicaSet, tmp_path: Path):
    people = crowd(PEOPLE, 11)
    cache = valkey(tmp_path / "v", find(VALKEY, None).path)
    faults = FaultScript(
        seed=11, wechat=ProviderFaults(receipts=RECEIPTS), sms_aliyun=ProviderFaults(receipts=RECEIPTS)
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(cache.stop)
        await cache.start()
        settings = Settings(
            mongo_url=replica_set.url, redis_url=cache.url, mongo_db="huimin_scale", home=tmp_path / "t"
        )
        city = await stack.enter_async_context(assemble(settings))
        await city.citizens.add(people)
        place = await stack.enter_async_context(
            town(settings, tmp_path / "t", workers=2, faults=faults, rate_per_s=RATE_PER_S)
        )
        other = place.settings.model_copy(update={"port": free_port(), "admin_port": free_port()})
        second_api = Process(["api"], environment(other), tmp_path / "t" / "log" / "api2.log")
        stack.push_async_callback(second_api.stop)
        await second_api.start()

        probe = Probe(city.db)
        probing = asyncio.create_task(probe.run())
        broadcast = warning("scale", Lane.RED, city.now())
        await city.broadcasts.publish(broadcast)
        failing = asyncio.create_task(fail(replica_set, city))
        await asyncio.sleep(KILL_AT_S / 2)  # half of the receipts come in through the other API
        await place.control("callback", {"url": f"http://127.0.0.1:{other.port}/v1/receipts"})
        await failing
        async with asyncio.timeout(PATIENCE_S):
            while (await city.broadcast_store.states([broadcast.id]))[broadcast.id] is not State.FINISHED:
                await asyncio.sleep(0.2)
        await place.control("flush", {}, method="POST")
        probing.cancel()

        finding = judge(await pages_of(city, broadcast.id), accepted(place.entries(), owners_of(people)))
        assert finding.is_equal, finding.summary()
        assert finding.notices == sum(len(c.addresses) for c in people)
        assert probe.longest_s <= MAX_PAUSE_S, f"{probe.writes} writes, the longest pause {probe.longest_s:.1f} s"
        for port in (place.settings.admin_port, other.admin_port):
            assert (await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/readyz")).code == 200
