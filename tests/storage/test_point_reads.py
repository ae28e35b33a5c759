"""Point reads: many who ask at once make few finds, and nobody is told of a state older than their question."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime

import pytest
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from server.domain.citizens import AccountState, Client, Kind, LogIn
from server.storage import mongo
from server.storage.accounts import Accounts
from server.storage.person_keys import PersonVault
from server.storage.point_reads import Part, PointReads
from server.storage.profiles import Profiles
from server.storage.vault import Vault

MANY = 300
AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


class Counting(CommandListener):
    """The reads that a client sent: how many keys each asked for, and any second trip."""

    def __init__(self) -> None:
        self.finds: list[int] = []
        self.others: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        """A command goes out."""
        if event.command_name == "find":
            [condition] = event.command["filter"].values()
            self.finds.append(len(condition["$in"]))
        else:
            self.others.append(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Not counted."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Not counted."""


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
async def counted(db: mongo.Database, mongo_url: str, counting: Counting) -> AsyncIterator[mongo.Database]:
    """The same database by a client whose commands are counted."""
    client: AsyncMongoClient[mongo.Document] = AsyncMongoClient(mongo_url, event_listeners=[counting])
    async with client:
        yield mongo.database(client, db.name)


async def make_accounts(db: mongo.Database, count: int) -> None:
    fields = {"kind": "person", "state": "active", "session_version": 1, "version": 1, "log_ins": [],
              "is_real_name": False, "language": "zh", "is_elder_mode": False, "created_at": AT}  # fmt: skip
    await db["accounts"].insert_many([{"_id": n, "public": f"{n:032x}", **fields} for n in range(count)])


async def test_accounts_that_are_asked_for_at_once_are_read_in_two_finds_and_each_gets_its_own(
    db: mongo.Database, counted: mongo.Database, counting: Counting
) -> None:
    await make_accounts(db, MANY)
    accounts = Accounts(counted)
    found = await asyncio.gather(*(accounts.find_public(f"{n:032x}") for n in [*range(MANY), 7, MANY + 1]))
    assert [account and account.id for account in found] == [*range(MANY), 7, None]
    assert counting.finds == [1, MANY]  # the one who came first, and all who came meanwhile; 7 is asked for once
    assert counting.others == []  # no getMore either


async def test_settings_that_are_asked_for_at_once_cost_two_finds_in_each_of_their_two_collections(
    db: mongo.Database, counted: mongo.Database, counting: Counting
) -> None:
    await db["citizens"].insert_many([{"_id": n, "places": [], "order": ["sms"]} for n in range(MANY)])
    await db["addresses"].insert_many([{"_id": n, "quiet": [n, n + 1]} for n in range(0, MANY, 2)])
    profiles = Profiles(counted, PersonVault(counted, Vault({1: b"k" * 32}, b"i" * 32, bytes), bytes))
    found = await asyncio.gather(*(profiles.find(n) for n in range(MANY + 1)))
    assert [kept.quiet for kept in found] == [(n, n + 1) if n % 2 == 0 and n < MANY else None for n in range(MANY + 1)]
    assert [kept.order for kept in found] == [("sms",)] * MANY + [()]
    assert sorted(counting.finds) == [1, 1, MANY, MANY]


async def test_more_than_a_batch_holds_is_read_in_more_finds(
    db: mongo.Database, counted: mongo.Database, counting: Counting
) -> None:
    await db["citizens"].insert_many([{"_id": n} for n in range(1_200)])
    reads: PointReads[int] = PointReads(Part(counted["citizens"], "_id", {"_id": 1}))
    assert await asyncio.gather(*(reads.find(n) for n in range(1_200))) == [({"_id": n},) for n in range(1_200)]
    assert counting.finds == [1, 500, 500, 199]


class _Held(Part):
    """Reads at once, and gives the answer out when the test lets it."""

    def __init__(self, collection: mongo.Collection, fields: Mapping[str, int]) -> None:
        super().__init__(collection, "_id", fields)
        self.has_read, self.let = asyncio.Event(), asyncio.Event()
        self.asked: list[Sequence[object]] = []

    async def read(self, keys: Sequence[object]) -> Mapping[object, mongo.Document]:
        """As the part."""
        self.asked.append(keys)
        found = await super().read(keys)
        self.has_read.set()
        await self.let.wait()
        return found


async def test_who_asks_after_a_change_never_shares_a_read_from_before_it(db: mongo.Database) -> None:
    await db["citizens"].insert_one({"_id": 1, "order": ["sms"]})
    held = _Held(db["citizens"], {"order": 1})
    reads: PointReads[int] = PointReads(held)
    early = asyncio.ensure_future(reads.find(1))
    await held.has_read.wait()
    await db["citizens"].update_one({"_id": 1}, {"$set": {"order": ["push"]}})
    late = asyncio.ensure_future(reads.find(1))
    await asyncio.sleep(0)
    held.let.set()
    assert await early == ({"_id": 1, "order": ["sms"]},)
    assert await late == ({"_id": 1, "order": ["push"]},)


async def test_a_caller_that_goes_in_the_middle_costs_the_others_a_second_read_and_no_error(db: mongo.Database) -> None:
    await db["citizens"].insert_many([{"_id": n} for n in range(4)])
    held = _Held(db["citizens"], {"_id": 1})
    reads: PointReads[int] = PointReads(held)
    tasks = [asyncio.ensure_future(reads.find(n)) for n in range(4)]
    await held.has_read.wait()
    held.has_read.clear()
    tasks[0].cancel()
    await held.has_read.wait()  # the second drives the batch of those who wait
    tasks[1].cancel()
    held.let.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert told[2:] == [({"_id": 2},), ({"_id": 3},)]
    assert held.asked[:2] == [[0], [1, 2, 3]]


@pytest.mark.parametrize("way", ["end_log_in", "end_log_ins", "lock", "erase"])
async def test_a_log_out_that_was_acknowledged_is_seen_by_everybody_who_asks_then(db: mongo.Database, way: str) -> None:
    accounts = Accounts(db)
    account = await accounts.open(5, "5" * 32, kind=Kind.PERSON, now=AT)
    await accounts.begin_log_in(5, LogIn("a" * 32, Client.APP, "phone", AT, AT))
    stop = asyncio.Event()
    late: list[bool] = []

    async def keep_asking() -> None:
        while True:
            is_late = stop.is_set()
            found = await accounts.find_public(account.public)
            assert found is not None
            if is_late:
                late.append(bool(found.log_ins) and found.state is AccountState.ACTIVE)
                return

    async with asyncio.TaskGroup() as crowd:
        for _ in range(20):
            crowd.create_task(keep_asking())
        await asyncio.sleep(0.02)
        await (accounts.end_log_in(5, "a" * 32) if way == "end_log_in" else getattr(accounts, way)(5))
        stop.set()
    assert late == [False] * 20
