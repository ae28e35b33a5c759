"""Verified names in MongoDB: fields of `accounts`, sealed with the person's key and found by a blind index.

`accounts`: {..., is_real_name, name: sealed, id_number | uscc: sealed, id_index, name_index, real_name_at}. Promises:
one number belongs to one account (unique `id_index`); name and number are written together or not at all.
`attempts`: {_id: kind|blind index|day, n, at}: what somebody tried today.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from pymongo.errors import DuplicateKeyError

from server.domain.china import china_day
from server.domain.citizens import Kind
from server.domain.errors import NotFoundError
from server.domain.real_name import RealName
from server.storage.accounts import fresh_account
from server.storage.mongo import Database, Document, Session
from server.storage.person_keys import PersonVault
from server.storage.vault import Vault

FIELD = {Kind.PERSON: "id_number", Kind.ORGANISATION: "uscc"}
GONE = dict.fromkeys(("name", "id_number", "uscc", "id_index", "name_index", "real_name_at"), "")


class RealNameStore:
    """Reads and writes the verified names of accounts."""

    def __init__(self, db: Database, vault: Vault, people: PersonVault) -> None:
        self._accounts = db["accounts"]
        self._attempts = db["attempts"]
        self._vault = vault
        self._people = people

    def identity(self, number: str, kind: Kind = Kind.PERSON) -> bytes:
        """The blind index of a number."""
        return self._vault.index(number, field=f"accounts.{FIELD[kind]}")

    def name_index(self, name: str) -> bytes:
        """The blind index of a name."""
        return self._vault.index(name, field="accounts.name")

    async def seal(self, citizen: int, real_name: RealName, now: datetime, kind: Kind = Kind.PERSON) -> Document:
        """The fields that bind this account to this name. The person's key is made if there is none."""
        vault = await self._people.of(citizen)
        return {
            "is_real_name": True,
            "name": vault.seal(real_name.name, owner=f"accounts|{citizen}|name"),
            FIELD[kind]: vault.seal(real_name.number, owner=f"accounts|{citizen}|{FIELD[kind]}"),
            "id_index": self.identity(real_name.number, kind),
            "name_index": self.name_index(real_name.name),
            "real_name_at": now,
        }

    async def bind(self, citizen: int, sealed: Document) -> bool:
        """Write what `seal` made to an account without a name; False: the number belongs to another account.

        An account that has a name keeps it: read it again.
        """
        change = {"$set": sealed, "$inc": {"version": 1}}
        try:
            await self._accounts.update_one({"_id": citizen, "is_real_name": False}, change)
        except DuplicateKeyError:
            return False
        return True

    async def move(self, source: int, target: int, session: Session) -> None:
        """Give a verified name to an account that has none, within the caller's transaction. May be repeated."""
        named, bare = {"_id": source, "is_real_name": True}, {"_id": target, "is_real_name": False}
        given = await self._accounts.find_one(named, {"real_name_at": 1}, session=session)
        takes = await self._accounts.find_one(bare, {"_id": 1}, session=session)
        found = await self.find(source)
        if given is None or takes is None or found is None:
            return
        sealed = await self.seal(target, found, given["real_name_at"])
        await self.clear(source, session)
        await self._accounts.update_one(bare, {"$set": sealed, "$inc": {"version": 1}}, session=session)

    async def open(self, citizen: int, public: str, kind: Kind, real_name: RealName, now: datetime) -> bool:
        """A new account with this name, which nobody logs in to: an organisation's, or a dependant's.

        False: the number belongs to an account already; then nothing has happened.
        """
        document = fresh_account(public, kind, now) | await self.seal(citizen, real_name, now, kind)
        try:
            await self._accounts.insert_one({"_id": citizen, "is_dependant": kind is Kind.PERSON} | document)
        except DuplicateKeyError:
            return False
        return True

    async def is_dependant(self, citizen: int) -> bool:
        """Whether the account was made for somebody by their guardian."""
        return await self._accounts.find_one({"_id": citizen, "is_dependant": True}, {"_id": 1}) is not None

    async def find(self, citizen: int) -> RealName | None:
        """The verified name and number of an account."""
        fields = {"kind": 1, "name": 1, "id_number": 1, "uscc": 1}
        document = await self._accounts.find_one({"_id": citizen, "is_real_name": True}, fields)
        if document is None:
            return None
        vault = await self._people.of(citizen)
        field = FIELD[Kind(document["kind"])]
        return RealName(
            vault.open(document["name"], owner=f"accounts|{citizen}|name"),
            vault.open(document[field], owner=f"accounts|{citizen}|{field}"),
        )

    async def find_names(self, citizens: Collection[int]) -> dict[int, str]:
        """The verified names of those of these people who have one, without their numbers."""
        query = {"_id": {"$in": list(citizens)}, "is_real_name": True}
        found = await self._accounts.find(query, {"name": 1}).to_list() if citizens else []
        vaults = await self._people.of_all([d["_id"] for d in found]) if found else {}
        return {
            d["_id"]: vaults[d["_id"]].open(d["name"], owner=f"accounts|{d['_id']}|name")
            for d in found
            if d["_id"] in vaults
        }

    async def find_indexes(self, citizen: int) -> tuple[bytes, bytes] | None:
        """Blind indexes of number and name, without opening anything."""
        d = await self._accounts.find_one({"_id": citizen, "is_real_name": True}, {"id_index": 1, "name_index": 1})
        return (bytes(d["id_index"]), bytes(d["name_index"])) if d else None

    async def find_owner(self, identity: bytes) -> int | None:
        """Whose number this is."""
        document = await self._accounts.find_one({"id_index": identity}, {"_id": 1})
        return int(document["_id"]) if document else None

    async def find_owners(self, numbers: Collection[str]) -> dict[str, int]:
        """Whose ID numbers these are, in one query; a number that nobody here has is absent."""
        by_index = {self.identity(number): number for number in numbers}
        cursor = self._accounts.find({"id_index": {"$in": list(by_index)}}, {"id_index": 1}).batch_size(1_000)
        return {by_index[bytes(d["id_index"])]: d["_id"] async for d in cursor}

    async def clear(self, citizen: int, session: Session | None = None) -> None:
        """Take name and number off. May be repeated."""
        change = {"$unset": GONE, "$set": {"is_real_name": False}, "$inc": {"version": 1}}
        result = await self._accounts.update_one({"_id": citizen}, change, session=session)
        if not result.matched_count:
            raise NotFoundError("account_unknown", zh="没有这个账户", en="there is no such account")

    async def take_try(self, kind: str, citizen: int, now: datetime, limit: int) -> bool:
        """Count one try of today (China); False if there were `limit` already. In one atomic write."""
        query = {"_id": self._try(kind, citizen, now), "n": {"$lt": limit}}
        try:
            await self._attempts.update_one(query, {"$inc": {"n": 1}, "$set": {"at": now}}, upsert=True)
        except DuplicateKeyError:  # it exists and is not below the limit, or another was first to make it
            again = await self._attempts.update_one(query, {"$inc": {"n": 1}, "$set": {"at": now}})
            return bool(again.matched_count)
        return True

    async def give_back_try(self, kind: str, citizen: int, now: datetime) -> None:
        """It was no fault of theirs."""
        await self._attempts.update_one({"_id": self._try(kind, citizen, now), "n": {"$gt": 0}}, {"$inc": {"n": -1}})

    def _try(self, kind: str, citizen: int, now: datetime) -> str:
        day = china_day(now)
        return f"{kind}|{self._vault.index(str(citizen), field=f'attempts.{kind}').hex()}|{day}"
