"""Rules make offers: each exactly once, whoever runs them, whatever happens to them, and only to whom they are for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from server.domain.offers import State
from server.services.offer_notices import DIGEST, MADE, key_of
from server.storage.mongo import Database
from tests.services.proactive_world import TODAY, Town, opened, rule, turn


@pytest.fixture
async def town(db: Database) -> Town:
    return await opened(db)


async def told(town: Town) -> dict[int, int]:
    """How many notices wait or waited for each person."""
    counts: dict[int, int] = {}
    async for entry in town.db["outbox"].find({"template": {"$regex": "^offer"}}):
        counts[entry["citizen"]] = counts.get(entry["citizen"], 0) + 1
    return counts


async def test_who_comes_into_the_window_is_told_on_that_day_and_once(town: Town) -> None:
    """Thirty-one people one day apart: those in the window today, then one more each day, nobody twice."""
    await town.know_many("id_card_until", {n: TODAY + n for n in range(1, 41)})
    await turn(town)
    assert await told(town) == dict.fromkeys(range(1, 31), 1)
    await turn(town)
    town.later(days=1)
    await turn(town)
    assert await told(town) == dict.fromkeys(range(1, 32), 1)
    town.later(days=3)  # two days were missed: nobody ran anything
    await turn(town)
    assert await told(town) == dict.fromkeys(range(1, 35), 1)


async def test_a_renewed_card_is_a_new_occasion(town: Town) -> None:
    """Ten years later the same person is told again, for the new date."""
    await town.knows(1, id_card_until=TODAY + 5)
    await turn(town)
    town.later(days=3_650)
    await town.knows(1, id_card_until=TODAY + 3_650 + 10)
    await turn(town)
    assert await town.db["offers"].count_documents({"citizen": 1}) == 2


async def test_four_schedulers_at_once_make_each_offer_once(town: Town) -> None:
    """Four processes run 1,500 matches at once: one offer and one notice each."""
    await town.know_many("id_card_until", {n: TODAY + n % 30 for n in range(1, 1_501)})
    await asyncio.gather(*(turn(town, f"p{n}") for n in range(4)))
    assert await told(town) == dict.fromkeys(range(1, 1_501), 1)
    assert await town.db["offers"].count_documents({}) == 1_500


async def test_a_run_that_was_left_is_taken_over_where_it_stands(town: Town, db: Database) -> None:
    """A process dies in the middle of a run, and between an offer and its notice: nothing is lost, nothing doubled."""
    await town.know_many("id_card_until", {n: TODAY + n % 30 for n in range(1, 1_201)})
    engine = town.engine("dying")
    await engine.schedule()
    task = asyncio.create_task(engine.run_open())
    while not await db["runs"].find_one({"found": {"$gt": 0}}):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await db["offers"].update_one({"state": "offered"}, {"$set": {"state": "found"}})
    await db["runs"].update_many({"state": "open"}, [{"$set": {"until": "$$NOW"}}])  # the lease lapses
    await town.engine("next").run_open()
    town.later(minutes=2)
    await town.engine("next").finish_left()
    assert await told(town) == dict.fromkeys(range(1, 1_201), 1)
    assert await db["offers"].count_documents({"state": "found"}) == 0


async def test_a_clock_that_steps_back_or_a_long_pause_tells_nobody_twice(town: Town) -> None:
    """The clock goes back a day and forward again, and a process pauses for ten minutes: each is told once."""
    await town.know_many("id_card_until", {n: TODAY + n for n in range(1, 35)})
    await turn(town)
    town.later(days=-1)
    await turn(town)
    town.later(days=1, minutes=10)
    await turn(town)
    assert await told(town) == dict.fromkeys(range(1, 31), 1)


async def test_a_changed_fact_is_seen_at_once(town: Town) -> None:
    """A feed says that a card runs out: no run is needed, and following again does nothing."""
    await turn(town)
    await town.knows(5, id_card_until=TODAY + 3)
    await town.engine().follow()
    await town.engine().follow()
    assert await told(town) == {5: 1}


async def test_no_consent_no_offer_and_an_application_is_enough(town: Town) -> None:
    """Who did not agree, who has applied already, and who is excluded hears nothing."""
    town.rules = [
        rule(
            kind="offer", item="id-card-renewal", unless=[{"fact": "residence", "is": ["visitor"]}],
        )
    ]  # fmt: skip
    for citizen in range(1, 5):
        await town.knows(citizen, id_card_until=TODAY + 1)
    await town.knows(4, residence="visitor")
    town.refusing, town.applied = {2}, {(3, "id-card-renewal")}
    await turn(town)
    assert await told(town) == {1: 1}


async def test_a_cap_holds_over_periods(town: Town) -> None:
    """Two cars due within the cap's days: told of one; when the days are over, of the other."""
    town.rules = [rule(when=[{"fact": "inspection_until", "days": [0, 300]}], cap={"count": 1, "days": 100})]
    await town.knows(1, inspection_until=TODAY + 5)
    await turn(town)
    assert await told(town) == {1: 1}
    from_second = [TODAY + 5, TODAY + 200]
    await town.db["facts"].update_one({"_id": 1}, [{"$set": {"inspection_until": from_second, "changed_at": "$$NOW"}}])
    await town.engine().follow()
    assert await told(town) == {1: 1}
    town.later(days=101)
    await turn(town)
    assert await told(town) == {1: 2}


async def test_low_lane_offers_of_a_day_are_one_notice_and_none_is_lost(town: Town) -> None:
    """Three rules for one person: one notice that names all; what comes after it left is in the next one."""
    town.rules = [rule(id=f"digest-{n}", lane="digest", title={"zh": f"第{n}项", "en": f"No. {n}"}) for n in range(3)]
    await town.knows(1, id_card_until=TODAY + 5)
    await turn(town)
    assert await told(town) == {1: 1}
    entry = await town.db["outbox"].find_one({"template": DIGEST})
    assert entry is not None
    words = (await town.notices().render(DIGEST, [entry["about"]]))[entry["about"]]["push"]["zh"]
    assert words["title"] == "有3项服务与您有关"
    assert all(f"第{n}项" in str(words["body"]) for n in range(3))
    await town.db["outbox"].update_one({"_id": entry["_id"]}, {"$set": {"state": "paged"}})  # it has left, early
    town.rules.append(rule(id="late", lane="digest"))
    await turn(town)
    assert await told(town) == {1: 2}
    due = [each["due_at"] async for each in town.db["outbox"].find({}).sort("due_at", 1)]
    assert due[1] - due[0] == timedelta(days=1)


async def test_what_was_answered_or_stopped_is_told_to_nobody(town: Town) -> None:
    """Words are made when a notice is sent: an offer that was declined, or whose rule is gone, has none."""
    for citizen in (1, 2):
        await town.knows(citizen, id_card_until=TODAY + 5)
    await turn(town)
    offers = {o["citizen"]: o["_id"] async for o in town.db["offers"].find({})}
    words = await town.notices().render(MADE, list(offers.values()))
    assert words[offers[1]]["push"]["en"]["body"] == "It runs out on 2026-11-29, in 5 days"
    await town.offers.raise_to([offers[1]], State.DECLINED, town.now())
    assert set(await town.notices().render(MADE, list(offers.values()))) == {offers[2]}
    town.rules = []
    assert await town.notices().render(MADE, list(offers.values())) == {}


async def test_an_offer_lapses_and_its_notice_with_it(town: Town) -> None:
    """After its days an offer is over, and what still waits of it is not sent."""
    await town.knows(1, id_card_until=TODAY + 5)
    await turn(town)
    town.later(days=41)
    assert await town.engine().lapse() == 1
    offer = await town.db["offers"].find_one({})
    assert offer is not None
    assert offer["state"] == "lapsed"
    assert (await town.outbox.find_waiting([key_of(offer["_id"])])) == frozenset()


async def test_a_notice_is_over_with_the_last_day_on_which_it_is_true(town: Town) -> None:
    """A card that runs out tonight: what is not told by midnight in China is not told at all."""
    await town.know_many("id_card_until", {1: TODAY, 2: TODAY + 9})
    await turn(town)
    ends = {d["citizen"]: d["expires_at"] async for d in town.db["outbox"].find({})}
    midnight = datetime(2026, 11, 24, 16, tzinfo=UTC)
    assert ends == {1: midnight, 2: midnight + timedelta(days=9)}
