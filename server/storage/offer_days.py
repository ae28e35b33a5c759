"""Outcomes of offers in MongoDB: what became of each rule's offers, by the day of China on which they were made.

`offer_days`: {_id: "<rule>/<YYYY-MM-DD>", rule, day, due_at, counted_at, counts: {<state>: how many ever reached it,
all}}. Nothing is incremented: each day is counted anew from the offers themselves, the young ones often and the old
ones seldom, so a reader sums a few hundred small documents and the counting costs the same whatever the offers add up
to. Who is erased is not counted any more.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta

from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.domain.offers import COUNTS, Tally
from server.storage.mongo import Database, Document


class OfferDays:
    """Reads and writes them."""

    def __init__(self, db: Database) -> None:
        self._days = db["offer_days"]

    async def newest(self, rule: str) -> date | None:
        """The newest day of a rule that is known."""
        found = await self._days.find_one({"rule": rule}, {"day": 1}, sort=[("day", DESCENDING)])
        return date.fromisoformat(found["day"]) if found else None

    async def add(self, rule: str, day: date, now: datetime) -> None:
        """A day that has offers, to be counted at once; again changes nothing."""
        fields: Document = {"rule": rule, "day": day.isoformat(), "due_at": now, "counts": {}}
        try:
            await self._days.update_one({"_id": f"{rule}/{day.isoformat()}"}, {"$setOnInsert": fields}, upsert=True)
        except DuplicateKeyError:
            return

    async def claim(self, now: datetime, lease: timedelta) -> tuple[str, date] | None:
        """The rule and day whose count is most overdue: nobody else counts it during the lease. None: none is due."""
        found = await self._days.find_one_and_update(
            {"due_at": {"$lte": now}}, {"$set": {"due_at": now + lease}}, sort=[("due_at", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )  # fmt: skip
        return (found["rule"], date.fromisoformat(found["day"])) if found else None

    async def put(self, rule: str, day: date, tally: Tally, due_at: datetime) -> None:
        """How it stands, and when it is to be counted again."""
        fields = {"counts": dict(tally.counts), "counted_at": tally.counted_at, "due_at": due_at}
        await self._days.update_one({"_id": f"{rule}/{day.isoformat()}"}, {"$set": fields})

    async def tallies(self, rules: Collection[str] | None = None) -> dict[str, Tally]:
        """By rule; None: of all of them."""
        sums = {name: {"$sum": f"$counts.{name}"} for name in COUNTS}
        pipeline: list[Document] = [
            {"$match": {"rule": {"$in": list(rules)}} if rules is not None else {}},
            {"$group": {"_id": "$rule", "counted_at": {"$max": "$counted_at"}, **sums}},
            {"$sort": {"_id": 1}},
        ]
        found = await (await self._days.aggregate(pipeline)).to_list()
        return {d["_id"]: Tally({name: d[name] for name in COUNTS}, d["counted_at"]) for d in found}
