"""What is looked for again and again among a million applications is found by an index."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo import AsyncMongoClient, monitoring

from server.storage import mongo
from server.storage.applications import ApplicationStore
from server.storage.attachments import AttachmentStore
from server.storage.mongo import Database
from server.storage.outbox import Outbox
from server.storage.person_keys import PersonVault
from server.storage.vault import Vault

SENT_ALONG = ("lsid", "$clusterTime", "$db", "writeConcern", "txnNumber")
NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


class Heard(monitoring.CommandListener):
    """The searches that were sent, as they were sent."""

    def __init__(self) -> None:
        self.searches: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """A command is about to be sent."""
        if event.command_name in ("find", "aggregate", "update", "delete"):
            self.searches.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing to do."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing to do."""


class Stores:
    """The stores of applications on a client whose commands are heard."""

    def __init__(self, db: Database) -> None:
        vault = Vault({1: b"k" * 32}, b"i" * 32, secrets.token_bytes)
        people = PersonVault(db, vault, secrets.token_bytes)
        self.applications = ApplicationStore(db, people, vault, Outbox(db))
        self.files = AttachmentStore(db, people)


SEARCHES: dict[str, Callable[[Stores], Awaitable[object]]] = {
    "tracked": lambda stores: stores.applications.find_tracked("n", "c"),
    "own": lambda stores: stores.applications.page_of(1, None, 10),
    "drafts": lambda stores: stores.applications.count_drafts(1),
    "unlogged": lambda stores: stores.applications.find_unlogged(NOW, 10),
    "cards": lambda stores: stores.applications.find_carded(NOW, 10),
    "seats": lambda stores: stores.applications.find_with_seat(NOW, 10),
    "ended": lambda stores: stores.applications.find_ended([1, 2], NOW, NOW),
    "closing": lambda stores: stores.applications.find_closing(NOW, 10),
    "lapsing": lambda stores: stores.applications.find_lapsing(NOW, 10),
    "idle": lambda stores: stores.applications.find_idle(NOW, 10),
    "upgrade": lambda stores: stores.applications.upgrade(10),
    "export": lambda stores: stores.applications.all_of(1),
    "erase": lambda stores: stores.applications.erase(1),
    "files_of_one": lambda stores: stores.files.loosen_of("a"),
    "loose": lambda stores: stores.files.find_loose(NOW, 10),
}


@pytest.mark.parametrize("name", sorted(SEARCHES))
async def test_no_search_reads_the_whole_collection(name: str, db: Database, mongo_url: str):
    heard = Heard()
    async with AsyncMongoClient[dict[str, Any]](mongo_url, event_listeners=[heard]) as client:
        await SEARCHES[name](Stores(mongo.database(client, "huimin_test")))
    assert heard.searches
    for command in heard.searches:
        kept = {name: value for name, value in command.items() if name not in SENT_ALONG}
        plan = await db.command({"explain": kept, "verbosity": "queryPlanner"})
        assert "IXSCAN" in str(plan), name
        assert "COLLSCAN" not in str(plan), name
