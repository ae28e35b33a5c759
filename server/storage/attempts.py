"""Failed log-ins, counted where all processes see them: by account, by origin, and which origin an account has used.

Promises. An attempt is charged before the password is looked at, in one atomic write, so a thousand parallel guesses
are a thousand attempts. A key tells nothing: it is a blind index of a name or a network address.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.domain.sessions import FORGET_AFTER, KNOW_ORIGIN_FOR
from server.storage.mongo import Database, Document
from server.storage.vault import Vault


class Attempts:
    """The collections `attempts` and `known_origins`; both forget by themselves."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._attempts = db["attempts"]
        self._known = db["known_origins"]
        self._vault = vault

    def key(self, kind: str, *values: str) -> str:
        """The name of a counter."""
        return f"{kind}|{self._vault.index('|'.join(values), field=f'attempts.{kind}').hex()}"

    async def charge(self, key: str, at: datetime, delays_s: Sequence[int]) -> int | None:
        """Count one attempt as failed until `forgive` says otherwise: how many there are now; None = not yet, wait."""
        after = await self._upsert(key, _charged(at, delays_s))
        return None if after["is_held"] else int(after["failures"])

    async def is_held(self, key: str, at: datetime) -> bool:
        """Whether the next attempt has to wait."""
        return await self._attempts.find_one({"_id": key, "until": {"$gt": at}}, {"_id": 1}) is not None

    async def forgive(self, *keys: str) -> None:
        """Forget the failures: the attempt was right."""
        await self._attempts.delete_many({"_id": {"$in": list(keys)}})

    async def know(self, key: str, at: datetime) -> None:
        """Remember that an account has logged in from an origin."""
        await self._known.update_one({"_id": key}, {"$set": {"at": at}}, upsert=True)

    async def is_known(self, key: str, at: datetime) -> bool:
        """Whether it has, in the last thirty days."""
        return await self._known.find_one({"_id": key, "at": {"$gt": at - KNOW_ORIGIN_FOR}}, {"_id": 1}) is not None

    async def _upsert(self, key: str, pipeline: list[dict[str, Any]]) -> Document:
        while True:
            try:
                after = await self._attempts.find_one_and_update(
                    {"_id": key}, pipeline, upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:  # another process was first to insert it
                continue
            assert after is not None
            return after


def _charged(at: datetime, delays_s: Sequence[int]) -> list[dict[str, Any]]:
    """An update that counts one more and sets the time of the next try, unless that time has not come."""
    delays_ms = [seconds * 1000 for seconds in delays_s]
    quiet = {"$lte": [{"$ifNull": ["$at", at]}, at - FORGET_AFTER]}
    one_more = {"$cond": [quiet, 1, {"$add": [{"$ifNull": ["$failures", 0]}, 1]}]}
    delay_ms = {"$arrayElemAt": [delays_ms, {"$min": ["$failures", len(delays_ms) - 1]}]}

    def unless_held(value: object, field: str) -> dict[str, Any]:
        return {"$cond": ["$is_held", f"${field}", value]}

    return [
        {"$set": {"is_held": {"$gt": [{"$ifNull": ["$until", at]}, at]}}},
        {"$set": {"failures": unless_held(one_more, "failures")}},
        {"$set": {"until": unless_held({"$add": [at, delay_ms]}, "until"), "at": unless_held(at, "at")}},
    ]
