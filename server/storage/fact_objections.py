"""Objections to facts in MongoDB: {_id, citizen, fact, text, division, at, is_open, answer, officer, answered_at}.

`text` and `answer` are sealed with the citizen's key. Of a citizen and fact one is open at a time (unique index); the
first answer stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from server.domain.divisions import prefix
from server.domain.errors import NotFoundError
from server.domain.fact_objections import Objection
from server.storage.mongo import Database, Document, Session
from server.storage.person_keys import PersonVault
from server.storage.vault import Vault

SEALED = ("text", "answer")


class FactObjectionStore:
    """The collection `fact_objections`. Export, move and erase are those of a holding."""

    def __init__(self, db: Database, people: PersonVault) -> None:
        self._objections = db["fact_objections"]
        self._people = people

    async def insert(self, each: Objection) -> bool:
        """A new one; False: there is an open one of this citizen and fact."""
        vault = await self._people.of(each.citizen)
        document: Document = {
            "_id": each.id, "citizen": each.citizen, "fact": each.fact, "division": each.division, "at": each.at,
            "is_open": True, "text": _seal(vault, each.id, "text", each.text),
        }  # fmt: skip
        try:
            await self._objections.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def get(self, id_: str) -> Objection:
        """One of them; NotFoundError."""
        document = await self._objections.find_one({"_id": str(id_)})
        if document is None:
            raise unknown()
        return (await self._opened([document]))[0]

    async def of(self, citizen: int) -> list[Objection]:
        """A citizen's own, oldest first."""
        cursor = self._objections.find({"citizen": citizen}).sort([("at", ASCENDING), ("_id", ASCENDING)])
        return await self._opened(await cursor.to_list())

    async def page(self, root: str, after: str | None, limit: int, *, is_open: bool) -> list[Objection]:
        """Those of a division's people, longest waiting first, after that one."""
        query: dict[str, Any] = {"is_open": is_open, "division": {"$regex": f"^{re.escape(prefix(root))}"}}
        if after is not None:
            last = await self._objections.find_one({"_id": after}, {"at": 1})
            at = last["at"] if last else datetime.max.replace(tzinfo=UTC)
            query["$or"] = [{"at": {"$gt": at}}, {"at": at, "_id": {"$gt": after}}]
        cursor = self._objections.find(query).sort([("at", ASCENDING), ("_id", ASCENDING)]).limit(limit)
        return await self._opened(await cursor.to_list())

    async def answer(self, each: Objection, text: str, officer: str, at: datetime) -> bool:
        """Keep an answer; False: there is one already."""
        vault = await self._people.of(each.citizen)
        change = {
            "answer": _seal(vault, each.id, "answer", text), "officer": officer, "answered_at": at, "is_open": False,
        }  # fmt: skip
        result = await self._objections.update_one({"_id": each.id, "is_open": True}, {"$set": change})
        return result.modified_count == 1

    async def export(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """A row each."""
        return [
            {
                "id": each.id, "fact": each.fact, "text": each.text, "at": each.at.isoformat(), "answer": each.answer,
                "answered_at": each.answered_at.isoformat() if each.answered_at else None,
            }
            for each in await self.of(citizen)
        ]  # fmt: skip

    async def move(self, source: int, target: int, session: Session) -> None:
        """They go along, sealed anew. What is open to the same fact on both sides stays open once: the target's."""
        held = self._objections.find({"citizen": target, "is_open": True}, {"fact": 1}, session=session)
        open_facts = {d["fact"] for d in await held.to_list()}
        for d in await self._objections.find({"citizen": source}, session=session).to_list():
            old, new = await self._people.of(source), await self._people.of(target)
            change: Document = {"citizen": target}
            for field in SEALED:
                if field in d:
                    change[field] = _seal(new, d["_id"], field, _open(old, d, field))
            if d["is_open"] and d["fact"] in open_facts:
                change |= {"is_open": False, "answered_at": d["at"]}
            await self._objections.update_one({"_id": d["_id"]}, {"$set": change}, session=session)

    async def erase(self, citizen: int) -> None:
        """All of them. May be repeated."""
        await self._objections.delete_many({"citizen": citizen})

    async def _opened(self, documents: Sequence[Document]) -> list[Objection]:
        """Of people who were erased meanwhile there are none."""
        vaults = await self._people.of_all({d["citizen"] for d in documents}) if documents else {}
        return [_to_objection(d, vaults[d["citizen"]]) for d in documents if d["citizen"] in vaults]


def unknown() -> NotFoundError:
    """There is none with this id, or not for the one who asks."""
    return NotFoundError("objection_unknown", zh="没有这项异议", en="there is no such objection", field="objection")


def _seal(vault: Vault, id_: str, field: str, text: str) -> bytes:
    return vault.seal(text, owner=f"fact_objections|{id_}|{field}")


def _open(vault: Vault, d: Document, field: str) -> str:
    return vault.open(d[field], owner=f"fact_objections|{d['_id']}|{field}") if field in d else ""


def _to_objection(d: Document, vault: Vault) -> Objection:
    return Objection(
        id=d["_id"], citizen=d["citizen"], fact=d["fact"], text=_open(vault, d, "text"), division=d["division"],
        at=d["at"], answer=_open(vault, d, "answer"), officer=d.get("officer", ""), answered_at=d.get("answered_at"),
    )  # fmt: skip
