"""Exercises and tests in force, for the inboxes of those who take part in them. Nobody else asks here."""

from __future__ import annotations

from datetime import datetime

from server.domain.alerts.states import State
from server.domain.alerts.vocabulary import Status
from server.domain.feeds import Published
from server.domain.wording import Kind
from server.storage.feeds import PUBLISHED, to_published
from server.storage.mongo import Database

MAX_READ = 50


class Drills:
    """Reads `alerts`."""

    def __init__(self, db: Database) -> None:
        self._alerts = db["alerts"]

    async def find_in_force(self, at: datetime) -> list[Published]:
        """The newest message of each chain, as it was sent; an all-clear is not in force."""
        query = {
            "state": State.RELEASED.value,
            "expires_at": {"$gt": at},
            "is_public": False,
            "kind": {"$ne": Kind.CANCEL.value},
        }
        found = [to_published(d) async for d in self._alerts.find(query, PUBLISHED).limit(MAX_READ)]
        return [message for message in found if message.alert.status != Status.ACTUAL]
