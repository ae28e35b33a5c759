"""Where a receipt belongs when one person stands in several broadcasts; applied before it is answered."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from channels.base import Callback, CallbackRequest, Receipt, ReceiptVerdict
from server.domain import ranks
from server.domain.broadcasts import Audience, Broadcast, Lane, Policy
from server.services.receipts import Receipts
from server.storage import pages as ledger
from server.storage.broadcasts import Broadcasts
from server.storage.callbacks import Callbacks
from server.storage.catalogues import load_divisions
from server.storage.citizens import Citizens, NewCitizen, Place
from server.storage.mongo import Database
from server.storage.pages import Pages
from server.storage.queue import Queue
from server.storage.vault import Vault
from tests.storage.ledger import page

NOW = datetime.now(UTC)
PHONE = "+8613800000001"
REQUEST = CallbackRequest("POST", {}, {}, b"")


class Reader:
    """A provider whose callbacks are what the test says."""

    provider = "sms_test"

    def __init__(self, *references: str) -> None:
        self.references = references

    def read(self, request: CallbackRequest, now: datetime) -> Callback:  # noqa: ARG002 - the contract's signature
        """All receipts at once."""
        told = [Receipt(PHONE, ReceiptVerdict.DELIVERED, "0", reference, now) for reference in self.references]
        return Callback(b"ok", "text/plain", told)


@pytest.fixture
async def two(db: Database) -> Pages:
    """One person who was sent an older warning "b" and a newer one "c"."""
    store, pages = Broadcasts(db), Pages(db)
    citizens = Citizens(db, Vault({1: b"1" * 32}, b"i" * 32, os.urandom), load_divisions().index_of)
    await citizens.add([NewCitizen(1, (Place("440305", ("440300", "440305")),), {"sms": (PHONE,)})])
    for n, name in enumerate("bc"):
        await store.insert(
            Broadcast(
                id=name, subject=name, chain=name, lane=Lane.RED, policy=Policy.ALL, texts={}, audience=Audience(),
                released_at=NOW + timedelta(seconds=n), expires_at=NOW + timedelta(hours=1),
            )
        )  # fmt: skip
    return pages


def receipts(db: Database, redis: Redis, *references: str) -> Receipts:
    citizens = Citizens(db, Vault({1: b"1" * 32}, b"i" * 32, os.urandom), load_divisions().index_of)
    stores = (Broadcasts(db), Pages(db), citizens, Callbacks(db))
    return Receipts({"sms_test": ("sms", Reader(*references))}, stores, Queue(redis), lambda: NOW)


async def sent(pages: Pages, name: str, rank: int, reference: str = "") -> None:
    one = page(broadcast=name, to=[1])
    await pages.insert([one])
    await pages.apply({one.id: ledger.outcomes({0: rank}, {}, [(0, reference)] if reference else [], "1_1_0")})


async def rank_of(pages: Pages, name: str) -> int:
    [one] = await pages.of_range(name, 0)
    return one.outcomes[0]


async def test_a_receipt_raises_the_notice_that_has_its_reference(db: Database, redis: Redis, two: Pages):
    await sent(two, "b", ranks.ACCEPTED, "old")
    await sent(two, "c", ranks.ACCEPTED, "new")
    await receipts(db, redis, "old").take("sms_test", REQUEST)
    assert (await rank_of(two, "b"), await rank_of(two, "c")) == (ranks.DELIVERED, ranks.ACCEPTED)


async def test_a_receipt_of_an_unknown_reference_belongs_to_the_only_notice_without_one(
    db: Database, redis: Redis, two: Pages
):
    await sent(two, "b", ranks.UNKNOWN)
    await sent(two, "c", ranks.ACCEPTED, "new")
    await receipts(db, redis, "lost").take("sms_test", REQUEST)
    assert (await rank_of(two, "b"), await rank_of(two, "c")) == (ranks.DELIVERED, ranks.ACCEPTED)


async def test_a_receipt_that_could_mean_two_notices_raises_none_and_is_counted(db: Database, redis: Redis, two: Pages):
    await sent(two, "b", ranks.UNKNOWN)
    await sent(two, "c", ranks.UNKNOWN)
    service = receipts(db, redis, "lost")
    await service.take("sms_test", REQUEST)
    assert (await rank_of(two, "b"), await rank_of(two, "c")) == (ranks.UNKNOWN, ranks.UNKNOWN)
    assert service.counters.unplaced == 1


@pytest.mark.parametrize("rank", [ranks.PLANNED, ranks.retry(1), ranks.REFUSED, ranks.SUPPRESSED, ranks.EXPIRED])
async def test_a_receipt_never_raises_a_notice_that_has_not_left(db: Database, redis: Redis, two: Pages, rank: int):
    await sent(two, "c", rank)
    await receipts(db, redis, "").take("sms_test", REQUEST)
    assert await rank_of(two, "c") == rank


async def test_waiting_callbacks_share_a_round_and_each_is_answered_after_it_is_durable(
    db: Database, redis: Redis, two: Pages
):
    await sent(two, "c", ranks.ACCEPTED, "new")
    service = receipts(db, redis, "new")
    answers = await asyncio.gather(*(service.take("sms_test", REQUEST) for _ in range(50)))
    assert {a.answer for a in answers} == {b"ok"}
    assert await rank_of(two, "c") == ranks.DELIVERED
    assert service.counters.rounds <= 3
