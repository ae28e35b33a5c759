"""The outbox on a real mongod: a key happens once, leaves `waiting` once, and ends on exactly one batch."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from server.domain.broadcasts import Lane
from server.domain.outbox import Entry, Place
from server.storage import mongo
from server.storage.outbox import Batch, Outbox

NOW = datetime(2026, 7, 1, 4, tzinfo=UTC)
SOON, LATER = NOW + timedelta(minutes=1), NOW + timedelta(hours=1)
LANE = Lane.TRANSACTIONAL
IDS = count(1)


@pytest.fixture
def outbox(db: mongo.Database) -> Outbox:
    return Outbox(db)


def entry(key: str, **changes: Any) -> Entry:
    made = Entry(key, "t.one", citizen=7, about=f"thing-{key}", lane=LANE, due_at=NOW, expires_at=LATER)
    return replace(made, **changes)


async def due(outbox: Outbox, now: datetime = NOW) -> list[str]:
    return [e.key for e in await outbox.find_due(LANE, ["t.one"], now, limit=100)]


async def begun(outbox: Outbox, *keys: str) -> Batch:
    batch = Batch(f"batch{next(IDS)}", "t.one", "20260701", keys)
    await outbox.begin(batch, NOW)
    return batch


def place(key: str, *channels: str) -> Place:
    return Place(key, 7, f"thing-{key}", LATER, 3, channels)


async def test_a_key_that_is_put_again_changes_nothing(outbox: Outbox):
    assert await outbox.put([entry("a"), entry("b")]) == 2
    assert await outbox.put([entry("a", about="other"), entry("c")]) == 1
    found = await outbox.find_due(LANE, ["t.one"], NOW, limit=9)
    assert {e.key: e.about for e in found} == {"a": "thing-a", "b": "thing-b", "c": "thing-c"}


async def test_a_hundred_at_once_put_a_key_once(outbox: Outbox):
    counts = await asyncio.gather(*(outbox.put([entry("a")]) for _ in range(100)))
    assert sum(counts) == 1


async def test_a_notice_exists_if_and_only_if_its_transaction_does(outbox: Outbox, db: mongo.Database):
    await outbox.put([entry("known")])
    async with db.client.start_session() as session:
        async with await session.start_transaction():
            await outbox.put([entry("known"), entry("kept")], session)
            assert await due(outbox) == ["known"]
        await session.start_transaction()
        await outbox.put([entry("lost")], session)
        await outbox.withdraw("kept", NOW, session)
        await session.abort_transaction()
    assert sorted(await due(outbox)) == ["kept", "known"]


async def test_what_is_due_comes_longest_due_first_and_the_rest_waits(outbox: Outbox):
    await outbox.put(
        [
            entry("now"),
            entry("later", due_at=SOON),
            entry("earlier", due_at=NOW - timedelta(seconds=1)),
            entry("elsewhere", lane=Lane.DIGEST),
            entry("strange", template="t.unknown"),
        ]
    )
    assert await due(outbox) == ["earlier", "now"]
    assert await due(outbox, SOON) == ["earlier", "now", "later"]


async def test_what_is_withdrawn_in_time_is_never_claimed_and_cannot_come_back(outbox: Outbox):
    await outbox.put([entry("a"), entry("b")])
    batch = await begun(outbox, "a", "b")
    assert await outbox.withdraw("a", NOW)
    assert [e.key for e in await outbox.claim(batch)] == ["b"]
    assert not await outbox.withdraw("b", NOW)
    assert not await outbox.withdraw("unknown", NOW)
    assert await outbox.put([entry("a")]) == 0
    assert await due(outbox) == []


async def test_only_those_whose_time_is_over_are_dropped(outbox: Outbox):
    await outbox.put([entry("late", expires_at=SOON), entry("good")])
    assert await outbox.drop_late(["late", "good"], SOON) == 1
    assert await due(outbox, SOON) == ["good"]


async def test_what_leaves_well_after_it_was_due_is_marked(outbox: Outbox, db: mongo.Database):
    """Nobody ran for seven minutes: the entry goes out all the same and says so; one that is a minute late does not."""
    await outbox.put(
        [entry("early", due_at=NOW - timedelta(minutes=7)), entry("now", due_at=NOW - timedelta(minutes=1))]
    )
    batch = await begun(outbox, "early", "now")
    await outbox.claim(batch)
    await outbox.close(batch, NOW)
    kept = {d["_id"]: (d["state"], d["is_late"]) async for d in db["outbox"].find()}
    assert kept == {"early": ("paged", True), "now": ("paged", False)}


async def test_of_batches_that_want_the_same_each_entry_gets_into_one(outbox: Outbox):
    keys = [f"k{n}" for n in range(60)]
    await outbox.put([entry(k, citizen=n) for n, k in enumerate(keys)])
    batches = [await begun(outbox, *keys[n * 10 : n * 10 + 30]) for n in range(4)]
    claims = await asyncio.gather(*(outbox.claim(batch) for batch in batches))
    taken = [e.key for got in claims for e in got]
    assert sorted(taken) == sorted(keys)
    assert await asyncio.gather(*(outbox.claim(batch) for batch in batches)) == claims


async def test_where_entries_go_is_decided_once(outbox: Outbox):
    await outbox.put([entry("a")])
    batch = await begun(outbox, "a")
    assert await outbox.places(batch) is None
    first, second = [place("a", "wechat")], [place("a", "sms", "push")]
    assert await outbox.decide(batch, first) == first
    assert await outbox.decide(batch, second) == first
    assert await outbox.places(batch) == first


async def test_a_finished_batch_is_left_no_more_and_decides_nothing(outbox: Outbox, db: mongo.Database):
    await outbox.put([entry("a")])
    batch = await begun(outbox, "a")
    await outbox.claim(batch)
    assert await outbox.find_left(NOW - timedelta(seconds=1), ["t.one"], limit=9) == []
    assert await outbox.find_left(NOW, ["t.other"], limit=9) == []
    assert await outbox.find_left(NOW, ["t.one"], limit=9) == [replace(batch, keys=["a"])]
    await outbox.close(batch, SOON)
    await outbox.close(batch, LATER)
    assert await outbox.find_left(LATER, ["t.one"], limit=9) == []
    assert await outbox.decide(batch, [place("a", "sms")]) is None
    [document] = await db["outbox"].find({}).to_list()
    assert (document["state"], document["done_at"]) == ("paged", SOON)


@pytest.mark.parametrize("state", ["waiting", "done"])
async def test_only_what_is_done_is_ever_deleted_by_the_database(outbox: Outbox, db: mongo.Database, state: str):
    await outbox.put([entry("a")])
    if state == "done":
        await outbox.withdraw("a", NOW)
    indexes = await db["outbox"].index_information()
    [ttl] = [i for i in indexes.values() if "expireAfterSeconds" in i]
    assert ttl["expireAfterSeconds"] == 90 * 24 * 3600
    assert (ttl["key"][0][0] in await db["outbox"].find_one({})) is (state == "done")


@pytest.mark.parametrize(
    "wrong", [{"lane": Lane.RED}, {"about": ""}, {"about": "x" * 121}, {"key": ""}, {"expires_at": NOW}]
)
def test_an_entry_that_could_never_be_sent_is_refused(wrong: dict[str, Any]):
    good = entry("a")
    with pytest.raises(ValueError, match=r"lane|characters|late"):
        replace(good, **wrong)


async def test_a_database_of_an_older_version_learns_how_long_entries_are_kept(db: mongo.Database):
    await db["outbox"].drop_index("done_at_1")
    await db["outbox"].create_index("done_at", expireAfterSeconds=7 * 24 * 3600)
    await mongo.prepare(db)
    indexes = await db["outbox"].index_information()
    assert indexes["done_at_1"]["expireAfterSeconds"] == 90 * 24 * 3600
