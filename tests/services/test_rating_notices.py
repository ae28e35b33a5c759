"""The invitation to rate: once a week, of all that a person has not rated, and of nothing else."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest

from server.domain.china import CHINA
from server.domain.rating_news import TEMPLATE
from server.domain.ratings import Said
from server.services.rating_notices import RatingNotices
from server.storage.catalogues import load_texts
from server.storage.mongo import Database, Document
from tests.domain.items import item
from tests.services.application_world import APPROVER, NOW, OTHER, OWNER, Town, caller

SATURDAY = datetime.combine(date(2026, 11, 28), time(10), CHINA)
GOOD = Said(5, {}, (), "")


@pytest.fixture
def town(db: Database) -> Town:
    return Town(db, item())


async def finished(town: Town, of: int = OWNER) -> str:
    """A case that the office has ended."""
    application = (await town.submitted(of)).application.id
    await town.decide(application, "accept")
    for action in ("approve", "complete"):
        await town.decide(application, action, APPROVER)
    return application


async def invitations(db: Database) -> list[Document]:
    return await db["outbox"].find({"template": TEMPLATE}).sort("due_at", 1).to_list()


async def said(town: Town) -> list[str]:
    """What the invitations say now, by when they are due."""
    subject = RatingNotices(town.store, town.marks, load_texts().templates)
    abouts = [each["about"] for each in await invitations(town.db)]
    rendered = await subject.render(TEMPLATE, abouts)
    return [str(rendered[about]["push"]["zh"]["body"]) for about in abouts if about in rendered]


async def test_several_cases_of_one_week_are_one_invitation_on_saturday_on_the_quiet_lane(town: Town, db: Database):
    for _ in range(2):
        await finished(town)
    await finished(town, OTHER)
    found = await invitations(db)
    assert [(each["lane"], each["due_at"]) for each in found] == [("digest", SATURDAY)] * 2
    assert sorted(each["citizen"] for each in found) == [OWNER, OTHER]
    assert sorted(words[:2] for words in await said(town)) == ["2件", "高龄"]


async def test_what_was_rated_is_not_asked_about_and_the_rest_still_is(town: Town):
    first, second = [await finished(town) for _ in range(2)]
    await town.ratings.rate(caller(), first, GOOD)
    [words] = await said(town)
    assert not words.startswith("2件")
    await town.ratings.rate(caller(), second, GOOD)
    assert await said(town) == []


async def test_what_ends_in_another_week_is_asked_about_in_that_week(town: Town, db: Database):
    await finished(town)
    town.clock.at = NOW + timedelta(days=4)
    await finished(town)
    assert [each["due_at"] for each in await invitations(db)] == [SATURDAY, SATURDAY + timedelta(days=7)]
    assert ["件已办结" in words for words in await said(town)] == [False, False]


async def test_who_has_withdrawn_a_case_or_let_it_lapse_is_not_asked(town: Town, db: Database):
    withdrawn, lapsed = [(await town.submitted()).application.id for _ in range(2)]
    await town.counter.withdraw(caller(), withdrawn, "k")
    await town.decide(lapsed, "ask", reason="material_unclear")
    town.clock.pass_(days=40)
    assert await town.steps.close_lapsed() == 1
    assert await invitations(db) == []


async def test_delivering_what_was_completed_invites_nobody_a_second_time(town: Town, db: Database):
    application = await finished(town)
    town.clock.pass_(days=10)
    await town.decide(application, "deliver")
    assert len(await invitations(db)) == 1
