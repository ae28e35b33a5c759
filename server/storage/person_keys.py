"""One data key per person, so that erasing a person means throwing one key away.

`person_keys`: {_id: citizen, key: sealed}. What is about one person and not needed for sending (name, ID number, texts,
forms) is sealed with that person's key; copies of such values in old backups cannot be opened once the key is gone.
Addresses are sealed with the city's key, because a page of 500 must open at once; they are deleted with the person.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping

from server.storage.mongo import Database
from server.storage.vault import SealedError, Vault

KEY_BYTES = 32
PERSON_VERSION = 1  # within one person's key; that key itself is sealed anew when the city's key changes


class ShreddedError(SealedError):
    """The person's key is gone: they were erased."""


class PersonVault:
    """Seals and opens what belongs to one person. Nothing is kept in memory: an erasure holds at once, everywhere."""

    def __init__(self, db: Database, vault: Vault, random: Callable[[int], bytes]) -> None:
        self._keys = db["person_keys"]
        self._vault = vault
        self._random = random

    async def of(self, citizen: int) -> Vault:
        """The vault of one person; the key is made at the first call. ShreddedError if they were erased."""
        fresh = self._vault.seal(b64encode(self._random(KEY_BYTES)).decode(), owner=_owner(citizen))
        document = await self._keys.find_one({"_id": citizen})
        if document is None:
            await self._keys.update_one({"_id": citizen}, {"$setOnInsert": {"key": fresh}}, upsert=True)
            document = await self._keys.find_one({"_id": citizen})
        if document is None or "key" not in document:
            raise ShreddedError(f"the key of {citizen} is gone")
        return self._opened(citizen, document["key"])

    async def of_all(self, citizens: Iterable[int]) -> Mapping[int, Vault]:
        """The vaults of those of these people who have a key."""
        query = {"_id": {"$in": list(citizens)}, "key": {"$exists": True}}
        return {d["_id"]: self._opened(d["_id"], d["key"]) async for d in self._keys.find(query).batch_size(1_000)}

    async def find_shredded(self, citizens: Iterable[int]) -> frozenset[int]:
        """Those of these people who were erased."""
        query = {"_id": {"$in": list(citizens)}, "key": {"$exists": False}}
        return frozenset([d["_id"] async for d in self._keys.find(query, {"_id": 1})])

    async def shred(self, citizen: int) -> None:
        """Throw the key away, for good: a tombstone keeps a new one from being made."""
        await self._keys.update_one({"_id": citizen}, {"$unset": {"key": ""}}, upsert=True)

    def _opened(self, citizen: int, sealed: bytes) -> Vault:
        key = b64decode(self._vault.open(sealed, owner=_owner(citizen)))
        return self._vault.with_keys({PERSON_VERSION: key})


def _owner(citizen: int) -> str:
    return f"person_keys|{citizen}|key"
