"""Reminders of an application's times on a real mongod: put with the step, taken back with the next, never untrue."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta

import pytest

from server.domain.application_news import ASKED_ENDS_BEFORE, News, ringing
from server.domain.china import CHINA
from server.domain.co_applicants import ASKED_FOR
from server.domain.officers import Role
from server.services.application_notices import ApplicationNotices
from server.services.deciding import Decision
from server.storage.catalogues import load_texts, load_workflows
from server.storage.mongo import Database
from tests.domain.items import item
from tests.services.application_world import APPROVER, NOW, OTHER, OWNER, Town, caller, officer, race

LAST = date(2026, 12, 15)  # fifteen working days after Tuesday the 24th of November
SUPERVISOR = officer(Role.SUPERVISOR, name="s")


@pytest.fixture
def town(db: Database) -> Town:
    return Town(db, item())


def morning(month: int, day: int) -> datetime:
    return datetime.combine(date(2026, month, day), time(8), CHINA)


async def waiting(db: Database, news: News) -> list[datetime]:
    """When the reminders of this kind that wait are due."""
    found = db["outbox"].find({"template": news.value, "state": "waiting"}).sort("due_at", 1)
    return [d["due_at"] async for d in found]


async def said(town: Town, news: News, language: str = "zh") -> list[str]:
    """What the notices of this kind say as things are now."""
    subject = ApplicationNotices(town.store, load_texts().templates, load_workflows())
    abouts = sorted({d["about"] async for d in town.db["outbox"].find({"template": news.value})})
    return [str(texts["push"][language]["body"]) for texts in (await subject.render(news.value, abouts)).values()]


async def asked(town: Town) -> str:
    """An application that the unit has asked to complete."""
    application = (await town.submitted()).application.id
    await town.decide(application, "ask", reason="material_unclear")
    return application


async def supply(town: Town, application: str) -> None:
    version = (await town.steps.get(application)).version
    await town.counter.supply(caller(), application, version, "s")


async def state(town: Town, application: str) -> str:
    return (await town.steps.get(application)).standing.state


async def test_who_is_asked_for_more_hears_by_when_and_is_reminded_three_and_one_working_days_before(
    town: Town, db: Database
):
    application = await asked(town)
    assert (await town.steps.get(application)).standing.clock.lapses_on == LAST
    assert await waiting(db, News.SUPPLY) == [morning(12, 10), morning(12, 14)]
    ends = [d["expires_at"] async for d in db["outbox"].find({"template": News.SUPPLY.value}).sort("due_at", 1)]
    assert ends == [morning(12, 14), datetime.combine(LAST + timedelta(days=1), time(), CHINA)]
    assert ["12月15日" in each for each in await said(town, News.SUPPLY)] == [True]
    assert ["2026-12-15" in each for each in await said(town, News.SUPPLY, "en")] == [True]
    assert any("请于12月15日前补正" in each for each in await said(town, News.MOVED))


async def test_what_was_supplied_is_reminded_of_no_more_and_a_second_asking_has_reminders_of_its_own(
    town: Town, db: Database
):
    application = await asked(town)
    await supply(town, application)
    assert (await waiting(db, News.SUPPLY), await said(town, News.SUPPLY)) == ([], [])
    await town.desk.ask_again(SUPERVISOR, application, Decision("", "material_expired", "补正的证件已过期"))
    assert len(await waiting(db, News.SUPPLY)) == 2
    assert len(await said(town, News.SUPPLY)) == 1


async def test_what_was_not_completed_in_time_is_closed_once_with_a_notice_and_an_entry_of_the_log(
    town: Town, db: Database
):
    application = await asked(town)
    town.clock.at = datetime.combine(LAST, time(23, 59), CHINA)
    assert await town.steps.close_lapsed() == 0
    town.clock.pass_(minutes=1)
    assert sum(await race(*(town.steps.close_lapsed() for _ in range(3)))) == 1
    assert await town.steps.close_lapsed() == 0
    found = await town.steps.get(application)
    assert (found.standing.state, found.timeline[-1].party) == ("withdrawn", "system")
    assert any("逾期未补正" in each for each in await said(town, News.MOVED))
    assert await waiting(db, News.SUPPLY) == []
    assert town.log.actions().count("application.lapse") == 1


async def test_what_is_completed_at_the_last_moment_is_not_closed(town: Town):
    application = await asked(town)
    town.clock.at = datetime.combine(LAST + timedelta(days=1), time(0, 1), CHINA)
    closing, _ = await race(town.steps.close_lapsed(), supply(town, application))
    assert await state(town, application) == ("withdrawn" if closing else "submitted")
    assert await town.steps.close_lapsed() == 0


async def test_who_completes_what_was_asked_for_has_the_unit_waiting_and_no_time_limit_left(town: Town, db: Database):
    application = await asked(town)
    await supply(town, application)
    assert (await town.steps.get(application)).standing.clock.lapses_on is None
    assert await db["applications"].count_documents({"close_at": {"$ne": None}}) == 0
    town.clock.pass_(days=60)
    assert await town.steps.close_lapsed() == 0


async def test_a_result_that_was_not_fetched_is_reminded_of_once_until_it_is_delivered(town: Town, db: Database):
    application = (await town.submitted()).application.id
    await town.decide(application, "accept")
    for action in ("approve", "complete"):
        await town.decide(application, action, APPROVER)
    assert await waiting(db, News.FETCH) == [morning(12, 8)]  # ten working days
    assert ["可领取" in each for each in await said(town, News.FETCH)] == [True]
    await town.decide(application, "deliver")
    assert (await waiting(db, News.FETCH), await said(town, News.FETCH)) == ([], [])


async def test_a_co_applicant_who_has_not_answered_is_asked_again_before_the_question_lapses(db: Database):
    town = Town(db, item(workflow="household"))
    town.acting.pairs |= {(OWNER, OTHER)}
    draft = (await town.draft()).application
    await town.together.invite(caller(), draft.id, draft.version, f"{OTHER:032x}", "household")
    assert await waiting(db, News.ASKED_ENDS) == [ringing(NOW + ASKED_FOR - ASKED_ENDS_BEFORE)]
    assert ["12月8日前有效" in each for each in await said(town, News.ASKED_ENDS)] == [True]
    await town.agrees(OTHER, draft.id)
    assert (await waiting(db, News.ASKED_ENDS), await said(town, News.ASKED_ENDS)) == ([], [])


async def test_reminders_name_nobody(town: Town, db: Database):
    await asked(town)
    entries = [d async for d in db["outbox"].find({"template": News.SUPPLY.value}, {"about": 1})]
    assert str(OWNER) not in json.dumps([entry["about"] for entry in entries])
