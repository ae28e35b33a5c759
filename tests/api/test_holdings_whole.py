"""What the product holds about people: no collection is forgotten, a move loses nothing, a crash moves nothing."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.assemble import Assembly
from server.assemble_holdings import EXCEPTIONS, holdings
from server.domain.citizens import Kind
from server.domain.relations import Kind as RelationKind
from server.domain.relations import Relation, Role, Scope, State
from server.storage.citizens import NewCitizen, Place
from server.storage.indexes import INDEXES
from server.storage.joins import JoinStore
from server.storage.mongo import Session, in_transaction
from server.storage.person_keys import ShreddedError
from server.storage.real_names import RealNameStore
from server.storage.relations import RelationStore

DISTRICTS = ("440303", "440304", "440305", "440306")
PASSING = ("id", "asked_at", "label", "left", "at", "told")  # there is one home; of two words the later stays
Counts = dict[str, Any]


async def test_every_collection_belongs_to_a_holding_or_says_why_not(assembly: Assembly):
    held = {collection for holding in holdings(assembly) for collection in holding.collections}
    assert held & EXCEPTIONS.keys() == set()
    assert set(INDEXES) - held - EXCEPTIONS.keys() == set()
    assert EXCEPTIONS.keys() - set(INDEXES) <= {"person_keys"}  # which has no index
    assert all(EXCEPTIONS.values())


async def test_no_two_holdings_have_one_name(assembly: Assembly):
    names = [holding.name for holding in holdings(assembly)]
    assert len(names) == len(set(names))


class House:
    """The assembly in short: hypothesis prints a test's arguments."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly

    def __repr__(self) -> str:
        """No more than this."""
        return "House()"


@pytest.fixture
def house(assembly: Assembly) -> House:
    return House(assembly)


@st.composite
def people(draw: st.DrawFn) -> Counts:
    """What somebody has."""
    return {
        "places": draw(st.lists(st.sampled_from(DISTRICTS), max_size=3, unique=True)),
        "wechat": draw(st.integers(0, 2)),
        "push": draw(st.integers(0, 2)),
        "sms": draw(st.integers(0, 1)),
        "grants": draw(st.dictionaries(st.sampled_from(["T1", "T2"]), st.integers(1, 5))),
        "relations": draw(st.sets(st.integers(0, 3), max_size=3)),  # to which of some shared subjects
        "has_name": draw(st.booleans()),
    }


async def settle(assembly: Assembly, has: Counts, subjects: Sequence[int]) -> int:
    """Give somebody all that; their internal id."""
    db, now, citizen = assembly.db, assembly.now(), secrets.randbits(63)
    places = [Place(code, ("440000", "440300", code)) for code in has["places"]]
    addresses = {c: [secrets.token_hex(8) for _ in range(has[c])] for c in ("wechat", "push", "sms") if has[c]}
    await assembly.citizens.add([NewCitizen(citizen, places, addresses)])
    await assembly.accounts.open(citizen, f"{citizen:032x}", kind=Kind.PERSON, now=now)
    grants = [
        (citizen, name, True, now + timedelta(seconds=n)) for name, left in has["grants"].items() for n in range(left)
    ]
    for grant in grants:
        await assembly.citizens.set_grants([grant])
    store = RelationStore(db, assembly.person_vault)
    for number in has["relations"]:
        await store.appoint(
            Relation(
                secrets.token_hex(16), RelationKind.ORGANISATION, citizen, subjects[number], Role.REPRESENTATIVE,
                frozenset({Scope.SEE}), State.ACTIVE, now, None,
            )
        )  # fmt: skip
    return citizen


def names_of(assembly: Assembly) -> RealNameStore:
    return RealNameStore(assembly.db, assembly.vault, assembly.person_vault)


async def told(assembly: Assembly, citizen: int) -> Mapping[str, set[str]]:
    """All of it, in a shape that can be united: grants by template, without ids that a move may give anew."""
    found = {}
    for holding in holdings(assembly):
        if holding.name in ("account", "preferences"):
            continue
        rows = [{k: v for k, v in row.items() if k not in PASSING} for row in await holding.export(citizen)]
        found[holding.name] = {str(sorted(row.items(), key=str)) for row in rows}
    return found


async def move(assembly: Assembly, source: int, target: int) -> None:
    async def work(session: Session) -> None:
        for holding in holdings(assembly):
            await holding.move(source, target, session)

    await in_transaction(assembly.db, work)


@given(people(), people())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_what_two_accounts_held_the_one_that_is_left_holds(house: House, one: Counts, other: Counts):
    assembly = house.assembly
    subjects = [secrets.randbits(63) for _ in range(4)]
    target, source = await settle(assembly, one, subjects), await settle(assembly, other, subjects)
    before = [await told(assembly, each) for each in (target, source)]
    names = [await names_of(assembly).find(each) for each in (target, source)]
    for _ in range(2):  # the second time there is nothing left to move
        await move(assembly, source, target)
        after = await told(assembly, target)
        for name in after:
            assert after[name] >= before[0][name] | before[1][name], name
        assert await names_of(assembly).find(target) == (names[0] or names[1])
        assert not any((await told(assembly, source)).values())


async def test_a_crash_in_the_middle_leaves_both_as_they_were(assembly: Assembly):
    has: Counts = {
        "places": ["440305"],
        "wechat": 1,
        "push": 1,
        "sms": 1,
        "grants": {},
        "relations": {1},
        "has_name": True,
    }
    subjects = [secrets.randbits(63) for _ in range(4)]
    target, source = await settle(assembly, has, subjects), await settle(assembly, has, subjects)
    parts = holdings(assembly)
    before = [await told(assembly, each) for each in (target, source)]
    for last in range(len(parts)):

        async def work(session: Session, last: int = last) -> None:
            for holding in parts[: last + 1]:
                await holding.move(source, target, session)
            raise KeyboardInterrupt  # the process dies here

        with pytest.raises(KeyboardInterrupt):
            await in_transaction(assembly.db, work)
        assert [await told(assembly, each) for each in (target, source)] == before


async def test_an_erasure_leaves_nothing_and_no_key(assembly: Assembly):
    has: Counts = {
        "places": ["440305"],
        "wechat": 1,
        "push": 1,
        "sms": 1,
        "grants": {"T1": 2},
        "relations": {1},
        "has_name": True,
    }
    citizen = await settle(assembly, has, [secrets.randbits(63) for _ in range(4)])
    absorbed = secrets.randbits(63)
    await assembly.person_vault.of(absorbed)
    await assembly.db["accounts"].insert_one({"_id": absorbed, "public": "x", "joined_into": citizen})
    assert await JoinStore(assembly.db).absorbed_by(citizen) == [absorbed]
    for _ in range(2):
        for holding in holdings(assembly):
            await holding.erase(citizen)
    assert not any((await told(assembly, citizen)).values())
    assert await names_of(assembly).find(citizen) is None
    for each in (citizen, absorbed):
        with pytest.raises(ShreddedError):
            await assembly.person_vault.of(each)
