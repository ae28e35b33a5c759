"""At the edges: documents of the version before, confirming unseen, work of others, a seat left over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from server.domain.co_applicants import Answer
from server.domain.errors import ConflictError, StepRefusedError
from server.domain.officers import Role
from server.domain.ratings import Said
from server.domain.workflow import TaskRow
from server.services.application_seats import PATIENCE
from server.services.application_steps import ApplicationSteps
from server.services.applications import Applications
from server.services.deciding import Deciding, Sought
from server.services.item_terms import ItemTerms
from server.storage.catalogues import load_reasons
from server.storage.mongo import Database, Session, in_transaction
from tests.domain.items import item
from tests.services.application_world import APPROVER, CLERK, FORM, OTHER, OWNER, Town, caller, officer
from tests.services.test_application_seats import Both

SPOUSE, ROLE = OTHER, "household"


@pytest.fixture
def town(db: Database) -> Town:
    return Town(db)


@pytest.fixture
def household(db: Database) -> Town:
    town = Town(db, item(workflow="household"))
    town.acting.pairs.add((OWNER, SPOUSE))
    return town


async def named(town: Town) -> Any:
    """A draft in which the spouse was named."""
    draft = (await town.draft()).application
    return (await town.together.invite(caller(), draft.id, draft.version, f"{SPOUSE:032x}", ROLE)).application


@pytest.mark.parametrize("has_agreed", [False, True])
async def test_who_was_named_before_invitations_had_ids_can_still_confirm(
    household: Town, db: Database, *, has_agreed: bool
):
    draft = (await household.draft()).application
    old = {"citizen": SPOUSE, "role": ROLE, "agreed_at": household.clock.at if has_agreed else None}
    change = {"$set": {"agreements": [old], "people": [OWNER, SPOUSE]}, "$unset": {"lapse_at": "", "idle_at": ""}}
    await db["applications"].update_one({"_id": draft.id}, change)
    [found] = (await household.counter.get(caller(), draft.id)).application.agreements
    assert found.answer is (Answer.AGREED if has_agreed else Answer.WAITING)
    agreed = (await household.together.agree(caller(SPOUSE), draft.id, draft.version)).application
    assert (await household.counter.submit(caller(), draft.id, agreed.version, "k")).application.number


async def test_what_the_version_before_has_stored_comes_into_the_inbox(town: Town, db: Database):
    filed = (await town.submitted()).application
    over = (await town.submitted(OTHER)).application
    await town.counter.withdraw(caller(OTHER), over.id, "w")
    await db["applications"].update_many({}, {"$unset": {"inboxes": ""}})
    assert await town.desk.inbox(CLERK, Sought()) == ([], None)
    assert [await town.store.upgrade(1), await town.store.upgrade(1)] == [1, 0]
    assert [each.id for each in (await town.desk.inbox(CLERK, Sought()))[0]] == [filed.id]


async def test_what_was_changed_since_it_was_seen_is_not_confirmed(household: Town):
    draft = await named(household)
    await household.counter.save(caller(), draft.id, draft.version, FORM | {"reason": "改"})
    with pytest.raises(ConflictError, match="application_changed"):
        await household.together.agree(caller(SPOUSE), draft.id, draft.version)


async def test_naming_a_task_does_not_take_what_another_has_claimed(town: Town):
    filed = (await town.submitted()).application
    await town.desk.claim(CLERK, filed.id)
    with pytest.raises(ConflictError, match="application_claimed"):
        await town.decide(filed.id, "accept", officer(Role.CLERK, name="c"), task="x")


async def test_a_task_of_the_items_own_unit_is_not_decided_by_another_units_officer(db: Database):
    town, taxes, own = _with_a_task_of_the_tax_office(db)
    filed = (await town.submitted()).application
    await town.decide(filed.id, "accept")
    tax = officer(Role.APPROVER, name="t", institution="sz-tax")
    with pytest.raises(StepRefusedError, match="task_not_open"):
        await town.decide(filed.id, "grant_task", tax, task=own.name)
    await town.decide(filed.id, "grant_task", tax, task=taxes.name)
    await town.decide(filed.id, "grant_task", APPROVER, task=own.name)


async def test_a_seat_is_freed_if_the_application_cannot_be_handed_in_any_more(db: Database):
    both = Both(db)
    await both.hall.open(online=2)
    what = await both.ready()
    draft = await both.town.counter.own(caller(), what.application)
    wanted = await both.another()._want(caller(), draft, what)  # noqa: SLF001 - it dies right after
    await db["applications"].update_one({"_id": wanted.id}, {"$set": {"agreements": [_declined(both.town)]}})
    both.pass_(PATIENCE.total_seconds() + 1)
    await both.another().sweep()
    assert await both.are(what) == ("draft", False)
    assert (await both.town.counter.get(caller(), what.application)).application.seat is None


async def test_what_was_read_before_accounts_were_joined_is_not_written_after(town: Town, db: Database):
    before = (await town.draft()).application

    async def work(session: Session) -> None:
        await town.store.move(OWNER, OTHER, session)

    await in_transaction(db, work)
    with pytest.raises(ConflictError, match="application_changed"):
        await town.counter.write(before, town.counter.edited(before))
    assert (await town.counter.get(caller(OTHER), before.id)).application.citizen == OTHER


async def test_what_was_read_before_its_citizen_was_erased_is_not_written_after(town: Town):
    before = (await town.submitted()).application
    await town.store.erase(OWNER)
    with pytest.raises(ConflictError, match="application_changed"):
        await town.counter.write(before, town.counter.edited(before))
    found = await town.store.find(before.id)
    assert found
    assert (found.citizen, found.actor) == (0, 0)


async def test_nobody_is_told_of_what_was_applied_for_by_who_was_erased(town: Town, db: Database):
    filed = (await town.submitted()).application
    await town.store.erase(OWNER)
    await town.decide(filed.id, "accept")
    assert await db["outbox"].count_documents({"citizen": 0}) == 0


@pytest.mark.parametrize("is_half", [True, False])
async def test_what_was_applied_for_by_who_was_erased_can_still_be_decided(town: Town, db: Database, *, is_half: bool):
    """Also after the key is gone and before the rest has followed."""
    filed = (await town.submitted()).application
    await town.people.shred(OWNER)
    if not is_half:
        await town.store.erase(OWNER)
    decided = await town.decide(filed.id, "refuse", reason="not_needed")
    assert decided.application.standing.state == "refused"
    assert await db["person_keys"].find_one({"_id": 0}) is None


async def test_who_has_declined_reads_nothing_of_later_looks_at_the_application(household: Town, db: Database):
    draft = await named(household)
    filed = (await household.together.agree(caller(SPOUSE), draft.id, draft.version)).application
    await household.counter.submit(caller(), draft.id, filed.version, "k")
    await db["applications"].update_one({"_id": draft.id}, {"$set": {"agreements.0.answer": "declined"}})
    await household.desk.get(CLERK, draft.id)
    assert await db["uses"].count_documents({"citizen": OWNER}) == 1
    assert await db["uses"].count_documents({"citizen": SPOUSE}) == 0


def _with_a_task_of_the_tax_office(db: Database) -> tuple[Town, TaskRow, TaskRow]:
    """A counter whose parallel workflow leaves the first task to another unit; this task, and one of its own."""
    town = Town(db, item(workflow="parallel"))
    before = town.ground.workflows["parallel"]
    assert before.fork
    first, *others = before.fork.tasks
    taxes = first.model_copy(update={"unit": "sz-tax"})
    fork = before.fork.model_copy(update={"tasks": (taxes, *others)})
    workflows = {**town.ground.workflows, "parallel": before.model_copy(update={"fork": fork})}
    ground = replace(town.ground, workflows=workflows, items=ItemTerms(town.shelf, workflows))
    town.steps = ApplicationSteps(ground)
    town.counter = Applications(ground, town.steps, town.files)
    town.desk = Deciding(ground, town.steps, town.uses, load_reasons(), town)
    return town, taxes, others[0]


def _declined(town: Town) -> dict[str, Any]:
    return {
        "citizen": SPOUSE, "account": "", "role": ROLE, "id": "1", "asked_at": town.clock.at, "asks": 1,
        "answer": "declined", "answered_at": town.clock.at,
    }  # fmt: skip


async def test_a_step_that_decides_no_task_names_none_on_the_timeline(db: Database):
    town = Town(db, item(workflow="parallel"))
    filed = (await town.submitted()).application
    line = (await town.decide(filed.id, "accept", task="business_licence")).application.timeline[-1]
    assert (line.task, "营业执照" in line.words.zh) == ("", False)


async def test_a_number_is_followed_with_or_without_its_dashes(town: Town):
    own = (await town.submitted()).application
    found, _ = await town.counter.track(own.number.replace("-", ""), own.code)
    assert found.id == own.id


async def test_who_was_named_and_turns_out_to_be_the_applicant_confirms_nothing(household: Town, db: Database):
    draft = await named(household)
    await household.together.agree(caller(SPOUSE), draft.id, draft.version)

    async def work(session: Session) -> None:
        await household.store.move(SPOUSE, OWNER, session)

    await in_transaction(db, work)
    found = (await household.counter.get(caller(), draft.id)).application
    with pytest.raises(StepRefusedError, match="application_incomplete"):
        await household.counter.submit(caller(), draft.id, found.version, "k")


async def test_figures_are_told_of_however_many_ratings_with_tags(town: Town, db: Database):
    """All tags of a unit in one list would be more than a document can hold."""
    filed = (await town.submitted()).application
    for action, by in (("accept", CLERK), ("approve", APPROVER), ("complete", CLERK)):
        await town.decide(filed.id, action, by)
    await town.ratings.rate(caller(), filed.id, Said(5, {}, (), ""))
    one = await db["ratings"].find_one()
    assert one
    same = one | {"tags": ["x" * 20_000, "y"]}
    await db["ratings"].insert_many([same | {"_id": f"{n}", "case": f"{n}".encode()} for n in range(900)])
    [tally] = await town.ratings.figures(None)
    assert (tally.levels[5], tally.tags["y"], tally.tags["x" * 20_000]) == (901, 900, 900)
