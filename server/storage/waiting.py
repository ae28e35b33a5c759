"""The waiting list in MongoDB.

`waiting`: {_id, citizen, holder, key, group, unit, resource?, quota, first_day, last_day, asked_at, priority, stage,
offers: [{code, seat, slot, until}], replaces, place?, gone_at?}.

Promises. One entry per holder and key, and no more than so many wait for one person: each takes a numbered place, and a
unique index lets nobody have a place twice. An entry leaves `waiting` once, whoever ends it. The database forgets what
has ended after a while.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any

from pymongo.errors import DuplicateKeyError

from server.domain.waiting import MOST_ENTRIES, Entry, Offer, Priority, Stage
from server.storage.mongo import Database, Document, Session

KEPT = timedelta(days=90)  # after its end
MOST_LISTED = 100


class WaitingStore:
    """The collection `waiting`."""

    def __init__(self, db: Database) -> None:
        self._waiting = db["waiting"]

    async def insert(self, entry: Entry) -> Entry | None:
        """Add it, or find what the same holder's same key has added before; None: all places are taken.

        One that replaces a closed booking needs no place.
        """
        places: Sequence[int | None] = [None] if entry.priority is Priority.CLOSED else range(MOST_ENTRIES)
        for place in places:
            document = _to_document(entry) | ({} if place is None else {"place": place})
            try:
                await self._waiting.insert_one(document)
            except DuplicateKeyError as error:
                if "place" not in (error.details or {}).get("keyPattern", {}):
                    return await self.find_keyed(entry.holder, entry.key)
            else:
                return entry
        return await self.find_keyed(entry.holder, entry.key)

    async def find(self, entry: str) -> Entry | None:
        """One of them."""
        document = await self._waiting.find_one({"_id": entry})
        return _to_entry(document) if document else None

    async def find_keyed(self, holder: int, key: str) -> Entry | None:
        """What this holder asked for under this key."""
        document = await self._waiting.find_one({"holder": holder, "key": key})
        return _to_entry(document) if document else None

    async def find_of(self, person: int) -> list[Entry]:
        """All for or by this person, newest first."""
        query = {"$or": [{"citizen": person}, {"holder": person}]}
        return [_to_entry(d) async for d in self._waiting.find(query).sort("asked_at", -1).limit(MOST_LISTED)]

    async def find_groups(self) -> list[str]:
        """The groups in which somebody waits."""
        found: list[str] = await self._waiting.distinct("group", {"stage": Stage.WAITING.value})
        return found

    async def find_waiting(self, group: str, limit: int) -> list[Entry]:
        """Who waits there, in their order."""
        query = {"group": group, "stage": Stage.WAITING.value}
        order = [("priority", 1), ("asked_at", 1), ("_id", 1)]
        return [_to_entry(d) async for d in self._waiting.find(query).sort(order).limit(limit)]

    async def count_before(self, entry: Entry) -> int:
        """How many in its group come before it."""
        first, at = entry.priority.value, entry.asked_at
        before = [
            {"priority": {"$lt": first}},
            {"priority": first, "asked_at": {"$lt": at}},
            {"priority": first, "asked_at": at, "_id": {"$lt": entry.id}},
        ]
        return await self._waiting.count_documents(
            {"group": entry.group, "quota": entry.quota, "stage": Stage.WAITING.value, "$or": before}
        )

    async def add_offer(self, entry: str, offer: Offer) -> bool:
        """Remember it, once; False if the entry does not wait any more."""
        waits = {"_id": entry, "stage": Stage.WAITING.value}
        new = waits | {"offers.code": {"$ne": offer.code}}
        if (await self._waiting.update_one(new, {"$push": {"offers": asdict(offer)}})).matched_count:
            return True
        return await self._waiting.count_documents(waits, limit=1) == 1

    async def end(self, entry: str, stage: Stage, at: datetime) -> bool:
        """It waits no more; False if it did not."""
        ended: Document = {"$set": {"stage": stage.value, "gone_at": at + KEPT}, "$unset": {"place": ""}}
        result = await self._waiting.update_one({"_id": entry, "stage": Stage.WAITING.value}, ended)
        return result.matched_count == 1

    async def move(self, source: int, target: int, session: Session) -> None:
        """Give all of it to another account; what waits beyond the places of one person waits without a place."""
        own_key = {"$concat": ["moved ", "$_id"]}  # the target may have used the same one
        await self._waiting.update_many(
            {"holder": source}, [{"$set": {"holder": target, "key": own_key}}], session=session
        )
        change = {"$set": {"citizen": target}, "$unset": {"place": ""}}
        await self._waiting.update_many({"citizen": source}, change, session=session)

    async def erase(self, citizen: int) -> None:
        """Delete all for this person, and what they asked for others."""
        await self._waiting.delete_many({"$or": [{"citizen": citizen}, {"holder": citizen}]})


def _to_document(entry: Entry) -> Document:
    return {name: _plain(value) for name, value in asdict(entry).items() if name != "id" and value is not None} | {
        "_id": entry.id
    }


def _plain(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Priority | Stage):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _to_entry(d: Mapping[str, Any]) -> Entry:
    return Entry(
        id=d["_id"],
        citizen=d["citizen"],
        holder=d["holder"],
        key=d["key"],
        group=d["group"],
        unit=d["unit"],
        quota=d["quota"],
        first_day=date.fromisoformat(d["first_day"]),
        last_day=date.fromisoformat(d["last_day"]),
        asked_at=d["asked_at"],
        resource=d.get("resource"),
        priority=Priority(d["priority"]),
        stage=Stage(d["stage"]),
        offers=tuple(Offer(**each) for each in d["offers"]),
        replaces=d["replaces"],
    )
