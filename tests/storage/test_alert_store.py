"""The alerts' collection: one write a step, nothing half-stored, nothing lost in a race."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.domain.alerts.desk import DeskAlert, Hand
from server.domain.alerts.model import Alert, Info, NamedValue
from server.domain.alerts.states import Action, State
from server.domain.errors import ConflictError, NotFoundError
from server.domain.wording import Kind
from server.storage.alerts import AlertStore
from server.storage.mongo import Database
from tests.services.desk import AUTHOR, START, UNIT


def draft(name: str = "x_1", **more: object) -> DeskAlert:
    """A draft whose words are hostile."""
    hostile = NamedValue(value_name="$where", value="a.b\u4e2d'; {$gt: 1}")
    alert = Alert(identifier=name, infos=(Info(severity="Minor", event="$set", parameters=(hostile,)),))
    hand = Hand.of(AUTHOR)
    desk = DeskAlert(alert=alert, chain="x_1", kind=Kind.ALERT, unit=UNIT, author=hand, editor=hand)
    return desk.model_copy(update=more).stepped(State.DRAFT, "draft", AUTHOR, START)


@pytest.fixture
def store(db: Database) -> AlertStore:
    return AlertStore(db)


async def test_what_is_stored_comes_back_the_same_whatever_its_words(store: AlertStore):
    assert await store.insert(draft())
    assert await store.get("x_1") == draft()


async def test_an_identifier_is_taken_for_ever(store: AlertStore):
    assert await store.insert(draft())
    assert not await store.insert(draft())


async def test_an_unknown_alert_is_not_found(store: AlertStore):
    with pytest.raises(NotFoundError, match="alert_unknown"):
        await store.get("x_2")


async def test_of_many_steps_from_one_version_one_is_written_and_the_log_has_no_gap(store: AlertStore, db: Database):
    await store.insert(draft())
    before = await store.get("x_1")
    steps = [before.stepped(State.DRAFT, Action.EDIT, AUTHOR, START, str(n)) for n in range(10)]
    results = await asyncio.gather(*(store.apply(before, step) for step in steps), return_exceptions=True)
    assert sum(isinstance(result, ConflictError) for result in results) == 9
    document = await db["alerts"].find_one({"_id": "x_1"})
    assert document is not None
    assert [step["seq"] for step in document["steps"]] == [1, 2]
    assert list(document["steps"][0]) == ["seq", "at", "officer", "person", "action", "reason", "digest", "order"]


async def test_of_two_released_messages_that_follow_the_same_one_the_second_writes_nothing(store: AlertStore):
    for name in ("x_2", "x_3"):
        await store.insert(draft(name, follows="x_1"))
    for name in ("x_2", "x_3"):
        before = await store.get(name)
        sent = before.model_copy(update={"released_at": START})
        after = sent.stepped(State.RELEASED, Action.RELEASE, AUTHOR, START)
        if name == "x_2":
            await store.apply(before, after)
        else:
            with pytest.raises(ConflictError, match="chain_moved"):
                await store.apply(before, after)
            assert await store.get(name) == before


async def test_a_mark_that_a_slower_step_did_not_know_of_stays(store: AlertStore):
    await store.insert(draft())
    before = await store.get("x_1")
    sent = before.model_copy(update={"released_at": START})
    await store.apply(before, sent.stepped(State.RELEASED, Action.RELEASE, AUTHOR, START))
    read_early = await store.get("x_1")
    assert [desk.identifier for desk in await store.find_unpublished()] == ["x_1"]
    await store.mark_published("x_1", START + timedelta(seconds=1))
    await store.apply(read_early, read_early.stepped(State.EXPIRED, Action.MARK_EXPIRED, None, START))
    assert await store.find_unpublished() == []
    assert (await store.get("x_1")).published_at == START + timedelta(seconds=1)
