"""Point reads that go together: who asks while a read is out shares the next one, one `$in` instead of a read each.

Promises. A read begins after everybody who shares it has asked, so nobody is told of a state older than their question:
a log-out, a lock, an erasure that was acknowledged before is seen. Nothing is kept. A caller that goes away in the
middle costs the others a second read, never their answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from server.storage.gathering import Gathering, StoppedError
from server.storage.mongo import Collection, Document

Key = TypeVar("Key")
Found = tuple[Document | None, ...]


class Part:
    """Where to look: documents of a collection by a field that is unique there, and what of them is read."""

    def __init__(self, collection: Collection, field: str, fields: Mapping[str, int]) -> None:
        self._collection = collection
        self._field = field
        self._fields = fields

    async def read(self, keys: Sequence[object]) -> Mapping[object, Document]:
        """The documents that exist, by key; in one round trip."""
        query = {self._field: {"$in": keys}}
        cursor = self._collection.find(query, self._fields, batch_size=len(keys) + 1)  # one more: no second trip to ask
        return {document[self._field]: document for document in await cursor.to_list()}


class PointReads(Generic[Key]):
    """Reads of one document from each of the parts, by the same key."""

    def __init__(self, *parts: Part) -> None:
        self._parts = parts
        self._gathering: Gathering[Key, Found] = Gathering(self._read)

    async def find(self, key: Key) -> Found:
        """One document, or None, for each part; shared with others that ask for the same, so not to be changed."""
        while True:
            try:
                return await self._gathering.ask(key)
            except StoppedError:  # each time another caller has gone: it cannot go on for ever
                continue

    async def _read(self, keys: list[Key]) -> Sequence[Found]:
        distinct = list(dict.fromkeys(keys))
        found = await asyncio.gather(*(part.read(distinct) for part in self._parts))
        return [tuple(documents.get(key) for documents in found) for key in keys]
