"""Forecasts in MongoDB: {_id: division, as_of, source, body}. Replaced as a whole, never by an older one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pymongo.errors import DuplicateKeyError

from server.domain.forecasts import Forecast
from server.storage.mongo import Database

MOST = 1_000


class ForecastStore:
    """The collection `forecasts`."""

    def __init__(self, db: Database) -> None:
        self._forecasts = db["forecasts"]

    async def put(self, forecast: Forecast) -> bool:
        """It is the one of its division from now on; False if there is a newer one, or this one already."""
        document = {
            "as_of": forecast.as_of,
            "source": forecast.source,
            "body": forecast.model_dump_json(exclude_defaults=True),
        }
        older = {"_id": forecast.division, "as_of": {"$lt": forecast.as_of}}
        try:
            await self._forecasts.replace_one(older, document, upsert=True)
        except DuplicateKeyError:
            return False
        return True

    async def find(self, divisions: Iterable[str]) -> dict[str, Forecast]:
        """Those of these divisions, by code; who has none is left out."""
        query = {"_id": {"$in": sorted(set(divisions))}}
        return {d["_id"]: Forecast.model_validate_json(d["body"]) async for d in self._forecasts.find(query)}

    async def all(self) -> dict[str, Forecast]:
        """All of them."""
        found = self._forecasts.find({}).sort("_id", 1).limit(MOST)
        return {d["_id"]: Forecast.model_validate_json(d["body"]) async for d in found}

    async def newest(self) -> datetime | None:
        """When the newest of them was made: it changes when any does."""
        found = await self._forecasts.find_one({}, {"as_of": 1}, sort=[("as_of", -1)])
        return found["as_of"] if found else None
