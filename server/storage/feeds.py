"""Released public messages as readers see them, and the numbered log of their releases.

Promises. An exercise or a test is never read here: the queries ask for `is_public`, which only an Actual, public,
released message has. Event numbers are gapless and become visible in order: a number is given out by inserting it, and
whoever inserts the next has seen the one before; readers see only what a majority holds. So a cursor misses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError
from pymongo.read_concern import ReadConcern

from server.domain.alerts.cap import read_cap
from server.domain.alerts.document import parse_xml
from server.domain.alerts.finding import Fault
from server.domain.alerts.model import Alert
from server.domain.alerts.vocabulary import Colour
from server.domain.divisions import normal
from server.domain.errors import NotFoundError
from server.domain.feeds import Published
from server.domain.wording import Kind
from server.storage.mongo import Database, Document

MAX_READ = 1_000
TRIES = 20  # against other processes that number events at the same time; each lost race is somebody's progress
PUBLISHED = dict.fromkeys(
    ("chain", "follows", "kind", "colour", "released_at", "expires_at", "divisions", "cap", "alert"), 1
)


@dataclass(frozen=True, slots=True)
class Event:
    """The `seq`-th release of a public message (from 1)."""

    seq: int
    alert: str
    at: datetime


class PublicStore:
    """Reads `alerts`; reads and writes `events`."""

    def __init__(self, db: Database) -> None:
        self._alerts = db["alerts"]
        self._events = db["events"]
        self._safe_events = db["events"].with_options(read_concern=ReadConcern("majority"))

    async def find_heads(self, at: datetime) -> list[str]:
        """Identifiers of the messages in force: not expired, no Cancel, and nothing follows them."""
        query = {"is_public": True, "expires_at": {"$gt": at}}
        fields = {"follows": 1, "kind": 1}
        found = [d async for d in self._alerts.find(query, fields).sort("expires_at", DESCENDING).limit(MAX_READ)]
        followed = {d["follows"] for d in found}
        heads = [d["_id"] for d in found if d["_id"] not in followed and d["kind"] != Kind.CANCEL.value]
        # What followed may itself have run out: an Update can shorten, and a shortened alert does not come back.
        ended = await self.find_followers(heads)
        return [head for head in heads if head not in ended]

    async def find_followers(self, identifiers: Sequence[str]) -> dict[str, tuple[str, Kind]]:
        """Which message followed each of these, and its kind; those that nothing followed are missing."""
        query = {"is_public": True, "follows": {"$in": list(identifiers)}}
        fields = {"follows": 1, "kind": 1}
        return {d["follows"]: (d["_id"], Kind(d["kind"])) async for d in self._alerts.find(query, fields)}

    async def last_released_at(self) -> datetime | None:
        """When the newest public message was released."""
        query = {"is_public": True}
        found = await self._alerts.find_one(query, {"released_at": 1}, sort=[("released_at", DESCENDING)])
        return found["released_at"] if found else None

    async def find(self, identifiers: Sequence[str]) -> list[Published]:
        """The public messages among these."""
        query = {"_id": {"$in": list(identifiers)}, "is_public": True}
        return [to_published(d) async for d in self._alerts.find(query, PUBLISHED).limit(MAX_READ)]

    async def get(self, identifier: str) -> Published:
        """One public message; NotFoundError."""
        found = await self.find([identifier])
        if not found:
            raise NotFoundError("alert_unknown", zh="没有这条预警", en="no such alert", field="identifier")
        return found[0]

    async def find_chain(self, chain: str) -> list[Published]:
        """The public messages of a chain, oldest first."""
        query = {"chain": chain, "is_public": True}
        found = {
            p.follows: p for p in [to_published(d) async for d in self._alerts.find(query, PUBLISHED).limit(MAX_READ)]
        }
        ordered: list[Published] = []
        while message := found.pop(ordered[-1].identifier if ordered else None, None):
            ordered.append(message)
        return ordered

    async def find_unnumbered(self, since: datetime) -> list[tuple[str, datetime]]:
        """Public messages released since then that have no number yet, oldest first."""
        query = {"is_public": True, "released_at": {"$gte": since}}
        cursor = self._alerts.find(query, {"released_at": 1}).sort("released_at", DESCENDING).limit(MAX_READ)
        released = [(d["_id"], d["released_at"]) async for d in cursor][::-1]
        names = [name for name, _ in released]
        numbered = {d["alert"] async for d in self._events.find({"alert": {"$in": names}}, {"alert": 1})}
        return [(name, at) for name, at in released if name not in numbered]

    async def number(self, identifier: str, at: datetime) -> None:
        """Give the next number to a release; a second call changes nothing."""
        for _ in range(TRIES):
            last = await self._events.find_one({}, {"_id": 1}, sort=[("_id", DESCENDING)])
            try:
                await self._events.insert_one({"_id": last["_id"] + 1 if last else 1, "alert": identifier, "at": at})
            except DuplicateKeyError:
                if await self._events.find_one({"alert": identifier}, {"_id": 1}):
                    return
            else:
                return

    async def events_since(self, seq: int, limit: int) -> list[Event]:
        """Up to `limit` events after `seq`, in order."""
        cursor = self._safe_events.find({"_id": {"$gt": seq}}).sort("_id", ASCENDING).limit(limit)
        return [Event(d["_id"], d["alert"], d["at"]) async for d in cursor]

    async def events_before(self, seq: int, limit: int) -> list[Event]:
        """Up to `limit` events before `seq`, newest first."""
        cursor = self._safe_events.find({"_id": {"$lt": seq}}).sort("_id", DESCENDING).limit(limit)
        return [Event(d["_id"], d["alert"], d["at"]) async for d in cursor]

    async def last_event(self) -> Event | None:
        """The newest event."""
        found = await self._safe_events.find_one({}, sort=[("_id", DESCENDING)])
        return Event(found["_id"], found["alert"], found["at"]) if found else None


def to_published(document: Document) -> Published:
    """A released message from these fields of its document, as the released bytes tell it."""
    tree = parse_xml(document["cap"])
    alert = Alert.model_validate_json(document["alert"]) if isinstance(tree, Fault) else read_cap(tree)
    return Published(
        identifier=document["_id"],
        chain=document["chain"],
        follows=document["follows"],
        kind=Kind(document["kind"]),
        colour=Colour(document["colour"]),
        released_at=document["released_at"],
        expires_at=document["expires_at"],
        divisions=tuple(normal(code) for code in document["divisions"]),
        cap=bytes(document["cap"]),
        alert=alert,
    )
