"""At the edges of proactive service: a digest's hour, a process that dies, consents, joins, stops and bad runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from server.domain.offers import State
from server.domain.rules import Live
from server.services.offer_notices import DIGEST, MADE, Telling
from server.storage.mongo import Database, in_transaction
from server.storage.offers import OfferStore
from server.storage.outbox import Outbox
from server.storage.runs import RunStore
from tests.services.proactive_world import TODAY, Town, opened, rule, turn


@pytest.fixture
async def town(db: Database) -> Town:
    return await opened(db)


class DiedError(Exception):
    """The process died."""


async def digests_that_tell(town: Town) -> int:
    """In how many of the digests that were ever put its one offer stands, when each is sent."""
    abouts = [each["about"] async for each in town.db["outbox"].find({"template": DIGEST})]
    return len(await town.notices().render(DIGEST, abouts))


class Dying(OfferStore):
    """Its process dies when an offer that stands in its digest is to be marked as told."""

    async def raise_to(self, *_: Any) -> int:
        """Dies instead."""
        raise DiedError


async def test_who_dies_between_the_digest_and_its_mark_makes_nobody_be_told_twice(town: Town) -> None:
    """The digest leaves with the offer in it; who finishes after its hour does not put the offer into tomorrow's."""
    town.rules = [rule(lane="digest")]
    await town.knows(1, id_card_until=TODAY + 5)
    await turn(town)
    left = (await town.offers.find([(await town.db["offers"].find_one({}))["_id"]])).values()  # type: ignore[index]
    await town.db["offers"].update_many({}, {"$set": {"state": "found", "digest": ""}})
    await town.db["outbox"].delete_many({})
    with pytest.raises(DiedError):
        await Telling(Dying(town.db), town.outbox, town.now).tell([*left], town.rules[0])
    assert await digests_that_tell(town) == 1
    await town.db["outbox"].update_many({}, {"$set": {"state": "paged"}})  # it has left
    town.later(hours=7)
    assert await town.engine().finish_left() == 1
    assert await digests_that_tell(town) == 1
    assert await town.db["outbox"].count_documents({}) == 1
    assert [each["state"] async for each in town.db["offers"].find()] == ["offered"]


class Slow(Outbox):
    """Between the putting of a digest and what follows its hour comes, and it leaves as it stands."""

    def __init__(self, town: Town) -> None:
        super().__init__(town.db)
        self._town = town
        self.told = 0

    async def find_waiting(self, keys: Sequence[str]) -> frozenset[str]:
        """Ten minutes pass."""
        found = await super().find_waiting(keys)
        self._town.later(minutes=10)
        due = {"due_at": {"$lte": self._town.at}, "state": "waiting"}
        abouts = [each["about"] async for each in self._town.db["outbox"].find(due)]
        self.told += len(await self._town.notices().render(DIGEST, abouts))
        await self._town.db["outbox"].update_many(due, {"$set": {"state": "paged"}})
        return found


@pytest.mark.parametrize("minutes", [0, 329, 331, 355, 359, 361])
async def test_who_is_held_up_for_ten_minutes_at_a_digests_hour_tells_once(town: Town, minutes: int) -> None:
    """From noon to six and a little later: whatever leaves meanwhile, each offer stands in one digest that leaves."""
    town.rules = [rule(lane="digest")]
    await town.knows(1, id_card_until=TODAY + 5)
    await turn(town)
    [d] = await town.db["offers"].find({}).to_list()
    [offer] = (await town.offers.find([d["_id"]])).values()
    await town.db["offers"].update_many(
        {}, {"$set": {"state": "found", "digest": ""}}
    )  # its digest waits, as for others
    town.later(minutes=minutes)
    slow = Slow(town)
    await Telling(town.offers, slow, town.now).tell([offer], town.rules[0])
    for _ in range(3):
        town.later(days=1)
        await slow.find_waiting([])
    assert slow.told == 1


async def test_who_took_the_consent_back_is_told_nothing_that_waited(town: Town) -> None:
    """Alone or in a digest: words are made for who agrees when they are sent."""
    town.rules = [rule(), rule(id="low", lane="digest")]
    for citizen in (1, 2):
        await town.knows(citizen, id_card_until=TODAY + 5)
    await turn(town)
    town.refusing = {1}
    for template in (MADE, DIGEST):
        entries = {d["about"]: d["citizen"] async for d in town.db["outbox"].find({"template": template})}
        assert sorted(entries.values()) == [1, 2]
        assert [entries[about] for about in await town.notices().render(template, list(entries))] == [2]


async def test_a_date_that_was_objected_to_is_told_to_nobody(town: Town) -> None:
    """Its notice waits already when the citizen objects; another's is as it was."""
    for citizen in (1, 2):
        await town.knows(citizen, id_card_until=TODAY + 5)
    await turn(town)
    entries = {d["about"]: d["citizen"] async for d in town.db["outbox"].find({"template": MADE})}
    await town.facts.dispute(1, "id_card_until")
    assert [entries[about] for about in await town.notices().render(MADE, list(entries))] == [2]


@pytest.mark.parametrize("is_both", [False, True])
async def test_two_accounts_that_became_one_are_told_once(town: Town, *, is_both: bool) -> None:
    """The offer of the account that went stays, and the survivor gets no second one for the same card."""
    await town.knows(1, id_card_until=TODAY + 5)
    if is_both:
        await town.knows(2, id_card_until=TODAY + 5)
    await turn(town)
    declined = [d["_id"] async for d in town.db["offers"].find({"citizen": 1})]
    await town.offers.raise_to(declined, State.DECLINED, town.now())

    async def move(session: Any) -> None:
        await town.offers.move(1, 2, session)
        await town.facts.move(1, 2, session)

    await in_transaction(town.db, move)
    await town.facts.settle(2)
    await town.engine().follow()
    assert [(d["citizen"], d["state"]) async for d in town.db["offers"].find()] == [(2, "declined")]


async def test_a_run_that_nobody_can_finish_keeps_no_other_back(town: Town) -> None:
    """A fact of a rule in force is not indexed any more: its run fails each time, and the others are done."""
    town.rules = [rule(id="a-broken", when=[{"fact": "inspection_until", "days": [0, 30]}]), rule()]
    await town.db["facts"].drop_index("by_inspection_until")
    await town.knows(1, id_card_until=TODAY + 5)
    for _ in range(3):
        with pytest.raises(Exception, match="hint"):
            await turn(town)
        await town.db["runs"].update_many({"state": "open"}, [{"$set": {"until": "$$NOW"}}])
    assert {d["rule"]: d["state"] async for d in town.db["runs"].find()} == {"a-broken": "open", "id-card": "done"}


class Versions(Town):
    """A town in which a second version takes the place of the first while a run is under way."""

    version = 1

    async def live(self) -> Sequence[Live]:
        """The newest version."""
        return [Live(each, self.version) for each in self.rules]


async def test_a_version_that_was_replaced_ends_at_its_next_page(db: Database) -> None:
    """Its run would go on for hours beside that of the version that mends it."""
    town = Versions(db, rules=[rule()])
    await town.facts.prepare()
    await town.know_many("id_card_until", dict.fromkeys(range(1, 2_001), TODAY + 5))
    engine = town.engine()
    await engine.schedule()
    running = asyncio.create_task(engine.run_open())
    while not await db["runs"].find_one({"found": {"$gt": 0}}):
        await asyncio.sleep(0)
    town.version = 2
    await running
    assert await db["offers"].count_documents({}) < 2_000
    assert [d["state"] async for d in db["runs"].find()] == ["dropped"]


async def test_a_rule_that_was_stopped_and_comes_back_finds_whose_facts_changed_meanwhile(town: Town) -> None:
    """Nobody followed for it: its next run looks at everybody, on the same day too."""
    await turn(town)
    stopped, town.rules = town.rules, []
    await RunStore(town.db, "office").drop("id-card", 1)
    await town.knows(1, id_card_until=TODAY + 5)
    await town.engine().follow()
    town.rules = stopped
    await town.db["followers"].update_many({}, [{"$set": {"seen_until": {"$add": ["$$NOW", 60_000]}}}])  # long ago
    await turn(town)
    assert await town.db["offers"].count_documents({"citizen": 1}) == 1
    await turn(town)
    assert [d["since"] async for d in town.db["runs"].find()] == [None]
