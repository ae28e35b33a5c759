"""Broadcasts and ranges on a real mongod: who plans, and sums that never go back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from server.domain.broadcasts import ID_SPACE, Audience, Broadcast, Lane, Policy, State
from server.storage.broadcasts import Broadcasts
from server.storage.mongo import Database
from tests.storage.ledger import age

NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture
def store(db: Database) -> Broadcasts:
    return Broadcasts(db)


def broadcast(**changes: object) -> Broadcast:
    fields: dict[str, object] = {
        "id": "b", "subject": "b", "chain": "b", "lane": Lane.RED, "policy": Policy.ALL, "ranges": 3,
        "texts": {"sms": {"zh": {"text": "x"}}}, "audience": Audience(divisions=("440305",)),
        "released_at": NOW, "expires_at": NOW + timedelta(hours=1),
    }  # fmt: skip
    return Broadcast.model_validate(fields | changes)


async def test_a_broadcast_comes_back_as_it_was_and_a_second_insert_changes_nothing(store: Broadcasts):
    assert await store.insert(broadcast()) == broadcast()
    assert await store.insert(broadcast(subject="other")) == broadcast()
    assert await store.get("b") == broadcast()


async def test_ranges_are_cut_once_and_cover_every_id(store: Broadcasts):
    await store.insert(broadcast())
    assert await store.find_uncut() == [broadcast()]
    assert await store.cut(broadcast()) == await store.cut(broadcast())
    cut = [r async for r in store.ranges("b")]
    assert cut[0].lo == 0
    assert cut[-1].hi == ID_SPACE - 1
    assert all(a.hi + 1 == b.lo for a, b in pairwise(cut))
    assert await store.find_uncut() == []


async def test_of_two_planners_one_gets_a_range_until_its_lease_lapses(store: Broadcasts, db: Database):
    await store.insert(broadcast())
    [first, *_] = await store.cut(broadcast())
    claims = await asyncio.gather(*(store.claim_range(first, f"w{i}") for i in range(5)))
    assert sum(c is not None for c in claims) == 1
    owner = f"w{next(i for i, c in enumerate(claims) if c)}"
    assert await store.renew_range(first, owner)
    assert first not in [id_ for id_, _ in await store.find_open_ranges([Lane.RED])]
    await age(db, 4)
    assert first in [id_ for id_, _ in await store.find_open_ranges([Lane.RED])]
    assert await store.claim_range(first, "thief")
    assert not await store.renew_range(first, owner)
    await store.finish_range(first, owner, is_planned=True)  # too late: it is not its own any more
    assert await store.is_any_range_open("b")


async def test_a_stop_closes_open_ranges_and_their_planner_is_told(store: Broadcasts):
    await store.insert(broadcast())
    [first, *_] = await store.cut(broadcast())
    await store.claim_range(first, "w")
    await store.close_ranges("b")
    assert not await store.renew_range(first, "w")
    assert not await store.is_any_range_open("b")


async def test_a_state_changes_only_from_where_it_may(store: Broadcasts):
    await store.insert(broadcast())
    assert not await store.set_state("b", State.LIVE, only_from=[State.PAUSED], now=NOW)
    assert await store.set_state("b", State.CANCELLED, only_from=[State.LIVE], now=NOW)
    assert await store.states() == {}
    assert await store.states(["b"]) == {"b": State.CANCELLED}
    assert await store.find_unsummed() == ["b"]
    await store.set_summed("b")
    assert await store.find_unsummed() == []


async def test_sums_of_pages_that_were_read_earlier_do_not_overwrite_later_ones(store: Broadcasts):
    await store.insert(broadcast())
    [first, *_] = await store.cut(broadcast())
    await store.set_sums(first, {"sms": {"accepted": {"1": 9}}}, NOW + timedelta(milliseconds=5))
    await store.set_sums(first, {"sms": {"planned": {"1": 9}}}, NOW)
    [stored, *_] = [r async for r in store.ranges("b")]
    assert stored.sums == {"sms": {"accepted": {"1": 9}}}
