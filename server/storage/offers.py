"""Offers in MongoDB: one document per offer, whose id follows from rule, period and person.

`offers`: {_id, rule, version, citizen, period, occurrence, state, found_at, expires_at, division, digest, application,
is_open (absent when it has ended), reached: {<state>: time}, unfinished_at (while an acceptance is
carried out)}. Inserting one that is there does nothing, and a state is
only raised from those that `domain.offers.STEPS` allows, so a run may be repeated from anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, InsertOne
from pymongo.errors import BulkWriteError

from server.domain.offers import OPEN, STEPS, Offer, State
from server.storage.mongo import Database, Document, Session

DUPLICATE_KEY = 11000
OPEN_STATES = [state.value for state in OPEN]


class OfferStore:
    """Reads and writes them."""

    def __init__(self, db: Database) -> None:
        self._offers = db["offers"]

    async def insert(self, offers: Sequence[Offer]) -> int:
        """Store those that are not there yet; how many were new."""
        if not offers:
            return 0
        try:
            result = await self._offers.bulk_write([InsertOne(_to_document(each)) for each in offers], ordered=False)
        except BulkWriteError as error:
            if any(each["code"] != DUPLICATE_KEY for each in error.details["writeErrors"]):
                raise
            return int(error.details["nInserted"])
        return result.inserted_count

    async def raise_to(
        self, ids: Collection[str], state: State, now: datetime, extra: Mapping[str, Any] | None = None
    ) -> int:
        """Raise those of these that may go there; how many did. Again changes nothing."""
        allowed = [each.value for each in STEPS[state]]
        fields = {"state": state.value, f"reached.{state.value}": now, **(extra or {})}
        query = {"_id": {"$in": list(ids)}, "state": {"$in": allowed}}
        update: Document = {"$set": fields}
        if state not in OPEN:
            update["$unset"] = {"is_open": ""}
        return (await self._offers.update_many(query, update)).modified_count

    async def find(self, ids: Iterable[str]) -> dict[str, Offer]:
        """These offers by their ids."""
        return {d["_id"]: _to_offer(d) async for d in self._offers.find({"_id": {"$in": list(ids)}})}

    async def own(self, citizen: int, offer: str) -> Offer | None:
        """One of a person's; rules that were stopped have none."""
        query = {"_id": offer, "citizen": citizen, "state": {"$ne": State.WITHDRAWN.value}}
        found = await self._offers.find_one(query)
        return _to_offer(found) if found else None

    async def accept(self, offer: str, application: str, now: datetime) -> bool:
        """It is accepted, and this application is to be begun by it; False: it was answered, or is over."""
        return bool(
            await self.raise_to([offer], State.ACCEPTED, now, {"application": application, "unfinished_at": now})
        )

    async def finish(self, offer: str) -> None:
        """All that an acceptance leads to was done."""
        await self._offers.update_one({"_id": offer}, {"$unset": {"unfinished_at": ""}})

    async def find_unfinished(self, before: datetime, limit: int) -> list[Offer]:
        """Accepted ones that somebody did not live to carry out, oldest first."""
        query = {"unfinished_at": {"$lte": before, "$type": "date"}}
        return [_to_offer(d) async for d in self._offers.find(query).sort("unfinished_at", ASCENDING).limit(limit)]

    async def running(self, citizens: Collection[int], rules: Collection[str]) -> list[Offer]:
        """Offers of these people by these rules that could still be done."""
        states = [state.value for state in STEPS[State.DONE]]
        query = {"citizen": {"$in": list(citizens)}, "state": {"$in": states}}
        return [_to_offer(d) async for d in self._offers.find(query).hint("own") if d["rule"] in rules]

    async def find_left(self, found_before: datetime, limit: int) -> list[Offer]:
        """Offers whose notice is not in the outbox although they were found a while ago, oldest first."""
        query = {"state": State.FOUND.value, "found_at": {"$lte": found_before}}
        return [_to_offer(d) async for d in self._offers.find(query).sort("found_at", ASCENDING).limit(limit)]

    async def of_digests(self, digests: Collection[str]) -> dict[str, list[Offer]]:
        """What is open in these digests, by digest."""
        found: dict[str, list[Offer]] = {digest: [] for digest in digests}
        query = {"digest": {"$in": list(digests)}, "state": {"$in": OPEN_STATES}}
        async for document in self._offers.find(query).sort("_id", ASCENDING):
            found[document["digest"]].append(_to_offer(document))
        return found

    async def join_digest(self, ids: Collection[str], digest: str) -> None:
        """Tell of those of these in this digest that are in none."""
        await self._offers.update_many({"_id": {"$in": list(ids)}, "digest": ""}, {"$set": {"digest": digest}})

    async def page_of(self, citizen: int, after: tuple[datetime, str] | None, limit: int) -> list[Offer]:
        """A person's offers, newest first, after one; rules that were stopped have none."""
        query: Document = {"citizen": citizen, "state": {"$ne": State.WITHDRAWN.value}}
        if after is not None:
            at, name = after
            query["$or"] = [{"found_at": {"$lt": at}}, {"found_at": at, "_id": {"$lt": name}}]
        cursor = self._offers.find(query).sort([("found_at", DESCENDING), ("_id", DESCENDING)]).limit(limit)
        return [_to_offer(d) async for d in cursor]

    async def count_recent(self, citizens: Collection[int], rule: str, since: datetime) -> dict[int, int]:
        """How many offers of a rule each of these people got since then; 0 is left out."""
        pipeline: list[Document] = [
            {"$match": {"citizen": {"$in": list(citizens)}, "rule": rule, "found_at": {"$gte": since}}},
            {"$group": {"_id": "$citizen", "count": {"$sum": 1}}},
        ]
        return {d["_id"]: d["count"] async for d in await self._offers.aggregate(pipeline)}

    async def lapse(self, now: datetime, limit: int) -> list[str]:
        """End those whose time is over; their ids, up to `limit` a call."""
        query = {"is_open": True, "expires_at": {"$lte": now}}
        ids = [d["_id"] async for d in self._offers.find(query, {"_id": 1}).sort("expires_at", ASCENDING).limit(limit)]
        await self.raise_to(ids, State.LAPSED, now)
        return ids

    async def withdraw(self, rule: str, now: datetime, limit: int) -> list[str]:
        """End open offers of a rule, up to `limit` a call; their ids."""
        query = {"rule": rule, "is_open": True}
        ids = [d["_id"] async for d in self._offers.find(query, {"_id": 1}).limit(limit)]
        await self.raise_to(ids, State.WITHDRAWN, now)
        return ids

    async def rules(self) -> list[str]:
        """Of which rules there are offers: one seek of an index each."""
        return await self._offers.distinct("rule")

    async def first_since(self, rule: str, since: datetime) -> datetime | None:
        """When the first offer of a rule was made, from this time on."""
        query = {"rule": rule, "found_at": {"$gte": since}}
        found = await self._offers.find_one(query, {"found_at": 1}, sort=[("found_at", ASCENDING)], hint="counted")
        return found["found_at"] if found else None

    async def count_reached(self, rule: str, since: datetime, until: datetime) -> dict[str, int]:
        """Of a rule's offers made in this time, how many ever reached each state: {state: count}, "all" for all."""
        reached = {
            state.value: {"$sum": {"$cond": [{"$gt": [f"$reached.{state.value}", None]}, 1, 0]}} for state in State
        }
        pipeline: list[Document] = [
            {"$match": {"rule": rule, "found_at": {"$gte": since, "$lt": until}}},
            {"$group": {"_id": None, "all": {"$sum": 1}, **reached}},
            {"$unset": "_id"},
        ]
        return next(iter(await (await self._offers.aggregate(pipeline, hint="counted")).to_list()), {})

    async def of_application(self, application: str) -> Offer | None:
        """The offer that an application came from."""
        found = await self._offers.find_one({"application": application})
        return _to_offer(found) if found else None

    async def export(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """Every offer, oldest first."""
        fields = {"_id": 0, "rule": 1, "period": 1, "state": 1, "found_at": 1, "expires_at": 1, "application": 1}
        cursor = self._offers.find({"citizen": citizen}, fields).sort("found_at", ASCENDING)
        return [{k: v.isoformat() if isinstance(v, datetime) else v for k, v in d.items()} async for d in cursor]

    async def move(self, source: int, target: int, session: Session) -> None:
        """Give a person's offers to another account. What both were offered stays once: as it was answered, if it was.

        Its id is still of the other account: `insert` knows it by person, rule and period.
        """
        fields = {"rule": 1, "period": 1, "is_open": 1}
        own = {
            (d["rule"], d["period"]): d async for d in self._offers.find({"citizen": target}, fields, session=session)
        }
        doubled = [
            own[key]["_id"] if own[key].get("is_open") and not d.get("is_open") else d["_id"]
            async for d in self._offers.find({"citizen": source}, fields, session=session)
            if (key := (d["rule"], d["period"])) in own
        ]
        await self._offers.delete_many({"_id": {"$in": doubled}}, session=session)
        await self._offers.update_many({"citizen": source}, {"$set": {"citizen": target}}, session=session)

    async def erase(self, citizen: int) -> None:
        """No offer names this person any more."""
        await self._offers.delete_many({"citizen": citizen})


def _to_document(offer: Offer) -> Document:
    return {
        "_id": offer.id, "rule": offer.rule, "version": offer.version, "citizen": offer.citizen,
        "period": offer.period, "occurrence": offer.occurrence, "state": offer.state.value, "is_open": True,
        "found_at": offer.found_at, "expires_at": offer.expires_at, "division": offer.division,
        "digest": offer.digest, "reached": {offer.state.value: offer.found_at},
    }  # fmt: skip


def _to_offer(d: Document) -> Offer:
    return Offer(
        id=d["_id"], rule=d["rule"], version=d["version"], citizen=d["citizen"], period=d["period"],
        occurrence=d["occurrence"], state=State(d["state"]), found_at=d["found_at"], expires_at=d["expires_at"],
        division=d["division"], digest=d["digest"], application=d.get("application", ""),
    )  # fmt: skip
