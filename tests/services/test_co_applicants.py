"""Those who apply together with somebody: asked over their channels, heard, let go."""

from __future__ import annotations

from typing import Any

import pytest

from server.domain.application_news import News
from server.domain.applications import Application
from server.domain.co_applicants import ASKED_FOR, MAX_NAMED, Answer
from server.domain.errors import ConflictError, NotFoundError, StepRefusedError
from server.services.application_holdings import ApplicationHolding
from server.services.application_notices import ApplicationNotices
from server.services.application_steps import SETTLED
from server.storage.catalogues import load_texts, load_workflows
from server.storage.inbox import InboxStore, Window
from server.storage.mongo import Database, Session, in_transaction
from tests.domain.items import item
from tests.services.application_world import FORM, OTHER, OWNER, Town, caller, race

SPOUSE, SON, NEW = OTHER, 4713, 4714
ROLE = "household"


@pytest.fixture
def town(db: Database) -> Town:
    town = Town(db, item(workflow="household"))
    town.acting.pairs |= {(OWNER, SPOUSE), (OWNER, SON)}
    return town


async def asked(town: Town, *who: int) -> Application:
    """A draft in which these were named."""
    found = (await town.draft()).application
    for each in who or (SPOUSE,):
        found = (await town.together.invite(caller(), found.id, found.version, f"{each:032x}", ROLE)).application
    return found


async def inbox(town: Town, citizen: int) -> list[str]:
    """What somebody finds in the inbox now, newest first: what is withdrawn or moot is not there."""
    subject = ApplicationNotices(town.store, load_texts().templates, load_workflows())
    found, _ = await InboxStore(town.db).page(citizen, town.clock.at, Window(None, None, 50))
    rendered = [(each.template, (await subject.render(each.template, [each.about])).get(each.about)) for each in found]
    return [f"{name}: {w['push']['zh']['body']} {w['wechat']['zh']['page']}" for name, w in rendered if w]


async def waiting(db: Database, citizen: int) -> list[str]:
    """The templates of what would be sent to somebody at once."""
    query = {"citizen": citizen, "state": "waiting", "lane": "transactional"}
    return [d["template"] async for d in db["outbox"].find(query)]


async def test_who_is_named_is_asked_over_their_channels_and_the_inbox_leads_to_the_confirmation(
    town: Town, db: Database
):
    draft = await asked(town)
    assert await waiting(db, SPOUSE) == [News.ASKED]
    page = f"pages/application/application?id={draft.id}&do=confirm"
    assert await inbox(town, SPOUSE) == [f"{News.ASKED}: 请您作为共同申请人确认，12月8日前有效 {page}"]
    assert await waiting(db, OWNER) == []
    again = await town.together.invite(caller(), draft.id, draft.version, f"{SPOUSE:032x}", ROLE)
    assert again.application.version == draft.version  # who is asked already is not asked twice
    assert await waiting(db, SPOUSE) == [News.ASKED]


async def test_who_confirms_is_seen_by_the_applicant_and_asked_no_more(town: Town, db: Database):
    draft = await asked(town)
    town.clock.pass_(hours=1)
    for _ in range(2):
        seen = await town.agrees(SPOUSE, draft.id)
    [agreement] = (await town.counter.get(caller(), draft.id)).application.agreements
    assert (agreement.answer, agreement.answered_at) == (Answer.AGREED, town.clock.at)
    assert await inbox(town, SPOUSE) == []
    assert await waiting(db, SPOUSE) == []
    [told] = await inbox(town, OWNER)
    assert told.startswith(f"{News.ANSWERED}: 共同申请人已确认")
    submitted = await town.counter.submit(caller(), draft.id, seen.application.version, "k")
    assert submitted.application.number
    assert (await town.counter.get(caller(SPOUSE), draft.id)).application.number  # theirs to follow


async def test_who_has_confirmed_is_asked_once_about_what_was_changed_since(town: Town, db: Database):
    draft = await asked(town)
    agreed = (await town.agrees(SPOUSE, draft.id)).application
    saved = (await town.counter.save(caller(), draft.id, agreed.version, {"reason": "二"})).application
    await town.counter.save(caller(), draft.id, saved.version, {"reason": "三"})
    assert await waiting(db, SPOUSE) == [News.ASKED]
    assert len(await inbox(town, SPOUSE)) == 1
    await town.agrees(SPOUSE, draft.id)
    assert town.log.actions().count("application.agreed") == 2


async def test_an_invitation_is_taken_back_while_nothing_was_answered(town: Town, db: Database):
    draft = await asked(town, SPOUSE, SON)
    first, second = draft.agreements
    await town.together.take_back(caller(), draft.id, first.id)
    assert (await waiting(db, SPOUSE), await inbox(town, SPOUSE)) == ([], [])
    assert await waiting(db, SON) == [News.ASKED]
    for deed in (
        town.counter.get(caller(SPOUSE), draft.id),
        town.agrees(SPOUSE, draft.id),
        town.together.take_back(caller(SON), draft.id, second.id),
    ):
        with pytest.raises(NotFoundError, match="application_unknown"):
            await deed
    with pytest.raises(NotFoundError, match="invitation_unknown"):
        await town.together.take_back(caller(), draft.id, first.id)
    await town.agrees(SON, draft.id)
    with pytest.raises(ConflictError, match="invitation_answered"):
        await town.together.take_back(caller(), draft.id, second.id)


async def test_an_invitation_that_a_process_has_sent_already_is_not_rendered_any_more(town: Town, db: Database):
    draft = await asked(town)
    await db["outbox"].update_many({}, {"$set": {"state": "paged"}})
    await town.together.take_back(caller(), draft.id, draft.agreements[0].id)
    about = [d["about"] async for d in db["outbox"].find({"template": News.ASKED})]
    assert about
    subject = ApplicationNotices(town.store, load_texts().templates, load_workflows())
    assert await subject.render(News.ASKED, about) == {}


async def test_who_declines_is_let_go_and_the_applicant_names_somebody_else(town: Town, db: Database):
    draft = await asked(town)
    await town.together.decline(caller(SPOUSE), draft.id)
    with pytest.raises(NotFoundError, match="application_unknown"):
        await town.counter.get(caller(SPOUSE), draft.id)
    assert await town.store.page_of(SPOUSE, None, 10) == []
    [told] = await inbox(town, OWNER)
    assert told.startswith(f"{News.ANSWERED}: 共同申请人不同意")
    declined = (await town.counter.get(caller(), draft.id)).application
    with pytest.raises(StepRefusedError, match="application_incomplete"):
        await town.counter.submit(caller(), draft.id, declined.version, "k")
    cleared = (await town.together.take_back(caller(), draft.id, declined.agreements[0].id)).application
    await town.together.invite(caller(), draft.id, cleared.version, f"{SON:032x}", ROLE)
    agreed = (await town.agrees(SON, draft.id)).application
    await town.counter.submit(caller(), draft.id, agreed.version, "k")
    assert "application.declined" in town.log.actions()
    assert await waiting(db, SPOUSE) == []


async def test_a_consent_can_be_taken_back_until_it_is_handed_in(town: Town):
    draft = await asked(town, SPOUSE, SON)
    await town.agrees(SON, draft.id)
    agreed = (await town.agrees(SPOUSE, draft.id)).application
    await town.together.decline(caller(SPOUSE), draft.id)
    with pytest.raises(ConflictError, match="application_changed"):
        await town.counter.submit(caller(), draft.id, agreed.version, "k")
    now = (await town.counter.get(caller(), draft.id)).application
    cleared = (await town.together.take_back(caller(), draft.id, now.agreements[0].id)).application
    await town.counter.submit(caller(), draft.id, cleared.version, "k")
    with pytest.raises(StepRefusedError, match="application_closed"):
        await town.together.decline(caller(SON), draft.id)


async def test_a_question_lapses_after_two_weeks_and_the_application_is_not_seen_any_more(town: Town, db: Database):
    draft = await asked(town)
    town.clock.pass_(seconds=ASKED_FOR.total_seconds() - 1)
    assert await town.together.lapse() == 0
    town.clock.pass_(seconds=1)
    with pytest.raises(ConflictError, match="invitation_lapsed"):
        await town.agrees(SPOUSE, draft.id)
    assert [await town.together.lapse(), await town.together.lapse()] == [1, 0]
    with pytest.raises(NotFoundError, match="application_unknown"):
        await town.agrees(SPOUSE, draft.id)
    [told] = await inbox(town, OWNER)
    assert told.startswith(f"{News.ANSWERED}: 共同申请人未在期限内确认")
    assert (await inbox(town, SPOUSE), await waiting(db, SPOUSE)) == ([], [])
    seen = await town.counter.get(caller(), draft.id)
    assert dict(seen.application.form) == FORM
    named = await town.together.invite(caller(), draft.id, seen.application.version, f"{SPOUSE:032x}", ROLE)
    assert [each.answer for each in named.application.agreements] == [Answer.WAITING]
    assert len(await inbox(town, SPOUSE)) == 1


async def test_of_an_answer_and_a_taking_back_at_once_one_happens_and_the_notices_say_which(town: Town, db: Database):
    for _ in range(5):
        draft = await asked(town)
        await race(
            town.agrees(SPOUSE, draft.id),
            town.together.take_back(caller(), draft.id, draft.agreements[0].id),
        )
        left = (await town.counter.get(caller(), draft.id)).application.agreements
        answers = [each.answer for each in left]
        assert answers in ([], [Answer.AGREED])
        about = f"{draft.id}.{draft.agreements[0].question}"
        told = await db["outbox"].count_documents({"about": about, "template": News.ANSWERED})
        assert told == len(answers)
        assert await db["outbox"].count_documents({"about": about, "template": News.ASKED, "withdrawn_at": None}) == 0


async def test_what_is_completed_later_is_confirmed_anew_before_the_clock_goes_on(town: Town):
    draft = await asked(town)
    agreed = (await town.agrees(SPOUSE, draft.id)).application
    await town.counter.submit(caller(), draft.id, agreed.version, "k")
    await town.decide(draft.id, "ask", note="请补正")
    found = (await town.counter.get(caller(), draft.id)).application
    saved = (await town.counter.save(caller(), draft.id, found.version, {"reason": "补正"})).application
    assert len(await inbox(town, SPOUSE)) == 1
    with pytest.raises(StepRefusedError, match="application_incomplete"):
        await town.counter.supply(caller(), draft.id, saved.version, "s")
    again = (await town.agrees(SPOUSE, draft.id)).application
    await town.counter.supply(caller(), draft.id, again.version, "s")
    assert await inbox(town, SPOUSE) == []


async def test_more_than_ten_are_not_named(town: Town):
    people = [SPOUSE + 100 + n for n in range(MAX_NAMED + 1)]
    town.acting.pairs |= {(OWNER, each) for each in people}
    await asked(town, *people[:-1])
    with pytest.raises(ConflictError, match="co_applicants_full"):
        await asked(town, *people)


async def test_an_answer_that_nobody_lived_to_record_is_recorded_later_once(town: Town):
    draft = await asked(town)
    town.log.fails = True
    with pytest.raises(ConnectionError):
        await town.agrees(SPOUSE, draft.id)
    town.log.fails = False
    await town.agrees(SPOUSE, draft.id)
    town.clock.pass_(seconds=SETTLED.total_seconds() + 1)
    await town.steps.finish()
    assert town.log.actions().count("application.agreed") == 1


async def test_who_has_declined_leaves_no_trace_when_they_leave_and_goes_along_when_accounts_are_joined(
    town: Town, db: Database
):
    draft = await asked(town, SPOUSE, SON)
    await town.together.decline(caller(SPOUSE), draft.id)
    holding = ApplicationHolding(town.store, town.files, town.marks)

    async def work(session: Session) -> None:
        await holding.move(SON, NEW, session)

    await in_transaction(db, work)
    await town.agrees(NEW, draft.id)
    await holding.erase(SPOUSE)
    found: dict[str, Any] | None = await db["applications"].find_one({"_id": draft.id})
    assert found is not None
    assert [each["citizen"] for each in found["agreements"]] == [NEW]
    assert NEW in found["people"]
    assert SPOUSE not in found["people"]
