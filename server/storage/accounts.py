"""Accounts in MongoDB: {_id: citizen id, public, kind, state, session_version, version, log_ins, language, ...}.

Who is warned stands in `citizens` and `addresses`; most of those people never log in and have no account. An account is
made at the first log-in. What identifies a person (`name`, `id_number`, `uscc`) is sealed with the person's key and
found by a blind index; the stores of other features keep nothing of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pymongo import ReturnDocument

from server.domain.citizens import Account, AccountState, Client, Kind, LogIn
from server.domain.errors import NotFoundError
from server.storage.mongo import Database, Document, Session
from server.storage.point_reads import Part, PointReads

LOG_INS = 20  # live at once per account; the one that was used longest ago gives way
PLAIN = ("public", "session_version", "version", "is_real_name", "language", "is_elder_mode", "created_at")
FIELDS = dict.fromkeys((*PLAIN, "kind", "state", "log_ins"), 1)


class Accounts:
    """The collection `accounts`."""

    def __init__(self, db: Database) -> None:
        self._accounts = db["accounts"]
        self._by_public: PointReads[str] = PointReads(Part(self._accounts, "public", FIELDS))

    async def open(self, citizen: int, public: str, *, kind: Kind, now: datetime) -> Account:
        """The account of this citizen, made if there is none (`public` is its public id then). May be repeated."""
        fresh = fresh_account(public, kind, now)
        document = await self._accounts.find_one_and_update(
            {"_id": citizen}, {"$setOnInsert": fresh}, FIELDS, upsert=True, return_document=ReturnDocument.AFTER
        )
        assert document is not None
        return to_account(document)

    async def get(self, citizen: int) -> Account:
        """The account of this citizen; NotFoundError."""
        document = await self._accounts.find_one({"_id": citizen}, FIELDS)
        if document is None:
            raise _unknown()
        return to_account(document)

    async def find_public(self, public: str) -> Account | None:
        """The account of this public id, whatever its state. Every request of a citizen asks: it is read together."""
        [document] = await self._by_public.find(public)
        return to_account(document) if document else None

    async def begin_log_in(self, citizen: int, log_in: LogIn) -> None:
        """Add a log-in; beyond the bound the one that was used longest ago ends."""
        push = {"$each": [_from_log_in(log_in)], "$sort": {"seen_at": 1}, "$slice": -LOG_INS}
        await self._accounts.update_one({"_id": citizen}, {"$push": {"log_ins": push}})

    async def touch_log_in(self, citizen: int, log_in: str, at: datetime) -> None:
        """It was used."""
        await self._accounts.update_one({"_id": citizen, "log_ins.id": log_in}, {"$max": {"log_ins.$.seen_at": at}})

    async def end_log_in(self, citizen: int, log_in: str) -> bool:
        """End it: its access tokens are void at once; False if there is no such log-in."""
        result = await self._accounts.update_one({"_id": citizen}, {"$pull": {"log_ins": {"id": log_in}}})
        return bool(result.modified_count)

    async def end_log_ins(self, citizen: int, session: Session | None = None) -> None:
        """End all of them."""
        await self._accounts.update_one(
            {"_id": citizen}, {"$set": {"log_ins": []}, "$inc": {"session_version": 1}}, session=session
        )

    async def change(
        self, citizen: int, fields: Document, *, version: int | None = None, session: Session | None = None
    ) -> Account | None:
        """Set fields of the profile and count its version up; None if it is not of this version any more."""
        query = {"_id": citizen} if version is None else {"_id": citizen, "version": version}
        document = await self._accounts.find_one_and_update(
            query,
            {"$set": fields, "$inc": {"version": 1}},
            FIELDS,
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        return to_account(document) if document else None

    async def lock(self, citizen: int) -> None:
        """End all its log-ins and let nobody log in any more. What is erased or joined stays so."""
        await self._accounts.update_one(
            {"_id": citizen, "state": {"$in": [AccountState.ACTIVE.value, AccountState.LOCKED.value]}},
            {"$set": {"state": AccountState.LOCKED.value, "log_ins": []}, "$inc": {"session_version": 1}},
        )

    async def erase(self, citizen: int) -> None:
        """Leave a tombstone: ids, kind, when it was made. Whatever else stood there is gone. May be repeated."""
        bare: dict[str, Any] = {
            "state": AccountState.ERASED.value, "log_ins": [], "is_real_name": False, "language": "zh",
            "is_elder_mode": False,
        }  # fmt: skip
        kept = {name: f"${name}" for name in ("_id", "public", "kind", "session_version", "version", "created_at")}
        await self._accounts.update_one({"_id": citizen}, [{"$replaceWith": kept | bare}])


def fresh_account(public: str, kind: Kind, now: datetime) -> dict[str, Any]:
    """The fields of a new account."""
    return {
        "public": public, "kind": kind.value, "state": AccountState.ACTIVE.value, "session_version": 1,
        "version": 1, "log_ins": [], "is_real_name": False, "language": "zh", "is_elder_mode": False,
        "created_at": now,
    }  # fmt: skip


def _unknown() -> NotFoundError:
    return NotFoundError("account_unknown", zh="没有这个账户", en="there is no such account")


def _from_log_in(log_in: LogIn) -> Document:
    return {
        "id": log_in.id,
        "client": log_in.client.value,
        "label": log_in.label,
        "began_at": log_in.began_at,
        "seen_at": log_in.seen_at,
    }


def to_account(d: Document) -> Account:
    """What a document of FIELDS says."""
    return Account(
        id=d["_id"],
        kind=Kind(d["kind"]),
        state=AccountState(d["state"]),
        log_ins=tuple(LogIn(**{**each, "client": Client(each["client"])}) for each in d["log_ins"]),
        **{name: d[name] for name in PLAIN},
    )
