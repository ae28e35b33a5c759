"""One-time codes in MongoDB, and how many were sent: the collection `one_time_codes`. It forgets by itself.

{_id: "code|<request>", purpose, mac, phone (sealed), tries, counted: [ids], gone_at}       one code
{_id: "number|<index>", sent: [times], last, gone_at}                                      what one number was sent
{_id: "<of>|<index>|<window_s>|<n>", sent, verified, gone_at}                              what one window counts

Promises. A code stands here only as an HMAC over itself, its request, purpose and number; every number, prefix, network
and device only as a blind index. All bounds of a code and the code itself are one ordered write that ends at the first
bound that is full, so a thousand requests at once are as bounded as one after the other.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pymongo import DeleteOne, InsertOne, UpdateOne
from pymongo.errors import BulkWriteError

from server.domain.one_time_codes import LIVES_FOR, NUMBER_BOUNDS, TRIES, Counted, Purpose, Tally, Window
from server.storage.mongo import Database, Document
from server.storage.vault import Vault

DUPLICATE_KEY = 11000
KEPT = max(most for most, _ in NUMBER_BOUNDS)  # times of a number
KEEP_NUMBER_FOR = max(window for _, window in NUMBER_BOUNDS)


@dataclass(frozen=True, slots=True)
class Keys:
    """Where one code is counted: the ids of its number and of its windows."""

    number: str
    windows: Mapping[Window, str]


@dataclass(frozen=True, slots=True)
class Standing:
    """What was sent before."""

    number: Sequence[datetime]
    last: datetime | None
    tallies: Mapping[Window, Tally]


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code that is about to be sent."""

    request: str
    purpose: Purpose
    phone: str
    code: str
    at: datetime


class CodeStore:
    """Counts, keeps and redeems codes."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._codes = db["one_time_codes"]
        self._vault = vault

    def keys(self, phone: str, named: Mapping[Counted, str], windows: Sequence[Window], now: datetime) -> Keys:
        """Where a code for this number is counted; `named`: the value of each thing that is known of the request."""
        return Keys(
            f"number|{self.index('number', phone)}",
            {
                w: f"{w.of}|{self.index(w.of, named[w.of])}|{w.window_s}|{int(now.timestamp() // w.window_s)}"
                for w in windows
                if w.of in named
            },
        )

    def index(self, field: str, value: str) -> str:
        """A blind index of this store, in hexadecimal."""
        return self._vault.index(value, field=f"one_time_codes.{field}").hex()

    async def standing(self, keys: Keys) -> Standing:
        """What was sent before, in one read."""
        cursor = self._codes.find({"_id": {"$in": [keys.number, *keys.windows.values()]}})
        found = {document["_id"]: document async for document in cursor}
        number: Mapping[str, Any] = found.get(keys.number, {})
        tallies = {
            window: Tally(found[id_]["sent"], found[id_].get("verified", 0)) if id_ in found else Tally()
            for window, id_ in keys.windows.items()
        }
        return Standing(number.get("sent", ()), number.get("last"), tallies)

    async def add(self, new: NewCode, keys: Keys, before: Standing, bounds: Mapping[Window, int | None]) -> bool:
        """Count a code and keep it; False, with nothing changed, if a bound is full or others were faster: ask again.

        `bounds`: what may never be passed, by window.
        """
        counts = [_count(id_, window, bounds[window], new.at) for window, id_ in keys.windows.items()]
        writes: list[UpdateOne | InsertOne[Document]] = [
            _note(keys.number, before.last, new.at),
            *counts,
            InsertOne(self._document(new, keys)),
        ]
        try:
            await self._codes.bulk_write(writes, ordered=True)
        except BulkWriteError as error:
            failed = error.details["writeErrors"][0]
            if failed["code"] != DUPLICATE_KEY:
                raise
            await self._undo(new, keys, before, failed["index"])
            return False
        return True

    async def give_back(self, new: NewCode, keys: Keys, before: Standing) -> None:
        """It could not be sent: as if it had never been asked for."""
        await self._undo(new, keys, before, len(keys.windows) + 2)

    async def redeem(self, request: str, code: str, purpose: Purpose, now: datetime) -> str | None:
        """Use the code up: the E.164 number it was sent to; None for whatever reason it is not right.

        A try is charged before the code is looked at, so that many at once are many tries.
        """
        query = {"_id": f"code|{request}", "purpose": purpose.value, "tries": {"$lt": TRIES}, "gone_at": {"$gt": now}}
        found = await self._codes.find_one_and_update(query, {"$inc": {"tries": 1}})
        if found is None:
            return None
        phone = self._vault.open(found["phone"], owner=_owner(request))
        if not hmac.compare_digest(found["mac"], self._mac(NewCode(request, purpose, phone, code, now))):
            return None
        if not (await self._codes.delete_one({"_id": found["_id"]})).deleted_count:
            return None  # the same code was redeemed a moment ago
        await self._codes.update_many({"_id": {"$in": found["counted"]}}, {"$inc": {"verified": 1}})
        return phone

    async def _undo(self, new: NewCode, keys: Keys, before: Standing, done: int) -> None:
        """Take back the first `done` writes of `add`."""
        if not done:
            return
        number = {"$pull": {"sent": new.at}, "$set": {"last": before.last}}
        counted = list(keys.windows.values())[: done - 1]
        undo: list[UpdateOne | DeleteOne] = [UpdateOne({"_id": keys.number, "last": new.at}, number)]
        undo += [UpdateOne({"_id": id_}, {"$inc": {"sent": -1}}) for id_ in counted]
        undo.append(DeleteOne({"_id": f"code|{new.request}"}))
        await self._codes.bulk_write(undo, ordered=False)

    def _document(self, new: NewCode, keys: Keys) -> Document:
        return {
            "_id": f"code|{new.request}",
            "purpose": new.purpose.value,
            "mac": self._mac(new),
            "phone": self._vault.seal(new.phone, owner=_owner(new.request)),
            "tries": 0,
            "counted": list(keys.windows.values()),
            "gone_at": new.at + LIVES_FOR,
        }

    def _mac(self, new: NewCode) -> bytes:
        text = f"{new.request}|{new.purpose}|{new.phone}|{new.code}"
        return self._vault.index(text, field="one_time_codes.code")


def _note(number: str, last: datetime | None, at: datetime) -> UpdateOne:
    """One more for a number, if it was sent none since it was looked at: else it is there, and its insert fails."""
    push = {"sent": {"$each": [at], "$slice": -KEPT}}
    change = {"$push": push, "$set": {"last": at, "gone_at": at + KEEP_NUMBER_FOR}}
    return UpdateOne({"_id": number, "last": last}, change, upsert=True)


def _count(id_: str, window: Window, most: int | None, at: datetime) -> UpdateOne:
    """One more in a window, unless it is full: then it is there, and its insert fails."""
    room = {} if most is None else {"sent": {"$lt": most}}
    fresh = {"gone_at": at + timedelta(seconds=2 * window.window_s)}
    return UpdateOne({"_id": id_, **room}, {"$inc": {"sent": 1}, "$setOnInsert": fresh}, upsert=True)


def _owner(request: str) -> str:
    return f"one_time_codes|{request}|phone"
