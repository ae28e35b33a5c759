"""Broadcasts and their ranges in MongoDB.

A range is the unit of planning and of sums: one interval of citizen ids of one broadcast. It is claimed with a lease
like a page, and it holds the sums of its pages, recomputed when one of them changed, never incremented.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import BulkWriteError, DuplicateKeyError

from server.domain.broadcasts import Broadcast, Lane, State, bounds, range_id
from server.domain.errors import NotFoundError
from server.storage.mongo import Database, Document
from server.storage.pages import DUPLICATE_KEY, is_free

Sums = Mapping[str, Mapping[str, Mapping[str, int]]]  # channel -> status -> division index (text) -> count


@dataclass(frozen=True, slots=True)
class Range:
    """One interval of ids of one broadcast."""

    id: str
    broadcast: str
    number: int
    lane: Lane
    lo: int
    hi: int
    is_planned: bool
    sums: Sums
    summed_at: datetime | None = None
    owner: str = ""  # of the lease, while somebody plans it
    is_sealed: bool = False
    claims: int = 0  # how often it was taken for planning; at the first there is nothing to go on from


class Broadcasts:
    """Reads and writes broadcasts and ranges."""

    def __init__(self, db: Database) -> None:
        self._broadcasts = db["broadcasts"]
        self._ranges = db["ranges"]

    async def insert(self, broadcast: Broadcast) -> Broadcast:
        """Store a new broadcast; if one with this id exists, that one is returned and nothing changes."""
        document = broadcast.model_dump(mode="python") | {
            "changed_at": broadcast.released_at,
            "is_cut": False,
            "is_bare": False,
        }
        document["_id"] = document.pop("id")
        document["state"], document["lane"], document["policy"] = (
            broadcast.state.value,
            broadcast.lane.value,
            broadcast.policy.value,
        )
        try:
            await self._broadcasts.insert_one(document)
        except DuplicateKeyError:
            return await self.get(broadcast.id)
        return broadcast

    async def cut(self, broadcast: Broadcast) -> list[str]:
        """Make the range documents of a broadcast; returns their ids. A second call adds what is missing.

        Nobody plans the ranges of a standing broadcast: its pages come from the outbox.
        """
        ids = [range_id(broadcast.id, n) for n in range(broadcast.ranges)]
        documents = [
            {
                "_id": ids[n],
                "broadcast": broadcast.id,
                "number": n,
                "lane": broadcast.lane.value,
                "lo": bounds(n, broadcast.ranges)[0],
                "hi": bounds(n, broadcast.ranges)[1] - 1,  # BSON integers end at 2^63 - 1
                "state": "planned" if broadcast.kind == "standing" else "open",
            }
            for n in range(broadcast.ranges)
        ]
        try:
            await self._ranges.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            if any(e["code"] != DUPLICATE_KEY for e in error.details["writeErrors"]):
                raise
        await self._broadcasts.update_one({"_id": broadcast.id}, {"$set": {"is_cut": True}})
        return ids

    async def find_uncut(self) -> list[Broadcast]:
        """Released, but the process died before all ranges were there."""
        return [_to_broadcast(d) async for d in self._broadcasts.find({"state": State.LIVE.value, "is_cut": False})]

    async def get(self, broadcast: str) -> Broadcast:
        """One broadcast; NotFoundError."""
        document = await self._broadcasts.find_one({"_id": broadcast})
        if document is None:
            raise NotFoundError("broadcast_unknown", zh=f"没有发布任务 {broadcast}", en=f"no broadcast {broadcast}")
        return _to_broadcast(document)

    async def find_changed_at(self, broadcast: str) -> datetime | None:
        """When the state last changed; None if there is no such broadcast."""
        document = await self._broadcasts.find_one({"_id": broadcast}, {"changed_at": 1})
        return document["changed_at"] if document else None

    async def states(self, ids: Sequence[str] | None = None) -> dict[str, State]:
        """The states of these broadcasts, or of all that are live or paused. One small read: workers poll it."""
        query: dict[str, Any] = (
            {"state": {"$in": [State.LIVE.value, State.PAUSED.value]}} if ids is None else {"_id": {"$in": list(ids)}}
        )
        return {d["_id"]: State(d["state"]) async for d in self._broadcasts.find(query, {"state": 1})}

    async def set_state(self, broadcast: str, state: State, *, only_from: Sequence[State], now: datetime) -> bool:
        """Change the state; False if it was in none of `only_from`."""
        result = await self._broadcasts.update_one(
            {"_id": broadcast, "state": {"$in": [s.value for s in only_from]}},
            {"$set": {"state": state.value, "changed_at": now, "is_summed": state is State.FINISHED}},
        )
        return bool(result.matched_count)

    async def find_unsummed(self) -> list[str]:
        """Broadcasts that were stopped and whose last full pass over the sums is still to come."""
        query = {"state": {"$in": [State.CANCELLED.value, State.REPLACED.value]}, "is_summed": False}
        return [d["_id"] async for d in self._broadcasts.find(query, {"_id": 1})]

    async def set_summed(self, broadcast: str) -> None:
        """The full pass is done."""
        await self._broadcasts.update_one({"_id": broadcast}, {"$set": {"is_summed": True}})

    async def recent(self, since: datetime) -> list[tuple[str, int]]:
        """(id, number of ranges) of the broadcasts released since then: where a receipt may belong."""
        query = {"released_at": {"$gte": since}}
        return [
            (d["_id"], d["ranges"]) async for d in self._broadcasts.find(query, {"ranges": 1}).sort("released_at", -1)
        ]

    async def homes(self, ids: Sequence[str]) -> list[tuple[str, int]]:
        """(id, number of ranges) of those of these broadcasts that exist."""
        return [
            (d["_id"], d["ranges"]) async for d in self._broadcasts.find({"_id": {"$in": list(ids)}}, {"ranges": 1})
        ]

    async def claim_range(self, id_: str, owner: str) -> Range | None:
        """Lease a range for planning, if it is open and free. `owner` names this claim: no other ever has the name."""
        found = await self._ranges.find_one_and_update(
            {"_id": id_, "state": "open", "$expr": is_free()},
            {"$set": {"lease.owner": owner}, "$inc": {"claims": 1}, "$currentDate": {"lease.at": True}},
            return_document=ReturnDocument.AFTER,
        )
        return _to_range(found) if found else None

    async def renew_range(self, id_: str, owner: str) -> bool:
        """Keep a range; False if somebody else has it."""
        result = await self._ranges.update_one(
            {"_id": id_, "lease.owner": owner, "state": "open"}, {"$currentDate": {"lease.at": True}}
        )
        return bool(result.matched_count)

    async def finish_range(self, id_: str, owner: str, *, is_planned: bool) -> None:
        """Give a range back: planned for good, or open for another try."""
        sets = {"state": "planned"} if is_planned else {"state": "open"}
        await self._ranges.update_one({"_id": id_, "lease.owner": owner}, {"$set": sets, "$unset": {"lease": ""}})

    async def find_open_ranges(self, lanes: Sequence[Lane], *, limit: int = 1_000) -> list[tuple[str, Lane]]:
        """Ranges that still have to be planned and are held by nobody, or by somebody long silent."""
        query = {
            "state": "open",
            "lane": {"$in": [lane.value for lane in lanes]},
            "$expr": is_free(),
        }
        cursor = self._ranges.find(query, {"lane": 1}).hint("open_ranges").limit(limit)
        return [(d["_id"], Lane(d["lane"])) async for d in cursor]

    async def close_ranges(self, broadcast: str) -> None:
        """Nothing more is planned for a stopped broadcast. A planner that holds a range finds its renewal refused."""
        await self._ranges.update_many({"broadcast": broadcast, "state": "open"}, {"$set": {"state": "planned"}})

    async def is_any_range_open(self, broadcast: str) -> bool:
        """Whether planning is not finished yet."""
        planned = await self._ranges.count_documents({"broadcast": broadcast, "state": "planned"})
        cut = await self._broadcasts.find_one({"_id": broadcast}, {"ranges": 1, "is_cut": 1})
        return cut is None or not cut["is_cut"] or planned < cut["ranges"]

    async def set_sums(self, id_: str, sums: Sums, read_at: datetime) -> None:
        """Store the recomputed sums of a range, unless it is sealed or has those of pages that were read later."""
        await self._ranges.update_one(
            {"_id": id_, "is_sealed": None, "sums_at": {"$not": {"$gt": read_at}}},
            {"$set": {"sums": sums, "sums_at": read_at}},
        )

    async def find_old(self, released_before: datetime, now: datetime, *, limit: int) -> list[str]:
        """Broadcasts that were released before then, ended and were summed up, but still have pages; oldest first.

        One whose alert is still in force is not old: its all-clear is for the people on its pages.
        """
        ended = [State.FINISHED.value, State.CANCELLED.value, State.REPLACED.value]
        query = {
            "released_at": {"$lt": released_before},
            "state": {"$in": ended},
            "is_summed": True,
            "is_bare": False,
            "expires_at": {"$lt": now},
        }
        cursor = self._broadcasts.find(query, {"_id": 1}).sort("released_at", 1).limit(limit)
        return [d["_id"] async for d in cursor]

    async def seal(self, id_: str) -> None:
        """The sums of this range are final: its pages are about to go."""
        await self._ranges.update_one({"_id": id_}, {"$set": {"is_sealed": True}})

    async def set_bare(self, broadcast: str) -> None:
        """No page is left; whom the audience named (a test list) goes too."""
        await self._broadcasts.update_one(
            {"_id": broadcast, "audience.citizens": {"$ne": None}}, {"$set": {"audience.citizens": []}}
        )
        await self._broadcasts.update_one({"_id": broadcast}, {"$set": {"is_bare": True}})

    async def ranges(self, broadcast: str) -> AsyncIterator[Range]:
        """All ranges of a broadcast in order."""
        async for document in self._ranges.find({"broadcast": broadcast}).sort("number", 1):
            yield _to_range(document)


def _to_broadcast(d: Document) -> Broadcast:
    fields = {k: v for k, v in d.items() if k in Broadcast.model_fields}
    return Broadcast.model_validate(fields | {"id": d["_id"]})


def _to_range(d: Document) -> Range:
    return Range(
        id=d["_id"],
        broadcast=d["broadcast"],
        number=d["number"],
        lane=Lane(d["lane"]),
        lo=d["lo"],
        hi=d["hi"],
        is_planned=d["state"] == "planned",
        sums=d.get("sums", {}),
        summed_at=d.get("sums_at"),
        owner=d.get("lease", {}).get("owner", ""),
        is_sealed=d.get("is_sealed", False),
        claims=d.get("claims", 0),
    )
