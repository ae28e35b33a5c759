"""A timeline only grows: what one has read stays what was written, whatever is done later."""

from __future__ import annotations

from typing import Any

import pytest

from server.storage.mongo import Database
from tests.domain.items import item
from tests.services.application_world import APPROVER, CLERK, FORM, Town, caller


@pytest.fixture
def town(db: Database) -> Town:
    return Town(db, item())


async def test_no_step_rewrites_or_drops_a_line_and_every_line_has_words_in_both_languages(town: Town, db: Database):
    id_ = (await town.submitted()).application.id

    async def lines() -> list[dict[str, Any]]:
        found = await db["applications"].find_one({"_id": id_}, {"timeline": 1})
        assert found is not None
        return list(found["timeline"])

    async def edited_and_supplied() -> None:
        seen = await town.counter.get(caller(), id_)
        saved = await town.counter.save(caller(), id_, seen.application.version, {"reason": "补正"})
        await town.counter.supply(caller(), id_, saved.application.version, "s")

    deeds = [
        lambda: town.desk.claim(CLERK, id_),
        lambda: town.decide(id_, "ask", note="背面"),
        edited_and_supplied,
        lambda: town.counter.urge(caller(), id_, "u"),
        lambda: town.decide(id_, "accept"),
        town.steps.show_cards,
        lambda: town.desk.transfer(CLERK, id_, ""),
        lambda: town.decide(id_, "reject", APPROVER, note="不符合"),
    ]
    read = await lines()
    for deed in deeds:
        town.clock.pass_(days=1)
        await deed()
        now = await lines()
        assert now[: len(read)] == read
        read = now
    assert [line["seq"] for line in read] == list(range(1, len(read) + 1))
    assert [line["action"] for line in read] == ["submit", "ask", "supply", "urge", "accept", "reject"]
    assert all(all(line["words"]) for line in read)
    tracked = (await town.counter.get(caller(), id_)).application
    shown, _ = await town.counter.track(tracked.number, tracked.code)
    assert [line.words for line in shown.timeline] == [line.words for line in tracked.timeline]
    assert not any(line.note for line in shown.timeline)
    assert dict(tracked.form) != FORM
