"""The audit log in MongoDB and the checkpoints, in MongoDB and in a file.

Promises. Entries are only ever inserted; no method changes or deletes one. The unique index (stream, seq) lets one
writer have each place, so concurrent writers of any number of processes make one unbroken chain. A key is recorded
once. What is acknowledged is journaled by a majority.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import BulkWriteError, DuplicateKeyError

from server.domain.audit import Checkpoint, Entry, Event, Link, chained
from server.storage.mongo import Database, Document

DUPLICATE_KEY = 11000
_FIELDS = ("stream", "seq", "at", "actor", "action", "object", "result")
Draft = tuple[str, datetime, Event]  # key, time, event


class AuditStore:
    """The collections `audit` and `audit_checkpoints`."""

    def __init__(self, db: Database) -> None:
        self._entries = db["audit"]
        self._checkpoints = db["audit_checkpoints"]

    async def append(self, stream: str, drafts: Sequence[Draft]) -> None:
        """Put them at the end of the chain in this order; those whose key is there already are left out."""
        while drafts:
            entries = chained(await self.head(stream), drafts, stream)
            try:
                await self._entries.insert_many([_to_document(entry) for entry in entries], ordered=True)
            except BulkWriteError as error:
                drafts = _left(error, drafts)
            else:
                return

    async def head(self, stream: str) -> Link:
        """Where the chain ends."""
        last = await self._entries.find_one({"stream": stream}, {"seq": 1, "hash": 1}, sort=[("seq", DESCENDING)])
        return Link(last["seq"], bytes(last["hash"])) if last else Link()

    async def list_streams(self) -> list[str]:
        """All chains that have an entry or a checkpoint."""
        names = [*await self._entries.distinct("stream"), *await self._checkpoints.distinct("stream")]
        return sorted({str(name) for name in names})

    async def stream(self, stream: str, after: int = 0) -> AsyncIterator[Entry]:
        """The entries of a chain in order, from number `after` + 1."""
        query: dict[str, Any] = {"stream": stream} | ({"seq": {"$gt": after}} if after else {})
        async for document in self._entries.find(query).sort("seq", ASCENDING):
            yield _from_document(document)

    async def list_latest(self, stream: str, before: int | None, limit: int) -> list[Entry]:
        """The newest entries of a chain, newest first; `before` continues where another page ended."""
        query: dict[str, Any] = {"stream": stream} | ({"seq": {"$lt": before}} if before is not None else {})
        found = self._entries.find(query).sort("seq", DESCENDING).limit(limit)
        return [_from_document(document) async for document in found]

    async def insert_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Keep it; False if this place has been signed already."""
        document = _checkpoint_fields(checkpoint)
        try:
            await self._checkpoints.insert_one({"_id": f"{checkpoint.stream}/{checkpoint.link.seq}", **document})
        except DuplicateKeyError:
            return False
        return True

    async def last_signed(self, stream: str) -> int:
        """The number of the last entry that a checkpoint covers, 0 = none."""
        last = await self._checkpoints.find_one({"stream": stream}, {"seq": 1}, sort=[("seq", DESCENDING)])
        return int(last["seq"]) if last else 0

    async def list_checkpoints(self, stream: str) -> list[Checkpoint]:
        """All of a chain, in order."""
        found = self._checkpoints.find({"stream": stream}).sort("seq", ASCENDING)
        return [_checkpoint(document) async for document in found]


class CheckpointFile:
    """The same checkpoints as JSON lines: out of reach of who can write to the database only."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, checkpoint: Checkpoint) -> None:
        """Write one line and flush it to the disk. Blocks: not on the loop."""
        fields = _checkpoint_fields(checkpoint)
        fields |= {"hash": checkpoint.link.hash.hex(), "signature": checkpoint.signature.hex()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, orjson.dumps(fields) + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self) -> list[Checkpoint]:
        """All that were written; a torn last line is none. Blocks."""
        if not self._path.exists():
            return []
        found = []
        for line in self._path.read_bytes().splitlines():
            try:
                fields = orjson.loads(line)
                at = datetime.fromisoformat(fields["at"])
                raw = {name: bytes.fromhex(fields[name]) for name in ("hash", "signature")}
                found.append(_checkpoint({**fields, **raw, "at": at}))
            except (ValueError, KeyError, TypeError):
                continue
        return found


def _left(error: BulkWriteError, drafts: Sequence[Draft]) -> Sequence[Draft]:
    """What is still to be written after an insert that stopped at a taken place or a known key."""
    refused = (error.details or {}).get("writeErrors") or []
    if not refused or refused[0]["code"] != DUPLICATE_KEY:
        raise error
    index = int(refused[0]["index"])
    is_known = "_id" in refused[0].get("keyPattern", {})
    return drafts[index + 1 :] if is_known else drafts[index:]


def _to_document(entry: Entry) -> Document:
    return {
        "_id": entry.key,
        "stream": entry.stream,
        "seq": entry.seq,
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "object": entry.object,
        "result": entry.result,
        "details": dict(entry.details),
        "hash": entry.hash,
    }


def _from_document(document: Document) -> Entry:
    """The entry; a document that was tampered with becomes one whose hash cannot fit, never an exception."""
    fields = {name: document.get(name, "") for name in _FIELDS}
    details = document["details"] if isinstance(document.get("details"), dict) else {"?": "details"}
    if strange := set(document) - {"_id", "details", "hash", *_FIELDS}:
        details = details | {"?": ",".join(sorted(map(str, strange)))}
    if type(fields["seq"]) is not int:
        fields["seq"] = 0
    digest = document.get("hash")
    return Entry(key=str(document["_id"]), details=details, hash=digest if isinstance(digest, bytes) else b"", **fields)


def _checkpoint_fields(checkpoint: Checkpoint) -> Document:
    return {
        "stream": checkpoint.stream,
        "seq": checkpoint.link.seq,
        "hash": checkpoint.link.hash,
        "at": checkpoint.at,
        "signer": checkpoint.signer,
        "signature": checkpoint.signature,
    }


def _checkpoint(fields: Document) -> Checkpoint:
    link = Link(int(fields["seq"]), bytes(fields["hash"]))
    return Checkpoint(str(fields["stream"]), link, fields["at"], str(fields["signer"]), bytes(fields["signature"]))
