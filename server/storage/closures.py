"""What the office is closing just now, in MongoDB: {_id, seats: [ids], reason, is_open, due_at, gone_at?}.

A closure is written down before the first seat is closed and marked as done after the last person has a replacement
under way. Whoever finds one that is overdue does all of it again, which changes nothing where it was done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pymongo import ReturnDocument

from server.storage.mongo import Database

KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Closure:
    """These seats, and why."""

    id: str
    seats: tuple[str, ...]
    reason: str


class ClosureStore:
    """The collection `closures`."""

    def __init__(self, db: Database) -> None:
        self._closures = db["closures"]

    async def begin(self, closure: Closure, due_at: datetime) -> None:
        """Write it down; others look after it from `due_at` on."""
        await self._closures.insert_one(
            {
                "_id": closure.id,
                "seats": list(closure.seats),
                "reason": closure.reason,
                "is_open": True,
                "due_at": due_at,
            }
        )

    async def take_overdue(self, now: datetime, due_at: datetime) -> Closure | None:
        """One whose closer is thought dead; nobody else gets it until `due_at`."""
        d = await self._closures.find_one_and_update(
            {"is_open": True, "due_at": {"$lte": now}},
            {"$set": {"due_at": due_at}},
            sort=[("due_at", 1)],
            return_document=ReturnDocument.AFTER,
        )
        return Closure(d["_id"], tuple(d["seats"]), d["reason"]) if d else None

    async def find_open(self, seats: Sequence[str]) -> list[Closure]:
        """Those under way that close one of these."""
        query = {"is_open": True, "seats": {"$in": list(seats)}}
        return [Closure(d["_id"], tuple(d["seats"]), d["reason"]) async for d in self._closures.find(query)]

    async def finish(self, closure: str, now: datetime) -> None:
        """Done; the database forgets it after a while."""
        await self._closures.update_one({"_id": closure}, {"$set": {"is_open": False, "gone_at": now + KEPT}})
