"""The office's side of an application: one asking for papers, hand-ons that the log has, an inbox per division."""

from __future__ import annotations

import asyncio
import itertools
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.domain.errors import ForbiddenError, InvalidInputError, StepRefusedError
from server.domain.officers import Role
from server.services.application_steps import SETTLED
from server.services.deciding import Decision, Sought
from server.storage.application_documents import fields_of, inbox_of
from server.storage.applications import overdue
from server.storage.mongo import Database
from tests.domain.items import MATERIAL, item
from tests.services.application_world import APPROVER, CLERK, NOW, OTHER, OWNER, Town, caller, officer
from tests.services.killed_officer import log_of

ROOT = Path(__file__).parents[2]
SUPERVISOR = officer(Role.SUPERVISOR, name="s")
BOOK = MATERIAL | {"id": "household_book", "name": {"zh": "户口簿", "en": "Household register"}}


@pytest.fixture
def town(db: Database) -> Town:
    return Town(db, item(materials=[MATERIAL, BOOK]))


async def asked(town: Town) -> str:
    """One that was asked for more, and completed."""
    id_ = (await town.submitted()).application.id
    await town.decide(id_, "ask", reason="material_unclear")
    version = (await town.counter.get(caller(), id_)).application.version
    await town.counter.supply(caller(), id_, version, "s")
    return id_


async def test_papers_are_asked_for_once_and_the_refusal_names_who_may_ask_again(town: Town):
    id_ = await asked(town)
    for by in (CLERK, APPROVER):
        with pytest.raises(StepRefusedError, match=r"asked_already.*supervisor") as caught:
            await town.decide(id_, "ask", by, reason="material_missing")
        assert not {"ask", "ask_again"} & {*caught.value.allowed}
    assert "ask" not in (await town.desk.get(CLERK, id_)).allowed
    await town.decide(id_, "accept")
    with pytest.raises(StepRefusedError, match="asked_already"):  # in the next state either
        await town.decide(id_, "ask", APPROVER, reason="material_missing")


async def test_a_supervisor_asks_again_with_a_reason_which_is_logged_and_counted(town: Town, db: Database):
    id_ = await asked(town)
    assert "ask_again" in (await town.desk.get(SUPERVISOR, id_)).allowed
    with pytest.raises(ForbiddenError, match="role_missing"):
        await town.desk.ask_again(CLERK, id_, Decision("", note="还缺"))
    with pytest.raises(StepRefusedError, match="reason_missing"):
        await town.desk.ask_again(SUPERVISOR, id_, Decision(""))
    filed = await town.desk.ask_again(SUPERVISOR, id_, Decision("", "material_expired", "补正的证件已过期"))
    assert (filed.application.standing.state, filed.application.asked) == ("supplement", 2)
    assert await db["applications"].count_documents({"asked": {"$gt": 1}}) == 1
    [event] = [e for e in town.log.events.values() if e.action == "application.ask_again"]
    assert (event.actor, event.details["party"]) == (SUPERVISOR.id, "supervisor")
    assert (await town.counter.get(caller(), id_)).application.timeline[-1].note.endswith("补正的证件已过期")


async def test_asking_lists_the_papers_that_are_named_and_all_that_are_not_there(db: Database):
    town = Town(db, item(materials=[MATERIAL, BOOK | {"is_required": True}]))
    draft = await town.draft()
    there = {"material": "household_book", "means": "source", "ref": "", "evidence": "", "at": NOW, "as_of_at": None}
    await db["applications"].update_one({}, {"$set": {"brought": [there]}})
    await town.counter.submit(caller(), draft.application.id, 1, "k")
    await db["applications"].update_one({}, {"$set": {"brought": []}})  # it has turned out to be somebody else's
    with pytest.raises(InvalidInputError, match="material_unknown"):
        await town.desk.decide(CLERK, draft.application.id, Decision("ask", "material_unclear", materials=("x",)))
    decision = Decision("ask", "material_unclear", materials=("id_card",))
    await town.desk.decide(CLERK, draft.application.id, decision)
    note = (await town.counter.get(caller(), draft.application.id)).application.timeline[-1].note
    assert "需补正：身份证、户口簿\nTo bring: ID card, Household register" in note


async def test_a_template_gives_its_words_in_both_languages_for_its_own_step_alone(town: Town):
    id_ = (await town.submitted()).application.id
    for wrong in ("not_needed", "nonsense"):  # a reason to refuse is none to ask
        with pytest.raises(InvalidInputError, match="reason_unknown"):
            await town.decide(id_, "ask", reason=wrong)
    filed = await town.decide(id_, "refuse", reason="not_our_power", note="请到区民政局")
    zh, en, more = filed.application.timeline[-1].note.split("\n")
    assert ("职权" in zh, "powers" in en, more) == (True, True, "请到区民政局")


async def test_what_is_red_is_found_by_the_supervisor_who_takes_it_from_whoever_let_it_lie(town: Town):
    id_, fresh = [(await town.submitted(of)).application.id for of in (OWNER, OTHER)]
    await town.desk.claim(CLERK, id_)
    await town.decide(fresh, "accept")
    town.clock.pass_(days=9)
    await town.steps.show_cards()
    assert [each.id for each in (await town.desk.inbox(SUPERVISOR, Sought(card="red")))[0]] == [id_]
    [event] = [e for e in town.log.events.values() if e.details.get("card") == "red"]
    assert event.details["owner"] == CLERK.id
    assert (await town.desk.transfer(SUPERVISOR, id_, "")).application.owner == ""


@pytest.mark.parametrize("deed", ["claim", "transfer"])
async def test_killed_anywhere_no_hand_on_is_without_its_log_line(
    town: Town, db: Database, mongo_url: str, tmp_path: Path, deed: str
):
    log = log_of(db, town, tmp_path)
    object.__setattr__(town.ground, "audit", log)
    ends = set()
    for touch in itertools.count(1):
        id_ = (await town.submitted()).application.id
        before = CLERK.id if deed == "transfer" else ""
        await db["applications"].update_one({"_id": id_}, {"$set": {"owner": before}})
        killed = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.services.killed_officer", mongo_url, str(tmp_path), id_, deed, str(touch),
            cwd=ROOT, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        code = await asyncio.wait_for(killed.wait(), 20)
        town.clock.pass_(days=30)
        await town.steps.finish()
        action = "application.claim" if deed == "claim" else "application.assign"
        told = [e for e in await log.latest("application") if e.action == action and e.object.endswith(id_)]
        found = await town.store.find(id_)
        assert found
        assert len(told) == (found.owner != before), touch
        ends.add((found.owner != before, code == 0))
        if code == 0:
            break
    assert {(False, False), (True, False), (True, True)} <= ends


async def test_a_step_whose_writer_died_is_logged_although_another_step_followed_at_once(town: Town):
    draft = (await town.draft()).application
    town.log.fails = True
    with pytest.raises(ConnectionError):
        await town.counter.submit(caller(), draft.id, draft.version, "k")
    town.log.fails = False
    await town.decide(draft.id, "accept")
    town.clock.pass_(seconds=SETTLED.total_seconds() + 1)
    assert [await town.steps.finish(), await town.steps.finish()] == [1, 0]
    assert sorted(town.log.actions()) == ["application.accept", "application.submit"]


async def test_a_card_that_nobody_lived_to_record_is_recorded_later_once(town: Town):
    await town.submitted()
    town.clock.pass_(days=9)
    town.log.fails = True
    with pytest.raises(ConnectionError):
        await town.steps.show_cards()
    town.log.fails = False
    town.clock.pass_(days=1)
    assert [await town.steps.finish(), await town.steps.finish()] == [1, 0]
    assert town.log.actions().count("application.card") == 1


def stages(plan: dict[str, Any]) -> set[str]:
    """The names of all stages of a plan."""
    inner = [plan["inputStage"]] if "inputStage" in plan else plan.get("inputStages", [])
    return {plan["stage"]}.union(*map(stages, inner))


async def test_an_inbox_reads_what_it_shows_and_little_else(db: Database):
    town = Town(db)
    made = (await town.submitted()).application
    template = await db["applications"].find_one({"_id": made.id})
    assert template
    places = ("440300", "440304", "440305", "440305001", "130100")
    rows = []
    for n in range(600):
        place, unit = places[n % len(places)], ("sz-civil-affairs", "sz-tax")[n // 5 % 2]
        one = replace(made, id=f"{n:032x}", division=place, unit=unit, units=(unit,))
        rows.append(template | fields_of(one) | {"_id": one.id, "number": f"n-{n}", "code_index": b"%d" % n})
    await db["applications"].insert_many(rows)
    clerk = officer(Role.CLERK, division="440305")
    found, after = [], None
    while True:
        page, at = await town.desk.inbox(clerk, Sought(limit=25, after=after))
        found += [each.id for each in page]
        if at is None:
            break
        after = (at, page[-1].id)
    expected = [r["_id"] for r in rows if r["division"].startswith("440305") and r["unit"] == "sz-civil-affairs"]
    assert found == sorted(expected)
    query = {"inboxes": {"$in": [inbox_of("sz-civil-affairs", "440305"), inbox_of("sz-x", "440305")]}, "is_open": True}
    command = {"find": "applications", "filter": query, "sort": {"due_at": 1, "_id": 1}, "limit": 25}
    told = await db.command("explain", command, verbosity="executionStats")
    assert not {"COLLSCAN", "SORT"} & stages(told["queryPlanner"]["winningPlan"])
    assert told["executionStats"]["nReturned"] == 25
    assert told["executionStats"]["totalDocsExamined"] <= 26


@pytest.mark.parametrize("name", ["unlogged.at", "card_at", "seat.until"])
async def test_what_waits_for_a_duty_is_found_by_its_index(db: Database, name: str):
    town = Town(db)
    for n in range(20):
        await town.submitted(OWNER + n)
    query = {"find": "applications", "filter": overdue(name, town.clock())}
    told = await db.command("explain", query, verbosity="executionStats")
    assert "COLLSCAN" not in stages(told["queryPlanner"]["winningPlan"])
    assert told["executionStats"]["totalDocsExamined"] == 0
