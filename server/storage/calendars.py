"""Who has a private calendar in MongoDB: {_id: citizen, digest, made_at}.

The address of a calendar is its only key, so it is not kept: what is kept is its SHA-256. It has 256 random bits, which
nobody finds by trying, so the hash needs no salt.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from server.storage.mongo import Database, Session


class CalendarStore:
    """The collection `calendars`; one for each person."""

    def __init__(self, db: Database) -> None:
        self._calendars = db["calendars"]

    async def put(self, citizen: int, secret: str, now: datetime) -> None:
        """The calendar has this address from now on, and none that it had before."""
        change = {"digest": _digest(secret), "made_at": now}
        await self._calendars.replace_one({"_id": citizen}, change, upsert=True)

    async def find_made(self, citizen: int) -> datetime | None:
        """Since when the calendar has its address; None: there is none."""
        found = await self._calendars.find_one({"_id": citizen}, {"made_at": 1})
        return found["made_at"] if found else None

    async def find_citizen(self, secret: str) -> int | None:
        """Whose calendar has this address."""
        found = await self._calendars.find_one({"digest": _digest(secret)}, {"_id": 1})
        return found["_id"] if found else None

    async def remove(self, citizen: int, session: Session | None = None) -> None:
        """The address does not lead anywhere any more. May be repeated."""
        await self._calendars.delete_one({"_id": citizen}, session=session)

    async def move(self, source: int, target: int, session: Session) -> None:
        """An address that somebody subscribed to shows the joined account; of two the target's stays."""
        found = await self._calendars.find_one({"_id": source}, session=session)
        if found is None:
            return
        await self.remove(source, session)
        if await self._calendars.find_one({"_id": target}, {"_id": 1}, session=session) is None:
            await self._calendars.insert_one(found | {"_id": target}, session=session)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
