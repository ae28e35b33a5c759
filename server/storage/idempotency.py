"""Requests that callers have named, and what they were answered.

`idempotency`: {_id: "<caller> <key>", print, owner, begun_at, answer: sealed}. Promises. One write takes a key, and of
many that want it at once one gets it. Ages are by the database's clock. Caller, key and print are blind indexes and
an answer is sealed, for all may be personal; what has lived a day is as if it were not there, and is soon deleted.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.domain.idempotency import LEASE, LIFE, Answer
from server.storage.mongo import Database, Document
from server.storage.vault import Vault


@dataclass(frozen=True, slots=True)
class Claimed:
    """How a key stands: whose it is, if it is for the request asked about, and what that was answered, if it was."""

    owner: str
    is_same: bool
    answer: Answer | None


class IdempotencyStore:
    """The collection `idempotency`."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._keys = db["idempotency"]
        self._vault = vault

    def name(self, caller: str, key: str) -> str:
        """What a caller's key is kept under."""
        return f"{self._caller(caller)} {self._vault.index(key, field='idempotency.key').hex()}"

    async def claim(self, name: str, print_: bytes, owner: str) -> Claimed:
        """Take a key that is free, or was left by the same request; how it stands now. Again: nothing changes."""
        blind = self._vault.index(print_.hex(), field="idempotency.print")
        while True:
            try:
                found = await self._keys.find_one_and_update(
                    {"_id": name}, _taken(blind, owner), upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:  # another process was first to insert it
                continue
            assert found is not None
            return Claimed(found["owner"], found["print"] == blind, self._opened(found))

    async def mark_answered(self, name: str, owner: str, answer: Answer) -> bool:
        """Keep the answer; False if the key has gone to another meanwhile."""
        text = json.dumps([answer.status, dict(answer.headers), b64encode(answer.body).decode()])
        sealed = self._vault.seal(text, owner=_owner(name))
        done = await self._keys.update_one({"_id": name, "owner": owner}, {"$set": {"answer": sealed}})
        return done.matched_count == 1

    async def free(self, name: str, owner: str) -> None:
        """Give a key back without an answer."""
        await self._keys.delete_one({"_id": name, "owner": owner, "answer": {"$exists": False}})

    async def forget(self, caller: str) -> None:
        """Everything that a caller was answered: they are being erased."""
        caller = self._caller(caller)
        await self._keys.delete_many({"_id": {"$gte": f"{caller} ", "$lt": f"{caller}!"}})

    def _caller(self, caller: str) -> str:
        return self._vault.index(caller, field="idempotency.caller").hex()

    def _opened(self, found: Document) -> Answer | None:
        if "answer" not in found:
            return None
        status, headers, body = json.loads(self._vault.open(found["answer"], owner=_owner(found["_id"])))
        return Answer(status, headers, b64decode(body))


def _taken(print_: bytes, owner: str) -> list[dict[str, Any]]:
    """An update that takes the key if it may be taken, and else changes nothing."""
    is_unanswered = {"$eq": [{"$type": "$answer"}, "missing"]}
    is_left = {"$and": [is_unanswered, {"$eq": ["$print", print_]}, _is_older(LEASE)]}

    def if_free(value: object, field: str) -> dict[str, Any]:
        return {"$cond": ["$is_free", value, f"${field}"]}

    return [
        {"$set": {"is_free": {"$or": [_is_older(LIFE), is_left]}}},
        {
            "$set": {
                "print": if_free(print_, "print"),
                "owner": if_free(owner, "owner"),
                "begun_at": if_free("$$NOW", "begun_at"),
                "answer": if_free("$$REMOVE", "answer"),
            }
        },
        {"$unset": "is_free"},
    ]


def _is_older(age: timedelta) -> dict[str, Any]:
    """Also of a key that is not there: nothing is less than any time."""
    limit = {"$subtract": ["$$NOW", int(age.total_seconds() * 1000)]}
    return {"$lt": [{"$ifNull": ["$begun_at", None]}, limit]}


def _owner(name: str) -> str:
    return f"idempotency|{name}|answer"
