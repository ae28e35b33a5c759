"""Audiences by division and shape, addresses that belong to one person, and what is at rest does not tell anybody."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.errors import BulkWriteError

from server.domain.broadcasts import ID_SPACE, Audience
from server.storage.catalogues import load_divisions
from server.storage.citizens import Citizens, NewCitizen, Place
from server.storage.mongo import Database
from server.storage.vault import SealedError, Vault

DIVISIONS = load_divisions()
NOW = datetime(2026, 7, 1, tzinfo=UTC)
NANSHAN, FUTIAN = "440305", "440304"


def community(district: str) -> str:
    return DIVISIONS.children(DIVISIONS.children(district)[0])[0]


def place(district: str, point: tuple[float, float] | None = None) -> Place:
    code = community(district)
    return Place(code, (*DIVISIONS.ancestors(code), code), point)


def person(id_: int, *places: Place, **changes: object) -> NewCitizen:
    made = NewCitizen(
        id_, places or (place(NANSHAN),), {"sms": (f"+86138{id_ % 10**8:08d}",), "wechat": (f"openid-{id_}",)}
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def vault() -> Vault:
    return Vault({1: b"1" * 32, 2: b"2" * 32}, b"i" * 32, os.urandom)


@pytest.fixture
def citizens(db: Database, vault: Vault) -> Citizens:
    return Citizens(db, vault, DIVISIONS.index_of)


async def members(citizens: Citizens, audience: Audience, lo: int = 0, hi: int = ID_SPACE) -> list[int]:
    return [m.id async for m in citizens.members(audience, lo, hi)]


async def test_an_audience_is_streamed_in_the_order_of_ids_and_within_its_bounds(citizens: Citizens):
    await citizens.add([person(i) for i in (50, 10, 40, 20, 30)])
    whole = Audience(divisions=(NANSHAN,))
    assert await members(citizens, whole) == [10, 20, 30, 40, 50]
    assert await members(citizens, whole, 20, 40) == [20, 30, 40]


async def test_whoever_has_any_place_in_a_division_belongs_and_is_listed_once(citizens: Citizens):
    both = person(1, place(FUTIAN), place(NANSHAN))
    await citizens.add([both, person(2, place(NANSHAN)), person(3, place(FUTIAN))])
    assert await members(citizens, Audience(divisions=(NANSHAN,))) == [1, 2]
    assert await members(citizens, Audience(divisions=(NANSHAN, FUTIAN))) == [1, 2, 3]
    assert await members(citizens, Audience(divisions=("440300",))) == [1, 2, 3]
    assert await members(citizens, Audience(divisions=(community(FUTIAN),))) == [1, 3]


async def test_a_polygon_holds_the_points_inside_it_and_only_loose_districts_bring_people_without_a_point(
    citizens: Citizens,
):
    inside, outside = (22.53, 113.93), (22.60, 113.93)
    square = ((22.50, 113.90), (22.50, 113.96), (22.56, 113.96), (22.56, 113.90), (22.50, 113.90))
    await citizens.add(
        [person(1, place(NANSHAN, inside)), person(2, place(NANSHAN, outside)), person(3, place(NANSHAN))]
    )
    shape = Audience(polygons=(square,), shape_districts=(NANSHAN,))
    assert await members(citizens, shape) == [1]
    assert await members(citizens, shape.model_copy(update={"loose_districts": (NANSHAN,)})) == [1, 3]


@pytest.mark.parametrize(("km", "expected"), [(4.9, False), (5.1, True)])
@pytest.mark.parametrize("bearing", ["north", "east"])
async def test_a_circle_reaches_as_far_east_as_north(citizens: Citizens, km: float, *, expected: bool, bearing: str):
    latitude, longitude = 22.53, 113.93
    north, east = (5.0 / 111.32, 0.0) if bearing == "north" else (0.0, 5.0 / (111.32 * 0.92373))
    await citizens.add([person(1, place(NANSHAN, (latitude + north, longitude + east)))])
    circle = Audience(circles=((latitude, longitude, km),), shape_districts=(NANSHAN,))
    assert await members(citizens, circle) == ([1] if expected else [])


async def test_a_test_list_limits_the_audience_to_its_people(citizens: Citizens):
    await citizens.add([person(i) for i in range(1, 9)])
    listed = Audience(divisions=(NANSHAN,), citizens=(3, 5, 99))
    assert await members(citizens, listed) == [3, 5]
    assert await citizens.estimate(listed) == 3


async def test_an_estimate_is_near_the_truth(citizens: Citizens):
    step = ID_SPACE // 3_000
    await citizens.add([person(i * step + i % 7, addresses={}) for i in range(3_000)])
    assert 2_400 <= await citizens.estimate(Audience(divisions=(NANSHAN,))) <= 3_600
    assert await citizens.estimate(Audience(divisions=(FUTIAN,))) == 0


async def test_a_phone_belongs_to_one_citizen(citizens: Citizens):
    await citizens.add([person(1, addresses={"sms": ("+8613800000001",)})])
    with pytest.raises(BulkWriteError):
        await citizens.add([person(2, addresses={"sms": ("+8613800000001",)})])
    assert await citizens.find_by_address("sms", ["+8613800000001"]) == {"+8613800000001": 1}


async def test_a_ciphertext_that_is_copied_to_somebody_else_does_not_open(citizens: Citizens, db: Database):
    await citizens.add([person(1), person(2)])
    stolen = await db["addresses"].find_one({"_id": 1})
    assert stolen
    await db["addresses"].update_one({"_id": 2}, {"$set": {"sms.0.value": stolen["sms"][0]["value"]}})
    assert (await citizens.reach("sms", [1]))[1].addresses[0].value == "+8613800000001"
    with pytest.raises(SealedError):
        await citizens.reach("sms", [2])


async def test_nothing_at_rest_holds_an_address_in_clear(citizens: Citizens, db: Database):
    await citizens.add(
        [person(1, addresses={"sms": ("+8613812345678",), "wechat": ("oCANARYopenid",), "push": ("CANARYtoken",)})]
    )
    dump = repr([d async for d in db["addresses"].find()] + [d async for d in db["citizens"].find()])
    for canary in ("13812345678", "CANARY"):
        assert canary not in dump


async def test_a_dead_address_is_retired_and_the_person_stays_reachable_by_the_others(citizens: Citizens, db: Database):
    await citizens.add([person(1, addresses={"push": ("old", "new"), "sms": ("+8613800000001",)}), person(2)])
    await citizens.retire("push", [(1, citizens.index("push", "old"))], code="UNREGISTERED", now=NOW)
    assert [a.value for a in (await citizens.reach("push", [1]))[1].addresses] == ["new"]
    await citizens.retire("push", [(1, citizens.index("push", "new"))], code="UNREGISTERED", now=NOW)
    await citizens.retire("sms", [(2, citizens.index("sms", "+8613800000002"))], code="dead", now=NOW)
    assert await citizens.reach("push", [1]) == {}
    assert [(m.id, m.channels) for m in await citizens.by_id([1, 2])] == [(1, ["sms"]), (2, ["wechat"])]
    [one, two] = [m async for m in citizens.members(Audience(divisions=(NANSHAN,)), 0, ID_SPACE)]
    assert (list(one.channels), list(two.channels)) == (["sms"], ["wechat"])
    kept = await db["addresses"].find_one({"_id": 1})
    assert kept
    assert [r["code"] for r in kept["retired"]] == ["UNREGISTERED", "UNREGISTERED"]


async def test_the_latest_word_about_a_grant_counts_in_whatever_order_words_come(citizens: Citizens, db: Database):
    await citizens.add([person(1)])
    later = NOW + timedelta(seconds=1)
    await citizens.set_grants([(1, "T", False, later)])
    await citizens.set_grants([(1, "T", True, NOW)])
    found = await db["addresses"].find_one({"_id": 1})
    assert found
    assert found["grants"]["T"]["left"] == 0


def test_a_sealed_value_opens_with_older_keys_and_not_after_a_change(vault: Vault):
    old = Vault({1: b"1" * 32}, b"i" * 32, os.urandom).seal("secret", owner="a|1|sms")
    assert vault.open(old, owner="a|1|sms") == "secret"
    new = vault.seal("secret", owner="a|1|sms")
    assert new[0] == 2
    for broken in (new[:-1] + bytes([new[-1] ^ 1]), b"\x01" + new[1:], b"\x07" + new[1:]):
        with pytest.raises(SealedError):
            vault.open(broken, owner="a|1|sms")


def test_the_blind_index_knows_equal_values_of_one_field_only(vault: Vault):
    assert vault.index("x", field="sms") == vault.index("x", field="sms")
    assert vault.index("x", field="sms") != vault.index("x", field="push")
    assert vault.index("x", field="sms") != vault.index("y", field="sms")
