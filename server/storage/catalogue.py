"""The catalogue in MongoDB: each item as it is offered and as it is being written, and every version for good.

`items`: {_id: item, version, as, seq, division, unit, edit, draft, by, changed_at}
`item_versions`: {_id: "<item>/<version>", item, version, as, published_at, by, note}
`catalogue`: {_id: "head", seq}

`as` is an item as its model writes it (None while nothing is published), `draft` the same while somebody writes, `edit`
counts the changes of either. A publication raises the head in the transaction that writes its versions, and carries the
number in `seq`: whoever has seen the head up to a number reads only what came later, and misses nothing, because two
publications conflict on the head. A version is only ever inserted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, InsertOne, ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from server.domain.catalogue import Item
from server.domain.catalogue_versions import Kept, Version
from server.domain.divisions import prefix
from server.storage.mongo import Database, Document, Session, in_transaction

HEAD = "head"


@dataclass(frozen=True, slots=True)
class Offered:
    """A published item and the number of the publication that it came with."""

    item: Item
    version: int
    seq: int


class CatalogueStore:
    """Items, versions and the head."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._items = db["items"]
        self._versions = db["item_versions"]
        self._head = db["catalogue"]

    async def head(self) -> int:
        """The number of the last publication; 0 before the first."""
        found = await self._head.find_one({"_id": HEAD})
        return int(found["seq"]) if found else 0

    async def find_since(self, seq: int) -> list[Offered]:
        """What was published after this number, as it is now; items that are no longer offered too."""
        cursor = self._items.find({"seq": {"$gt": seq}}, {"as": 1, "version": 1, "seq": 1})
        return [Offered(_item(d["as"]), d["version"], d["seq"]) async for d in cursor]

    async def find(self, item: str) -> Kept | None:
        """One item."""
        found = await self._items.find_one({"_id": item})
        return _kept(found) if found else None

    async def find_version(self, item: str, version: int) -> Item | None:
        """One version, for good."""
        found = await self._versions.find_one({"_id": f"{item}/{version}"}, {"as": 1})
        return _item(found["as"]) if found else None

    async def list_versions(self, item: str, limit: int) -> list[Version]:
        """The publications of an item, newest first."""
        fields = {"as": 0}
        cursor = self._versions.find({"item": item}, fields).sort("version", DESCENDING).limit(limit)
        return [Version(d["version"], d["published_at"], d["by"], d["note"]) async for d in cursor]

    async def page(self, division: str, after: str, limit: int, *, is_draft: bool | None = None) -> list[Kept]:
        """Items of a division and below, by id, after one; `is_draft`: only those with (without) a draft."""
        query: dict[str, Any] = {"_id": {"$gt": after}, "division": {"$regex": f"^{re.escape(prefix(division))}"}}
        if is_draft is not None:
            query["draft"] = {"$ne": None} if is_draft else None
        return [_kept(d) async for d in self._items.find(query).sort("_id", ASCENDING).limit(limit)]

    async def insert(self, item: Item, by: str, now: datetime) -> Kept | None:
        """A new draft; None if the id or the code is taken."""
        document = {
            "_id": item.id, "version": 0, "as": None, "seq": 0, "edit": 1, **_drafted(item), "by": by,
            "changed_at": now,
        }  # fmt: skip
        try:
            await self._items.insert_one(document)
        except DuplicateKeyError:
            return None
        return _kept(document)

    async def write(self, item: Item, edit: int, by: str, now: datetime) -> Kept | None:
        """Write a draft over what one has seen; None: somebody was faster, or its new code is taken."""
        try:
            found = await self._items.find_one_and_update(
                {"_id": item.id, "edit": edit},
                {"$set": {**_drafted(item), "by": by, "changed_at": now}, "$inc": {"edit": 1}},
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            return None
        return _kept(found) if found else None

    async def publish(self, item: str, edit: int, by: str, note: str, now: datetime) -> Kept | None:
        """Make the draft the next version; None: it is another by now, or there is no draft."""

        async def work(session: Session) -> Kept | None:
            query = {"_id": item, "edit": edit, "draft": {"$ne": None}}
            found = await self._items.find_one(query, session=session)
            if found is None:
                return None
            seq = await self._raise_head(session)
            version = found["version"] + 1
            await self._versions.insert_one(
                _version(item, version, found["draft"], (by, note, now)), session=session
            )  # fmt: skip
            after = await self._items.find_one_and_update(
                query,
                {
                    "$set": {"as": found["draft"], "version": version, "seq": seq, "draft": None, "by": by,
                             "changed_at": now},
                    "$inc": {"edit": 1},
                },
                return_document=ReturnDocument.AFTER,
                session=session,
            )  # fmt: skip
            return _kept(after) if after else None

        return await in_transaction(self._db, work)

    async def publish_all(self, items: Sequence[Item], by: str, note: str, now: datetime) -> Mapping[str, int]:
        """Publish each that says something else than what is published, all or none; returns their new versions.

        A draft of such an item stays. A second call changes nothing. DuplicateKeyError if a code is another item's.
        """

        async def work(session: Session) -> Mapping[str, int]:
            ids = [item.id for item in items]
            cursor = self._items.find({"_id": {"$in": ids}}, {"as": 1, "version": 1}, session=session)
            there = {d["_id"]: d async for d in cursor}
            written = {item.id: (item, item.model_dump(mode="json", exclude_defaults=True)) for item in items}
            fresh = {
                name: int(there.get(name, {}).get("version", 0)) + 1
                for name, (_, document) in written.items()
                if there.get(name, {}).get("as") != document
            }
            if not fresh:
                return fresh
            seq = await self._raise_head(session)
            said = (by, note, now)
            await self._versions.bulk_write(
                [InsertOne(_version(name, number, written[name][1], said)) for name, number in fresh.items()],
                session=session,
            )
            await self._items.bulk_write(
                [UpdateOne({"_id": name}, _offer(*written[name], number, (by, now, seq)), upsert=True)
                 for name, number in fresh.items()],
                session=session,
            )  # fmt: skip
            return fresh

        return await in_transaction(self._db, work)

    async def find_codes(self, codes: Sequence[str]) -> dict[str, str]:
        """Those of these codes that an item has: code -> item."""
        return {d["code"]: d["_id"] async for d in self._items.find({"code": {"$in": list(codes)}}, {"code": 1})}

    async def _raise_head(self, session: Session) -> int:
        found = await self._head.find_one_and_update(
            {"_id": HEAD}, {"$inc": {"seq": 1}}, upsert=True, return_document=ReturnDocument.AFTER, session=session
        )
        assert found is not None
        return int(found["seq"])


def _drafted(item: Item) -> Document:
    document = item.model_dump(mode="json", exclude_defaults=True)
    return {"draft": document, "division": item.division, "unit": item.unit.id, "code": item.code}


def _version(item: str, version: int, document: Document, said: tuple[str, str, datetime]) -> Document:
    by, note, now = said
    return {
        "_id": f"{item}/{version}", "item": item, "version": version, "as": document, "published_at": now, "by": by,
        "note": note,
    }  # fmt: skip


def _offer(item: Item, document: Document, version: int, said: tuple[str, datetime, int]) -> Document:
    by, now, seq = said
    fields = {"division": item.division, "unit": item.unit.id, "code": item.code}
    offered = {"as": document, "version": version, "seq": seq, "by": by, "changed_at": now, **fields}
    return {"$set": offered, "$inc": {"edit": 1}, "$setOnInsert": {"draft": None}}


def _item(document: Document) -> Item:
    return Item.model_validate(document)


def _kept(d: Document) -> Kept:
    return Kept(
        id=d["_id"],
        version=d["version"],
        published=_item(d["as"]) if d["as"] else None,
        draft=_item(d["draft"]) if d["draft"] else None,
        edit=d["edit"],
        by=d["by"],
        changed_at=d["changed_at"],
    )
