"""Typhoons in MongoDB: {_id, is_active, as_of, source, body, gone_at}. Replaced as a whole, never by an older one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pymongo.errors import DuplicateKeyError

from server.domain.typhoons import Typhoon
from server.storage.mongo import Database, Document

KEPT = timedelta(days=400)  # a year's can be looked at until the next one's
MOST = 100


class TyphoonStore:
    """The collection `typhoons`."""

    def __init__(self, db: Database) -> None:
        self._typhoons = db["typhoons"]

    async def put(self, typhoon: Typhoon) -> bool:
        """It is what is known of it from now on; False if something newer is, or just this."""
        document = {
            "is_active": typhoon.is_active,
            "as_of": typhoon.as_of,
            "source": typhoon.source,
            "body": typhoon.model_dump_json(exclude_defaults=True),
            "gone_at": typhoon.as_of + KEPT,
        }
        older = {"_id": typhoon.id, "as_of": {"$lt": typhoon.as_of}}
        try:
            await self._typhoons.replace_one(older, document, upsert=True)
        except DuplicateKeyError:
            return False
        return True

    async def end(self, typhoons: Sequence[str]) -> None:
        """These are there no more; unknown ones change nothing."""
        if typhoons:
            over = {"_id": {"$in": list(typhoons)}, "is_active": True}
            await self._typhoons.update_many(over, {"$set": {"is_active": False}})

    async def find(self, typhoon: str) -> Typhoon | None:
        """One of them, active or not."""
        found = await self._typhoons.find_one({"_id": typhoon})
        return _to_typhoon(found) if found else None

    async def find_active(self) -> list[Typhoon]:
        """Those that are there now, by id."""
        found = self._typhoons.find({"is_active": True}).sort("_id", 1).limit(MOST)
        return [_to_typhoon(d) async for d in found]

    async def find_latest(self, limit: int = MOST) -> list[Typhoon]:
        """The newest, active or not."""
        found = self._typhoons.find({}).sort([("as_of", -1), ("_id", 1)]).limit(limit)
        return [_to_typhoon(d) async for d in found]


def _to_typhoon(d: Document) -> Typhoon:
    return Typhoon.model_validate_json(d["body"]).model_copy(update={"is_active": d["is_active"]})
