"""Followers come as one merge of index ranges in the order of ids: nothing is sorted, nothing read in vain."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from server.domain.broadcasts import ID_SPACE, Audience
from server.domain.follows import Follow, asked_of, counted_at, marks_of
from server.storage.bulletins import Wanted, shown_query
from server.storage.catalogues import load_divisions
from server.storage.citizens import Citizens
from server.storage.follows import FollowStore
from server.storage.mongo import Database
from server.storage.vault import Vault

NOW = datetime(2026, 11, 24, tzinfo=UTC)
DIVISIONS = load_divisions(city="440300")
STREETS = [street for district in DIVISIONS.children("440300") for street in DIVISIONS.children(district)]


@pytest.fixture
async def marks(db: Database) -> dict[int, tuple[str, ...]]:
    """Two thousand people; half of them follow one to three things."""
    random = Random(7)  # noqa: S311 - invented people, not secrets
    people: dict[int, tuple[str, ...]] = {}
    for _ in range(2_000):
        areas = ["440300", *DIVISIONS.children("440300"), *STREETS]
        own = {Follow(random.choice(["water", "gas"]), random.choice(areas)) for _ in range(random.randrange(4))}
        people[random.getrandbits(63)] = marks_of((each, DIVISIONS.lineage(each.division)) for each in own)
    documents = [
        {"_id": i, "places": [], "channels": ["push"]} | ({"follows": list(own)} if own else {})
        for i, own in people.items()
    ]
    await db["citizens"].insert_many(documents)
    return people


def stages(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["stage"]
    for below in (*plan.get("inputStages", ()), *([plan["inputStage"]] if "inputStage" in plan else ())):
        yield from stages(below)


async def explained(db: Database, name: str, query: dict[str, Any], sort: dict[str, int]) -> dict[str, Any]:
    command = {"find": name, "filter": query, "sort": sort}
    return await db.command("explain", command, verbosity="executionStats")


@pytest.mark.parametrize("areas", [("440305",), ("440305001", "440304"), tuple(STREETS[:20])])
async def test_followers_come_by_id_from_the_index_alone(
    db: Database, marks: dict[int, tuple[str, ...]], areas: tuple[str, ...]
):
    asked = asked_of("water", [DIVISIONS.lineage(code) for code in areas])
    citizens = Citizens(db, Vault({1: b"1" * 32}, b"i" * 32, os.urandom), DIVISIONS.index_of)
    audience = Audience(divisions=areas, follows=asked)
    found = [member async for member in citizens.members(audience, 0, ID_SPACE - 1)]
    expected = {i: counted_at(own, asked) for i, own in marks.items() if not set(own).isdisjoint(asked)}
    assert [(m.id, m.division) for m in found] == [(i, DIVISIONS.index_of(expected[i])) for i in sorted(expected)]
    assert await citizens.estimate(audience) == len(expected)
    half = ID_SPACE // 2
    query = {"_id": {"$gte": 0, "$lte": half}, "follows": {"$in": list(asked)}}
    plan = await explained(db, "citizens", query, {"_id": 1})
    stats, used = plan["executionStats"], set(stages(plan["queryPlanner"]["winningPlan"]))
    matches = sum(mark in asked for i, own in marks.items() if i <= half for mark in own)
    assert "SORT" not in used
    assert "IXSCAN" in used
    assert stats["totalKeysExamined"] <= matches + len(asked) + 1
    assert stats["totalDocsExamined"] == stats["nReturned"] == len([i for i in expected if i <= half])


async def test_a_list_of_readers_is_a_merge_in_the_order_of_changes(db: Database):
    documents = [
        {
            "_id": f"{n:032x}",
            "is_shown": True,
            "marks": ["*:", f"water:{code}"],
            "changed_at": NOW,
            "until": NOW.replace(year=2099),
        }
        for n, code in enumerate(STREETS * 5)
    ]
    await db["bulletins"].insert_many(documents)
    wanted = Wanted([f"water:{code}" for code in STREETS[:40]])
    plan = await explained(db, "bulletins", shown_query(wanted, NOW), {"changed_at": -1, "_id": -1})
    assert "SORT" not in set(stages(plan["queryPlanner"]["winningPlan"]))
    assert plan["executionStats"]["totalKeysExamined"] <= 5 * 40 + 41
    assert plan["executionStats"]["nReturned"] == 5 * 40


async def test_of_two_changes_at_once_the_second_looks_again(db: Database):
    store = FollowStore(db)
    assert await store.set(5, (), ("gas=440300",))
    assert not await store.set(5, (), ("water=440300",))
    assert await store.set(5, ("gas=440300",), ("gas=440300", "water=440300"))
    assert not await store.set(5, ("gas=440300",), ())
    assert await store.find(5) == ("gas=440300", "water=440300")
    assert await store.set(5, ("gas=440300", "water=440300"), ())
    assert "follows" not in (await db["citizens"].find_one({"_id": 5}) or {})
