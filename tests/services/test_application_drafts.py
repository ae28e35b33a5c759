"""Drafts that nobody goes on with: reminded of once, and a week later gone with everything that belongs to them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from server.domain.application_news import IDLE_FOR, REMINDED_BEFORE, News
from server.domain.china import CHINA
from server.services.application_drafts import Drafts
from server.services.application_notices import ApplicationNotices
from server.services.attachments import Upload
from server.storage.catalogues import load_texts, load_workflows
from server.storage.mongo import Database
from tests.domain.items import MATERIAL, item
from tests.services.application_world import FORM, OTHER, OWNER, Town, caller, race

PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
UNTIL_TOLD = (IDLE_FOR - REMINDED_BEFORE).total_seconds()
WEEK = REMINDED_BEFORE.total_seconds()


@pytest.fixture
def town(db: Database) -> Town:
    return Town(db, item(materials=[MATERIAL]))


async def full(town: Town) -> str:
    """A draft with a file and a source's answer."""
    draft = (await town.draft()).application
    seen = await town.attachments.add(caller(), draft.id, Upload("id_card", "a.pdf", "application/pdf", PDF))
    answers = {"population": {"name": "王小明"}}
    after = town.counter.edited(seen.application, answers=answers)
    await town.counter.write(seen.application, after)
    return draft.id


async def reminders(db: Database) -> list[tuple[int, str]]:
    """Who is told of a draft, on which lane."""
    return [(d["citizen"], d["lane"]) async for d in db["outbox"].find({"template": News.IDLE}).sort("citizen", 1)]


async def test_a_forgotten_draft_is_told_of_once_and_thrown_away_a_week_later_with_all_of_it(town: Town, db: Database):
    draft = await full(town)
    town.clock.pass_(seconds=UNTIL_TOLD - 1)
    assert await town.drafts.sweep() == (0, 0)
    town.clock.pass_(seconds=1)
    assert [await town.drafts.sweep(), await town.drafts.sweep()] == [(1, 0), (0, 0)]
    assert await reminders(db) == [(OWNER, "reminder")]
    town.clock.pass_(seconds=WEEK - 1)
    assert await town.drafts.sweep() == (0, 0)
    assert dict((await town.counter.get(caller(), draft)).application.form) == FORM
    town.clock.pass_(seconds=1)
    assert [await town.drafts.sweep(), await town.drafts.sweep()] == [(0, 1), (0, 0)]
    for name in ("applications", "attachments", "attachment_data.files", "attachment_data.chunks"):
        assert await db[name].count_documents({}) == 0, name
    assert await reminders(db) == [(OWNER, "reminder")]
    assert town.log.actions() == ["application.idle"]


async def test_who_goes_on_with_a_draft_after_the_reminder_has_ninety_days_again(town: Town, db: Database):
    draft = (await town.draft()).application
    subject = ApplicationNotices(town.store, load_texts().templates, load_workflows())
    town.clock.pass_(seconds=UNTIL_TOLD)
    await town.drafts.sweep()
    [about] = [d["about"] async for d in db["outbox"].find()]
    day = (town.clock.at + REMINDED_BEFORE).astimezone(CHINA)
    words = (await subject.render(News.IDLE, [about]))[about]
    assert f"{day.month}月{day.day}日删除" in str(words["push"]["zh"]["body"])
    await town.counter.save(caller(), draft.id, draft.version, {"reason": "新"})
    assert await subject.render(News.IDLE, [about]) == {}  # it is not so any more
    town.clock.pass_(seconds=UNTIL_TOLD - 1)
    assert await town.drafts.sweep() == (0, 0)
    town.clock.pass_(seconds=1)
    assert await town.drafts.sweep() == (1, 0)
    assert len(await reminders(db)) == 2


async def test_nothing_is_thrown_away_unannounced_even_after_a_long_standstill(town: Town, db: Database):
    await town.draft()
    town.clock.pass_(days=400)
    assert await town.drafts.sweep() == (1, 0)
    town.clock.pass_(days=6)
    assert await town.drafts.sweep() == (0, 0)
    assert await db["applications"].count_documents({}) == 1


async def test_what_was_handed_in_is_nobodys_forgotten_draft(town: Town, db: Database):
    await town.submitted()
    town.clock.pass_(days=400)
    assert await town.drafts.sweep() == (0, 0)
    assert await db["applications"].count_documents({}) == 1


async def test_in_the_night_nobody_is_told_and_the_week_begins_with_the_morning(town: Town, db: Database):
    town.clock.at = datetime(2026, 11, 24, 23, 30, tzinfo=CHINA)
    await town.draft()
    town.clock.pass_(seconds=UNTIL_TOLD)
    await town.drafts.sweep()
    [due_at] = [d["due_at"] async for d in db["outbox"].find()]
    assert due_at.astimezone(CHINA) == (town.clock.at + timedelta(hours=8, minutes=30)).astimezone(CHINA)
    town.clock.pass_(seconds=WEEK)
    assert await town.drafts.sweep() == (0, 0)
    town.clock.pass_(hours=9)
    assert await town.drafts.sweep() == (0, 1)


async def test_the_one_it_is_for_is_told_as_well_as_who_has_begun_it(town: Town, db: Database):
    town.acting.pairs.add((OTHER, OWNER))
    await town.draft(OTHER, subject=f"{OWNER:x}")
    town.clock.pass_(seconds=UNTIL_TOLD)
    await town.drafts.sweep()
    assert [who for who, _ in await reminders(db)] == [OWNER, OTHER]


async def test_a_turn_takes_a_batch_and_turns_at_once_do_no_draft_twice(town: Town, db: Database):
    for n in range(7):
        await town.draft(OWNER + n)
    town.clock.pass_(seconds=UNTIL_TOLD)
    assert await Drafts(town.ground, town.counter, at_once=2).sweep() == (2, 0)
    found = await race(*(Drafts(town.ground, town.counter, at_once=50).sweep() for _ in range(4)))
    assert sum(told for told, _ in found) >= 5
    assert len(await reminders(db)) == 7
    town.clock.pass_(seconds=WEEK)
    found = await race(*(Drafts(town.ground, town.counter, at_once=50).sweep() for _ in range(4)))
    assert sum(gone for _, gone in found) == 7
    assert town.log.actions() == ["application.idle"] * 7
