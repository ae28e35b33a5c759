"""Public notices in MongoDB: one document a bulletin, with its draft and every published version.

{_id, source, edit, edited_at, draft, versions, withdrawal, pending, stops}: as the domain has them, JSON inside. And
what is asked by: `within` (its divisions and all above: officers' lists), `is_shown`, `marks`, `changed_at`, `until`
(readers' lists), `is_unsettled` (a broadcast has to leave or to stop). Each verb is one write, fenced by `edit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from server.domain.bulletins import Bulletin, shown_marks
from server.domain.bulletins_json import After
from server.domain.divisions import Divisions
from server.storage.mongo import Database, Document


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which bulletins that are shown: with one of these marks, changed since then, after a cursor."""

    marks: Sequence[str]
    since: datetime | None = None
    after: After | None = None
    limit: int = 50


class BulletinStore:
    """The collection `bulletins`."""

    def __init__(self, db: Database, divisions: Divisions) -> None:
        self._bulletins = db["bulletins"]
        self._divisions = divisions

    async def insert(self, bulletin: Bulletin) -> bool:
        """Store a new one; False if the id is taken."""
        try:
            await self._bulletins.insert_one({"_id": bulletin.id} | self._document(bulletin))
        except DuplicateKeyError:
            return False
        return True

    async def find(self, bulletin: str) -> Bulletin | None:
        """One of them."""
        document = await self._bulletins.find_one({"_id": bulletin})
        return _to_bulletin(document) if document else None

    async def apply(self, before: Bulletin, after: Bulletin) -> bool:
        """Write over what was read; False if somebody else was quicker. `after` has the next `edit`."""
        result = await self._bulletins.update_one(
            {"_id": before.id, "edit": before.edit}, {"$set": self._document(after)}
        )
        return bool(result.matched_count)

    async def mark_told(self, bulletin: str, broadcast: str) -> None:
        """This broadcast is on its way, or was stopped."""
        await self._bulletins.update_one({"_id": bulletin}, {"$pull": {"pending": {"id": broadcast}}})

    async def mark_stopped(self, bulletin: str) -> None:
        """The broadcasts of a withdrawn one have stopped."""
        await self._bulletins.update_one({"_id": bulletin}, {"$set": {"stops": False}})

    async def mark_settled(self, bulletin: str) -> None:
        """Nothing is left to do for it, unless something came in between."""
        query = {"_id": bulletin, "pending": [], "stops": False}
        await self._bulletins.update_one(query, {"$unset": {"is_unsettled": ""}})

    async def find_unsettled(self, limit: int = 100) -> list[Bulletin]:
        """Those whose broadcasts have to leave or to stop, longest waiting first."""
        cursor = self._bulletins.find({"is_unsettled": True}).sort("edited_at", 1).limit(limit)
        return [_to_bulletin(d) async for d in cursor]

    async def hide_over(self, now: datetime) -> int:
        """Take what is over out of the readers' index; they did not see it any more."""
        result = await self._bulletins.update_many(
            {"is_shown": True, "until": {"$lte": now}}, {"$unset": {"is_shown": ""}}
        )
        return result.modified_count

    async def shown(self, wanted: Wanted, now: datetime) -> list[Bulletin]:
        """What readers see now, newest first."""
        cursor = self._bulletins.find(shown_query(wanted, now)).sort([("changed_at", -1), ("_id", -1)])
        return [_to_bulletin(d) async for d in cursor.limit(wanted.limit)]

    async def office(self, division: str, after: After | None, limit: int) -> list[Bulletin]:
        """Those that touch a division or one below it, last edited first."""
        query: Document = {"within": division}
        if after is not None:
            query |= {"$or": _below("edited_at", after)}
        cursor = self._bulletins.find(query).sort([("edited_at", -1), ("_id", -1)]).limit(limit)
        return [_to_bulletin(d) async for d in cursor]

    def _document(self, bulletin: Bulletin) -> Document:
        within = sorted({code for area in bulletin.areas for code in self._divisions.lineage(area)})
        told = bulletin.model_dump(mode="json", exclude={"id", "edited_at"})
        document: Document = told | {"edited_at": bulletin.edited_at, "within": within}
        if bulletin.pending or bulletin.stops:
            document["is_unsettled"] = True
        if bulletin.versions:
            content = bulletin.versions[-1].content
            document |= {
                "is_shown": True,
                "marks": list(shown_marks(content, self._divisions.lineage)),
                "changed_at": bulletin.changed_at,
                "until": content.valid_until,
            }
        return document


def shown_query(wanted: Wanted, now: datetime) -> dict[str, Any]:
    """What is asked of the index `shown`."""
    marks = list(wanted.marks)
    query: dict[str, Any] = {
        "is_shown": True,
        "marks": marks[0] if len(marks) == 1 else {"$in": marks},
        "until": {"$gt": now},
    }
    if wanted.since is not None:
        query["changed_at"] = {"$gte": wanted.since}
    if wanted.after is not None:
        query["$or"] = _below("changed_at", wanted.after)
    return query


def _below(field: str, after: After) -> list[Document]:
    at, id_ = after
    return [{field: {"$lt": at}}, {field: at, "_id": {"$lt": id_}}]


def _to_bulletin(d: Document) -> Bulletin:
    fields = {name: value for name, value in d.items() if name in Bulletin.model_fields}
    return Bulletin.model_validate(fields | {"id": d["_id"]})
