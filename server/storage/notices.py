"""Notices to one person in MongoDB: {_id: key, title, body, page, told_at, gone_at, withdrawn_at}."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from server.domain.notices import Notice
from server.domain.wording import Words
from server.storage.mongo import Database


class NoticeStore:
    """The collection `notices`; the database deletes them after `gone_at`."""

    def __init__(self, db: Database) -> None:
        self._notices = db["notices"]

    async def put(self, key: str, notice: Notice, gone_at: datetime) -> None:
        """Store it; a key that is known already changes nothing."""
        fields = {
            "title": list(notice.title),
            "body": list(notice.body),
            "page": notice.page,
            "told_at": notice.told_at,
            "gone_at": gone_at,
        }
        await self._notices.update_one({"_id": key}, {"$setOnInsert": fields}, upsert=True)

    async def find(self, keys: Sequence[str]) -> dict[str, Notice]:
        """Those of these that exist and were not withdrawn."""
        return {
            d["_id"]: Notice(Words(*d["title"]), Words(*d["body"]), d["page"], d["told_at"])
            async for d in self._notices.find({"_id": {"$in": list(keys)}, "withdrawn_at": None})
        }

    async def withdraw(self, key: str, now: datetime) -> None:
        """Forget the words, for good: the key stays, so that telling it again does not bring it back."""
        await self._notices.update_one(
            {"_id": key}, {"$set": {"withdrawn_at": now}, "$unset": {"title": "", "body": "", "page": ""}}
        )
