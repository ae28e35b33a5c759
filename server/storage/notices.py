"""Notices to one person in MongoDB: {_id: key, citizen, words: sealed, told_at, gone_at, withdrawn_at}.

The words are sealed with the person's key: with the key they are gone, in backups too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson

from server.domain.notices import Notice
from server.domain.wording import Words
from server.storage.mongo import Database, Document, Session
from server.storage.person_keys import PersonVault
from server.storage.vault import SealedError, Vault


class NoticeStore:
    """The collection `notices`; the database deletes them after `gone_at`."""

    def __init__(self, db: Database, people: PersonVault) -> None:
        self._notices = db["notices"]
        self._people = people

    async def put(self, key: str, citizen: int, notice: Notice, gone_at: datetime) -> None:
        """Store it; a key that is known already changes nothing. ShreddedError for somebody who was erased."""
        fields = {
            "citizen": citizen,
            "words": _sealed(await self._people.of(citizen), key, notice),
            "told_at": notice.told_at,
            "gone_at": gone_at,
        }
        await self._notices.update_one({"_id": key}, {"$setOnInsert": fields}, upsert=True)

    async def find(self, keys: Sequence[str]) -> dict[str, Notice]:
        """Those of these that exist, were not withdrawn, and can be opened."""
        query = {"_id": {"$in": list(keys)}, "withdrawn_at": None}
        documents = await self._notices.find(query).batch_size(1_000).to_list()
        return _opened(documents, await self._people.of_all({d["citizen"] for d in documents}) if documents else {})

    async def withdraw(self, key: str, now: datetime) -> None:
        """Forget the words, for good: the key stays, so that telling it again does not bring it back."""
        await self._notices.update_one({"_id": key}, {"$set": {"withdrawn_at": now}, "$unset": {"words": ""}})

    async def move(self, source: int, target: int, session: Session) -> None:
        """Give a person's notices to another, sealed with the other's key."""
        documents = await self._notices.find({"citizen": source}, session=session).to_list()
        if not documents:
            return
        words = _opened(documents, await self._people.of_all([source]))
        vault = await self._people.of(target)
        for d in documents:
            change: Document = {"$set": {"citizen": target}, "$unset": {"words": ""}}
            if notice := words.get(d["_id"]):
                change = {"$set": {"citizen": target, "words": _sealed(vault, d["_id"], notice)}}
            await self._notices.update_one({"_id": d["_id"]}, change, session=session)

    async def erase(self, citizen: int) -> None:
        """Delete a person's notices."""
        await self._notices.delete_many({"citizen": citizen})


def _sealed(vault: Vault, key: str, notice: Notice) -> bytes:
    words = {"title": list(notice.title), "body": list(notice.body), "page": notice.page}
    return vault.seal(orjson.dumps(words).decode(), owner=_owner(key))


def _opened(documents: Sequence[Document], vaults: Mapping[int, Vault]) -> dict[str, Notice]:
    found = {}
    for d in documents:
        vault = vaults.get(d["citizen"])
        if vault is None or "words" not in d:
            continue
        try:
            words = orjson.loads(vault.open(d["words"], owner=_owner(d["_id"])))
        except SealedError:
            continue  # one spoilt value must not silence the others
        found[d["_id"]] = Notice(Words(*words["title"]), Words(*words["body"]), words["page"], d["told_at"])
    return found


def _owner(key: str) -> str:
    return f"notices|{key}|words"
