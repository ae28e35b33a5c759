"""Partners, and what each of them still has to be told.

Promises. A webhook's secret is sealed, an intake key is known by its blind index only. A delivery exists once per
partner and event (`_id`), however often it is queued. Claiming one moves its due time past the lease, so who dies
holding it gives it back by waiting; an outcome is written only by who claimed it last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, ReturnDocument
from pymongo.errors import BulkWriteError, DuplicateKeyError

from server.domain.errors import ConflictError, NotFoundError
from server.domain.partners import Partner
from server.storage.mongo import Database, Document
from server.storage.pages import DUPLICATE_KEY
from server.storage.vault import Vault

MAX_PARTNERS = 500
_OWN = {"secret": 0, "key": 0, "cursor": 0, "_id": 0}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one partner, claimed for the `attempt`-th time."""

    id: str
    partner: str
    seq: int
    alert: str
    attempt: int
    queued_at: datetime


class PartnerStore:
    """The collection `partners`."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._partners = db["partners"]
        self._vault = vault

    async def insert(self, partner: Partner, *, key: str, secret: str, cursor: int) -> None:
        """A new partner, told of what comes after `cursor`; ConflictError if its id is taken."""
        document = partner.model_dump(mode="python") | {
            "_id": partner.id,
            "senders": list(partner.senders),
            "sources": list(partner.sources),
            "key": self._index(key),
            "secret": self._vault.seal(secret, owner=_owner(partner.id)),
            "cursor": cursor,
        }
        try:
            await self._partners.insert_one(document)
        except DuplicateKeyError:
            raise ConflictError(
                "partner_exists", zh="已有同名合作方", en="there is such a partner", field="id"
            ) from None

    async def get(self, id_: str) -> Partner:
        """One partner; NotFoundError."""
        found = await self._partners.find_one({"_id": str(id_)}, _OWN)
        if found is None:
            raise NotFoundError("partner_unknown", zh="没有这个合作方", en="no such partner", field="id")
        return Partner.model_validate(found)

    async def find_by_key(self, key: str) -> Partner | None:
        """The active partner that this intake key belongs to."""
        found = await self._partners.find_one({"key": self._index(key), "is_active": True}, _OWN)
        return Partner.model_validate(found) if found else None

    async def all(self) -> list[Partner]:
        """All partners by id."""
        cursor = self._partners.find({}, _OWN).sort("_id", ASCENDING).limit(MAX_PARTNERS)
        return [Partner.model_validate(d) async for d in cursor]

    async def find_told(self) -> list[tuple[Partner, int]]:
        """Active partners with a webhook, and the last event that was queued for each."""
        query = {"is_active": True, "url": {"$type": "string"}}
        cursor = self._partners.find(query, {"secret": 0, "key": 0, "_id": 0}).limit(MAX_PARTNERS)
        return [
            (Partner.model_validate({n: v for n, v in d.items() if n != "cursor"}), d["cursor"]) async for d in cursor
        ]

    async def secret(self, id_: str) -> str:
        """The webhook's secret; NotFoundError, SealedError."""
        found = await self._partners.find_one({"_id": str(id_)}, {"secret": 1})
        if found is None:
            raise NotFoundError("partner_unknown", zh="没有这个合作方", en="no such partner", field="id")
        return self._vault.open(found["secret"], owner=_owner(id_))

    async def mark_queued(self, id_: str, seq: int) -> None:
        """Events up to `seq` are queued; a second call, or an older one, changes nothing."""
        await self._partners.update_one({"_id": id_}, {"$max": {"cursor": seq}})

    async def set_active(self, id_: str, *, is_active: bool) -> None:
        """Stop or resume; NotFoundError."""
        result = await self._partners.update_one({"_id": str(id_)}, {"$set": {"is_active": is_active}})
        if result.matched_count == 0:
            raise NotFoundError("partner_unknown", zh="没有这个合作方", en="no such partner", field="id")

    def _index(self, key: str) -> bytes:
        return self._vault.index(key, field="partners.key")


class DeliveryStore:
    """The collection `deliveries`. Due times are the database's."""

    def __init__(self, db: Database) -> None:
        self._deliveries = db["deliveries"]

    async def queue(self, partner: str, events: Sequence[tuple[int, str]], at: datetime) -> None:
        """Events (seq, alert) to be told to a partner; what is queued already stays as it is."""
        documents: list[Document] = [
            {"_id": f"{partner}/{seq}", "partner": partner, "seq": seq, "alert": alert, "state": "waiting",
             "attempt": 0, "due_at": at, "queued_at": at, "last": None}
            for seq, alert in events
        ]  # fmt: skip
        if not documents:
            return
        try:
            await self._deliveries.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            if any(each["code"] != DUPLICATE_KEY for each in error.details["writeErrors"]):
                raise

    async def requeue(self, partner: str, since: int, at: datetime) -> int:
        """Tell everything after `since` again that was queued before; how many."""
        query = {"partner": partner, "seq": {"$gt": since}, "state": {"$ne": "waiting"}}
        fresh = {"state": "waiting", "attempt": 0, "due_at": at, "queued_at": at}
        result = await self._deliveries.update_many(query, {"$set": fresh, "$unset": {"done_at": ""}})
        return int(result.modified_count)

    async def claim(self, partner: str, lease_s: float) -> Delivery | None:
        """The oldest one that is due; nobody else gets it before the lease is over."""
        due = {"$expr": {"$lte": ["$due_at", "$$NOW"]}}
        later = {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": int(lease_s * 1000)}}
        found = await self._deliveries.find_one_and_update(
            {"partner": partner, "state": "waiting", **due},
            [{"$set": {"due_at": later, "attempt": {"$add": ["$attempt", 1]}}}],
            sort=[("due_at", ASCENDING), ("seq", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        if found is None:
            return None
        names = ("partner", "seq", "alert", "attempt", "queued_at")
        return Delivery(id=found["_id"], **{name: found[name] for name in names})

    async def finish(self, delivery: Delivery, state: str, why: str, at: datetime) -> None:
        """`done` or `dead`, with what was answered last."""
        await self._apply(delivery, [{"$set": {"state": state, "done_at": at, "last": {"$literal": why[:200]}}}])

    async def postpone(self, delivery: Delivery, wait_s: float, why: str) -> None:
        """Try again later."""
        later = {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": int(wait_s * 1000)}}
        await self._apply(delivery, [{"$set": {"due_at": later, "last": {"$literal": why[:200]}}}])

    async def counts(self) -> dict[str, dict[str, int]]:
        """How many by partner and state."""
        group = {"$group": {"_id": {"partner": "$partner", "state": "$state"}, "n": {"$sum": 1}}}
        counts: dict[str, dict[str, int]] = {}
        async for row in await self._deliveries.aggregate([group]):
            counts.setdefault(row["_id"]["partner"], {})[row["_id"]["state"]] = row["n"]
        return counts

    async def _apply(self, delivery: Delivery, change: list[dict[str, Any]]) -> None:
        await self._deliveries.update_one({"_id": delivery.id, "state": "waiting", "attempt": delivery.attempt}, change)


def _owner(id_: str) -> str:
    return f"partners|{id_}|secret"
