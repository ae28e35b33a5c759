"""How far those have come who follow a collection by the times of its writes, in MongoDB.

`followers`: {_id: name, seen_until, owner, until, began_at}. Of several processes that follow under one name one works,
for as long as it comes back within `lease_s` of the database's clock; then another goes on from where it stood. The
lease only saves work: whoever follows has to be idempotent.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from pymongo import ReturnDocument

from server.storage.mongo import Database

FROM_THE_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Turn(NamedTuple):
    """From where to read on, and the database's time when the turn began."""

    seen_until: datetime
    began_at: datetime


class Followers:
    """Reads and writes them. `owner` names this process."""

    def __init__(self, db: Database, owner: str) -> None:
        self._followers = db["followers"]
        self._owner = owner

    async def begin(self, name: str, lease_s: float) -> Turn | None:
        """This process's turn; None while another one has it."""
        is_free: Any = {"$lte": [{"$ifNull": ["$until", "$$NOW"]}, "$$NOW"]}
        is_mine = {"$eq": ["$owner", self._owner]}
        lease = {"$add": ["$$NOW", round(lease_s * 1000)]}
        found = await self._followers.find_one_and_update(
            {"_id": name},
            [
                {"$set": {"owner": {"$cond": [is_free, self._owner, "$owner"]}}},
                {
                    "$set": {
                        "until": {"$cond": [is_mine, lease, "$until"]},
                        "began_at": {"$cond": [is_mine, "$$NOW", "$began_at"]},
                        "seen_until": {"$ifNull": ["$seen_until", FROM_THE_BEGINNING]},
                    }
                },
            ],
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        assert found is not None
        return Turn(found["seen_until"], found["began_at"]) if found["owner"] == self._owner else None

    async def advance(self, name: str, seen_until: datetime) -> None:
        """All that was written before this was seen to; it never goes back."""
        await self._followers.update_one({"_id": name}, {"$max": {"seen_until": seen_until}})
