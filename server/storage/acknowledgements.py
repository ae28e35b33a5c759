"""What people answered: {_id, chain, citizen, state, division, since, at, words: [{state, at, division, said}]}.

One document per person and chain, written in one step: the last word stands outside, so that it can be counted; all
words (the last twenty) stand in `words`, their personal part sealed with the person's key. Deleted half a year after
the last word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.domain.acknowledgements import KEPT_WORDS, Acknowledgement, Answer, Said, Word
from server.domain.divisions import prefix
from server.storage.mongo import Database, Document, Session
from server.storage.person_keys import PersonVault
from server.storage.vault import SealedError, Vault

NOTHING = Said()


class AcknowledgementStore:
    """The collection `acknowledgements`."""

    def __init__(self, db: Database, people: PersonVault) -> None:
        self._answers = db["acknowledgements"]
        self._people = people

    async def add(self, citizen: int, chain: str, word: Word) -> Acknowledgement:
        """A person's newest word. ShreddedError for somebody who was erased."""
        vault = await self._people.of(citizen)
        step: Document = {"state": word.state.value, "at": word.at, "division": word.division}
        if word.said:
            step["said"] = _sealed(vault, citizen, word.said)
        words = {"$slice": [{"$concatArrays": [{"$ifNull": ["$words", []]}, [{"$literal": step}]]}, -KEPT_WORDS]}
        is_same = {"$eq": ["$state", word.state.value]}
        change = {
            "state": word.state.value,
            "division": word.division,
            "at": word.at,
            "since": {"$cond": [is_same, "$since", word.at]},
            "words": words,
        }
        query = {"chain": chain, "citizen": citizen}
        try:
            document = await self._apply(query, change)
        except DuplicateKeyError:  # two first words at once: the other one is there now
            document = await self._apply(query, change)
        return _to_answer(document, vault)

    async def find(self, citizen: int, chain: str) -> Acknowledgement | None:
        """What a person answered to a chain."""
        document = await self._answers.find_one({"chain": chain, "citizen": citizen})
        return (await self._opened([document]))[0] if document else None

    async def count(self, chain: str, root: str) -> dict[tuple[str, Answer], int]:
        """How many below a division, by district (six digits) and state."""
        pipeline: list[Document] = [
            {"$match": {"chain": chain, "division": _below(root)}},
            {"$group": {"_id": {"d": {"$substrBytes": ["$division", 0, 6]}, "s": "$state"}, "n": {"$sum": 1}}},
        ]
        cursor = await self._answers.aggregate(pipeline)
        return {(d["_id"]["d"], Answer(d["_id"]["s"])): d["n"] async for d in cursor}

    async def find_in_need(
        self, chain: str, root: str, after: tuple[datetime, str] | None, limit: int
    ) -> list[Acknowledgement]:
        """Who needs help below a division, longest waiting first, after that one."""
        query: dict[str, Any] = {"chain": chain, "state": Answer.HELP.value, "division": _below(root)}
        if after:
            since, id_ = after
            query["$or"] = [{"since": {"$gt": since}}, {"since": since, "_id": {"$gt": ObjectId(id_)}}]
        cursor = self._answers.find(query).sort([("since", 1), ("_id", 1)]).limit(limit)
        return await self._opened(await cursor.to_list())

    async def all_of(self, citizen: int) -> list[Acknowledgement]:
        """All that a person answered, oldest first."""
        return await self._opened(await self._answers.find({"citizen": citizen}).sort("since", 1).to_list())

    async def move(self, source: int, target: int, session: Session) -> None:
        """Give a person's answers to another, sealed with the other's key; where both answered, the other's stays."""
        documents = await self._answers.find({"citizen": source}, session=session).to_list()
        if not documents:
            return
        opened = await self._opened(documents)
        vault = await self._people.of(target)
        both = set(await self._answers.distinct("chain", {"citizen": target}, session=session))
        for document, answer in zip(documents, opened, strict=True):
            query = {"_id": document["_id"]}
            if document["chain"] in both:
                await self._answers.delete_one(query, session=session)
                continue
            words = [
                {"state": word.state.value, "at": word.at, "division": word.division}
                | ({"said": _sealed(vault, target, word.said)} if word.said else {})
                for word in answer.words
            ]
            await self._answers.update_one(query, {"$set": {"citizen": target, "words": words}}, session=session)

    async def erase(self, citizen: int) -> None:
        """Delete a person's answers."""
        await self._answers.delete_many({"citizen": citizen})

    async def _apply(self, query: Document, change: Document) -> Document:
        document = await self._answers.find_one_and_update(
            query, [{"$set": change}], upsert=True, return_document=ReturnDocument.AFTER
        )
        assert document is not None
        return document

    async def _opened(self, documents: Sequence[Document]) -> list[Acknowledgement]:
        vaults = await self._people.of_all({d["citizen"] for d in documents}) if documents else {}
        return [_to_answer(d, vaults.get(d["citizen"])) for d in documents]


def _below(root: str) -> Document:
    return {"$regex": f"^{re.escape(prefix(root))}"}


def _to_answer(d: Mapping[str, Any], vault: Vault | None) -> Acknowledgement:
    words = [
        Word(Answer(word["state"]), word["at"], word["division"], _open(vault, d["citizen"], word.get("said")))
        for word in d["words"]
    ]
    return Acknowledgement(str(d["_id"]), d["chain"], d["citizen"], words[-1], d["since"], words)


def _sealed(vault: Vault, citizen: int, said: Said) -> bytes:
    return vault.seal(orjson.dumps([said.point, said.text, said.note]).decode(), owner=_owner(citizen))


def _open(vault: Vault | None, citizen: int, sealed: bytes | None) -> Said:
    """What was said; nothing if its key is gone or it is spoilt: that somebody needs help is known without it."""
    if vault is None or sealed is None:
        return NOTHING
    try:
        point, text, note = orjson.loads(vault.open(sealed, owner=_owner(citizen)))
    except SealedError:
        return NOTHING
    return Said((point[0], point[1]) if point else None, text, note)


def _owner(citizen: int) -> str:
    return f"acknowledgements|{citizen}|said"
