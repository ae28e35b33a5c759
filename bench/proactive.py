"""446 rules over a city: the engine's index ranges against one pass over everybody that tests every rule in Python.

Both sides find the same (rule, person, occurrence), which is checked. The pass is written as one would who cares: rules
are compiled for the day once and grouped by their anchor, people are read in large batches without what no rule looks
at. What is measured is finding; what comes after (consents, offers, notices) grows with matches on both sides alike.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from random import Random
from typing import Any

from bench.city import Stage
from bench.figures import Row, spread
from server.domain.facts import Fact, Facts, Kind, Values, day_number
from server.domain.rules import Bound, Rule, compiled, scans
from server.domain.working_days import WorkingDays
from server.services.proactive import SIDE_BY_SIDE, matches, named
from server.services.rule_scale import generated_rules
from server.storage import mongo
from server.storage.catalogues import load_facts, load_working_days
from server.storage.facts import FactStore

RULES = 446
DAY = date(2026, 11, 24)
ITEMS = {"elderly-allowance": "civil-affairs", "id-card-renewal": "police", "talent-housing": "housing"}
FULL_REACH, DAILY_REACH = 4.0, 20.0
SHARE = 0.35  # of the facts that there are, a person has so many
BATCH = 5_000

Found = set[tuple[str, int, Any]]


async def proactive(stage: Stage) -> list[Row]:
    """A full evaluation and a daily run against one pass, in turns."""
    facts, calendar = load_facts(), load_working_days()
    rules = generated_rules(RULES, 1, facts, ITEMS)
    client = mongo.client(stage.settings.mongo_url or "")
    db = mongo.database(client, "bench_proactive")
    await client.drop_database("bench_proactive")
    store = FactStore(db, facts)
    await store.prepare()
    await _seed(stage, db, facts)
    took: dict[str, list[float]] = defaultdict(list)
    grown_kib: dict[str, int] = {}
    found: dict[str, int] = {}
    for turn in range(stage.sizes.repeats):
        stage.tell("rules over facts", turn, stage.sizes.repeats)
        before = _peak_kib()
        full = await _timed(took["full"], _evaluate(store, rules, calendar, None))
        grown_kib["engine"] = _peak_kib() - before
        daily = await _timed(took["daily"], _evaluate(store, rules, calendar, DAY - timedelta(days=1)))
        passed = await _timed(took["pass"], _pass(db, rules, calendar))
        if full != passed or not daily <= full:
            raise AssertionError("the engine and the pass found different people")
        found = {"full": len(full), "daily": len(daily)}
    await client.drop_database("bench_proactive")
    await client.close()
    ratios = {
        kind: spread([slow / quick for slow, quick in zip(took["pass"], took[kind], strict=True)])
        for kind in ("full", "daily")
    }
    detail = {
        "rules": RULES, "people": stage.sizes.city, "matches": found, "memory_grown_kib": grown_kib,
        "seconds": {kind: spread(runs) for kind, runs in took.items()}, "ratios": ratios,
    }  # fmt: skip
    return [
        _row("proactive_full", "a full evaluation", ratios["full"].median, FULL_REACH, stage.sizes.city, detail),
        _row("proactive_daily", "the daily run", ratios["daily"].median, DAILY_REACH, stage.sizes.city, detail),
    ]


def _row(name: str, what: str, ratio: float, reach: float, people: int, detail: Mapping[str, object]) -> Row:
    figure = f"{RULES} rules over {people:,} people: {what} against one pass that tests every rule"
    return Row(name, figure, f">= {reach:g}x", ratio, "x", is_reached=ratio >= reach, detail=detail)


async def _timed(times: list[float], work: Any) -> Found:
    began = time.perf_counter()
    found: Found = await work
    times.append(time.perf_counter() - began)
    return found


async def _evaluate(store: FactStore, rules: Sequence[Rule], calendar: WorkingDays, since: date | None) -> Found:
    """What the engine does to find people, so many rules side by side."""
    found: Found = set()
    left = iter(rules)

    async def work() -> None:
        for rule in left:
            for scan in scans(rule, DAY, calendar, since):
                async for page in store.scan(scan, named(rule)):
                    found.update((rule.id, held.citizen, value) for held, value in matches(rule, page, DAY, calendar))

    async with asyncio.TaskGroup() as group:
        for _ in range(SIDE_BY_SIDE):
            group.create_task(work())
    return found


async def _pass(db: mongo.Database, rules: Sequence[Rule], calendar: WorkingDays) -> Found:
    """Everybody once, every rule."""
    by_anchor: dict[str, list[tuple[Rule, Bound, list[Bound], list[Bound]]]] = defaultdict(list)
    for rule in rules:
        first, *others = [compiled(each, DAY, calendar) for each in rule.when]
        unless = [compiled(each, DAY, calendar) for each in rule.unless]
        by_anchor[first.fact].append((rule, first, others, unless))
    needed = {name for rule in rules for name in named(rule)}
    found: Found = set()
    cursor = db["facts"].find({}, dict.fromkeys(needed, 1)).batch_size(BATCH)
    async for person in cursor:
        citizen = person["_id"]
        for anchor, tests in by_anchor.items():
            if anchor in person:
                value = person[anchor]
                for rule, first, others, unless in tests:
                    for each in value if isinstance(value, list) else (value,):
                        if first.holds(each) and _fits(person, others, unless):
                            found.add((rule.id, citizen, each))
    return _once(found, rules)


def _fits(person: Values, others: Sequence[Bound], unless: Sequence[Bound]) -> bool:
    return all(_holds(person, each) for each in others) and not any(_holds(person, each) for each in unless)


def _holds(person: Values, bound: Bound) -> bool:
    value = person.get(bound.fact)
    if value is None:
        return False
    return any(bound.holds(each) for each in value) if isinstance(value, list) else bound.holds(value)  # type: ignore[arg-type]


def _once(found: Found, rules: Sequence[Rule]) -> Found:
    """Of a rule that tells a person once a period, whatever the occurrence, the first one."""
    by_name = {rule.id: rule for rule in rules}
    kept: Found = set()
    first: dict[tuple[str, int], Any] = {}
    for name, citizen, value in found:
        if by_name[name].period == "occurrence":
            kept.add((name, citizen, value))
        else:
            key = (name, citizen)
            first[key] = value if key not in first else min(first[key], value)
    return kept | {(name, citizen, value) for (name, citizen), value in first.items()}


async def _seed(stage: Stage, db: mongo.Database, facts: Facts) -> None:
    people = stage.sizes.city
    dice = Random(1)  # noqa: S311 - made-up people
    for lo in range(0, people, BATCH):
        stage.tell("facts", lo, people)
        await db["facts"].insert_many(
            [_person(dice, n, facts.facts) for n in range(lo, min(lo + BATCH, people))], ordered=False
        )


def _person(dice: Random, number: int, facts: Sequence[Fact]) -> dict[str, Any]:
    return {"_id": number, "division": number % 90, **dict(_some(dice, facts))}


def _some(dice: Random, facts: Sequence[Fact]) -> Iterator[tuple[str, Any]]:
    today = day_number(DAY)
    for fact in facts:
        if fact.id == "birth_date":
            yield fact.id, today - dice.randrange(365 * 95)
        elif dice.random() < SHARE:
            match fact.kind:
                case Kind.DATE:
                    when = [today + dice.randrange(-1_000, 2_650) for _ in range(1 + dice.randrange(2))]
                    yield fact.id, sorted(set(when)) if fact.is_many else when[0]
                case Kind.NUMBER:
                    yield fact.id, dice.randrange(480)
                case Kind.CHOICE:
                    yield fact.id, dice.choice(tuple(fact.choices))
                case Kind.FLAG:
                    yield fact.id, dice.random() < 0.5


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
