"""Ratings in MongoDB, apart from the cases they are about.

{_id, case: blind index of the application, citizen, unit, division, item, stars, indicators, tags, comment: sealed,
questionnaire, rated_on, handlers, state, due_on, answered_on, steps, version, is_unlogged}

`case` makes one rating per case and leads nowhere without the index key. `citizen` is whose key seals the comment, and
whose rating it is to export and erase; it is never shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pymongo.errors import DuplicateKeyError

from server.domain.ratings import Rating, TicketAction, TicketState, TicketStep
from server.storage.mongo import Database, Document, Session
from server.storage.person_keys import PersonVault, ShreddedError
from server.storage.vault import Vault

AT_MOST = 200


@dataclass(frozen=True, slots=True)
class Tally:
    """The figures of one unit. `levels`: how many gave 1 to 5 stars.

    Of the bad ones: `fixed` are answered, `on_time` by their deadline; `late` are past it, answered since or not.
    """

    unit: str
    levels: Mapping[int, int]
    tags: Mapping[str, int]
    bad: int
    fixed: int
    late: int
    on_time: int


class RatingStore:
    """The collection `ratings`."""

    def __init__(self, db: Database, people: PersonVault, vault: Vault) -> None:
        self._ratings = db["ratings"]
        self._people = people
        self._vault = vault

    async def insert(self, rating: Rating, application: str, citizen: int) -> bool:
        """A new one; False: this case has one already."""
        vault = await self._people.of(citizen)
        document = _to_document(rating) | {"case": self._case(application), "citizen": citizen, "version": 1}
        if rating.comment:
            document["comment"] = vault.seal(rating.comment, owner=f"ratings|{rating.id}|comment")
        try:
            await self._ratings.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def find_case(self, application: str) -> Rating | None:
        """The rating of a case."""
        document = await self._ratings.find_one({"case": self._case(application)})
        return await self._opened(document) if document else None

    async def find_rated(self, applications: Sequence[str]) -> frozenset[str]:
        """Those of these cases that have a rating."""
        cases = {self._case(application): application for application in applications}
        cursor = self._ratings.find({"case": {"$in": list(cases)}}, {"case": 1})
        return frozenset([cases[bytes(d["case"])] async for d in cursor])

    async def find(self, rating: str) -> tuple[Rating, int] | None:
        """One of them, with its version."""
        document = await self._ratings.find_one({"_id": rating})
        return (await self._opened(document), document["version"]) if document else None

    async def rater_of(self, rating: str) -> int:
        """Whose rating it is; 0 for somebody who was erased. Never to be shown with the rating."""
        document = await self._ratings.find_one({"_id": rating}, {"citizen": 1})
        return int(document["citizen"]) if document else 0

    async def tickets(
        self, units: Sequence[str], states: Sequence[TicketState], handlers: Sequence[str]
    ) -> list[Rating]:
        """The bad ratings of some units in these states, longest due first; none of what one of `handlers` handled."""
        query = {
            "unit": {"$in": list(units)},
            "state": {"$in": [state.value for state in states]},
            "handlers": {"$nin": list(handlers)},
        }
        documents = await self._ratings.find(query).sort("due_on", 1).limit(AT_MOST).to_list()
        return [await self._opened(d) for d in documents]

    async def swap(self, rating: Rating, version: int) -> bool:
        """Write a step if nobody was quicker. The log does not have it yet: see `mark_logged`."""
        result = await self._ratings.update_one(
            {"_id": rating.id, "version": version},
            {
                "$set": {
                    "state": rating.state.value,
                    "steps": [_from_step(each) for each in rating.steps],
                    "answered_on": rating.answered_on.isoformat() if rating.answered_on else None,
                    "is_unlogged": True,
                },
                "$inc": {"version": 1},
            },
        )
        return result.matched_count == 1

    async def mark_logged(self, rating: str, steps: int) -> None:
        """The log has all of so many steps."""
        query = {"_id": rating, "steps": {"$size": steps}}
        await self._ratings.update_one(query, {"$unset": {"is_unlogged": ""}})

    async def find_unlogged(self, limit: int) -> list[Rating]:
        """Tickets with a step that the log may not have."""
        cursor = self._ratings.find({"is_unlogged": True}).limit(limit)
        return [_to_rating(d, "") async for d in cursor]

    async def tally(self, today: date, unit: str | None = None) -> list[Tally]:
        """The public figures by unit; what was excluded counts nowhere."""
        match: Document = {"state": {"$ne": TicketState.EXCLUDED.value}} | ({"unit": unit} if unit else {})
        is_bad = {"$lte": ["$stars", 2]}
        is_fixed = {"$in": ["$state", [TicketState.ANSWERED.value, TicketState.CLOSED.value]]}
        fixed_on = {"$ifNull": ["$answered_on", today.isoformat()]}
        is_late = {"$and": [is_bad, {"$lt": ["$due_on", fixed_on]}]}
        is_on_time = {"$and": [is_bad, is_fixed, {"$gte": ["$due_on", fixed_on]}]}
        group: Document = {
            "_id": "$unit",
            **{f"l{n}": {"$sum": {"$cond": [{"$eq": ["$stars", n]}, 1, 0]}} for n in range(1, 6)},
            "bad": {"$sum": {"$cond": [is_bad, 1, 0]}},
            "fixed": {"$sum": {"$cond": [{"$and": [is_bad, is_fixed]}, 1, 0]}},
            "late": {"$sum": {"$cond": [is_late, 1, 0]}},
            "on_time": {"$sum": {"$cond": [is_on_time, 1, 0]}},
        }
        found = await self._ratings.aggregate([{"$match": match}, {"$group": group}, {"$sort": {"_id": 1}}])
        tags = await self._tags(match)
        return [_to_tally(d, tags.get(d["_id"], {})) async for d in found]

    async def _tags(self, match: Document) -> dict[str, dict[str, int]]:
        """How often each tag was given, by unit: counted there, for one list of all tags outgrows a document."""
        by = {"unit": "$unit", "tag": "$tags"}
        found = await self._ratings.aggregate(
            [{"$match": match}, {"$unwind": "$tags"}, {"$group": {"_id": by, "n": {"$sum": 1}}}]
        )
        tags: dict[str, dict[str, int]] = {}
        async for d in found:
            tags.setdefault(d["_id"]["unit"], {})[d["_id"]["tag"]] = d["n"]
        return tags

    async def export(self, citizen: int) -> list[dict[str, Any]]:
        """What somebody has rated."""
        found = await self._ratings.find({"citizen": citizen}).sort("rated_on", 1).to_list()
        ratings = [await self._opened(d) for d in found]
        return [
            {"item": r.item, "stars": r.stars, "indicators": dict(r.indicators), "tags": list(r.tags),
             "comment": r.comment, "rated_on": r.rated_on.isoformat()}
            for r in ratings
        ]  # fmt: skip

    async def move(self, source: int, target: int, session: Session) -> None:
        """They go along; comments are sealed anew."""
        async for d in self._ratings.find({"citizen": source}, session=session):
            change: Document = {"citizen": target}
            if "comment" in d:
                owner = f"ratings|{d['_id']}|comment"
                words = (await self._people.of(source)).open(d["comment"], owner=owner)
                change["comment"] = (await self._people.of(target)).seal(words, owner=owner)
            await self._ratings.update_one({"_id": d["_id"]}, {"$set": change}, session=session)

    async def erase(self, citizen: int) -> None:
        """The figures stay, the words and the person go. May be repeated."""
        await self._ratings.update_many({"citizen": citizen}, {"$set": {"citizen": 0}, "$unset": {"comment": ""}})

    def _case(self, application: str) -> bytes:
        return self._vault.index(application, field="ratings.case")

    async def _opened(self, d: Document) -> Rating:
        comment = ""
        if "comment" in d:
            try:
                comment = (await self._people.of(d["citizen"])).open(d["comment"], owner=f"ratings|{d['_id']}|comment")
            except ShreddedError:
                comment = ""
        return _to_rating(d, comment)


def _to_document(rating: Rating) -> Document:
    return {
        "_id": rating.id, "unit": rating.unit, "division": rating.division, "item": rating.item,
        "stars": rating.stars, "indicators": dict(rating.indicators), "tags": list(rating.tags),
        "questionnaire": rating.questionnaire, "rated_on": rating.rated_on.isoformat(),
        "handlers": sorted(rating.handlers), "state": rating.state.value,
        "due_on": rating.due_on.isoformat() if rating.due_on else None, "steps": [],
    }  # fmt: skip


def _to_rating(d: Document, comment: str) -> Rating:
    return Rating(
        id=d["_id"], unit=d["unit"], division=d["division"], item=d["item"], stars=d["stars"],
        indicators=d["indicators"], tags=tuple(d["tags"]), comment=comment, questionnaire=d["questionnaire"],
        rated_on=date.fromisoformat(d["rated_on"]), handlers=frozenset(d["handlers"]), state=TicketState(d["state"]),
        due_on=date.fromisoformat(d["due_on"]) if d["due_on"] else None,
        steps=tuple(
            TicketStep(TicketAction(s["action"]), s["officer"], s["person"], s["note"], date.fromisoformat(s["on"]))
            for s in d["steps"]
        ),
    )  # fmt: skip


def _from_step(step: TicketStep) -> Document:
    return {
        "action": step.action.value, "officer": step.officer, "person": step.person, "note": step.note,
        "on": step.on.isoformat(),
    }  # fmt: skip


def _to_tally(d: Document, tags: Mapping[str, int]) -> Tally:
    return Tally(d["_id"], {n: d[f"l{n}"] for n in range(1, 6)}, tags, d["bad"], d["fixed"], d["late"], d["on_time"])
