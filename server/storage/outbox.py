"""The outbox: personal notices that wait until they are due, in MongoDB.

`outbox`: {_id: key, template, citizen, about, lane, due_at, expires_at, state, batch, done_at, is_late, item,
changed_at, read_at, withdrawn_at}. An entry leaves `waiting` once and never comes back: `taken` by a batch and then
`paged`, `withdrawn`, or `late` (dropped, its time was over); `is_late` marks one that left well after it was due. It
stays for months: a key that is put again does nothing, and the entry is what its citizen finds in the inbox
(`inbox.py`), under the name `item`. `changed_at` is the database's time of what an inbox would see.
`batches`: {_id, template, day, keys, began_at, places}. Written before it claims anything and deleted when its pages
stand. Claiming is repeatable, the places are decided by compare-and-set, page ids follow from both: whoever finishes a
batch that its filler left, and however many do at once, each entry stands on its pages exactly once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pymongo import UpdateOne

from server.domain.broadcasts import Lane
from server.domain.outbox import Entry, Place, item_of
from server.storage.mongo import Database, Document, Session

LATE_AFTER = timedelta(minutes=5)  # a notice that leaves so long after it was due is marked
FIELDS = ("template", "citizen", "about", "due_at", "expires_at")


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries of one template that one filler wants: which of them it gets is decided by `claim`."""

    id: str
    template: str
    day: str  # YYYYMMDD in China: names the standing broadcast
    keys: Sequence[str]


class Outbox:
    """Reads and writes entries and batches."""

    def __init__(self, db: Database) -> None:
        self._entries = db["outbox"]
        self._batches = db["batches"]

    async def put(self, entries: Sequence[Entry], session: Session | None = None) -> int:
        """Let these wait; a key that is known already changes nothing. Returns how many are new.

        With a session it is part of the caller's transaction: the notice exists if and only if its cause does.
        """
        if not entries:
            return 0
        result = await self._entries.bulk_write(
            [UpdateOne({"_id": e.key}, _if_new(_to_document(e)), upsert=True) for e in entries],
            ordered=False,
            session=session,
        )
        return result.upserted_count

    async def withdraw(self, key: str, now: datetime, session: Session | None = None) -> bool:
        """Take it back: out of the inbox, and while it waits it is not sent. A second call changes nothing.

        False: it does not wait any more (if it is on a page already, its subject decides) or is unknown.
        """
        before = await self._entries.find_one_and_update(
            {"_id": key, "withdrawn_at": None}, _withdrawn(now), {"state": 1}, session=session
        )
        return before is not None and before["state"] == "waiting"

    async def withdraw_many(self, keys: Sequence[str], now: datetime) -> int:
        """Take all of these back, as `withdraw` does; how many were not before. Unknown ones change nothing."""
        if not keys:
            return 0
        query = {"_id": {"$in": list(keys)}, "withdrawn_at": None}
        return (await self._entries.update_many(query, _withdrawn(now))).modified_count

    async def withdraw_all(self, citizen: int) -> None:
        """Nothing that waits for this person is sent any more, and nothing names them. May be repeated."""
        await self._entries.delete_many({"citizen": citizen})

    async def find_due(self, lane: Lane, templates: Sequence[str], now: datetime, *, limit: int) -> list[Entry]:
        """What waits and is due, longest due first; of templates that this process knows."""
        query = {"state": "waiting", "lane": lane.value, "due_at": {"$lte": now}, "template": {"$in": list(templates)}}
        cursor = self._entries.find(query).sort([("due_at", 1), ("citizen", 1)]).limit(limit)
        return [_to_entry(d) async for d in cursor]

    async def find_waiting(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of these that nobody has taken yet."""
        query = {"_id": {"$in": list(keys)}, "state": "waiting"}
        return frozenset([d["_id"] async for d in self._entries.find(query, {"_id": 1})])

    async def drop_late(self, keys: Sequence[str], now: datetime) -> int:
        """Give up those of these whose time is over; returns how many."""
        result = await self._entries.update_many(
            {"_id": {"$in": list(keys)}, "state": "waiting", "expires_at": {"$lte": now}},
            {"$set": {"state": "late", "done_at": now}},
        )
        return result.modified_count

    async def begin(self, batch: Batch, now: datetime) -> None:
        """Write down what a new batch is about to claim."""
        await self._batches.insert_one(
            {"_id": batch.id, "template": batch.template, "day": batch.day, "keys": list(batch.keys), "began_at": now}
        )

    async def find_left(self, began_before: datetime, templates: Sequence[str], *, limit: int = 20) -> list[Batch]:
        """Batches that somebody began long ago and did not finish, oldest first."""
        query = {"began_at": {"$lte": began_before}, "template": {"$in": list(templates)}}
        cursor = self._batches.find(query).sort("began_at", 1).limit(limit)
        return [Batch(d["_id"], d["template"], d["day"], d["keys"]) async for d in cursor]

    async def claim(self, batch: Batch) -> list[Entry]:
        """Take those of the batch's entries that are still waiting; returns all that it holds, by citizen.

        May be repeated by anybody: after it none of the keys waits, so what the batch holds will not change any more.
        """
        keys = list(batch.keys)
        await self._entries.update_many(
            {"_id": {"$in": keys}, "state": "waiting"}, {"$set": {"state": "taken", "batch": batch.id}}
        )
        held = self._entries.find({"_id": {"$in": keys}, "batch": batch.id}).sort([("citizen", 1), ("_id", 1)])
        return [_to_entry(d) async for d in held]

    async def places(self, batch: Batch) -> list[Place] | None:
        """Where the entries of the batch go, if that is decided."""
        document = await self._batches.find_one({"_id": batch.id}, {"places": 1})
        if document is None or "places" not in document:
            return None
        return [_to_place(d) for d in document["places"]]

    async def decide(self, batch: Batch, places: Sequence[Place]) -> list[Place] | None:
        """Where the entries go, decided by whoever comes first; None: the batch is finished."""
        proposed = [_from_place(place) for place in places]
        await self._batches.update_one({"_id": batch.id, "places": {"$exists": False}}, {"$set": {"places": proposed}})
        return await self.places(batch)

    async def close(self, batch: Batch, now: datetime) -> None:
        """The pages stand: mark the entries, and those that left well after they were due; forget the batch.

        May be repeated.
        """
        is_late = {"$gt": [now, {"$add": ["$due_at", round(LATE_AFTER.total_seconds() * 1000)]}]}
        await self._entries.update_many(
            {"_id": {"$in": list(batch.keys)}, "batch": batch.id, "state": "taken"},
            [{"$set": {"state": "paged", "done_at": now, "is_late": is_late}}],
        )
        await self._batches.delete_one({"_id": batch.id})


def _to_document(entry: Entry) -> Document:
    fields: dict[str, Any] = {name: getattr(entry, name) for name in FIELDS}
    return fields | {"_id": entry.key, "lane": entry.lane.value, "state": "waiting", "item": item_of(entry.key)}


def _if_new(document: Document) -> list[Document]:
    """`$setOnInsert` with the database's clock, which only a pipeline can write."""
    fresh = {"$mergeObjects": [{"$literal": document}, {"changed_at": "$$NOW"}]}
    return [{"$replaceWith": {"$cond": [{"$eq": [{"$type": "$state"}, "missing"]}, fresh, "$$ROOT"]}}]


def _withdrawn(now: datetime) -> list[Document]:
    """Out of the inbox, and if it waits, for good."""
    is_waiting = {"$eq": ["$state", "waiting"]}
    change = {
        "state": {"$cond": [is_waiting, "withdrawn", "$state"]},
        "done_at": {"$cond": [is_waiting, now, "$done_at"]},
        "withdrawn_at": now,
        "changed_at": "$$NOW",
    }
    return [{"$set": change}]


def _to_entry(d: Document) -> Entry:
    return Entry(key=d["_id"], lane=Lane(d["lane"]), **{name: d[name] for name in FIELDS})


def _from_place(place: Place) -> Document:
    return {
        "key": place.key,
        "citizen": place.citizen,
        "about": place.about,
        "expires_at": place.expires_at,
        "division": place.division,
        "channels": list(place.channels),
    }


def _to_place(d: Document) -> Place:
    return Place(**{**d, "channels": tuple(d["channels"])})
