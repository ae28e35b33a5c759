"""Live log-ins of citizens in MongoDB, and what is kept for a short time around logging in.

`log_ins`: {_id: log-in, citizen, family, current, past, began_at, seen_at, gone_at}: one document per log-in, however
often its refresh token changes. `family` and `current` are hashes of the token's halves; `past` holds the last few used
second halves, each with its successor sealed under a key that only the holder of the used token has. Whether a log-in
is alive is said by the account (`accounts.log_ins`); this here is no more than its token.
`used_codes`, `wechat_sessions`, `proofs` forget by themselves.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.domain.citizens import Client
from server.domain.log_in import (
    ABSOLUTE,
    IDLE,
    PROOF_LIFE,
    PROOF_TRIES,
    SESSION_KEY_LIFE,
    RefreshToken,
    Terminal,
    ends_at,
)
from server.storage.mongo import Database, Document, Session
from server.storage.vault import Vault

PAST = 4  # used tokens whose successors are still known: a hasty client may refresh twice within the grace


@dataclass(frozen=True, slots=True)
class Family:
    """A log-in as the holder of one of its tokens finds it."""

    log_in: str
    citizen: int
    ends_at: datetime
    is_current: bool  # the token that was shown has not been used
    used_at: datetime | None  # when it was, if that is still known
    successor: RefreshToken | None


class LogInStore:
    """The collection `log_ins`."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._log_ins = db["log_ins"]
        self._vault = vault

    async def insert(self, log_in: str, citizen: int, token: RefreshToken, at: datetime) -> None:
        """Begin one."""
        await self._log_ins.insert_one(
            {
                "_id": log_in,
                "citizen": citizen,
                "family": token.family_hash,
                "current": token.secret_hash,
                "past": [],
                "began_at": at,
                "seen_at": at,
                "gone_at": ends_at(at, at),
            }
        )

    async def find(self, token: RefreshToken) -> Family | None:
        """The log-in that this token is or was a key of."""
        document = await self._log_ins.find_one({"family": token.family_hash})
        return self._family(document, token) if document else None

    async def renew(self, token: RefreshToken, successor: RefreshToken, at: datetime) -> bool:
        """Use the token up; of any number at once exactly one gets True. False: it was used, or the log-in is over."""
        sealed = self._sealer(token).seal(successor.text, owner=_owner(token))
        used = {"hash": token.secret_hash, "at": at, "successor": sealed}
        gone_at = {"$min": [at + IDLE, {"$add": ["$began_at", int(ABSOLUTE.total_seconds() * 1000)]}]}
        result = await self._log_ins.update_one(
            {"family": token.family_hash, "current": token.secret_hash, "gone_at": {"$gt": at}},
            [
                {
                    "$set": {
                        "current": successor.secret_hash,
                        "seen_at": at,
                        "gone_at": gone_at,
                        "past": {"$slice": [{"$concatArrays": ["$past", [used]]}, -PAST]},
                    }
                }
            ],
        )
        return bool(result.modified_count)

    async def end(self, citizen: int, log_in: str) -> None:
        """Its tokens are worth nothing from now on."""
        await self._log_ins.delete_one({"_id": log_in, "citizen": citizen})

    async def end_all(self, citizen: int, session: Session | None = None) -> None:
        """Those of all log-ins of this citizen."""
        await self._log_ins.delete_many({"citizen": citizen}, session=session)

    def _family(self, document: Document, token: RefreshToken) -> Family:
        used = next((each for each in document["past"] if each["hash"] == token.secret_hash), None)
        opened = used and self._sealer(token).open(used["successor"], owner=_owner(token))
        return Family(
            log_in=document["_id"],
            citizen=document["citizen"],
            ends_at=document["gone_at"],
            is_current=document["current"] == token.secret_hash,
            used_at=used["at"] if used else None,
            successor=RefreshToken.read(opened) if opened else None,
        )

    def _sealer(self, token: RefreshToken) -> Vault:
        return self._vault.with_keys({1: token.successor_key})


class UsedCodes:
    """One-time codes of WeChat that were used here, by their hash: the collection `used_codes`."""

    def __init__(self, db: Database) -> None:
        self._codes = db["used_codes"]

    async def claim(self, code: str, at: datetime) -> bool:
        """Use it; False if it was used in the last ten minutes."""
        try:
            await self._codes.insert_one({"_id": _hash(code), "at": at})
        except DuplicateKeyError:
            return False
        return True

    async def release(self, code: str) -> None:
        """It was not used after all: WeChat could not be asked."""
        await self._codes.delete_one({"_id": _hash(code)})


class SessionKeys:
    """WeChat's session keys, sealed, for two days: the collection `wechat_sessions`."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._sessions = db["wechat_sessions"]
        self._vault = vault

    async def put(self, citizen: int, key: str, at: datetime) -> None:
        """Keep the newest."""
        sealed = self._vault.seal(key, owner=f"wechat_sessions|{citizen}|key")
        fields = {"key": sealed, "gone_at": at + SESSION_KEY_LIFE}
        await self._sessions.update_one({"_id": citizen}, {"$set": fields}, upsert=True)

    async def find(self, citizen: int, at: datetime) -> str | None:
        """The key, if it is fresh."""
        document = await self._sessions.find_one({"_id": citizen, "gone_at": {"$gt": at}})
        return self._vault.open(document["key"], owner=f"wechat_sessions|{citizen}|key") if document else None

    async def delete(self, citizen: int, session: Session | None = None) -> None:
        """Forget it."""
        await self._sessions.delete_one({"_id": citizen}, session=session)


@dataclass(frozen=True, slots=True)
class Proof:
    """Somebody who showed a number and has to show more."""

    citizen: int
    phone: str
    terminal: Terminal


class Proofs:
    """Tickets of those who still have to prove who they are: the collection `proofs`."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._proofs = db["proofs"]
        self._vault = vault

    async def insert(self, ticket: str, proof: Proof, at: datetime) -> datetime:
        """Keep it; until when."""
        until = at + PROOF_LIFE
        name = _hash(ticket)
        await self._proofs.insert_one(
            {
                "_id": name,
                "citizen": proof.citizen,
                "phone": self._vault.seal(proof.phone, owner=f"proofs|{name}|phone"),
                "client": proof.terminal.client.value,
                "label": proof.terminal.label,
                "left": PROOF_TRIES,
                "gone_at": until,
            }
        )
        return until

    async def charge(self, ticket: str, at: datetime) -> Proof | None:
        """Take one try; None if there is no such ticket, or no try left."""
        query = {"_id": _hash(ticket), "left": {"$gt": 0}, "gone_at": {"$gt": at}}
        document = await self._proofs.find_one_and_update(
            query, {"$inc": {"left": -1}}, return_document=ReturnDocument.AFTER
        )
        if document is None:
            return None
        phone = self._vault.open(document["phone"], owner=f"proofs|{document['_id']}|phone")
        return Proof(document["citizen"], phone, Terminal(Client(document["client"]), document["label"]))

    async def use(self, ticket: str) -> bool:
        """The proof was right; False if another request was first."""
        return bool((await self._proofs.delete_one({"_id": _hash(ticket)})).deleted_count)

    async def delete_all(self, citizen: int, session: Session | None = None) -> None:
        """Those of one citizen."""
        await self._proofs.delete_many({"citizen": citizen}, session=session)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _owner(token: RefreshToken) -> str:
    return f"log_ins|{token.family_hash.hex()}|successor"
