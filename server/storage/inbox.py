"""One person's inbox in MongoDB: the entries of `outbox` that are due, and the read marks of alerts.

`marks`: {citizen, chain, alert, at}: which message of a chain the citizen has opened. An item's own read mark stands on
its entry. Nothing is written so that somebody finds something here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pymongo.errors import DuplicateKeyError

from server.domain.inbox import Stored
from server.storage.mongo import Database, Document, Session

FIELDS = dict.fromkeys(("item", "template", "about", "due_at", "read_at", "withdrawn_at"), 1) | {"_id": 0}


class Window(NamedTuple):
    """Which entries: after this one (newest first), or changed since then."""

    after: tuple[datetime, str] | None
    since: datetime | None
    limit: int


class InboxStore:
    """Reads and marks."""

    def __init__(self, db: Database) -> None:
        self._entries = db["outbox"]
        self._marks = db["marks"]

    async def page(self, citizen: int, now: datetime, window: Window) -> tuple[list[Stored], int]:
        """The entries of a window, newest first, and how many of all have not been read; one read.

        With `since`, those that were withdrawn are among them.
        """
        chosen: dict[str, Any] = {}
        if window.since is None:
            chosen["withdrawn_at"] = None
        else:
            chosen["$or"] = [{"changed_at": {"$gt": window.since}}, {"due_at": {"$gt": window.since}}]
        if window.after is not None:
            chosen = {"$and": [chosen, _below(*window.after)]}
        facets = {
            "unread": [{"$match": {"withdrawn_at": None, "read_at": None}}, {"$count": "n"}],
            "page": [
                {"$match": chosen},
                {"$sort": {"due_at": -1, "item": -1}},
                {"$limit": window.limit},
                {"$project": FIELDS},
            ],
        }
        cursor = await self._entries.aggregate(
            [{"$match": _due(citizen, now)}, {"$project": {**FIELDS, "changed_at": 1}}, {"$facet": facets}]
        )
        [found] = await cursor.to_list()
        return [_to_stored(d) for d in found["page"]], found["unread"][0]["n"] if found["unread"] else 0

    async def mark(self, citizen: int, item: str, now: datetime) -> bool:
        """It was read; a second call changes nothing. False if the citizen has no such item."""
        query = _due(citizen, now) | {"item": item, "withdrawn_at": None}
        if (await self._read(query | {"read_at": None}, now)) > 0:
            return True
        return await self._entries.find_one(query, {"_id": 1}) is not None

    async def mark_until(self, citizen: int, item: str, now: datetime) -> int | None:
        """This item and all older ones were read; how many that had not been. None if there is no such item."""
        found = await self._entries.find_one(_due(citizen, now) | {"item": item}, {"due_at": 1})
        if found is None:
            return None
        older = {"$or": [_below(found["due_at"], item), {"item": item}]}
        return await self._read({"$and": [_due(citizen, now), older], "withdrawn_at": None, "read_at": None}, now)

    async def mark_about(self, citizen: int, template: str, about: str, now: datetime) -> None:
        """What this template told about this thing was read."""
        query = _due(citizen, now) | {"template": template, "about": about, "withdrawn_at": None, "read_at": None}
        await self._read(query, now)

    async def find_marks(self, citizen: int, chains: Sequence[str]) -> Mapping[str, tuple[str, datetime]]:
        """Chain -> the message of it that was read, and when."""
        cursor = self._marks.find({"citizen": citizen, "chain": {"$in": list(chains)}})
        return {d["chain"]: (d["alert"], d["at"]) async for d in cursor}

    async def mark_alert(self, citizen: int, chain: str, alert: str, now: datetime) -> None:
        """This message of the chain was read; a second call keeps the first time."""
        query = {"citizen": citizen, "chain": chain, "alert": {"$ne": alert}}
        try:
            await self._marks.update_one(query, {"$set": {"alert": alert, "at": now}}, upsert=True)
        except DuplicateKeyError:
            return  # it is marked

    async def all_of(self, citizen: int) -> tuple[list[Stored], list[Document]]:
        """All that is kept: entries, due or not, and marks; oldest first."""
        entries = [_to_stored(d) async for d in self._entries.find({"citizen": citizen}, FIELDS).sort("due_at", 1)]
        fields = {"_id": 0, "citizen": 0}
        return entries, [d async for d in self._marks.find({"citizen": citizen}, fields).sort("at", 1)]

    async def move(self, source: int, target: int, session: Session) -> None:
        """Give all of it to another citizen; of two marks of one chain the other's stays."""
        await self._entries.update_many(
            {"citizen": source}, {"$set": {"citizen": target}, "$currentDate": {"changed_at": True}}, session=session
        )
        both = await self._marks.distinct("chain", {"citizen": target}, session=session)
        await self._marks.delete_many({"citizen": source, "chain": {"$in": both}}, session=session)
        await self._marks.update_many({"citizen": source}, {"$set": {"citizen": target}}, session=session)

    async def erase(self, citizen: int) -> None:
        """Delete all of it."""
        await self._entries.delete_many({"citizen": citizen})
        await self._marks.delete_many({"citizen": citizen})

    async def _read(self, query: Document, now: datetime) -> int:
        change = {"$set": {"read_at": now}, "$currentDate": {"changed_at": True}}
        return (await self._entries.update_many(query, change)).modified_count


def _due(citizen: int, now: datetime) -> dict[str, Any]:
    return {"citizen": citizen, "due_at": {"$lte": now}}


def _below(due_at: datetime, item: str) -> Document:
    """What stands after this item, newest first."""
    return {"$or": [{"due_at": {"$lt": due_at}}, {"due_at": due_at, "item": {"$lt": item}}]}


def _to_stored(d: Document) -> Stored:
    return Stored(
        item=d["item"],
        template=d["template"],
        about=d["about"],
        due_at=d["due_at"],
        read_at=d.get("read_at"),
        is_withdrawn=d.get("withdrawn_at") is not None,
    )
