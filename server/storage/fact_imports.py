"""How far imports of feeds have come, so that one that was killed goes on where it stopped.

`fact_imports`: {_id: "<source>/<digest>", source, state open|done, offset, line, counts, began_at, changed_at}:
`offset` bytes and `line` lines of the file are dealt with. `fact_refusals`: {_id: "<import>/<line>/<field>", import,
line, why, field, at}: up to `MAX_REFUSALS` lines that were refused. Neither holds anything of what stood in a line;
`digest` is a blind index of the file's digest, for that of a short file could be guessed.

The cursor moves from where its mover stood: of two importers of one file one stops. Refusals are written before the
cursor moves and under their line's number, so a batch that is done again writes them once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import BulkWriteError, DuplicateKeyError

from server.domain.fact_feeds import Refused, Why
from server.storage.mongo import Database, Document

MAX_REFUSALS = 10_000  # kept of one file; all are counted
DUPLICATE_KEY = 11000


@dataclass(frozen=True, slots=True)
class Import:
    """One file of one source. `counts`: lines, refused, unknown, no_consent, kept, changed, conflicts."""

    id: str
    source: str
    began_at: datetime
    offset: int = 0
    line: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    is_done: bool = False
    changed_at: datetime | None = None


class FactImportStore:
    """The collections `fact_imports` and `fact_refusals`."""

    def __init__(self, db: Database) -> None:
        self._imports = db["fact_imports"]
        self._refusals = db["fact_refusals"]

    async def open(self, fresh: Import) -> Import:
        """This file's import as it stands, begun if there is none."""
        try:
            await self._imports.insert_one(_to_document(fresh))
        except DuplicateKeyError:
            document = await self._imports.find_one({"_id": fresh.id})
            assert document is not None
            return _to_import(document)
        return fresh

    async def advance(self, before: Import, after: Import) -> bool:
        """Move the cursor; False: another process has moved it meanwhile."""
        query = {"_id": before.id, "offset": before.offset, "line": before.line, "state": "open"}
        result = await self._imports.update_one(query, {"$set": _to_document(after)})
        return result.matched_count == 1

    async def note(self, import_: str, refused: Sequence[Refused], at: datetime) -> None:
        """Keep why these lines were refused. May be repeated."""
        documents: list[Document] = [
            {"_id": f"{import_}/{each.number}/{each.field}", "import": import_, "line": each.number,
             "why": each.why.value, "field": each.field, "at": at}
            for each in refused
        ]  # fmt: skip
        if not documents:
            return
        try:
            await self._refusals.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            if any(each["code"] != DUPLICATE_KEY for each in error.details["writeErrors"]):
                raise

    async def refusals(self, import_: str) -> AsyncIterator[Refused]:
        """The refused lines that were kept, in order."""
        cursor = self._refusals.find({"import": import_}).sort([("line", ASCENDING), ("_id", ASCENDING)])
        async for d in cursor:
            yield Refused(d["line"], Why(d["why"]), d["field"])

    async def latest(self, limit: int) -> list[Import]:
        """The imports that began last, newest first."""
        cursor = self._imports.find().sort("began_at", DESCENDING).limit(limit)
        return [_to_import(d) async for d in cursor]


def _to_document(each: Import) -> Document:
    return {
        "_id": each.id, "source": each.source, "state": "done" if each.is_done else "open", "offset": each.offset,
        "line": each.line, "counts": dict(each.counts), "began_at": each.began_at, "changed_at": each.changed_at,
    }  # fmt: skip


def _to_import(d: Document) -> Import:
    return Import(
        id=d["_id"], source=d["source"], began_at=d["began_at"], offset=d["offset"], line=d["line"],
        counts=d["counts"], is_done=d["state"] == "done", changed_at=d["changed_at"],
    )  # fmt: skip
