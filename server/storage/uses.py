"""Uses of personal data in MongoDB: {_id, citizen, account, unit, office, purpose, fields, about, at}, only added."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import DESCENDING

from server.domain.uses import Mark, Use, User
from server.storage.mongo import Database, Document, Session

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UseStore:
    """The collection `uses`."""

    def __init__(self, db: Database, random: Callable[[int], bytes]) -> None:
        self._uses = db["uses"]
        self._random = random

    async def append(self, citizens: Iterable[int], user: User, use: Use) -> None:
        """One entry for each of these people, in one write; durable when it returns."""
        shared = {
            "account": user.account,
            "unit": use.unit,
            "office": list(use.office),
            "purpose": use.purpose,
            "fields": list(use.fields),
            "about": use.about,
            "at": use.at,
        }
        documents = [{"_id": self._random(12).hex(), "citizen": citizen, **shared} for citizen in citizens]
        if documents:
            await self._uses.insert_many(documents, ordered=False)

    async def page(self, citizen: int, after: Mark | None, limit: int) -> tuple[list[Use], Mark | None]:
        """Uses of one person's data, newest first, and where the page ended if there is more."""
        query: dict[str, Any] = {"citizen": citizen}
        if after:
            at = EPOCH + timedelta(milliseconds=after.at_ms)
            query["$or"] = [{"at": {"$lt": at}}, {"at": at, "_id": {"$lt": after.id}}]
        order = [("at", DESCENDING), ("_id", DESCENDING)]
        found = await self._uses.find(query).sort(order).limit(limit + 1).to_list()
        uses = [_to_use(d) for d in found[:limit]]
        if len(found) <= limit:
            return uses, None
        last = found[limit - 1]
        return uses, Mark((last["at"] - EPOCH) // timedelta(milliseconds=1), last["_id"])

    async def find_all(self, citizen: int) -> list[Use]:
        """All of them, oldest first."""
        return [_to_use(d) async for d in self._uses.find({"citizen": citizen}).sort([("at", 1), ("_id", 1)])]

    async def move(self, source: int, target: int, session: Session) -> None:
        """They are now about another account of the same person."""
        await self._uses.update_many({"citizen": source}, {"$set": {"citizen": target}}, session=session)

    async def delete(self, citizen: int) -> None:
        """Forget all of it."""
        await self._uses.delete_many({"citizen": citizen})


def _to_use(d: Document) -> Use:
    return Use(
        unit=d["unit"],
        office=(d["office"][0], d["office"][1]),
        purpose=d["purpose"],
        fields=tuple(d["fields"]),
        about=d["about"],
        at=d["at"],
    )
