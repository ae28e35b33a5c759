"""Visits of several seats in MongoDB, one document each.

`chains`: {_id: code, citizen, holder, key, quota, slots, parts, services, begins_at, stage, until?, version, outcome?,
ended_at?, moves, targets}. Whoever writes a chain names the version it was read at, so nobody overwrites another's
step. There is one chain per holder and key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Any

from pymongo.errors import DuplicateKeyError

from server.domain.booking import Outcome
from server.domain.chains import Chain, Stage
from server.storage.mongo import Database, Document, Session

MOST_LISTED = 200


class ChainStore:
    """The collection `chains`."""

    def __init__(self, db: Database) -> None:
        self._chains = db["chains"]

    async def insert(self, chain: Chain) -> Chain:
        """Add it, or find what the same holder's same key has added before."""
        try:
            await self._chains.insert_one(_to_document(chain))
        except DuplicateKeyError:
            found = await self.find_keyed(chain.holder, chain.key)
            if found is None:
                raise
            return found
        return chain

    async def find(self, code: str) -> Chain | None:
        """One of them."""
        document = await self._chains.find_one({"_id": code})
        return _to_chain(document) if document else None

    async def find_keyed(self, holder: int, key: str) -> Chain | None:
        """What this holder asked for under this key."""
        document = await self._chains.find_one({"holder": holder, "key": key})
        return _to_chain(document) if document else None

    async def find_of(self, person: int, since: datetime) -> Sequence[Chain]:
        """For or by this person, of visits since then, newest time first."""
        query = {"$or": [{"citizen": person}, {"holder": person}], "begins_at": {"$gte": since}}
        return [_to_chain(d) async for d in self._chains.find(query).sort("begins_at", -1).limit(MOST_LISTED)]

    async def find_due(self, now: datetime, limit: int) -> Sequence[Chain]:
        """Those whose worker is thought dead, and holds that have run out."""
        return [_to_chain(d) async for d in self._chains.find({"until": {"$lte": now}}).sort("until", 1).limit(limit)]

    async def remove(self, chain: Chain) -> None:
        """It leaves no trace; nothing happens if it is another version by now."""
        await self._chains.delete_one({"_id": chain.code, "version": chain.version})

    async def swap(self, old: Chain, new: Chain) -> bool:
        """Write it over the version that was read; False if it is another by now."""
        document = _to_document(new)
        query = {"_id": old.code, "version": old.version}
        return (await self._chains.replace_one(query, document)).matched_count == 1

    async def move(self, source: int, target: int, session: Session) -> None:
        """Give all of it to another account."""
        step = {"version": {"$add": ["$version", 1]}}  # whoever is at work looks again
        own_key = {"$concat": ["moved ", "$_id"]}  # the target may have used the same one
        await self._chains.update_many(
            {"holder": source}, [{"$set": {"holder": target, "key": own_key} | step}], session=session
        )
        await self._chains.update_many({"citizen": source}, [{"$set": {"citizen": target} | step}], session=session)

    async def erase(self, citizen: int) -> None:
        """Delete all for or by this person."""
        await self._chains.delete_many({"$or": [{"citizen": citizen}, {"holder": citizen}]})


def _to_document(chain: Chain) -> Document:
    fields = {name: value for name, value in asdict(chain).items() if name != "code" and value is not None}
    return {"_id": chain.code} | {name: _plain(value) for name, value in fields.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _to_chain(d: Mapping[str, Any]) -> Chain:
    outcome = d.get("outcome")
    return Chain(
        code=d["_id"],
        citizen=d["citizen"],
        holder=d["holder"],
        key=d["key"],
        quota=d["quota"],
        slots=tuple(d["slots"]),
        parts=tuple(d["parts"]),
        services=tuple(d["services"]),
        begins_at=d["begins_at"],
        stage=Stage(d["stage"]),
        until=d.get("until"),
        version=d["version"],
        outcome=Outcome(outcome) if outcome else None,
        ended_at=d.get("ended_at"),
        moves=d["moves"],
        targets=tuple(d["targets"]),
    )
