"""The alerts of the desk in MongoDB: one document per message, drafts and released ones alike.

Promises. A step is one write of one document: either all of it is there (new state, new content, its log entry) or
nothing. A step that was thought out on an older version changes nothing. The log is only ever appended to. Identifiers
are unique for ever (`_id`). A chain never forks: of two released messages that follow the same one, the index lets one
in. Everything acknowledged is journaled by a majority. Messages are kept as bytes, so no hostile text becomes a key.
Every step leaves the alert marked as unlogged until somebody says that the audit log has it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, WriteConcern
from pymongo.errors import DuplicateKeyError

from server.domain.alerts.desk import DeskAlert, Step, in_order, step_key
from server.domain.alerts.model import Alert
from server.domain.alerts.states import State
from server.domain.alerts.vocabulary import Colour, Scope
from server.domain.broadcasts import Broadcast
from server.domain.divisions import prefix
from server.domain.errors import ConflictError, NotFoundError
from server.domain.officers import Unit
from server.storage.mongo import Database, Document

_RELEASED = ("released", "updated", "cancelled", "expired")
_BEGUN = "steps.0.at"
_JSON = {"alert", "broadcast", "unit"}  # kept as bytes: exact, and their keys stay out of the database's language


@dataclass(frozen=True, slots=True)
class Shelf:
    """Which alerts: those that meet each of these divisions (it or a part of it, or a larger one), in these states."""

    within: tuple[str, ...]
    states: tuple[State, ...] = ()


class AlertStore:
    """The collection `alerts`. All times are aware UTC, to the millisecond."""

    def __init__(self, db: Database) -> None:
        self._alerts = db["alerts"]

    async def insert(self, desk: DeskAlert) -> bool:
        """Put a new draft in; False if its identifier is taken."""
        try:
            await self._alerts.insert_one(_to_document(desk))
        except DuplicateKeyError:
            return False
        return True

    async def get(self, identifier: str) -> DeskAlert:
        """One alert; NotFoundError if there is none."""
        document = await self._alerts.find_one({"_id": str(identifier)})
        if document is None:
            raise NotFoundError(
                "alert_unknown", zh="没有这条预警", en=f"no such alert: {identifier[:80]}", field="identifier"
            )
        return _from_document(document)

    async def find_origin(self, origin: str) -> DeskAlert | None:
        """The alert that a standing order made of this message of a partner."""
        document = await self._alerts.find_one({"origin": {"$eq": origin, "$gt": ""}})
        return _from_document(document) if document else None

    async def find_page(self, where: Shelf, before: tuple[datetime, str] | None, limit: int) -> list[DeskAlert]:
        """At most `limit` alerts of a shelf, newest draft first, after the one that was begun `before`."""
        query: dict[str, Any] = {"$and": [_meets(code) for code in where.within]}
        if where.states:
            query["state"] = {"$in": [state.value for state in where.states]}
        if before:
            at, identifier = before
            query["$or"] = [{_BEGUN: {"$lt": at}}, {_BEGUN: at, "_id": {"$lt": identifier}}]
        found = self._alerts.find(query).sort([(_BEGUN, DESCENDING), ("_id", DESCENDING)]).limit(limit)
        return [_from_document(document) async for document in found]

    async def apply(self, before: DeskAlert, after: DeskAlert) -> None:
        """Write one step by compare-and-set; ConflictError `alert_changed` or, for a lost release, `chain_moved`."""
        document = _to_document(after)
        step = document.pop("steps")[-1]
        identifier = document.pop("_id")
        if before.released_at is not None:  # `mark_published` may have run since `before` was read
            del document["published_at"], document["is_unpublished"]
        try:
            result = await self._alerts.update_one(
                {"_id": identifier, "version": before.version, "steps": {"$size": before.version}},
                {"$set": document, "$push": {"steps": step}},
            )
        except DuplicateKeyError:
            raise ConflictError(
                "chain_moved",
                zh="同一预警已有其他后续消息发布，请重新起草",
                en="another message of this chain was released first; draft again",
            ) from None
        if result.matched_count == 0:
            raise ConflictError(
                "alert_changed", zh="预警刚被他人改动，请刷新", en="someone changed the alert; load it again"
            )

    async def mark_published(self, identifier: str, at: datetime) -> None:
        """Note that the broadcast is durable; a second call changes nothing."""
        await self._alerts.update_one(
            {"_id": identifier, "is_unpublished": True}, {"$set": {"published_at": at, "is_unpublished": False}}
        )

    async def mark_logged(self, identifier: str, version: int) -> None:
        """Note that the audit log has all steps up to this version. Only a hint: losing it costs a second look."""
        hints = self._alerts.with_options(write_concern=WriteConcern(w=1))
        await hints.update_one(
            {"_id": identifier, "version": version}, {"$set": {"logged": version, "is_unlogged": False}}
        )

    async def find_unlogged(self) -> list[DeskAlert]:
        """Alerts with a step that the audit log may not have."""
        return await self._list({"is_unlogged": True}, sort="_id")

    async def stream_steps(self, before: datetime) -> AsyncIterator[tuple[str, str]]:
        """Key (see `step_key`) and SHA-256 of every step older than this, as the alerts tell them."""
        async for document in self._alerts.find({}, {"steps": 1}).sort("_id", ASCENDING):
            for raw in document["steps"]:
                step = Step.model_validate(raw)
                if step.at < before:
                    yield step_key(document["_id"], step.seq), step.sha256

    async def find_chain(self, chain: str) -> list[DeskAlert]:
        """The released messages of a chain, oldest first."""
        query = {"chain": chain, "state": {"$in": list(_RELEASED)}}
        return in_order(await self._list(query, sort="released_at"))

    async def find_unpublished(self) -> list[DeskAlert]:
        """What was released but perhaps not published, oldest first."""
        return await self._list({"is_unpublished": True}, sort="released_at")

    async def find_waiting_red(self, before: datetime) -> list[DeskAlert]:
        """Red alerts that were submitted at or before this time and still wait, longest first."""
        query = {"state": State.SUBMITTED.value, "colour": Colour.RED.value, "submitted_at": {"$lte": before}}
        return await self._list(query, sort="submitted_at")

    async def find_live(self, sender: str, at: datetime) -> list[DeskAlert]:
        """The newest message of each chain of a sender that is still in force, oldest first."""
        query = {"state": State.RELEASED.value, "expires_at": {"$gt": at}, "sender": sender}
        return await self._list(query, sort="released_at")

    async def find_in_force(self, at: datetime) -> list[DeskAlert]:
        """The newest message of each chain that is in force, of every sender, the one that ends first at the head."""
        return await self._list({"state": State.RELEASED.value, "expires_at": {"$gt": at}}, sort="expires_at")

    async def find_ended(self, at: datetime) -> list[DeskAlert]:
        """Released alerts whose time is over."""
        return await self._list({"state": State.RELEASED.value, "expires_at": {"$lte": at}}, sort="expires_at")

    async def _list(self, query: Mapping[str, Any], *, sort: str) -> list[DeskAlert]:
        return [_from_document(d) async for d in self._alerts.find(query).sort(sort, ASCENDING).limit(1_000)]


def _meets(code: str) -> Document:
    """Alerts that touch this division, a part of it, or one that it is a part of."""
    above = [root for length in (2, 4, 6, 9) if (root := code[:length].ljust(6, "0")) != code and length < len(code)]
    return {"$or": [{"divisions": {"$regex": f"^{re.escape(prefix(code))}"}}, {"divisions": {"$in": above}}]}


def _to_document(desk: DeskAlert) -> Document:
    facts = desk.facts
    plain = desk.model_dump(mode="python", exclude=_JSON)
    return {
        "_id": desk.identifier,
        **plain,
        "state": desk.state.value,
        "kind": desk.kind.value,
        "previous": desk.previous.value if desk.previous else None,
        **{name: list(hand) if (hand := getattr(desk, name)) else None for name in ("author", "editor", "submitter")},
        "alert": desk.alert.model_dump_json().encode(),
        "unit": desk.unit.model_dump_json().encode(),
        "broadcast": desk.broadcast.model_dump_json().encode() if desk.broadcast else None,
        "sender": desk.unit.sender,
        "colour": desk.colour.value,
        "divisions": list(facts.divisions),
        "events": list(facts.events),
        "expires_at": desk.alert.expires_at,
        "is_unpublished": desk.released_at is not None and desk.published_at is None,
        "is_unlogged": True,
        "is_public": desk.released_at is not None and not desk.is_exercise and desk.alert.scope == Scope.PUBLIC,
    }


def _from_document(document: Document) -> DeskAlert:
    fields = {name: document[name] for name in DeskAlert.model_fields if name not in _JSON and name in document}
    return DeskAlert.model_validate(
        {
            **fields,
            "alert": Alert.model_validate_json(document["alert"]),
            "unit": Unit.model_validate_json(document["unit"]),
            "broadcast": Broadcast.model_validate_json(document["broadcast"]) if document["broadcast"] else None,
        }
    )
