"""Erasures in MongoDB: {_id: citizen, public, asked_at, swept_at, done_at}; remembered for three years as proof."""

from __future__ import annotations

from datetime import datetime

from pymongo import ASCENDING

from server.domain.erasure import Erasure
from server.storage.mongo import Database, Document

AT_ONCE = 100


class ErasureStore:
    """The collection `erasures`."""

    def __init__(self, db: Database) -> None:
        self._erasures = db["erasures"]

    async def open(self, citizen: int, public: str, now: datetime) -> Erasure:
        """Write down that this is to be done; a second call changes nothing."""
        fields = {"public": public, "asked_at": now, "swept_at": None, "done_at": None}
        await self._erasures.update_one({"_id": citizen}, {"$setOnInsert": fields}, upsert=True)
        found = await self._erasures.find_one({"_id": citizen})
        assert found is not None
        return _to_erasure(found)

    async def find_open(self) -> list[Erasure]:
        """Those that are not done, oldest first."""
        cursor = self._erasures.find({"done_at": None}).sort("asked_at", ASCENDING).limit(AT_ONCE)
        return [_to_erasure(d) async for d in cursor]

    async def mark_swept(self, citizen: int, now: datetime) -> None:
        """All is gone that was there."""
        await self._erasures.update_one({"_id": citizen, "swept_at": None}, {"$set": {"swept_at": now}})

    async def mark_done(self, citizen: int, now: datetime) -> bool:
        """It is over; False if somebody else said so first."""
        result = await self._erasures.update_one({"_id": citizen, "done_at": None}, {"$set": {"done_at": now}})
        return bool(result.modified_count)


def _to_erasure(d: Document) -> Erasure:
    return Erasure(d["_id"], d["public"], d["asked_at"], d["swept_at"], d["done_at"])
