"""How one person can be reached, as a whole: to hand out, to move to a joined account, to erase.

Addresses are sealed to their owner, so whoever gets them has them sealed anew. A verified phone or openid belongs to
one person (unique): the old owner loses it in the same transaction, before the new one gets it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.domain.broadcasts import CHANNELS
from server.storage.mongo import Database, Document, Session
from server.storage.vault import Vault


class AddressBook:
    """The collections `addresses` and `citizens`, person by person."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._addresses = db["addresses"]
        self._citizens = db["citizens"]
        self._vault = vault

    async def export(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """Channel and value of each address."""
        document = await self._addresses.find_one({"_id": citizen}) or {}
        return [
            {"channel": channel, "value": self._vault.open(each["value"], owner=_owner(citizen, channel))}
            for channel in CHANNELS
            for each in document.get(channel, ())
        ]

    async def has_others(self, citizen: int, channels: Sequence[str], index: bytes) -> bool:
        """Whether this person has another address than this one (its blind index) on these channels."""
        document = await self._addresses.find_one({"_id": citizen}, {f"{c}.index": 1 for c in channels}) or {}
        return any(bytes(each["index"]) != index for channel in channels for each in document.get(channel, ()))

    async def holds(self, citizen: int, channel: str, index: bytes) -> bool:
        """Whether this address (its blind index) is theirs."""
        return await self._addresses.find_one({"_id": citizen, f"{channel}.index": index}, {"_id": 1}) is not None

    async def move(self, source: int, target: int, session: Session) -> None:
        """Give the addresses over; the two documents of the source go, with whatever nobody moved before.

        May be repeated: then there is nothing left to give.
        """
        given = await self._addresses.find_one({"_id": source}, session=session) or {}
        kept = await self._addresses.find_one({"_id": target}, session=session) or {}
        await self._addresses.delete_one({"_id": source}, session=session)
        await self._citizens.delete_one({"_id": source}, session=session)
        if fields := self._united(source, target, given, kept):
            fresh = {} if "lang" in kept else {"lang": given["lang"]}
            await self._addresses.update_one({"_id": target}, {"$set": fields | fresh}, upsert=True, session=session)
            usable = [c for c in CHANNELS if given.get(c) or kept.get(c)]
            update = {"$set": {"channels": usable}, "$setOnInsert": {"places": []}}
            await self._citizens.update_one({"_id": target}, update, upsert=True, session=session)

    async def erase(self, citizen: int) -> None:
        """Nothing reaches this person any more. May be repeated."""
        await self._citizens.delete_one({"_id": citizen})
        await self._addresses.delete_one({"_id": citizen})

    def _united(self, source: int, target: int, given: Document, kept: Document) -> Document:
        """The lists of the target's addresses that grow."""
        return {
            channel: [
                *kept.get(channel, ()),
                *(self._resealed(each, channel, source, target) for each in given[channel]),
            ]
            for channel in CHANNELS
            if given.get(channel)
        }

    def _resealed(self, address: Document, channel: str, source: int, target: int) -> Document:
        text = self._vault.open(address["value"], owner=_owner(source, channel))
        return address | {"value": self._vault.seal(text, owner=_owner(target, channel))}


def _owner(citizen: int, channel: str) -> str:
    return f"addresses|{citizen}|{channel}"
