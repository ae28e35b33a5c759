"""Notices to one person in MongoDB: {_id: key, words: sealed, told_at, gone_at, withdrawn_at}.

What somebody is told is about them, so the words are sealed: with the city's key, for a page of 500 is rendered
at once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import structlog

from server.domain.notices import Notice
from server.domain.wording import Words
from server.storage.mongo import Database, Document
from server.storage.vault import KeyMissingError, SealedError, Vault

log = structlog.get_logger()


class NoticeStore:
    """The collection `notices`; the database deletes them after `gone_at`."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._notices = db["notices"]
        self._vault = vault

    async def put(self, key: str, notice: Notice, gone_at: datetime) -> None:
        """Store it; a key that is known already changes nothing."""
        words = json.dumps([*notice.title, *notice.body, notice.page], ensure_ascii=False)
        sealed = self._vault.seal(words, owner=f"notices|{key}|words")
        fields = {"words": sealed, "told_at": notice.told_at, "gone_at": gone_at}
        await self._notices.update_one({"_id": key}, {"$setOnInsert": fields}, upsert=True)

    async def find(self, keys: Sequence[str]) -> dict[str, Notice]:
        """Those of these that exist and were not withdrawn; one that does not open holds the others up as little."""
        found = {}
        async for d in self._notices.find({"_id": {"$in": list(keys)}, "withdrawn_at": None}):
            try:
                found[d["_id"]] = self._opened(d)
            except KeyMissingError:
                raise  # the fault is ours: nobody goes without for it
            except SealedError:
                log.warning("notice_spoilt", notice=d["_id"])
        return found

    async def withdraw(self, key: str, now: datetime) -> None:
        """Forget the words, for good: the key stays, so that telling it again does not bring it back."""
        await self._notices.update_one({"_id": key}, {"$set": {"withdrawn_at": now}, "$unset": {"words": ""}})

    def _opened(self, d: Document) -> Notice:
        title, title_en, body, body_en, page = json.loads(
            self._vault.open(d["words"], owner=f"notices|{d['_id']}|words")
        )
        return Notice(Words(title, title_en), Words(body, body_en), page, d["told_at"])
