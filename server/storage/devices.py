"""Apps that get push notices, one per log-in. The token itself is an address (`addresses.push`); here stands its index.

`devices`: {_id, citizen, log_in, index, platform, label, registered_at}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.domain.log_in import Device, Platform
from server.storage.mongo import Database, Document, Session


class Kept(NamedTuple):
    """A device and the blind index of its token."""

    device: Device
    blind: bytes


class DeviceStore:
    """The collection `devices`."""

    def __init__(self, db: Database) -> None:
        self._devices = db["devices"]

    async def put(self, citizen: int, kept: Kept) -> Device:
        """The one device of its log-in; its id is kept if it had one."""
        device, blind = kept
        fields = {
            "citizen": citizen,
            "index": blind,
            "platform": device.platform.value,
            "label": device.label,
            "registered_at": device.registered_at,
        }
        update = {"$set": fields, "$setOnInsert": {"_id": device.id}}
        while True:
            try:
                document = await self._devices.find_one_and_update(
                    {"log_in": device.log_in}, update, upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:  # the same log-in registers twice at once
                continue
            assert document is not None
            return _kept(document).device

    async def list(self, citizen: int) -> Sequence[Kept]:
        """Those of a citizen, newest first."""
        return [_kept(d) async for d in self._devices.find({"citizen": citizen}).sort("registered_at", -1).limit(100)]

    async def find(self, citizen: int, device: str) -> Kept | None:
        """One of a citizen."""
        document = await self._devices.find_one({"_id": device, "citizen": citizen})
        return _kept(document) if document else None

    async def find_log_in(self, log_in: str) -> Kept | None:
        """That of a log-in."""
        document = await self._devices.find_one({"log_in": log_in})
        return _kept(document) if document else None

    async def delete(self, device: str) -> None:
        """Forget one."""
        await self._devices.delete_one({"_id": device})

    async def delete_others(self, index: bytes, log_in: str) -> None:
        """Forget every device of this token that is of another log-in."""
        await self._devices.delete_many({"index": index, "log_in": {"$ne": log_in}})

    async def move(self, source: int, target: int, session: Session) -> None:
        """Give them to another citizen; their log-ins are over."""
        update = {"$set": {"citizen": target}, "$unset": {"log_in": ""}}
        await self._devices.update_many({"citizen": source}, update, session=session)

    async def delete_all(self, citizen: int) -> None:
        """Forget those of a citizen."""
        await self._devices.delete_many({"citizen": citizen})


def _kept(d: Document) -> Kept:
    device = Device(d["_id"], d.get("log_in"), Platform(d["platform"]), d["label"], d["registered_at"])
    return Kept(device, bytes(d["index"]))
