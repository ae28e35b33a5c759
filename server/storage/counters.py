"""How many people live where and can be reached how: counted in the database, never one by one in this process.

`counters`: {_id: division, by: {"push,sms,wechat": people}, at}, one document per division of every level that somebody
lives in. A person with two places in one division counts there once. They are recomputed from `citizens` as a whole,
never incremented, so they cannot drift: they are as of `at`, and say so. The document `build` names the last rebuild.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import shapely
from pymongo import ReplaceOne
from pymongo.errors import DuplicateKeyError
from shapely.geometry import LinearRing, Polygon

from server.domain.broadcasts import ID_SPACE, Audience
from server.domain.coverage import surface
from server.storage.mongo import Database, Document

BUILD = "build"
SLICES = 64  # of the id space: one aggregation each, so that progress shows and nothing runs long
WRITE_AT_ONCE = 1_000
ABANDONED_S = 600.0  # a rebuild without an end for so long has died

Heads = Mapping[tuple[str, ...], int]  # usable channels -> people


@dataclass(frozen=True, slots=True)
class Headcount:
    """People of an audience by (district, usable channels); `loose` are those included by their district only."""

    exact: Counter[tuple[str, tuple[str, ...]]] = field(default_factory=Counter)
    loose: Counter[tuple[str, tuple[str, ...]]] = field(default_factory=Counter)


class Counters:
    """Reads, rebuilds and counts."""

    def __init__(self, db: Database) -> None:
        self._citizens = db["citizens"]
        self._counters = db["counters"]

    async def find(self, divisions: Iterable[str]) -> dict[str, Heads]:
        """The counters of these divisions; one where nobody lives is absent."""
        cursor = self._counters.find({"_id": {"$in": list(divisions)}})
        return {d["_id"]: {_channels(key): people for key, people in d["by"].items()} async for d in cursor}

    async def find_built_at(self) -> datetime | None:
        """As of when the counters are; None: never built."""
        found = await self._counters.find_one({"_id": BUILD})
        return found.get("at") if found else None

    async def claim(self, now: datetime, older_than: timedelta) -> bool:
        """Whether this process shall rebuild: they are older than that and nobody else is at it."""
        stale = {"$or": [{"at": {"$lt": now - older_than}}, {"at": None}]}
        idle = {"$or": [{"begun_at": None}, {"begun_at": {"$lt": now - timedelta(seconds=ABANDONED_S)}}]}
        try:
            result = await self._counters.update_one(
                {"_id": BUILD, "$and": [stale, idle]}, {"$set": {"begun_at": now}}, upsert=True
            )
        except DuplicateKeyError:
            return False  # it is there, and not to be taken
        return bool(result.modified_count or result.upserted_id)

    async def rebuild(self, now: datetime, tell: Callable[[int, int], None]) -> int:
        """Count everybody anew; how many divisions have people. `tell` hears (slices done, of how many).

        A second call counts again. What people did meanwhile is in or not: the figures are as of `now`, about.
        """
        counted: dict[str, Counter[str]] = {}
        for number in range(SLICES):
            async for row in await self._citizens.aggregate(_by_division(number)):
                counted.setdefault(row["_id"]["d"], Counter())[",".join(sorted(row["_id"]["c"]))] += row["n"]
            tell(number + 1, SLICES)
        documents = [{"_id": code, "by": dict(by), "at": now} for code, by in sorted(counted.items())]
        for start in range(0, len(documents), WRITE_AT_ONCE):
            await self._counters.bulk_write(
                [ReplaceOne({"_id": d["_id"]}, d, upsert=True) for d in documents[start : start + WRITE_AT_ONCE]],
                ordered=False,
            )
        await self._counters.delete_many({"_id": {"$ne": BUILD}, "at": {"$lt": now}})
        await self._counters.update_one({"_id": BUILD}, {"$set": {"at": now}, "$unset": {"begun_at": ""}}, upsert=True)
        return len(documents)

    async def population(self) -> int:
        """About how many citizens there are."""
        return await self._citizens.estimated_document_count()

    async def count(self, audience: Audience, lo: int, hi: int) -> Headcount:
        """The people of the audience with lo <= id <= hi, counted by the database."""
        interval = {"_id": {"$gte": lo, "$lte": min(hi, ID_SPACE - 1)}}
        if audience.citizens is not None:
            listed = {"$and": [interval, {"_id": {"$in": list(audience.citizens)}}]}
            return Headcount(await self._grouped(listed, []))
        codes = sorted({*audience.divisions, *audience.shape_districts})
        where = {"places.divisions": codes[0] if len(codes) == 1 else {"$in": codes}}
        shapes = [{"places": inside} for inside in _inside(audience)]
        exactly = [*([{"places.divisions": {"$in": list(audience.divisions)}}] if audience.divisions else []), *shapes]
        if not exactly:
            return Headcount()
        exact = await self._grouped({**interval, **where, "$or": exactly}, codes)
        if not shapes or not audience.loose_districts:
            return Headcount(exact)
        unplaced = {"point": {"$exists": False}, "divisions": {"$in": list(audience.loose_districts)}}
        loosely = {**interval, **where, "places": {"$elemMatch": unplaced}, "$nor": exactly}
        return Headcount(exact, await self._grouped(loosely, codes))

    async def _grouped(self, query: Mapping[str, Any], codes: Sequence[str]) -> Counter[tuple[str, tuple[str, ...]]]:
        pipeline: list[Document] = [
            {"$match": dict(query)},
            {"$group": {"_id": {"d": _district(codes), "c": "$channels"}, "n": {"$sum": 1}}},
        ]
        rows = await self._citizens.aggregate(pipeline)
        found: Counter[tuple[str, tuple[str, ...]]] = Counter()
        async for row in rows:
            found[row["_id"]["d"], tuple(sorted(row["_id"]["c"]))] += row["n"]
        return found


def _by_division(number: int) -> list[Document]:
    """The people of one slice by division (of every level) and usable channels."""
    lo, hi = number * ID_SPACE // SLICES, (number + 1) * ID_SPACE // SLICES - 1
    once = {"$reduce": {"input": "$places.divisions", "initialValue": [], "in": {"$setUnion": ["$$value", "$$this"]}}}
    return [
        {"$match": {"_id": {"$gte": lo, "$lte": hi}}},
        {"$project": {"_id": 0, "c": "$channels", "d": once}},
        {"$unwind": "$d"},
        {"$group": {"_id": {"d": "$d", "c": "$c"}, "n": {"$sum": 1}}},
    ]


def _district(codes: Sequence[str]) -> Document:
    """The district of the first place that is in one of the divisions: where the person counts."""
    first = {"$arrayElemAt": ["$places.division", 0]}
    if not codes:
        return {"$substrCP": [first, 0, 6]}
    meets = {"$gt": [{"$size": {"$setIntersection": ["$$this.divisions", list(codes)]}}, 0]}
    meeting = {"$filter": {"input": "$places", "cond": meets}}
    found = {"$let": {"vars": {"m": meeting}, "in": {"$arrayElemAt": ["$$m.division", 0]}}}
    return {"$substrCP": [{"$cond": [{"$eq": [{"$size": "$places"}, 1]}, first, found]}, 0, 6]}


def _inside(audience: Audience) -> list[Document]:
    """The shapes as flat polygons of (latitude, longitude), as points are stored: the surface that `members` asks."""
    shape = surface(audience)
    if shape is None:
        return []
    return [
        {
            "$elemMatch": {
                "$and": [{"point": _within(part.exterior)}, *({"point": {"$not": _within(h)}} for h in part.interiors)]
            }
        }
        for part in shapely.get_parts(shape)
        if isinstance(part, Polygon)
    ]


def _within(line: LinearRing) -> Document:
    return {"$geoWithin": {"$polygon": [[lat, lon] for lon, lat in line.coords]}}


def _channels(key: str) -> tuple[str, ...]:
    return tuple(key.split(",")) if key else ()
