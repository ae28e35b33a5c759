"""Consents in MongoDB: {_id, citizen, purpose, version, is_given, at}. Entries are added, never changed.

Of one citizen and purpose no two entries have the same time, and a new one is always later than all before it, whatever
the clocks of two processes say: the latest entry is the last that was acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError

from server.domain.consents import Act
from server.storage.mongo import Database, Document, Session

TICK = timedelta(milliseconds=1)  # the finest time that the database keeps
FIELDS = {"_id": 0, "purpose": 1, "version": 1, "is_given": 1, "at": 1}


class ConsentStore:
    """The collection `consents`."""

    def __init__(self, db: Database, random: Callable[[int], bytes]) -> None:
        self._consents = db["consents"]
        self._random = random

    async def append(self, citizen: int, act: Act) -> Act:
        """Add an entry, unless the latest one says the same; the latest entry after that."""
        while True:
            latest = await self.find_latest(citizen, act.purpose)
            if latest and (latest.version, latest.is_given) == (act.version, act.is_given):
                return latest
            at = _to_the_tick(act.at)
            at = max(at, latest.at + TICK) if latest else at
            entry = Act(act.purpose, act.version, act.is_given, at)
            try:
                await self._consents.insert_one({"_id": self._random(12).hex(), **_to_document(citizen, entry)})
            except DuplicateKeyError:  # another device was faster: look again
                continue
            return entry

    async def find_latest(self, citizen: int, purpose: str) -> Act | None:
        """The last word on a purpose."""
        found = await self._consents.find_one(
            {"citizen": citizen, "purpose": purpose}, FIELDS, sort=[("at", DESCENDING)]
        )
        return Act(**found) if found else None

    async def find_all(self, citizen: int) -> list[Act]:
        """The whole history, oldest first."""
        cursor = self._consents.find({"citizen": citizen}, FIELDS).sort([("at", ASCENDING), ("_id", ASCENDING)])
        return [Act(**d) async for d in cursor]

    async def find_given(self, citizens: Iterable[int], purpose: str, version: int) -> frozenset[int]:
        """Who of these people agrees to this version now. One query."""
        latest: list[dict[str, Any]] = [
            {"$match": {"citizen": {"$in": list(citizens)}, "purpose": purpose}},
            {"$sort": {"citizen": 1, "purpose": 1, "at": 1}},
            {"$group": {"_id": "$citizen", "version": {"$last": "$version"}, "is_given": {"$last": "$is_given"}}},
            {"$match": {"version": version, "is_given": True}},
        ]
        return frozenset([d["_id"] async for d in await self._consents.aggregate(latest)])

    async def move(self, source: int, target: int, session: Session) -> None:
        """Give the history to another citizen: the acts of both stand in the order in which they were said."""
        held = {(d["purpose"], d["at"]) async for d in self._consents.find({"citizen": target}, session=session)}
        cursor = self._consents.find({"citizen": source}, session=session).sort("at", ASCENDING)
        for d in await cursor.to_list():
            at = d["at"]
            while (d["purpose"], at) in held:
                at += TICK
            held.add((d["purpose"], at))
            change = {"$set": {"citizen": target, "at": at}}
            await self._consents.update_one({"_id": d["_id"]}, change, session=session)

    async def delete(self, citizen: int) -> None:
        """Forget all of it."""
        await self._consents.delete_many({"citizen": citizen})


def _to_document(citizen: int, act: Act) -> Document:
    return {
        "citizen": citizen,
        "purpose": act.purpose,
        "version": act.version,
        "is_given": act.is_given,
        "at": act.at,
    }


def _to_the_tick(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
