"""Signed callbacks that were used: a second use of the same signature is a forgery. Kept for three days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pymongo.errors import BulkWriteError

from server.storage.mongo import Database
from server.storage.pages import DUPLICATE_KEY


class Callbacks:
    """Replay keys by their hash."""

    def __init__(self, db: Database) -> None:
        self._callbacks = db["callbacks"]

    async def find_used(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that were used before."""
        return {d["_id"] async for d in self._callbacks.find({"_id": {"$in": list(keys)}}, {"_id": 1})}

    async def remember(self, keys: Sequence[str], now: datetime) -> None:
        """Mark keys as used. A second call changes nothing."""
        if not keys:
            return
        try:
            await self._callbacks.insert_many([{"_id": key, "at": now} for key in keys], ordered=False)
        except BulkWriteError as error:
            if any(e["code"] != DUPLICATE_KEY for e in error.details["writeErrors"]):
                raise
