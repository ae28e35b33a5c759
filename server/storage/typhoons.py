"""Typhoons in MongoDB: {_id, is_active, as_of, source, body, gone_at}. Each is replaced as a whole, never by an older one."""

from __future__ import annotations

from datetime import timedelta

from pymongo.errors import DuplicateKeyError

from server.domain.typhoons import Typhoon
from server.storage.mongo import Database

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
        # That it is over is often said of the last bulletin, and without another one.
        over = {"as_of": typhoon.as_of, "is_active": True} if not typhoon.is_active else {"_id": None}
        older = {"_id": typhoon.id, "$or": [{"as_of": {"$lt": typhoon.as_of}}, over]}
        try:
            await self._typhoons.replace_one(older, document, upsert=True)
        except DuplicateKeyError:
            return False
        return True

    async def find(self, typhoon: str) -> Typhoon | None:
        """One of them, active or not."""
        found = await self._typhoons.find_one({"_id": typhoon})
        return Typhoon.model_validate_json(found["body"]) if found else None

    async def find_active(self) -> list[Typhoon]:
        """Those that are there now, by id."""
        found = self._typhoons.find({"is_active": True}).sort("_id", 1).limit(MOST)
        return [Typhoon.model_validate_json(d["body"]) async for d in found]

    async def find_latest(self, limit: int = MOST) -> list[Typhoon]:
        """The newest, active or not."""
        found = self._typhoons.find({}).sort([("as_of", -1), ("_id", 1)]).limit(limit)
        return [Typhoon.model_validate_json(d["body"]) async for d in found]
