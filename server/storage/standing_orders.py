"""Standing orders in MongoDB: one document each, with its terms, its log, and what it let through within the hour.

Promises. A write that was thought out on an older `rev` changes nothing: of a release, a stop and a message that come
at once, each sees what the one before it left. Every step leaves the order marked until somebody says that the audit
log has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from server.domain.divisions import prefix
from server.domain.errors import NotFoundError
from server.domain.standing_orders import StandingOrder
from server.storage.mongo import Database, Document

MAX_LISTED = 200


class OrderStore:
    """The collection `standing_orders`."""

    def __init__(self, db: Database) -> None:
        self._orders = db["standing_orders"]

    async def insert(self, order: StandingOrder) -> bool:
        """Put a new one in; False if its id is taken."""
        try:
            await self._orders.insert_one(_to_document(order))
        except DuplicateKeyError:
            return False
        return True

    async def get(self, order: str) -> StandingOrder:
        """One order; NotFoundError."""
        document = await self._orders.find_one({"_id": str(order)})
        if document is None:
            raise NotFoundError("order_unknown", zh="没有这条指令", en="no such standing order", field="order")
        return _from_document(document)

    async def swap(self, before: StandingOrder, after: StandingOrder) -> bool:
        """Write what follows `before`; False if that is no longer what is stored."""
        query = {"_id": before.id, "rev": before.rev}
        return (await self._orders.replace_one(query, _to_document(after))).matched_count == 1

    async def mark_logged(self, order: StandingOrder) -> None:
        """Note that the audit log has all its steps. Only a hint: losing it costs a second look."""
        change = {"logged": len(order.steps), "is_unlogged": False}
        await self._orders.update_one({"_id": order.id, "steps": {"$size": len(order.steps)}}, {"$set": change})

    async def find_unlogged(self) -> list[StandingOrder]:
        """Orders with a step that the audit log may not have."""
        return await self._list({"is_unlogged": True})

    async def find_of(self, partner: str) -> list[StandingOrder]:
        """All of a partner, whatever their state, in the order of their ids."""
        return await self._list({"terms.partner": partner})

    async def find_page(self, division: str, after: str, limit: int) -> list[StandingOrder]:
        """Orders that touch a division's subtree, or a division above it, by id."""
        above = [division[:length].ljust(max(6, length), "0") for length in (2, 4, 6, 9, 12) if length <= len(division)]
        touches = [{"terms.divisions": {"$regex": f"^{prefix(division)}"}}, {"terms.divisions": {"$in": above}}]
        return await self._list({"_id": {"$gt": after}, "$or": touches}, limit)

    async def _list(self, query: Mapping[str, Any], limit: int = MAX_LISTED) -> list[StandingOrder]:
        return [_from_document(each) async for each in self._orders.find(query).sort("_id", ASCENDING).limit(limit)]


def _to_document(order: StandingOrder) -> Document:
    whole = order.model_dump(mode="json", exclude={"id"})
    return {"_id": order.id, **whole, "is_unlogged": order.logged < len(order.steps)}


def _from_document(document: Document) -> StandingOrder:
    fields = {name: document[name] for name in StandingOrder.model_fields if name in document}
    return StandingOrder.model_validate({**fields, "id": document["_id"]})
