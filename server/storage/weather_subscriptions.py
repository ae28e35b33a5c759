"""What people want to hear of the weather, in MongoDB.

`weather_subscriptions`: {_id, citizen, slot, minute, places, weekdays, is_working_days, conditions: [{what, limit}],
version, changed_at}. A unique index on (citizen, slot) lets nobody have more than so many, whoever asks at once. Due
ones are streamed by the index (minute, _id). `changed_at` is the database's time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.domain.profile import Label
from server.domain.weather_conditions import Condition, What
from server.domain.weather_subscriptions import MOST, PlaceSeen, Subscription, Wish
from server.storage.mongo import Database, Document, Session

PLACE_FIELDS = {"places.id": 1, "places.label": 1, "places.division": 1, "places.point": 1}


class WeatherSubscriptionStore:
    """The collection; and the places of those who are in it."""

    def __init__(self, db: Database) -> None:
        self._subscriptions = db["weather_subscriptions"]
        self._citizens = db["citizens"]

    async def insert(self, id_: str, citizen: int, wish: Wish) -> tuple[Subscription, bool] | None:
        """It is there when this returns, and whether it is new; None: there are `MOST` already."""
        for slot in range(MOST):
            if (known := await self.find(citizen, id_)) is not None:
                return known, False
            fresh = {"$literal": {"_id": id_, "citizen": citizen, "slot": slot, "version": 1, **_to_document(wish)}}
            try:
                found = await self._subscriptions.find_one_and_update(
                    {"_id": id_, "citizen": citizen},
                    [{"$replaceWith": {"$mergeObjects": [fresh, {"changed_at": "$$NOW"}, "$$ROOT"]}}],
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:
                continue
            assert found is not None
            return _to_subscription(found), True
        return None

    async def find(self, citizen: int, id_: str) -> Subscription | None:
        """One of somebody's own."""
        found = await self._subscriptions.find_one({"_id": id_, "citizen": citizen})
        return _to_subscription(found) if found else None

    async def find_of(self, citizen: int) -> list[Subscription]:
        """All of somebody, in the order of the day."""
        found = self._subscriptions.find({"citizen": citizen}).sort([("minute", 1), ("_id", 1)]).limit(MOST * 2)
        return [_to_subscription(d) async for d in found]

    async def find_many(self, ids: Sequence[str]) -> dict[str, Subscription]:
        """Those of these that are there, by id."""
        return {d["_id"]: _to_subscription(d) async for d in self._subscriptions.find({"_id": {"$in": list(ids)}})}

    async def change(self, before: Subscription, wish: Wish) -> Subscription | None:
        """Write over it: the next version; None: it is gone, or not of this version any more."""
        found = await self._subscriptions.find_one_and_update(
            {"_id": before.id, "citizen": before.citizen, "version": before.version},
            [{"$set": {"version": {"$add": ["$version", 1]}, "changed_at": "$$NOW",
                       **{name: {"$literal": value} for name, value in _to_document(wish).items()}}}],
            return_document=ReturnDocument.AFTER,
        )  # fmt: skip
        return _to_subscription(found) if found else None

    async def remove(self, citizen: int, id_: str) -> Subscription | None:
        """Take it away; what it was, None if there is none."""
        found = await self._subscriptions.find_one_and_delete({"_id": id_, "citizen": citizen})
        return _to_subscription(found) if found else None

    async def find_due(self, minute: int, after: str, limit: int) -> list[Subscription]:
        """Those of a minute of the day after this id, by id."""
        query = {"minute": minute, "_id": {"$gt": after}}
        return [_to_subscription(d) async for d in self._subscriptions.find(query).sort("_id", 1).limit(limit)]

    async def count_due(self, minutes: Sequence[int]) -> int:
        """How many of these minutes there are."""
        return await self._subscriptions.count_documents({"minute": {"$in": list(minutes)}})

    async def places_of(self, citizens: Sequence[int]) -> dict[int, list[PlaceSeen]]:
        """The places of these people now, in one query."""
        query = {"_id": {"$in": sorted(set(citizens))}}
        return {
            d["_id"]: [*map(_to_place, d.get("places", ()))] async for d in self._citizens.find(query, PLACE_FIELDS)
        }

    async def move(self, source: int, target: int, places: Mapping[str, str], session: Session) -> None:
        """Give all of them to another account, also beyond what one may have; `places`: new ids of those that merge."""
        own = self._subscriptions.find({"citizen": target}, {"slot": 1}, session=session)
        taken = {d["slot"] async for d in own}
        free = (slot for slot in count() if slot not in taken)
        fields = {"places": 1}
        for document in await self._subscriptions.find({"citizen": source}, fields, session=session).to_list():
            named = [*dict.fromkeys(places.get(place, place) for place in document["places"])]
            change = {"$set": {"citizen": target, "slot": next(free), "places": named}}
            await self._subscriptions.update_one({"_id": document["_id"]}, change, session=session)

    async def erase(self, citizen: int) -> None:
        """Delete all of somebody."""
        await self._subscriptions.delete_many({"citizen": citizen})

    async def export(self, citizen: int) -> Sequence[dict[str, Any]]:
        """One row a subscription."""
        return [
            {"id": each.id, **_to_document(each.wish), "changed_at": each.changed_at.isoformat()}
            for each in await self.find_of(citizen)
        ]


def _to_document(wish: Wish) -> Document:
    return {
        "minute": wish.minute,
        "places": list(wish.places),
        "weekdays": sorted(wish.weekdays),
        "is_working_days": wish.is_working_days,
        "conditions": [{"what": each.what.value, "limit": each.limit} for each in wish.conditions],
    }


def _to_subscription(d: Document) -> Subscription:
    return Subscription(
        id=d["_id"],
        citizen=d["citizen"],
        wish=Wish(
            places=tuple(d["places"]),
            minute=d["minute"],
            weekdays=frozenset(d["weekdays"]),
            is_working_days=d["is_working_days"],
            conditions=tuple(Condition(What(each["what"]), each["limit"]) for each in d["conditions"]),
        ),
        version=d["version"],
        changed_at=d["changed_at"],
    )


def _to_place(d: Document) -> PlaceSeen:
    point = d.get("point")
    label = Label(d.get("label", Label.HOME))
    return PlaceSeen(d.get("id", ""), label, d["division"], (point[0], point[1]) if point else None)
