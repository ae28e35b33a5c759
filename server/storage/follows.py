"""What people follow, in `citizens`: `follows`, sorted marks (see `domain.follows`). In force for the next audience.

Whoever follows nothing has no such field and costs the index nothing.
"""

from __future__ import annotations

from pymongo.errors import DuplicateKeyError

from server.storage.mongo import Database, Document, Session


class FollowStore:
    """Reads and writes them."""

    def __init__(self, db: Database) -> None:
        self._citizens = db["citizens"]

    async def find(self, citizen: int, session: Session | None = None) -> tuple[str, ...]:
        """The marks of one person."""
        found = await self._citizens.find_one({"_id": citizen}, {"follows": 1}, session=session) or {}
        return tuple(found.get("follows", ()))

    async def set(
        self, citizen: int, before: tuple[str, ...], after: tuple[str, ...], session: Session | None = None
    ) -> bool:
        """Put these marks in place of those; False if they were others meanwhile."""
        query = {"_id": citizen, "follows": list(before) if before else None}
        change = {"$set": {"follows": list(after)}} if after else {"$unset": {"follows": ""}}
        fresh: Document = {} if before else {"$setOnInsert": {"places": [], "channels": []}}
        try:
            result = await self._citizens.update_one(
                query, change | fresh, upsert=bool(after and not before), session=session
            )
        except DuplicateKeyError:
            return False
        return bool(result.matched_count or result.upserted_id is not None or not (before or after))
