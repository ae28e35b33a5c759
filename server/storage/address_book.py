"""What `citizens` and `addresses` hold about one person, as a whole: to hand out, to move to another, to erase.

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

    async def export_addresses(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """Channel and value of each address."""
        document = await self._addresses.find_one({"_id": citizen}) or {}
        return [
            {"channel": channel, "value": self._vault.open(each["value"], owner=_owner(citizen, channel))}
            for channel in CHANNELS
            for each in document.get(channel, ())
        ]

    async def export_grants(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """WeChat's accepts by template."""
        document = await self._addresses.find_one({"_id": citizen}, {"grants": 1}) or {}
        return [{"template": name, "left": grant.get("left", 0)} for name, grant in document.get("grants", {}).items()]

    async def export_places(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """Division and point of each place."""
        document = await self._citizens.find_one({"_id": citizen}, {"places": 1}) or {}
        return [{"division": p["division"], "point": p.get("point")} for p in document.get("places", ())]

    async def channels(self, citizen: int) -> frozenset[str]:
        """Where this person can be reached at all."""
        document = await self._addresses.find_one({"_id": citizen}, {f"{c}.index": 1 for c in CHANNELS}) or {}
        return frozenset(channel for channel in CHANNELS if document.get(channel))

    async def holds(self, citizen: int, channel: str, index: bytes) -> bool:
        """Whether this address (its blind index) is theirs."""
        return await self._addresses.find_one({"_id": citizen, f"{channel}.index": index}, {"_id": 1}) is not None

    async def move(self, source: int, target: int, session: Session) -> None:
        """Give places, addresses and grants over; settings (language, quiet hours) are the target's own if it has any.

        May be repeated: then there is nothing left to give.
        """
        given = await self._addresses.find_one({"_id": source}, session=session)
        kept = await self._addresses.find_one({"_id": target}, session=session) or {}
        if given is not None:
            await self._addresses.delete_one({"_id": source}, session=session)
            fields = self._united(source, target, given, kept)
            await self._addresses.update_one({"_id": target}, {"$set": fields}, upsert=True, session=session)
        profile = await self._citizens.find_one({"_id": source}, session=session)
        own = await self._citizens.find_one({"_id": target}, session=session) or {}
        if profile is not None or given is not None:
            fields = self._profile(profile or {}, own, given or {}, kept)
            await self._citizens.delete_one({"_id": source}, session=session)
            await self._citizens.update_one({"_id": target}, {"$set": fields}, upsert=True, session=session)

    async def erase(self, citizen: int) -> None:
        """Nothing reaches this person any more. May be repeated."""
        await self._citizens.delete_one({"_id": citizen})
        await self._addresses.delete_one({"_id": citizen})

    def _united(self, source: int, target: int, given: Document, kept: Document) -> Document:
        """The fields of the target's addresses that change."""
        fields = {name: value for name, value in given.items() if name != "_id" and name not in kept}
        for channel in CHANNELS:
            if given.get(channel):
                fields[channel] = [
                    *kept.get(channel, ()),
                    *(self._resealed(each, channel, source, target) for each in given[channel]),
                ]
        grants = dict(kept.get("grants", {}))
        for template, grant in given.get("grants", {}).items():
            grants[template] = _united_grant(grants.get(template), grant)
        return fields | ({"grants": grants} if grants else {})

    def _resealed(self, address: Document, channel: str, source: int, target: int) -> Document:
        text = self._vault.open(address["value"], owner=_owner(source, channel))
        return address | {"value": self._vault.seal(text, owner=_owner(target, channel))}

    @staticmethod
    def _profile(given: Document, own: Document, addresses: Document, kept: Document) -> Document:
        fields = {name: value for name, value in given.items() if name != "_id" and name not in own}
        places = list(own.get("places", ()))
        places += [place for place in given.get("places", ()) if place not in places]
        usable = [c for c in CHANNELS if addresses.get(c) or kept.get(c)]
        return fields | {"places": places, "channels": usable}


def _united_grant(kept: Document | None, given: Document) -> Document:
    """Accepts belong to an openid, and a person may now have two: they add up, the later time counts."""
    if kept is None:
        return given
    times = [at for at in (kept.get("at"), given.get("at")) if at is not None]
    return {"left": kept.get("left", 0) + given.get("left", 0)} | ({"at": max(times)} if times else {})


def _owner(citizen: int, channel: str) -> str:
    return f"addresses|{citizen}|{channel}"
