"""An application from the draft to the delivered result, and everything that may not happen on the way."""

from __future__ import annotations

from datetime import date

import pytest

from server.domain.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    StepRefusedError,
    TooManyError,
)
from server.domain.faults import FaultyInputError
from server.domain.inbox import OVERLAP
from server.domain.officers import Role
from server.services.application_steps import SETTLED
from server.services.applications import Draft
from server.services.deciding import Decision, Sought
from server.services.inbox import Wanted
from server.storage.mongo import Database
from tests.domain.items import item
from tests.services.application_world import APPROVER, CLERK, FORM, OTHER, OWNER, Town, caller, officer, race


@pytest.fixture
def town(db: Database) -> Town:
    return Town(db)


async def test_an_application_goes_from_draft_to_delivered_and_everybody_reads_the_same(town: Town):
    seen = await town.submitted()
    id_ = seen.application.id
    assert seen.application.standing.clock.due_on == date(2026, 12, 1)  # five working days to take it
    filed = await town.decide(id_, "accept")
    assert filed.application.standing.clock.due_on == date(2026, 12, 8)  # ten from the day it was taken
    await town.decide(id_, "approve", APPROVER)
    await town.decide(id_, "complete", APPROVER)
    await town.decide(id_, "deliver")
    own = (await town.counter.get(caller(), id_)).application
    tracked, words = await town.counter.track(own.number, own.code.lower())
    assert [line.action for line in own.timeline] == ["submit", "accept", "approve", "complete", "deliver"]
    assert [line.words for line in tracked.timeline] == [line.words for line in own.timeline]
    assert words == ("已送达", "Delivered")
    assert not tracked.form
    assert len(await town.told()) == 5
    assert town.log.actions() == [
        "application.submit", "application.accept", "application.approve", "application.complete",
        "application.deliver",
    ]  # fmt: skip


async def test_another_device_goes_on_with_a_draft_and_an_old_version_is_refused(town: Town):
    draft = (await town.draft(form={})).application
    saved = await town.counter.save(caller(), draft.id, draft.version, {"reason": "一"})
    assert dict((await town.counter.get(caller(), draft.id)).application.form) == {"reason": "一"}
    with pytest.raises(ConflictError, match="application_changed"):
        await town.counter.save(caller(), draft.id, draft.version, {"reason": "二"})
    with pytest.raises(ConflictError, match="application_changed"):
        await town.counter.submit(caller(), draft.id, draft.version, "k")
    await town.counter.drop(caller(), draft.id, saved.application.version)
    with pytest.raises(NotFoundError, match="application_unknown"):
        await town.counter.get(caller(), draft.id)


async def test_a_wrong_form_names_every_field_and_rule_in_both_languages(town: Town):
    draft = (await town.draft(form={"reason": "长" * 21, "has_home": True, "x": 1})).application
    with pytest.raises(FaultyInputError) as caught:
        await town.counter.submit(caller(), draft.id, draft.version, "k")
    assert {f.field for f in caught.value.faults} == {"form.reason", "form.home", "form.x"}
    assert all(f.zh and f.en for f in caught.value.faults)


async def test_the_same_key_hands_in_once(town: Town):
    draft = (await town.draft()).application
    racers = [town.counter.submit(caller(), draft.id, draft.version, "k") for _ in range(5)]
    numbers = {seen.application.number for seen in await race(*racers)}
    assert len(numbers) == 1
    assert len(await town.told()) == 1


async def test_what_is_not_allowed_says_what_is(town: Town):
    id_ = (await town.submitted()).application.id
    with pytest.raises(StepRefusedError, match="step_not_allowed") as caught:
        await town.decide(id_, "deliver")
    assert caught.value.allowed == ("accept", "ask", "refuse")
    with pytest.raises(StepRefusedError, match="reason_missing"):
        await town.decide(id_, "refuse")
    with pytest.raises(StepRefusedError, match="application_closed"):
        await town.counter.save(caller(), id_, 2, FORM)


async def test_asking_for_more_stops_the_clock_and_what_is_supplied_starts_it_again(town: Town):
    id_ = (await town.submitted()).application.id
    await town.decide(id_, "accept")  # due on 8 December
    town.clock.pass_(days=2)  # Thursday: eight working days are left
    asked = await town.decide(id_, "ask", reason="material_unclear", note="背面")
    assert asked.application.standing.clock.left_days == 8
    assert asked.application.standing.clock.due_at is None
    town.clock.pass_(days=11)  # Monday, 7 December
    seen = await town.counter.get(caller(), id_)
    assert seen.application.timeline[-1].note.endswith("背面")
    saved = await town.counter.save(caller(), id_, seen.application.version, FORM)
    back = await town.counter.supply(caller(), id_, saved.application.version, "s")
    assert back.application.standing.state == "accepted"
    assert back.application.standing.clock.due_on == date(2026, 12, 17)  # eight working days after the 7th


async def test_of_two_officers_who_claim_at_once_one_wins(town: Town):
    id_ = (await town.submitted()).application.id
    rivals = [officer(Role.CLERK, name=name) for name in "cdef"]
    found = await race(*(town.desk.claim(each, id_) for each in rivals))
    losers = [each for each in found if isinstance(each, ConflictError)]
    assert [each.code for each in losers] == ["application_claimed"] * 3
    owner = next(each.application.owner for each in found if not isinstance(each, ConflictError))
    loser = next(each for each in rivals if each.id != owner)
    with pytest.raises(ConflictError, match="application_claimed"):
        await town.decide(id_, "accept", loser)
    winner = next(each for each in rivals if each.id == owner)
    await town.desk.transfer(winner, id_, "")
    await town.decide(id_, "accept", loser)


async def test_work_is_handed_on_to_who_could_do_it_and_a_supervisor_takes_it_from_anybody(town: Town):
    id_ = (await town.submitted()).application.id
    await town.desk.claim(CLERK, id_)
    colleague, stranger = officer(Role.CLERK, name="c"), officer(Role.CLERK, name="d", institution="sz-tax")
    town.hired = {each.id: each for each in (colleague, stranger)}
    for nobody in (stranger.id, "f" * 32):
        with pytest.raises(InvalidInputError, match="colleague_unknown"):
            await town.desk.transfer(CLERK, id_, nobody)
    assert (await town.desk.transfer(CLERK, id_, colleague.id)).application.owner == colleague.id
    with pytest.raises(ConflictError, match="application_claimed"):
        await town.desk.transfer(CLERK, id_, "")
    supervisor = officer(Role.SUPERVISOR, name="s")
    assert (await town.desk.transfer(supervisor, id_, "")).application.owner == ""
    with pytest.raises(ForbiddenError, match="role_missing"):
        await town.decide(id_, "accept", supervisor)


async def test_of_two_officers_who_decide_at_once_one_decides(town: Town):
    id_ = (await town.submitted()).application.id
    await town.decide(id_, "accept")
    deeds = [
        town.decide(id_, "approve", APPROVER),
        town.decide(id_, "reject", officer(Role.APPROVER, name="c"), note="不符合"),
    ]
    found = await race(*deeds)
    assert sum(isinstance(each, StepRefusedError) for each in found) == 1
    timeline = (await town.counter.get(caller(), id_)).application.timeline
    assert len([line for line in timeline if line.action in ("approve", "reject")]) == 1


async def test_an_officer_sees_what_belongs_to_their_unit_and_division_and_nothing_else(town: Town):
    draft = (await town.draft()).application
    id_ = (await town.submitted()).application.id
    strangers = [
        officer(Role.CLERK, institution="sz-tax"), officer(Role.CLERK, institution=""),
        officer(Role.CLERK, division="440305"),
    ]  # fmt: skip
    for stranger in strangers:
        with pytest.raises(NotFoundError, match="application_unknown"):
            await town.desk.get(stranger, id_)
    with pytest.raises(NotFoundError, match="application_unknown"):
        await town.desk.get(CLERK, draft.id)
    with pytest.raises(ForbiddenError, match="role_missing"):
        await town.desk.get(officer(Role.AUTHOR), id_)
    assert [a.id for a in (await town.desk.inbox(CLERK, Sought()))[0]] == [id_]
    assert (await town.desk.inbox(strangers[0], Sought()))[0] == []


async def test_the_applicant_reads_which_office_looked_and_the_log_knows_who(town: Town):
    id_ = (await town.submitted()).application.id
    await town.desk.get(CLERK, id_)
    uses, _ = await town.uses.page(OWNER, "", 10)
    assert [(use.unit, use.office[0], use.purpose) for use in uses] == [
        ("深圳市民政局", "窗口服务岗", "办理：高龄老人津贴")
    ]
    assert "application.read" in town.log.actions()


async def test_an_inbox_is_sorted_by_deadline_and_read_page_by_page(town: Town):
    ids = [(await town.submitted(OWNER + n)).application.id for n in range(5)]
    await town.decide(ids[0], "accept")  # due later than those that wait to be taken
    found: list[str] = []
    after = None
    while True:
        page, at = await town.desk.inbox(CLERK, Sought(limit=2, after=after))
        found += [each.id for each in page]
        if at is None:
            break
        after = (at, page[-1].id)
    assert sorted(found) == sorted(ids)
    assert found[-1] == ids[0]


async def test_who_keeps_a_copy_of_the_list_asks_only_for_what_has_changed(town: Town):
    ids = [(await town.draft()).application.id for _ in range(5)]
    first = await town.counter.page(caller(), Wanted(limit=3))
    await town.counter.save(caller(), ids[4], 1, {"reason": "一"})  # during the walk, with a clock that stands still
    second = await town.counter.page(caller(), Wanted(limit=3, after=first.next or ""))
    assert {each.id for each in (*first.applications, *second.applications)} == {*ids}
    assert (second.sync, second.next) == (first.sync, None)
    town.clock.pass_(seconds=OVERLAP.total_seconds() + 60)
    since = (await town.counter.page(caller(), Wanted(since=first.sync))).sync
    assert (await town.counter.page(caller(), Wanted(since=since))).applications == []
    await town.counter.submit(caller(), ids[1], 1, "k")
    await town.desk.decide(CLERK, ids[1], Decision("accept"))
    town.clock.pass_(seconds=1)
    found = await town.counter.page(caller(), Wanted(since=since))
    assert [each.id for each in found.applications] == [ids[1]]
    town.clock.pass_(seconds=30)  # the overlap: what a slow write may still show is told a second time
    assert (await town.counter.page(caller(), Wanted(since=found.sync))).applications[0].id == ids[1]
    with pytest.raises(InvalidInputError, match="cursor_invalid"):
        await town.counter.page(caller(), Wanted(since="yesterday"))


async def test_a_withdrawn_application_is_over_and_leaves_the_inbox(town: Town):
    id_ = (await town.submitted()).application.id
    await town.counter.withdraw(caller(), id_, "w")
    assert (await town.desk.inbox(CLERK, Sought()))[0] == []
    with pytest.raises(StepRefusedError, match="step_not_allowed"):
        await town.decide(id_, "accept")


async def test_one_may_ask_for_speed_once_a_day(town: Town):
    id_ = (await town.submitted()).application.id
    await town.counter.urge(caller(), id_, "u1")
    assert (await town.counter.urge(caller(), id_, "u1")).application.urged == 1
    with pytest.raises(TooManyError, match="urged_already"):
        await town.counter.urge(caller(), id_, "u2")
    town.clock.pass_(days=1)
    assert (await town.counter.urge(caller(), id_, "u3")).application.urged == 2


async def test_a_card_turns_yellow_before_the_deadline_and_red_after_it(town: Town):
    id_ = (await town.submitted()).application.id
    cards = []
    for _ in range(9):
        await town.steps.show_cards()
        cards.append((await town.counter.get(caller(), id_)).application.card.value)
        town.clock.pass_(days=1)
    # from Tuesday the 24th on; due on Tuesday the first, of which the last fifth, Monday on, is yellow
    assert cards == ["none"] * 6 + ["yellow"] * 2 + ["red"]
    red = (await town.desk.inbox(CLERK, Sought(card="red")))[0]
    assert [each.id for each in red] == [id_]
    assert town.log.actions().count("application.card") == 2


async def test_a_step_that_nobody_lived_to_record_is_recorded_later_once(town: Town):
    draft = (await town.draft()).application
    town.log.fails = True
    with pytest.raises(ConnectionError):
        await town.counter.submit(caller(), draft.id, draft.version, "k")
    town.log.fails = False
    assert town.log.actions() == []
    town.clock.pass_(seconds=SETTLED.total_seconds() + 1)
    assert [await town.steps.finish(), await town.steps.finish()] == [1, 0]
    assert town.log.actions() == ["application.submit"]


async def test_four_certificates_are_decided_side_by_side_on_one_timeline(db: Database):
    town = Town(db, item(workflow="parallel"))
    id_ = (await town.submitted()).application.id
    await town.decide(id_, "accept")
    for task in ("business_licence", "organisation_code", "tax_registration"):
        await town.decide(id_, "grant_task", APPROVER, task=task)
    with pytest.raises(StepRefusedError, match="task_not_open"):
        await town.decide(id_, "grant_task", APPROVER, task="business_licence")
    last = await town.decide(id_, "reject_task", APPROVER, task="seal_permit", reason="condition_unmet")
    assert last.application.standing.state == "approved"
    assert dict(last.application.standing.tasks) == {
        "business_licence": "granted", "organisation_code": "granted", "tax_registration": "granted",
        "seal_permit": "refused",
    }  # fmt: skip
    assert "印章许可证" in last.application.timeline[-1].words.zh


async def test_who_may_another_may_as_long_as_they_are_allowed_to(town: Town):
    town.acting.pairs.add((OTHER, OWNER))
    seen = await town.submitted(OTHER, subject=f"{OWNER:x}")
    assert (await town.counter.get(caller(), seen.application.id)).application.actor == OTHER
    assert len(await town.told()) == 2
    town.acting.pairs.clear()
    with pytest.raises(NotFoundError, match="application_unknown"):
        await town.counter.get(caller(OTHER), seen.application.id)


async def test_a_wrong_code_or_number_tells_nothing(town: Town):
    own = (await town.submitted()).application
    with pytest.raises(NotFoundError, match="application_unknown"):
        await town.counter.track(own.number, "WRONGCODE2")
    with pytest.raises(InvalidInputError, match="number_mistyped"):
        await town.counter.track("440305-20261124-01234567-5", own.code)


async def test_an_application_keeps_the_version_of_its_item(town: Town):
    draft = (await town.draft()).application
    town.shelf.publish(item(promised_days=1, form={"fields": []}))
    seen = await town.counter.submit(caller(), draft.id, draft.version, "k")
    assert (seen.application.item_version, seen.terms.item.promised_days) == (1, 10)


async def test_a_draft_goes_on_with_its_form_when_a_newer_version_is_published(town: Town):
    """Nobody has to fill in again what was right: saved, checked, shown and handed in by the version it began with."""
    draft = (await town.draft()).application
    newer = {"fields": [{"id": "other", "kind": "whole", "label": {"zh": "其他"}}]}
    town.shelf.publish(item(promised_days=1, form=newer))
    saved = await town.counter.save(caller(), draft.id, draft.version, {"reason": "改过"})
    assert (saved.application.item_version, saved.faults) == (1, [])
    wrong = await town.counter.save(caller(), draft.id, saved.application.version, {"other": 3})
    assert {fault.field for fault in wrong.faults} >= {"form.other", "form.reason"}
    right = await town.counter.save(caller(), draft.id, wrong.application.version, {"reason": "改过"})
    handed = await town.counter.submit(caller(), draft.id, right.application.version, "k")
    assert (handed.application.item_version, handed.application.form["reason"]) == (1, "改过")
    begun = await town.counter.begin(caller(), Draft(item().id))
    assert (begun.application.item_version, [each.id for each in begun.terms.item.form.fields]) == (2, ["other"])
