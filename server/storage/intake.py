"""What partners handed in, as it came, with what was found and what an officer made of it.

Promises. The same message of a partner is stored once (`_id`). Of one sender and identifier only one message is the
first: of two that arrive at the same time with other content the index lets one be it. Messages are kept as bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.domain.alerts.finding import Finding
from server.domain.alerts.model import Alert
from server.domain.alerts.vocabulary import Dialect
from server.domain.divisions import prefix
from server.domain.errors import ConflictError, NotFoundError
from server.domain.intake import Received, State
from server.domain.standing_order_reasons import Miss, WhyNot
from server.storage.mongo import Database, Document

MAX_HISTORY = 200
UNDECIDED = (State.PROPOSED.value, State.QUARANTINED.value)
ORDER_CLAIM = timedelta(seconds=5)  # the standing orders' own, which another process may take up: nothing is done twice
CLAIM = timedelta(seconds=30)  # an officer's adoption takes a second; who died in it gives it back after this
_FINDINGS = TypeAdapter(tuple[Finding, ...])


class IntakeStore:
    """The collection `intake`."""

    def __init__(self, db: Database) -> None:
        self._intake = db["intake"]

    async def insert(self, found: Received) -> bool:
        """Store a message; False if something took its place: the same message, or another first of its identifier."""
        try:
            await self._intake.insert_one(_to_document(found))
        except DuplicateKeyError:
            return False
        return True

    async def find(self, key: str) -> Received | None:
        """One message, if it is there."""
        document = await self._intake.find_one({"_id": str(key)})
        return _from_document(document) if document else None

    async def get(self, key: str) -> Received:
        """One message; NotFoundError."""
        found = await self.find(key)
        if found is None:
            raise NotFoundError("proposal_unknown", zh="没有这条来报", en="no such proposal", field="proposal")
        return found

    async def count_since(self, partner: str, since: datetime) -> int:
        """How many messages of a partner were stored since then."""
        return await self._intake.count_documents({"partner": partner, "received_at": {"$gt": since}}, limit=1_000)

    async def find_history(self, sender: str, identifiers: Sequence[str], since: datetime) -> list[Received]:
        """First messages of a sender: those named, the rest of their chains, and what came since; oldest first."""
        own = {"sender": sender, "is_first": True}
        named = await self._list(own | {"identifier": {"$in": list(identifiers)}})
        chains = sorted({each.chain for each in named})
        query = own | {"$or": [{"chain": {"$in": chains}}, {"received_at": {"$gt": since}}]}
        found = {each.key: each for each in [*named, *await self._list(query)]}
        return sorted(found.values(), key=lambda each: each.received_at)

    async def find_page(self, division: str, states: Sequence[State], before: datetime, limit: int) -> list[Received]:
        """Messages that touch a division's subtree, or a division above it, newest first."""
        within = prefix(division)
        above = [division[:length].ljust(max(6, length), "0") for length in (2, 4, 6, 9, 12) if length <= len(division)]
        query: dict[str, Any] = {
            "received_at": {"$lt": before},
            "$or": [{"divisions": {"$regex": f"^{within}"}}, {"divisions": {"$in": above}}],
        }
        if states:
            query["state"] = {"$in": [state.value for state in states]}
        cursor = self._intake.find(query).sort("received_at", DESCENDING).limit(limit)
        return [_from_document(document) async for document in cursor]

    async def find_awaiting(self) -> list[Received]:
        """Messages that the standing orders have not decided about, oldest first."""
        return await self._list({"awaits_order": True})

    async def claim_for_orders(self, key: str, at: datetime) -> bool:
        """Take a message to ask the standing orders about it; False if somebody else has it, or it is decided."""
        free = [{"claimed_at": None}, {"claimed_at": {"$lt": at - ORDER_CLAIM}}]
        change = {"$set": {"claimed_at": at}}
        found = await self._intake.update_one({"_id": key, "awaits_order": True, "$or": free}, change)
        return found.matched_count == 1

    async def close_to_orders(self, after: Received) -> Received:
        """Write what the standing orders made of it; as it then is, for an officer may have taken it over."""
        done = {
            "awaits_order": False,
            "claimed_at": None,
            "state": after.state.value,
            "draft": after.draft,
            "order": after.order,
            "missed": _missed(after),
        }
        query = {"_id": after.key, "awaits_order": True, "state": {"$in": UNDECIDED}}
        await self._intake.update_one(query, {"$set": done})
        return await self.get(after.key)

    async def claim(self, key: str, officer: str, at: datetime) -> Received:
        """Take a message that nobody has decided, to adopt it; as it was before. ConflictError `intake_decided`."""
        query = {
            "_id": str(key),
            "$or": [
                {"state": {"$in": UNDECIDED}, "claimed_at": None},
                {"state": {"$in": UNDECIDED}, "claimed_at": {"$lt": at - CLAIM}},
            ],
        }
        found = await self._intake.find_one_and_update(
            query, {"$set": {"claimed_at": at, "officer": officer, "awaits_order": False}}
        )
        if found is None:
            raise await self._decided(key)
        return _from_document(found)

    async def give_back(self, key: str) -> None:
        """Undo a claim."""
        change = {"$set": {"claimed_at": None, "officer": None}}
        await self._intake.update_one({"_id": key, "state": {"$in": UNDECIDED}}, change)

    async def decide(self, key: str, state: State, officer: str, facts: Mapping[str, str]) -> Received:
        """The end: adopted with its `draft`, or dismissed with a `reason`. ConflictError `intake_decided`."""
        found = await self._intake.find_one_and_update(
            {"_id": str(key), "state": {"$in": UNDECIDED}},
            {"$set": {"state": state.value, "officer": officer, "awaits_order": False, **facts}},
            return_document=ReturnDocument.AFTER,
        )
        if found is None:
            raise await self._decided(key)
        return _from_document(found)

    async def _decided(self, key: str) -> ConflictError:
        await self.get(key)
        return ConflictError("intake_decided", zh="来报已处理或正在处理", en="it is decided, or being decided, already")

    async def _list(self, query: Mapping[str, Any]) -> list[Received]:
        cursor = self._intake.find(query).sort("received_at", ASCENDING).limit(MAX_HISTORY)
        return [_from_document(document) async for document in cursor]


def _to_document(found: Received) -> Document:
    return {
        "_id": found.key,
        "partner": found.partner,
        "sender": found.alert.sender,
        "identifier": found.alert.identifier,
        "alert": found.alert.model_dump_json().encode(),
        "dialect": found.dialect.value,
        "data": found.data,
        "findings": _FINDINGS.dump_json(found.findings),
        "state": found.state.value,
        "chain": found.chain,
        "is_first": found.is_first,
        "divisions": list(found.divisions),
        "received_at": found.received_at,
        "draft": found.draft,
        "officer": found.officer,
        "reason": found.reason,
        "claimed_at": None,
        "awaits_order": found.awaits_order,
        "order": found.order,
        "missed": _missed(found),
    }


def _missed(found: Received) -> list[list[str]]:
    return [[miss.order, miss.why.value, miss.code] for miss in found.missed]


def _from_document(document: Document) -> Received:
    return Received(
        key=document["_id"],
        partner=document["partner"],
        alert=Alert.model_validate_json(document["alert"]),
        dialect=Dialect(document["dialect"]),
        data=bytes(document["data"]),
        findings=_FINDINGS.validate_json(document["findings"]),
        state=State(document["state"]),
        chain=document["chain"],
        is_first=document["is_first"],
        divisions=tuple(document["divisions"]),
        received_at=document["received_at"],
        draft=document["draft"],
        officer=document["officer"],
        reason=document["reason"],
        awaits_order=document.get("awaits_order", False),
        order=document.get("order"),
        missed=tuple(Miss(order, WhyNot(why), code) for order, why, code in document.get("missed", ())),
    )
