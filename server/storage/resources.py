"""Resources in MongoDB, with what tells when their seats have to be laid out.

`resources`: {_id, version, unit, group, kind, division, is_open, services, spot, as, changed_at, reason, laid_until,
lay_on, laying_until?}.

`as` is the resource as its model writes it; the fields beside it are what is searched. `laid_until` is the last day
whose seats stand for this version of the schedule, `lay_on` the day on which more of them have to, and
`laying_until` says that somebody is at it: a hint that spares work, no lock.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from pymongo import ReturnDocument, UpdateOne

from server.domain.divisions import prefix
from server.domain.resources import NEVER, Kept, Near, Resource, Wanted
from server.storage.mongo import Database, Document

FOR_GOOD = date(9999, 1, 1)  # nothing is laid out any more


class ResourceStore:
    """The collection `resources`."""

    def __init__(self, db: Database) -> None:
        self._resources = db["resources"]

    async def get(self, resource_id: str) -> Kept | None:
        """One of them."""
        document = await self._resources.find_one({"_id": resource_id})
        return _kept(document) if document else None

    async def find(self, ids: Collection[str]) -> dict[str, Kept]:
        """Those of these that exist."""
        return {d["_id"]: _kept(d) async for d in self._resources.find({"_id": {"$in": list(ids)}})}

    async def page(self, wanted: Wanted, after: str, limit: int) -> list[Kept]:
        """Some of those wanted, by id, from the one after `after` on."""
        cursor = self._resources.find(_query(wanted) | {"_id": {"$gt": after}}).sort("_id", 1).limit(limit)
        return [_kept(d) async for d in cursor]

    async def nearest(self, wanted: Wanted, near: Near, skipped: int, limit: int) -> list[tuple[Kept, float]]:
        """Those wanted that say where they are, nearest first, with the distance in metres."""
        pipeline: list[dict[str, Any]] = [
            {
                "$geoNear": {
                    "near": {"type": "Point", "coordinates": [near.longitude, near.latitude]},
                    "key": "spot",
                    "distanceField": "distance_m",
                    "query": _query(wanted),
                }
            },
            {"$sort": {"distance_m": 1, "_id": 1}},
            {"$skip": skipped},
            {"$limit": limit},
        ]
        cursor = await self._resources.aggregate(pipeline)
        return [(_kept(d), d["distance_m"]) for d in await cursor.to_list()]

    async def create(self, resource: Resource, now: datetime) -> bool:
        """A new one; False if the id is taken."""
        return await self.put_all([resource], now) == 1

    async def put_all(self, resources: Sequence[Resource], now: datetime) -> int:
        """Add what is new, leave what is there; returns how many were added."""
        if not resources:
            return 0
        fresh = {"version": 1, "changed_at": now, "reason": ""} | _laid(NEVER, 0)
        result = await self._resources.bulk_write(
            [UpdateOne({"_id": each.id}, {"$setOnInsert": _fields(each) | fresh}, upsert=True) for each in resources],
            ordered=False,
        )
        return result.upserted_count

    async def replace(self, resource: Resource, version: int, reason: str, now: datetime) -> Kept | None:
        """Write over the version that was read; its seats are to be laid out anew. None: it is another by now."""
        document = await self._resources.find_one_and_update(
            {"_id": resource.id, "version": version},
            {
                "$set": _fields(resource) | {"changed_at": now, "reason": reason} | _laid(NEVER, 0),
                "$inc": {"version": 1},
            },
            return_document=ReturnDocument.AFTER,
        )
        return _kept(document) if document else None

    async def find_due(self, today: date, limit: int) -> list[Kept]:
        """Resources of which more seats have to stand by today."""
        query = {"lay_on": {"$lte": today.isoformat()}}
        return [_kept(d) async for d in self._resources.find(query).sort("lay_on", 1).limit(limit)]

    async def claim_due(self, today: date, now: datetime, until: datetime) -> Kept | None:
        """One of those due that nobody is at; the others leave it alone until then."""
        document = await self._resources.find_one_and_update(
            {"lay_on": {"$lte": today.isoformat()}, "laying_until": {"$not": {"$gt": now}}},
            {"$set": {"laying_until": until}},
            sort=[("lay_on", 1)],
        )
        return _kept(document) if document else None

    async def mark_laid(self, kept: Kept, until: date) -> bool:
        """Its seats stand up to this day; False if its schedule has changed meanwhile."""
        window = kept.resource.rules.window_days
        result = await self._resources.update_one(
            {"_id": kept.resource.id, "version": kept.version}, {"$max": _laid(until, window)}
        )
        return bool(result.matched_count)


def _laid(until: date, window_days: int) -> Document:
    """The seats of a day stand one day before the window reaches it."""
    return {"laid_until": until.isoformat(), "lay_on": (until - timedelta(days=window_days)).isoformat()}


def _query(wanted: Wanted) -> Document:
    query: dict[str, Any] = {
        name: value for name in ("unit", "group", "is_open") if (value := getattr(wanted, name)) is not None
    }
    if wanted.kind:
        query["kind"] = wanted.kind.value
    if wanted.service:
        query["services"] = wanted.service
    if wanted.division:
        query["division"] = {"$regex": f"^{re.escape(prefix(wanted.division))}"}
    return query


def _fields(resource: Resource) -> Document:
    spot = resource.spot
    return {
        "spot": {"type": "Point", "coordinates": [spot.longitude, spot.latitude]} if spot else None,
        "unit": resource.unit,
        "group": resource.group,
        "kind": resource.kind.value,
        "division": resource.division,
        "services": [each.code for each in resource.services],
        "is_open": resource.is_open,
        "as": resource.model_dump(mode="json", exclude_defaults=True),
    }


def _kept(d: Document) -> Kept:
    return Kept(Resource.model_validate(d["as"]), d["version"], date.fromisoformat(d["laid_until"]), d["reason"])
