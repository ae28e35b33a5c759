"""Officers' sessions in MongoDB: found by the hash of their token, ended by deletion, forgotten when they are over."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from pymongo import DESCENDING

from server.domain.sessions import ABSOLUTE, IDLE
from server.storage.mongo import Database, Document
from server.storage.vault import SealedError, Vault


@dataclass(frozen=True, slots=True)
class Kept:
    """A session as it is stored: of whom, not yet who that is."""

    id: str
    officer_id: str
    created_at: datetime
    seen_at: datetime
    totp_at: datetime
    origin: str


def hashed(token: str) -> bytes:
    """What is stored of a token: SHA-256 suffices for 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class SessionStore:
    """The collection `sessions`."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._sessions = db["sessions"]
        self._vault = vault

    async def insert(self, token: str, kept: Kept) -> None:
        """Begin one."""
        await self._sessions.insert_one(
            {
                "_id": hashed(token),
                "id": kept.id,
                "officer": kept.officer_id,
                "created_at": kept.created_at,
                "seen_at": kept.seen_at,
                "totp_at": kept.totp_at,
                "origin": self._vault.seal(kept.origin, owner=f"sessions|{kept.id}|origin"),
            }
        )

    async def find(self, token: str) -> Kept | None:
        """The session of this token, whatever its age."""
        document = await self._sessions.find_one({"_id": hashed(token)})
        return self._kept(document) if document else None

    async def touch(self, session_id: str, at: datetime) -> None:
        """It was used."""
        await self._sessions.update_one({"id": session_id}, {"$max": {"seen_at": at}})

    async def confirm(self, session_id: str, at: datetime) -> bool:
        """Its second factor was shown; False if it has ended meanwhile."""
        result = await self._sessions.update_one({"id": session_id}, {"$max": {"totp_at": at, "seen_at": at}})
        return bool(result.matched_count)

    async def list_live(self, officer_id: str, at: datetime) -> list[Kept]:
        """The sessions of an officer that are not over, newest first."""
        query = {"officer": officer_id, "seen_at": {"$gt": at - IDLE}, "created_at": {"$gt": at - ABSOLUTE}}
        return [self._kept(d) async for d in self._sessions.find(query).sort("created_at", DESCENDING).limit(200)]

    async def end(self, officer_id: str, session_id: str) -> bool:
        """End one session of this officer; False if it has none of this id."""
        return bool((await self._sessions.delete_one({"id": session_id, "officer": officer_id})).deleted_count)

    async def end_all(self, officer_id: str) -> int:
        """End all of them; how many."""
        return (await self._sessions.delete_many({"officer": officer_id})).deleted_count

    def _kept(self, document: Document) -> Kept:
        try:
            origin = self._vault.open(document["origin"], owner=f"sessions|{document['id']}|origin")
        except SealedError:
            origin = ""  # of another data key; no reason to lose the session
        times = {name: document[name] for name in ("created_at", "seen_at", "totp_at")}
        return Kept(id=document["id"], officer_id=document["officer"], origin=origin, **times)
