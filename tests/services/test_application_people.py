"""Applications and the people they are about: who confirms, who is told what, what is left of whom."""

from __future__ import annotations

import pytest

from server.domain.errors import ForbiddenError, NotFoundError, StepRefusedError
from server.services.application_holdings import ApplicationHolding
from server.services.application_notices import ApplicationNotices
from server.services.application_steps import TEMPLATE
from server.services.attachments import Upload
from server.services.ratings import Said
from server.storage.catalogues import load_texts, load_workflows
from server.storage.mongo import Database, Session, in_transaction
from tests.domain.items import item
from tests.services.application_world import FORM, OTHER, OWNER, Town, caller

SPOUSE, THIRD = OTHER, 4713
MATERIAL = {"id": "id_card", "name": {"zh": "身份证", "en": "ID card"}, "is_required": False}
PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


@pytest.fixture
def household(db: Database) -> Town:
    town = Town(db, item(workflow="household"))
    town.acting.pairs.add((OWNER, SPOUSE))
    return town


@pytest.fixture
def town(db: Database) -> Town:
    return Town(db, item(materials=[MATERIAL], workflow="instant"))


async def test_a_household_hands_in_once_everybody_has_confirmed_what_is_written_now(household: Town):
    draft = (await household.draft()).application
    with pytest.raises(StepRefusedError, match="application_incomplete"):
        await household.counter.submit(caller(), draft.id, draft.version, "k")
    await household.together.invite(caller(), draft.id, draft.version, f"{SPOUSE:032x}", "household")
    with pytest.raises(NotFoundError, match="application_unknown"):
        await household.agrees(THIRD, draft.id)
    with pytest.raises(ForbiddenError, match="agreement_missing"):
        await household.agrees(OWNER, draft.id)
    agreed = (await household.agrees(SPOUSE, draft.id)).application
    saved = await household.counter.save(caller(), draft.id, agreed.version, {"reason": "另一个"})
    with pytest.raises(StepRefusedError, match="application_incomplete"):  # something else is written now
        await household.counter.submit(caller(), draft.id, saved.application.version, "k")
    again = (await household.agrees(SPOUSE, draft.id)).application
    seen = await household.counter.submit(caller(), draft.id, again.version, "k")
    assert seen.application.standing.state == "submitted"
    assert household.log.actions().count("application.agreed") == 2
    with pytest.raises(NotFoundError, match="application_unknown"):
        await household.counter.withdraw(caller(SPOUSE), draft.id, "w")  # confirming is not acting


async def test_a_notice_says_what_the_timeline_says_and_an_sms_nothing_personal(town: Town):
    seen = await town.submitted()
    subject = ApplicationNotices(town.store, load_texts().templates, load_workflows())
    [about] = await town.told()
    texts = (await subject.render(TEMPLATE, [about, "unknown.1", f"{seen.application.id}.99"]))[about]
    push = texts["push"]["en"]
    assert "handed in" in str(push["body"])
    assert seen.application.number in str(push["body"])
    assert seen.application.number not in str(texts["sms"])
    assert FORM["reason"] not in str(texts)


async def filled(town: Town) -> str:
    """A finished application with a form, a file, a note, and a rating."""
    draft = (await town.draft()).application
    upload = Upload("id_card", "证件.pdf", "application/pdf", PDF)
    draft = (await town.attachments.add(caller(), draft.id, upload)).application
    await town.counter.submit(caller(), draft.id, draft.version, "k")
    await town.decide(draft.id, "reject", note="给本人的话")
    await town.ratings.rate(caller(), draft.id, Said(2, {}, (), "评语"))
    return draft.id


async def test_a_join_loses_nothing_and_an_export_tells_everything(town: Town, db: Database):
    id_ = await filled(town)
    holding = ApplicationHolding(town.store, town.files, town.marks)
    before = await holding.export(OWNER)
    assert all(word in str(before) for word in (FORM["reason"], "证件.pdf", "给本人的话", "评语"))

    async def work(session: Session) -> None:
        await holding.move(OWNER, THIRD, session)

    for _ in range(2):
        await in_transaction(db, work)
    assert (await holding.export(OWNER), await holding.export(THIRD)) == ([], before)
    seen = (await town.counter.get(caller(THIRD), id_)).application
    assert dict(seen.form) == FORM
    assert (await town.attachments.read(caller(THIRD), id_, seen.brought[0].ref))[1] == PDF


async def test_an_erasure_leaves_what_the_office_did_and_nothing_of_the_person(town: Town, db: Database):
    id_ = await filled(town)
    draft = (await town.draft()).application
    holding = ApplicationHolding(town.store, town.files, town.marks)
    for _ in range(2):
        await holding.erase(OWNER)
    await town.people.shred(OWNER)
    assert await holding.export(OWNER) == []
    left = await db["applications"].find_one({"_id": id_})
    assert left is not None
    assert {"form", "code", "code_index"} & left.keys() == set()
    assert [line["action"] for line in left["timeline"]] == ["submit", "reject"]
    assert not any("note" in line for line in left["timeline"])
    assert (left["citizen"], left["actor"], left["people"]) == (0, 0, [])
    assert await db["applications"].find_one({"_id": draft.id}) is None
    assert await db["attachment_data.files"].count_documents({}) == 0
    found = await town.store.find(id_)
    assert found is not None
    assert not found.form
