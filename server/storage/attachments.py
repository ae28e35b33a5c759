"""Files of applications in MongoDB.

{_id, application, citizen, keeper, material, name: sealed, kind, size_bytes, sha256, at, is_loose}

The file itself is in GridFS, sealed with its keeper's key: in backups too nobody opens it once that key is gone.
`is_loose`: it was put here and its application does not name it yet; `find_loose` finds those that never were named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from gridfs import NoFile
from gridfs.asynchronous import AsyncGridFSBucket

from server.domain.attachments import Attachment, FileKind
from server.storage.mongo import Database, Document, Session
from server.storage.person_keys import PersonVault
from server.storage.vault import Vault

BUCKET = "attachment_data"


class AttachmentStore:
    """The collection `attachments` and its bucket."""

    def __init__(self, db: Database, people: PersonVault) -> None:
        self._attachments = db["attachments"]
        self._bucket = AsyncGridFSBucket(db, BUCKET)
        self._people = people

    async def put(self, attachment: Attachment, data: bytes) -> None:
        """Keep it, loose as yet. ShreddedError for somebody who was erased."""
        vault = await self._people.of(attachment.keeper)
        sealed = await asyncio.to_thread(vault.seal_bytes, data, owner=f"attachments|{attachment.id}|data")
        await self._attachments.insert_one(_to_document(attachment, vault) | {"is_loose": True})
        await self._bucket.upload_from_stream_with_id(attachment.id, attachment.id, sealed)

    async def mark_named(self, attachment: str) -> None:
        """Its application names it now."""
        await self._attachments.update_one({"_id": attachment}, {"$set": {"is_loose": False}})

    async def loosen(self, attachment: str) -> None:
        """Its application is about to name it no more: whoever dies from here on leaves it to the sweep."""
        await self._attachments.update_one({"_id": attachment}, {"$set": {"is_loose": True}})

    async def loosen_of(self, application: str) -> None:
        """All of an application, which is about to go."""
        await self._attachments.update_many({"application": application}, {"$set": {"is_loose": True}})

    async def find(self, application: str, attachment: str) -> Attachment | None:
        """One file of this application, without its content."""
        document = await self._attachments.find_one({"_id": attachment, "application": application})
        if document is None:
            return None
        return _to_attachment(document, await self._people.of(document["keeper"]))

    async def read(self, attachment: Attachment) -> bytes | None:
        """The file; None: it is not there."""
        try:
            stream = await self._bucket.open_download_stream(attachment.id)
            sealed = await stream.read()
        except NoFile:
            return None
        vault = await self._people.of(attachment.keeper)
        return await asyncio.to_thread(vault.open_bytes, sealed, owner=f"attachments|{attachment.id}|data")

    async def delete(self, attachment: str) -> None:
        """Gone. May be repeated."""
        with suppress(NoFile):
            await self._bucket.delete(attachment)
        await self._attachments.delete_one({"_id": attachment})

    async def delete_of(self, application: str) -> None:
        """All of an application."""
        async for document in self._attachments.find({"application": application}, {"_id": 1}):
            await self.delete(document["_id"])

    async def find_loose(self, before: datetime, limit: int) -> Mapping[str, str]:
        """Files that nobody has named since then, with their applications."""
        cursor = self._attachments.find({"is_loose": True, "at": {"$lt": before}}, {"application": 1}).limit(limit)
        return {d["_id"]: d["application"] async for d in cursor}

    async def all_of(self, citizen: int) -> list[Attachment]:
        """What somebody has attached."""
        documents = await self._attachments.find({"citizen": citizen}).sort("at", 1).to_list()
        vaults = await self._people.of_all({d["keeper"] for d in documents}) if documents else {}
        return [_to_attachment(d, vaults[d["keeper"]]) for d in documents if d["keeper"] in vaults]

    async def move(self, source: int, target: int, session: Session) -> None:
        """They are another's now; they stay sealed with the key of their keeper, which goes when the other's goes."""
        await self._attachments.update_many({"citizen": source}, {"$set": {"citizen": target}}, session=session)

    async def erase(self, citizen: int) -> None:
        """All of them. May be repeated."""
        async for document in self._attachments.find({"citizen": citizen}, {"_id": 1}):
            await self.delete(document["_id"])


def _to_document(attachment: Attachment, vault: Vault) -> Document:
    return {
        "_id": attachment.id,
        "application": attachment.application,
        "citizen": attachment.citizen,
        "keeper": attachment.keeper,
        "material": attachment.material,
        "name": vault.seal(attachment.name, owner=f"attachments|{attachment.id}|name"),
        "kind": attachment.kind.value,
        "size_bytes": attachment.size_bytes,
        "sha256": attachment.sha256,
        "at": attachment.at,
    }


def _to_attachment(d: Document, vault: Vault) -> Attachment:
    return Attachment(
        id=d["_id"],
        application=d["application"],
        citizen=d["citizen"],
        keeper=d["keeper"],
        material=d["material"],
        name=vault.open(d["name"], owner=f"attachments|{d['_id']}|name"),
        kind=FileKind(d["kind"]),
        size_bytes=d["size_bytes"],
        sha256=d["sha256"],
        at=d["at"],
    )
