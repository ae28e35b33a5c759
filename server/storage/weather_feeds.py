"""What is known of feeds, in MongoDB: when each is looked at next, and which files it has given.

`weather_feeds`: {_id: name, owner, until, is_taken, next_at, failures, began_at, heard_at?, why?, faults, etags}.
Leases and times are the database's.
`weather_files`: {_id: "<feed>/<name>", feed, version, digest, sent, why, gone_at}: what was taken or refused, by name,
version and SHA-256 of the content, for `KEPT_S`; `sent` is how a later message refers to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pymongo import ReturnDocument

from server.storage.mongo import Database, Document

KEPT_S = 60 * 24 * 3600  # longer than any feed lists a file
MAX_FAULTS = 50


@dataclass(frozen=True, slots=True)
class FeedState:
    """How a feed stands. `heard_at`: when it last answered as it should; `why` it did not, then."""

    failures: int
    began_at: datetime
    heard_at: datetime | None
    why: str
    faults: tuple[str, ...]
    etags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """A file that need not be looked at again. `why` it was not taken as it is, "" = it was."""

    name: str
    version: str
    sent: str
    why: str = ""


class WeatherFeedStore:
    """Reads and writes both. `owner` names this process."""

    def __init__(self, db: Database, owner: str) -> None:
        self._feeds = db["weather_feeds"]
        self._files = db["weather_files"]
        self._owner = owner

    async def claim(self, name: str, lease_s: float) -> FeedState | None:
        """The turn to look at it; None: its time has not come, or another process is looking."""
        lease = {"$add": ["$$NOW", round(lease_s * 1000)]}
        past = [{"$lte": [{"$ifNull": [name, "$$NOW"]}, "$$NOW"]} for name in ("$next_at", "$until")]
        found = await self._feeds.find_one_and_update(
            {"_id": name},
            [
                {"$set": {"is_taken": {"$and": past}}},
                {
                    "$set": {
                        "owner": {"$cond": ["$is_taken", self._owner, "$owner"]},
                        "until": {"$cond": ["$is_taken", lease, "$until"]},
                        "began_at": {"$ifNull": ["$began_at", "$$NOW"]},
                        "failures": {"$ifNull": ["$failures", 0]},
                    }
                },
            ],
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        assert found is not None
        return _to_state(found) if found["is_taken"] else None

    async def done(self, name: str, etags: Mapping[str, str], faults: Sequence[str], wait: timedelta) -> None:
        """It answered; the next look is after `wait`."""
        pairs = [[url, etag] for url, etag in etags.items()]  # a URL has dots
        await self._finish(
            name,
            {"failures": 0, "heard_at": "$$NOW", "why": "", "faults": list(faults[:MAX_FAULTS]), "etags": pairs},
            wait,
        )

    async def fail(self, name: str, why: str, wait: timedelta) -> None:
        """It did not answer as it should; it is asked again after `wait`."""
        await self._finish(name, {"failures": {"$add": ["$failures", 1]}, "why": why[:300]}, wait)

    async def all(self) -> dict[str, FeedState]:
        """All feeds that were ever looked at."""
        return {d["_id"]: _to_state(d) async for d in self._feeds.find({})}

    async def versions(self, feed: str, names: Sequence[str]) -> Mapping[str, str]:
        """Which version of these was seen to; unknown ones are left out."""
        return await self._of(feed, names, "version")

    async def sent(self, feed: str, names: Sequence[str]) -> Mapping[str, str]:
        """How a later message refers to these ("" = it cannot)."""
        return await self._of(feed, names, "sent")

    async def remember(self, feed: str, seen: Seen, data: bytes) -> None:
        """This file need not be looked at again."""
        id_ = _id(feed, seen.name)
        document = {
            "_id": id_, "feed": feed, "version": seen.version, "digest": _digest(data), "sent": seen.sent,
            "why": seen.why,
        }  # fmt: skip
        fresh = {"$mergeObjects": [{"$literal": document}, {"gone_at": {"$add": ["$$NOW", KEPT_S * 1000]}}]}
        await self._files.update_one({"_id": id_}, [{"$replaceWith": fresh}], upsert=True)

    async def remember_same(self, feed: str, name: str, version: str, data: bytes) -> bool:
        """Whether this content was seen to before, under any name; then this name is remembered too."""
        found = await self._files.find_one({"feed": feed, "digest": _digest(data)})
        if found is None:
            return False
        await self.remember(feed, Seen(name, version, found["sent"], found["why"]), data)
        return True

    async def _of(self, feed: str, names: Sequence[str], field: str) -> dict[str, str]:
        start = len(feed) + 1
        query = {"_id": {"$in": [_id(feed, name) for name in names]}}
        return {d["_id"][start:]: d[field] async for d in self._files.find(query, {field: 1})}

    async def _finish(self, name: str, changes: Mapping[str, Any], wait: timedelta) -> None:
        next_at = {"$add": ["$$NOW", round(wait.total_seconds() * 1000)]}
        plain = {k: v if isinstance(v, dict) or v == "$$NOW" else {"$literal": v} for k, v in changes.items()}
        mine = {"_id": name, "owner": self._owner}
        await self._feeds.update_one(mine, [{"$set": {**plain, "next_at": next_at, "until": "$$NOW"}}])


def _id(feed: str, name: str) -> str:
    return f"{feed}/{name}"


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _to_state(d: Document) -> FeedState:
    return FeedState(
        failures=d["failures"],
        began_at=d["began_at"],
        heard_at=d.get("heard_at"),
        why=d.get("why", ""),
        faults=tuple(d.get("faults", ())),
        etags=dict(d.get("etags", ())),
    )
