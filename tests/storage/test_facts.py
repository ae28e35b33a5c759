"""What counts of what is stated: the same whatever the order, however often, and however many write at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from server.domain.facts import MAX_THINGS, Statement, Value, Values, day_number
from server.domain.rules import Bound, Scan
from server.storage.catalogues import load_facts
from server.storage.facts import FactStore, Held
from server.storage.mongo import Database

AT = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
async def store(db: Database) -> AsyncIterator[FactStore]:
    found = FactStore(db, load_facts())
    await found.prepare()
    yield found
    await db["facts"].drop_indexes()


def said(citizen: int, fact: str, value: Value | None, source: str, at: int = 0, thing: str = "") -> Statement:
    return Statement(citizen, fact, value, source, AT + timedelta(hours=at), thing)


STATEMENTS = [
    said(1, "id_card_until", 20_800, "population", 1),
    said(1, "id_card_until", 20_900, "population", 2),
    said(1, "residence", "permit", "residence", 3),
    said(1, "residence", "hukou", "population", 2),
    said(1, "inspection_until", 20_700, "vehicle", 1, "car-a"),
    said(1, "inspection_until", 20_750, "vehicle", 1, "car-b"),
    said(1, "inspection_until", 21_000, "vehicle", 5, "car-a"),
    said(1, "homes_count", 2, "property", 1),
    said(1, "homes_count", None, "property", 4),
]
ENDS: Values = {"id_card_until": 20_900, "residence": "permit", "inspection_until": [20_750, 21_000]}


@pytest.mark.parametrize("seed", range(6))
async def test_the_order_of_arrival_and_repeats_change_nothing(store: FactStore, seed: int) -> None:
    """Six shufflings, statement by statement or at once, end the same; what does not hold any more is gone."""
    order = random.Random(seed)  # noqa: S311 - a shuffle
    mixed = [*STATEMENTS, *order.sample(STATEMENTS, 4)]
    order.shuffle(mixed)
    cuts = [0, *sorted(order.sample(range(1, len(mixed)), seed)), len(mixed)]
    for lo, hi in pairwise(cuts):
        await store.apply(mixed[lo:hi])
    assert (await store.find([1]))[1].values == ENDS


async def test_importers_at_once_lose_nothing(store: FactStore) -> None:
    """Forty statements about one person's forty cars from eight writers at once are all there."""
    cars = [said(7, "inspection_until", 20_000 + n, "vehicle", n % 3, f"car-{n}") for n in range(40)]
    await asyncio.gather(*(store.apply(cars[n::8]) for n in range(8)))
    assert (await store.find([7]))[7].values == {"inspection_until": list(range(20_000, 20_040))}


async def test_a_feed_that_gives_somebody_a_thousand_cars_fills_no_memory(store: FactStore) -> None:
    """Of so many the latest dates count, and a second turn changes nothing."""
    cars = [said(7, "inspection_until", 20_000 + n, "vehicle", 0, f"car-{n}") for n in range(1_000)]
    await store.apply(cars)
    assert (await store.find([7]))[7].values == {"inspection_until": list(range(21_000 - MAX_THINGS, 21_000))}
    assert (await store.apply(cars[:1])).changed == 0


async def test_sources_that_differ_are_on_record_until_they_agree(db: Database, store: FactStore) -> None:
    """Two sources that may state a fact say different things: the newest counts, both stand in the record."""
    applied = await store.apply(STATEMENTS)
    assert applied.conflicts == 1
    kept = await db["fact_conflicts"].find_one({})
    assert kept is not None
    assert {each["value"] for each in kept["said"]} == {"hukou", "permit"}
    await store.apply([said(1, "residence", "hukou", "residence", 9)])
    assert await db["fact_conflicts"].count_documents({}) == 0


async def test_who_is_forgotten_while_a_feed_is_read_stays_forgotten(store: FactStore) -> None:
    """Erasing and importing the same person at once never leaves facts without a statement."""
    for _ in range(20):
        await asyncio.gather(store.apply(STATEMENTS), store.forget(1))
        assert bool(await store.find([1])) <= bool(await store.statements_of(1))
        await store.forget(1)
        assert await store.find([1]) == {}


async def test_a_scan_walks_one_range_of_one_index(db: Database, store: FactStore) -> None:
    """Of 3,000 people a window of ten days reads its people and nobody else, in pages, and can be resumed."""
    today = day_number(date(2026, 11, 24))
    await store.apply([said(n, "id_card_until", today + n % 300, "population") for n in range(1, 3_001)])
    await store.apply([said(n, "residence", "hukou" if n % 2 else "visitor", "population") for n in range(1, 3_001)])
    scan = Scan(Bound("id_card_until", today, today + 9), (Bound("residence", among=("hukou",)),), ())
    found = [held async for page in store.scan(scan, {"id_card_until", "residence"}) for held in page]
    assert {held.citizen for held in found} == {n for n in range(1, 3_001) if n % 300 < 10 and n % 2}
    values = [held.values["id_card_until"] for held in found]
    assert values == sorted(values, key=str)
    again = [held async for page in store.scan(scan, {"id_card_until"}, since=today + 5) for held in page]
    assert len(again) < len(found)
    assert {held.citizen for held in again} == {h.citizen for h in found if h.values["id_card_until"] >= today + 5}  # type: ignore[operator]
    plan = await db.command(
        "explain",
        {"find": "facts", "filter": store.filter_of(scan), "hint": "by_id_card_until"},
        verbosity="executionStats",
    )
    assert plan["executionStats"]["totalKeysExamined"] <= 101
    assert plan["executionStats"]["totalDocsExamined"] <= 100


async def test_a_change_is_seen_by_whoever_follows(store: FactStore) -> None:
    """Changes come in the order of their writes; what changed nothing is no change."""
    await store.apply(STATEMENTS)
    first = await store.changed_since(datetime(2020, 1, 1, tzinfo=UTC))
    assert [held for _, held in first] == [Held(1, 0, ENDS)]
    await store.apply(STATEMENTS)
    assert await store.changed_since(first[0][0], after=1) == []
    await store.touch([1])
    assert len(await store.changed_since(first[0][0], after=1)) == 1


async def test_a_disputed_fact_is_left_out_until_its_source_says_it_anew(store: FactStore) -> None:
    """An objection takes the value out of every rule; a newer statement brings it back."""
    await store.apply(STATEMENTS)
    assert await store.dispute(1, "id_card_until")
    assert "id_card_until" not in (await store.find([1]))[1].values
    await store.apply([said(1, "id_card_until", 20_950, "population", 9)])
    assert (await store.find([1]))[1].values["id_card_until"] == 20_950
    assert not await store.dispute(1, "passport_until")
