"""What the database counts is what a walk over all citizens would find."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from server.domain.broadcasts import ID_SPACE, Audience
from server.settings import Settings
from server.storage.citizens import Citizens, NewCitizen, Place
from server.storage.counters import Counters
from server.storage.mongo import Database
from server.storage.rates import Rates
from server.storage.vault import Vault
from tests.push.city import DIVISIONS, communities

NOW = datetime(2026, 9, 1, tzinfo=UTC)
DISTRICTS = ("440303", "440304", "440305")
HOMES = [code for district in DISTRICTS for code in communities(district=district)]
WIDE = ((22.45, 113.85), (22.45, 114.15), (22.65, 114.15), (22.65, 113.85), (22.45, 113.85))
CROSSED = ((22.50, 113.90), (22.60, 114.10), (22.60, 113.90), (22.50, 114.10), (22.50, 113.90))


def place(random: Random) -> Place:
    """A home or a work place, in half of the cases known to the point."""
    code = random.choice(HOMES)
    point = (random.uniform(22.45, 22.65), random.uniform(113.85, 114.15)) if random.random() < 0.5 else None
    return Place(code, DIVISIONS.lineage(code), point)


@pytest.fixture
async def crowd(db: Database) -> list[NewCitizen]:
    """Six hundred people of three districts, some with two places, with any mix of channels."""
    random = Random(3)  # noqa: S311 - invented people
    found = [
        NewCitizen(
            id=random.getrandbits(63),
            places=tuple(place(random) for _ in range(random.choice((1, 1, 2)))),
            addresses={c: (f"{c}-{n}",) for c in ("wechat", "push", "sms") if random.random() < 0.6},
        )
        for n in range(600)
    ]
    await citizens(db).add(found)
    return found


def citizens(db: Database) -> Citizens:
    """The same people as planning sees them."""
    settings = Settings()
    vault = Vault({1: b"k" * 32}, b"i" * 32, lambda count: b"r" * count)
    assert settings.mode == "sandbox"
    return Citizens(db, vault, DIVISIONS.index_of)


AUDIENCES = {
    "a district": Audience(divisions=("440305",)),
    "two districts and a street in one of them": Audience(divisions=("440305", "440304", "440305001")),
    "a polygon": Audience(polygons=(WIDE,), shape_districts=DISTRICTS, loose_districts=DISTRICTS),
    "a polygon that crosses itself": Audience(polygons=(CROSSED,), shape_districts=DISTRICTS),
    "circles, loosely in one district": Audience(
        circles=((22.53, 113.95, 4.0), (22.55, 114.05, 2.5)), shape_districts=DISTRICTS, loose_districts=("440304",)
    ),
    "a district and a circle": Audience(
        divisions=("440303",), circles=((22.5, 113.9, 5.0),), shape_districts=("440305",), loose_districts=("440305",)
    ),
    "nobody": Audience(polygons=(tuple((a - 10, b) for a, b in WIDE),), shape_districts=DISTRICTS),
}


@pytest.mark.parametrize("audience", AUDIENCES.values(), ids=AUDIENCES.keys())
async def test_a_count_finds_exactly_those_who_would_be_planned(
    audience: Audience, db: Database, crowd: list[NewCitizen]
):
    assert len(crowd) == 600
    planned: Counter[tuple[str, ...]] = Counter()
    async for member in citizens(db).members(audience, 0, ID_SPACE - 1):
        planned[tuple(sorted(member.channels))] += 1
    found = await Counters(db).count(audience, 0, ID_SPACE - 1)
    counted: Counter[tuple[str, ...]] = Counter()
    for (_, channels), people in (*found.exact.items(), *found.loose.items()):
        counted[channels] += people
    assert counted == planned


async def test_loose_people_are_those_without_a_point_inside(db: Database, crowd: list[NewCitizen]):
    audience = AUDIENCES["a polygon"]
    found = await Counters(db).count(audience, 0, ID_SPACE - 1)
    with_point = sum(any(p.point for p in c.places) for c in crowd)
    assert found.exact.total() == with_point, "all points are inside"
    assert found.loose.total() == len(crowd) - with_point


async def test_counters_hold_everybody_once_per_division_of_every_level(db: Database, crowd: list[NewCitizen]):
    counters, heard = Counters(db), []
    assert await counters.find_built_at() is None
    await counters.rebuild(NOW, lambda done, of: heard.append((done, of)))
    assert await counters.find_built_at() == NOW
    assert heard[-1] == (64, 64)
    codes = ["440300", *DISTRICTS, *HOMES, *{code[:9] for code in HOMES}]
    found = await counters.find(codes)
    for code in codes:
        expected = Counter(tuple(sorted(c.addresses)) for c in crowd if any(code in p.divisions for p in c.places))
        assert Counter(dict(found.get(code, {}))) == expected, code


async def test_a_rebuild_forgets_divisions_that_everybody_left(db: Database, crowd: list[NewCitizen]):
    counters = Counters(db)
    await counters.rebuild(NOW, lambda *_: None)
    await db["citizens"].delete_many({"places.divisions": "440305"})
    await counters.rebuild(NOW + timedelta(hours=1), lambda *_: None)
    assert "440305" not in await counters.find(["440305", "440304"])
    left = sum(not any("440305" in p.divisions for p in c.places) for c in crowd)
    assert sum((await counters.find(["440300"]))["440300"].values()) == left


async def test_one_process_claims_a_rebuild_and_again_only_when_they_are_old(db: Database):
    counters, hour = Counters(db), timedelta(hours=1)
    assert await counters.claim(NOW, hour)
    assert not await counters.claim(NOW, hour), "somebody is at it"
    assert await counters.claim(NOW + timedelta(minutes=11), hour), "that one has died"
    await counters.rebuild(NOW, lambda *_: None)
    assert not await counters.claim(NOW + timedelta(minutes=59), hour)
    assert await counters.claim(NOW + timedelta(minutes=61), hour)


async def test_a_rate_is_that_of_busy_seconds_over_all_accounts_of_a_channel(db: Database):
    rates = Rates(db)
    assert await rates.find("sms") is None
    for second in range(6):
        at = NOW + timedelta(seconds=second, milliseconds=200)
        await rates.add({("sms", "a"): 10 if second in (0, 5) else 300, ("sms", "b"): 100, ("push", "c"): 7}, at)
        await rates.add({("sms", "b"): 50, ("push", "c"): 0}, at)
    found = await rates.find("sms")
    assert found is not None
    assert (found.per_s, found.at) == (450.0, NOW + timedelta(seconds=5))
