"""What is left of a rule's step when the process dies, and what versions and stops do to the engine's runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from server.domain.audit import Event
from server.domain.errors import ConflictError
from server.domain.facts import day_number
from server.domain.notices import frames_of
from server.domain.officers import Officer, Role
from server.domain.rule_life import Kept
from server.domain.rules import Rule
from server.services.applied import AppliedFor
from server.services.offer_notices import Telling
from server.services.rules import Names, RuleOffice, RuleShelves
from server.storage.applications import ApplicationStore
from server.storage.catalogue import CatalogueStore
from server.storage.catalogue_files import load_units
from server.storage.catalogues import load_consents, load_facts, load_texts, load_workflows
from server.storage.mongo import Database
from server.storage.offers import OfferStore
from server.storage.outbox import Outbox
from server.storage.person_keys import PersonVault
from server.storage.rules import RuleStore
from server.storage.runs import RunStore
from server.storage.vault import Vault
from tests.services.desk import officer
from tests.services.proactive_world import NOON, Town

EDITOR, APPROVER = officer("editor", Role.EDITOR), officer("approver", Role.APPROVER)
OTHER = officer("other", Role.APPROVER)
RULE: dict[str, Any] = {
    "id": "id-card", "kind": "reminder", "unit": "public-security", "lane": "reminder", "period": "occurrence",
    "title": {"zh": "身份证快到期", "en": "Your ID runs out"}, "body": {"zh": "{date}", "en": "{date}"},
    "when": [{"fact": "id_card_until", "days": [0, 30]}], "lasts_days": 40,
}  # fmt: skip
TODAY = day_number(NOON.date())


class DiedError(Exception):
    """The process died."""


class Log:
    """An audit log that may die before it has written."""

    def __init__(self) -> None:
        self.entries: dict[str, Event] = {}
        self.is_dying = False

    async def record(self, *events: Event) -> None:
        """A key is one entry."""
        if self.is_dying:
            raise DiedError
        self.entries |= {event.key: event for event in events}


class City(Town):
    """A town whose rules have an office."""

    def __init__(self, db: Database, monotonic: Callable[[], float]) -> None:
        super().__init__(db)
        self.log = Log()
        self.store = RuleStore(db, monotonic)
        names = Names(load_facts(), load_units(), load_consents(), frames_of(load_texts().templates))
        shelves = RuleShelves(self.store, CatalogueStore(db), OfferStore(db), RunStore(db, "office"))
        telling = Telling(OfferStore(db), Outbox(db), self.now)
        self.office = RuleOffice(shelves, names, telling, self.log, city="440300", now=self.now)

    async def live(self) -> Sequence[Any]:
        """Those of the store."""
        return await self.store.live()

    async def release(self, by: Officer = APPROVER, **other: Any) -> Kept:
        """Written by one, released by another."""
        drafted = await self.office.draft(EDITOR, Rule.model_validate(RULE | other))
        submitted = await self.office.submit(EDITOR, drafted.rule.id, drafted.edit)
        return await self.office.release(by, drafted.rule.id, submitted.digest)


@pytest.fixture
def ticks() -> list[float]:
    return [0.0]


@pytest.fixture
async def city(db: Database, ticks: list[float]) -> City:
    found = City(db, lambda: ticks[0])
    await found.facts.prepare()
    return found


async def turn(city: City) -> None:
    await city.engine().schedule()
    await city.engine().run_open()


async def test_a_step_that_the_log_missed_is_logged_once_by_whoever_comes_next(city: City) -> None:
    """The process dies between the release and its entry: the rule is in force, and the next turn writes the entry."""
    drafted = await city.office.draft(EDITOR, Rule.model_validate(RULE))
    submitted = await city.office.submit(EDITOR, "id-card", drafted.edit)
    city.log.is_dying = True
    with pytest.raises(DiedError):
        await city.office.release(APPROVER, "id-card", submitted.digest)
    assert [live.version for live in await city.store.live()] == [1]
    assert len(city.log.entries) == 2
    city.log.is_dying = False
    assert [await city.office.finish(), await city.office.finish()] == [1, 0]
    assert [event.action for event in city.log.entries.values()] == ["rule.draft", "rule.submit", "rule.release"]
    assert city.log.entries["id-card@1/3"].actor == APPROVER.id


async def test_a_stop_is_finished_by_whoever_comes_next_and_only_when_nobody_can_add_to_it(city: City) -> None:
    """The process that stopped dies at once: another withdraws; what a late run made after that is withdrawn too."""
    await city.release()
    await city.know_many("id_card_until", dict.fromkeys(range(1, 1201), TODAY + 3))
    await turn(city)
    city.log.is_dying = True
    with pytest.raises(DiedError):
        await city.office.stop(EDITOR, "id-card", "mistake")
    city.log.is_dying = False
    assert await city.office.finish() == 1
    assert await city.db["offers"].count_documents({"state": {"$ne": "withdrawn"}}) == 0
    assert await city.db["outbox"].count_documents({"state": "waiting"}) == 0
    await city.db["offers"].update_one({"citizen": 7}, {"$set": {"state": "offered", "is_open": True}})  # a late run
    assert await city.office.finish() == 1
    assert await city.db["offers"].count_documents({"state": {"$ne": "withdrawn"}}) == 0
    city.later(seconds=21)
    assert [await city.office.finish(), await city.office.finish()] == [1, 0]


async def test_a_stop_ends_a_run_at_its_next_page(city: City, ticks: list[float]) -> None:
    """A run of six pages is under way: the stop drops it, and it does not come to its end."""
    await city.release()
    await city.know_many("id_card_until", {n: TODAY + n % 30 for n in range(1, 3_001)})
    engine = city.engine()
    await engine.schedule()
    running = asyncio.create_task(engine.run_open())
    while not await city.db["runs"].find_one({"found": {"$gt": 0}}):
        await asyncio.sleep(0)
    await city.office.stop(APPROVER, "id-card", "mistake")
    ticks[0] += 2
    await city.office.finish()
    await running
    await city.office.finish()
    assert (await city.db["runs"].find_one({}))["state"] == "dropped"  # type: ignore[index]
    assert await city.db["offers"].count_documents({}) < 3_000
    assert await city.db["offers"].count_documents({"is_open": True}) == 0


async def test_another_process_hears_of_a_stop_within_a_second(city: City, db: Database, ticks: list[float]) -> None:
    """Its cache is a second old at most; its own stop it knows at once."""
    await city.release()
    other = RuleStore(db, lambda: ticks[0])
    assert len(await other.live()) == 1
    await city.office.stop(APPROVER, "id-card", "mistake")
    assert (await city.store.live(), len(await other.live())) == ([], 1)
    ticks[0] += 1.0
    assert (await other.live(), await other.find([("id-card", 1)])) == ([], {})
    await city.office.resume(APPROVER, "id-card", "mended")
    ticks[0] += 1.0
    assert set(await other.find([("id-card", 1)])) == {("id-card", 1)}


async def test_an_old_versions_run_does_not_take_the_new_ones_with_it(city: City, ticks: list[float]) -> None:
    """A version is replaced while its run is still open: that run is dropped, the new version's full run is done."""
    await city.release()
    await city.knows(1, id_card_until=TODAY + 20)
    await city.engine().schedule()
    await city.release(when=[{"fact": "id_card_until", "days": [0, 40]}])
    ticks[0] += 1.0
    await turn(city)
    states = {d["_id"].partition("/")[0]: d["state"] async for d in city.db["runs"].find()}
    assert states == {"id-card@1": "dropped", "id-card@2": "done"}
    assert await city.db["offers"].count_documents({"version": 2}) == 1


async def test_what_was_replaced_is_still_read_out_and_what_was_stopped_is_not(city: City) -> None:
    """An offer of the version before keeps its words; after a stop neither version has any."""
    await city.release()
    await city.release(lasts_days=41)
    both = [("id-card", 1), ("id-card", 2)]
    assert set(await city.store.find(both)) == set(both)
    await city.office.stop(EDITOR, "id-card", "mistake")
    assert await city.store.find(both) == {}


async def test_a_rule_that_cannot_be_read_keeps_no_other_back(city: City, ticks: list[float]) -> None:
    """Of two rules in force one is of another release of the product: the other one runs."""
    await city.release()
    await city.release(id="other")
    await city.db["rules"].update_one({"id": "id-card"}, {"$set": {"rule.lane": "unheard"}})
    ticks[0] += 1.0
    assert [live.rule.id for live in await RuleStore(city.db, lambda: ticks[0]).live()] == ["other"]


async def test_more_versions_than_are_remembered_lose_no_rule(city: City, ticks: list[float]) -> None:
    """A process that remembers two of four rules sees all four at every turn, and reads them all out."""
    for name in ("one", "two", "three", "four"):
        await city.release(id=name)
    store = RuleStore(city.db, lambda: ticks[0], remembered=2)
    for _ in range(3):
        ticks[0] += 1.0
        assert len(await store.live()) == 4
        assert len(await store.find([(name, 1) for name in ("one", "two", "three", "four")])) == 4


async def test_six_approvers_at_once_release_one_version_in_place_of_another(city: City) -> None:
    """One wins, the others are told, and exactly one version is in force."""
    await city.release()
    drafted = await city.office.draft(EDITOR, Rule.model_validate(RULE | {"lasts_days": 41}))
    digest = (await city.office.submit(EDITOR, "id-card", drafted.edit)).digest
    tries = [city.office.release(by, "id-card", digest) for by in (APPROVER, OTHER) * 3]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(each, Kept) for each in done) == 1
    assert not [
        each for each in done if not isinstance(each, Kept | ConflictError) and "rule_unknown" not in repr(each)
    ]
    assert await city.db["rules"].count_documents({"slot": "force"}) == 1
    assert await city.db["rules"].count_documents({"state": "live"}) == 1


async def test_the_operator_loads_only_what_is_new_and_never_over_an_officers_draft(city: City) -> None:
    """Again nothing; changed words are handed in anew; what an officer writes on is left alone; a bad rule is told."""
    rule = Rule.model_validate(RULE)
    bad = Rule.model_validate(RULE | {"id": "bad", "unit": "nobody"})
    done, refused = await city.office.load([rule, bad])
    assert ([kept.name for kept in done], [each.id for each, _ in refused]) == (["id-card@1"], ["bad"])
    assert await city.office.load([rule]) == ([], [])
    changed = Rule.model_validate(RULE | {"lasts_days": 41})
    [again] = (await city.office.load([changed]))[0]
    await city.office.release(APPROVER, "id-card", again.digest)
    await city.office.draft(EDITOR, rule)
    done, refused = await city.office.load([Rule.model_validate(RULE | {"lasts_days": 42})])
    assert (done, [faults[0].field for _, faults in refused]) == ([], ["id"])


async def test_who_has_applied_is_read_from_an_index_and_drafts_and_refusals_do_not_count(db: Database) -> None:
    """Of five people with applications those whose is open or was granted; others' items and drafts are nothing."""
    vault = Vault({1: b"k" * 32}, b"i" * 32, os.urandom)
    store = ApplicationStore(db, PersonVault(db, vault, os.urandom), vault, Outbox(db))
    rows = [
        (1, "card", True, "accepted", "N1"),
        (2, "card", False, "completed", "N2"),
        (3, "card", False, "rejected", "N3"),
        (4, "card", False, "draft", ""),
        (5, "other", True, "accepted", "N5"),
    ]
    await db["applications"].insert_many(
        {"_id": f"a{c}", "citizen": c, "item": item, "is_open": is_open, "state": state, "people": [c]}
        | ({"number": number} if number else {})
        for c, item, is_open, state, number in rows
    )
    applied = AppliedFor(store, load_workflows())
    assert await applied.applied_for(range(1, 9), "card") == {1, 2}
    query = {"citizen": {"$in": [1, 2]}, "item": "card", "number": {"$exists": True}, "is_open": True}
    plan = await db["applications"].find(query, {"_id": 0, "citizen": 1}).hint("applied").explain()
    assert plan["executionStats"]["totalKeysExamined"] <= 4
