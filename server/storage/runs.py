"""Runs of rules in MongoDB: which rule was run for which day, and how far a run has come.

`runs`: {_id: "<rule>@<version>/<day>", rule, version, day, since, state: open | done | dropped, cursor: {scan, value},
found, new, owner, until, tries, is_void, done_at}. One process works on a run at a time, by a lease on the database's
clock; another goes on from the cursor when it lapses. The lease saves work: offers are unique whoever finds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError

from server.domain.facts import Value
from server.storage.mongo import Database, Document

LEASE_MS = 30_000
_ONE_MORE: Document = {"$add": [{"$ifNull": ["$tries", 0]}, 1]}


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `since`: the day of the run before it, None for a full one. `scan`, `value`: where it stands."""

    id: str
    rule: str
    version: int
    day: date
    since: date | None
    scan: int = 0
    value: Value | None = None
    found: int = 0
    new: int = 0


class RunStore:
    """Reads and writes them. `owner` names this process."""

    def __init__(self, db: Database, owner: str) -> None:
        self._runs = db["runs"]
        self._owner = owner

    async def open(self, run: Run) -> None:
        """Write down that it has to be done; again changes nothing. One that is void is to be done again."""
        fields = {
            "rule": run.rule, "version": run.version, "day": run.day.isoformat(), "state": "open",
            "since": run.since.isoformat() if run.since else None, "cursor": {"scan": 0, "value": None},
            "found": 0, "new": 0,
        }  # fmt: skip
        void = {"_id": run.id, "is_void": True}
        again = await self._runs.update_one(void, {"$set": fields, "$unset": {"is_void": "", "done_at": ""}})
        if again.matched_count:
            return
        try:
            await self._runs.update_one({"_id": run.id}, {"$setOnInsert": fields}, upsert=True)
        except DuplicateKeyError:
            return

    async def last_days(self) -> dict[tuple[str, int], tuple[date, date | None]]:
        """Of each rule and version the day of its newest run, and of its newest full one; void ones do not count."""
        pipeline: list[Document] = [
            {"$match": {"is_void": {"$ne": True}}},
            {
                "$group": {
                    "_id": {"rule": "$rule", "version": "$version"},
                    "day": {"$max": "$day"},
                    "full": {"$max": {"$cond": [{"$eq": ["$since", None]}, "$day", None]}},
                }
            },
        ]
        return {
            (d["_id"]["rule"], d["_id"]["version"]): (
                date.fromisoformat(d["day"]),
                date.fromisoformat(d["full"]) if d["full"] else None,
            )
            async for d in await self._runs.aggregate(pipeline)
        }

    async def claim(self) -> Run | None:
        """The open run that nobody works on and that was begun least often, for this process; None: there is none.

        So one that nobody can finish keeps no other back.
        """
        is_free = {"$lte": [{"$ifNull": ["$until", "$$NOW"]}, "$$NOW"]}
        found = await self._runs.find_one_and_update(
            {"state": "open", "$expr": is_free},
            [{"$set": {"owner": self._owner, "until": {"$add": ["$$NOW", LEASE_MS]}, "tries": _ONE_MORE}}],
            sort=[("tries", ASCENDING), ("day", ASCENDING), ("_id", ASCENDING)],
        )
        return _to_run(found) if found else None

    async def advance(self, run: Run, scan: int, value: Value | None, found: int, new: int) -> bool:
        """It has come so far, and the lease is renewed; False: another process has it by now."""
        fields: Document = {
            "cursor": {"$literal": {"scan": scan, "value": value}}, "found": found, "new": new,
            "until": {"$add": ["$$NOW", LEASE_MS]},
        }  # fmt: skip
        result = await self._runs.update_one({"_id": run.id, "owner": self._owner, "state": "open"}, [{"$set": fields}])
        return bool(result.matched_count)

    async def close(self, run: Run, now: datetime, found: int, new: int) -> None:
        """It is done."""
        fields = {"state": "done", "done_at": now, "found": found, "new": new}
        await self._runs.update_one({"_id": run.id}, {"$set": fields, "$unset": {"owner": "", "until": ""}})

    async def drop(self, rule: str, version: int) -> None:
        """Forget what was still to be done for a version that was stopped or replaced.

        What was done is void: if it comes back, nobody has looked at what changed in between, so its next run is full.
        """
        state = {"$cond": [{"$eq": ["$state", "open"]}, "dropped", "$state"]}
        query = {"rule": rule, "version": version, "is_void": {"$ne": True}}
        await self._runs.update_many(
            query, [{"$set": {"state": state, "is_void": True}}, {"$unset": ["owner", "until"]}]
        )

    async def newest(self, rule: str, limit: int) -> list[dict[str, Any]]:
        """The newest runs of a rule, as officers see them."""
        fields = {"_id": 0, "version": 1, "day": 1, "since": 1, "state": 1, "found": 1, "new": 1, "done_at": 1}
        cursor = self._runs.find({"rule": rule}, fields).sort("day", DESCENDING).limit(limit)
        return [d async for d in cursor]


def _to_run(d: Document) -> Run:
    return Run(
        id=d["_id"], rule=d["rule"], version=d["version"], day=date.fromisoformat(d["day"]),
        since=date.fromisoformat(d["since"]) if d["since"] else None, scan=d["cursor"]["scan"],
        value=d["cursor"]["value"], found=d["found"], new=d["new"],
    )  # fmt: skip


def run_id(rule: str, version: int, day: date) -> str:
    """One run of a rule's version and day."""
    return f"{rule}@{version}/{day.isoformat()}"
