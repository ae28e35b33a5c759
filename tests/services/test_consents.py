"""Consents and uses in the database: races keep an order, histories of joined accounts become one."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta

import pytest

from server.domain.consents import load
from server.domain.uses import User
from server.services.consents import Consents
from server.services.uses import Uses
from server.storage.consents import ConsentStore
from server.storage.mongo import Database
from server.storage.uses import UseStore
from tests.domain.test_consent_rules import listed

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def consents(db: Database, now: datetime = NOON) -> Consents:
    return Consents(ConsentStore(db, os.urandom), load([listed(1), listed(1, purpose="profile")]), lambda: now)


@pytest.fixture
def counter(db: Database) -> Consents:
    return consents(db)


async def test_words_of_one_moment_keep_the_order_in_which_they_were_acknowledged(counter: Consents):
    for _ in range(3):
        await counter.give(1, "location", 1)
        await counter.withdraw(1, "location")
    rows = await counter.export(1)
    assert [row["is_given"] for row in rows] == [True, False] * 3
    assert not await counter.has(1, "location")


async def test_a_word_from_a_process_whose_clock_is_late_still_counts(counter: Consents, db: Database):
    await counter.give(1, "location", 1)
    await consents(db, NOON - timedelta(seconds=5)).withdraw(1, "location")
    assert not await counter.has(1, "location")


async def test_many_devices_at_once_leave_one_unbroken_history(counter: Consents):
    verbs = [counter.give(1, "location", 1) if n % 2 else counter.withdraw(1, "location") for n in range(40)]
    await asyncio.gather(*verbs)
    rows = await counter.export(1)
    assert [row["is_given"] for row in rows] == [n % 2 == 0 for n in range(len(rows))]


async def test_joined_accounts_have_one_history_and_the_later_word_counts(counter: Consents, db: Database):
    await counter.give(1, "location", 1)
    await counter.give(2, "location", 1)  # of the same millisecond
    await consents(db, NOON + timedelta(hours=1)).withdraw(1, "location")
    await counter.give(1, "profile", 1)
    uses = Uses(UseStore(db, os.urandom), lambda: NOON)
    await uses.note([1, 2], User("of", "unit", ("岗", "desk")), "telephone", ["phone"])
    async with db.client.start_session() as session:
        for _ in range(2):  # it may be repeated
            await session.with_transaction(lambda s: counter.move(1, 2, s))
            await session.with_transaction(lambda s: uses.move(1, 2, s))
    assert await counter.export(1) == await uses.export(1) == []
    assert len(await counter.export(2)) == 4
    assert len(await uses.export(2)) == 2
    assert not await counter.has(2, "location")
    assert await counter.has(2, "profile")


async def test_a_use_for_nobody_is_no_write(db: Database):
    await Uses(UseStore(db, os.urandom), lambda: NOON).note([], User("of", "unit", ("岗", "desk")), "x", [])
    assert await db["uses"].count_documents({}) == 0
