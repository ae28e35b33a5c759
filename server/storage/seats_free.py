"""How many seats are free, for searches over thousands of resources, from counts that are at most a second old.

Nothing is counted up or down. Each process keeps the counts of the days it was asked for and, when an answer would be
too old, counts those slots anew that were written since, or of which a seat has come open by time alone
(an ended hold, a day's release). Counting reads one index; a day is read once, then only what changes.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

from pymongo.errors import PyMongoError

from server.domain.booking import day_prefix
from server.domain.errors import UnavailableError
from server.storage.mongo import Database
from server.storage.seats import END

REFRESH = timedelta(milliseconds=300)  # by `run`
STALE = timedelta(milliseconds=600)  # beyond it a search counts for itself
OLDEST = timedelta(seconds=1)
OVERLAP = timedelta(seconds=2)  # between the stamp of a write and when it can be read
MAX_DAYS = 62  # kept; the one that was asked for longest ago goes first
MAX_CHANGED = 20_000  # slots; beyond it (a month was just made) the days are read anew
CHUNK = 2_000
TRIES = 3
Counts = dict[str, dict[str, int]]  # resource -> slot -> free


@dataclass(frozen=True, slots=True)
class Free:
    """Free seats by day, resource and slot, as they were at `as_of`; a slot without any is not in it."""

    as_of: datetime
    days: Mapping[date, Mapping[str, Mapping[str, int]]]

    @property
    def slots(self) -> dict[str, int]:
        """By slot alone."""
        return {slot: n for day in self.days.values() for slots in day.values() for slot, n in slots.items()}


@dataclass(slots=True)
class _Day:
    """Counts of one day by quota, and when a slot gains a seat without being written to."""

    counts: dict[str, Counts] = field(default_factory=lambda: defaultdict(dict))
    openings: list[tuple[datetime, str, str]] = field(default_factory=list)  # a heap: when, slot, quota
    next_at: dict[tuple[str, str], datetime] = field(default_factory=dict)  # which of the heap's entries hold

    def set(self, slot: str, quota: str, free: int, next_at: datetime | None) -> None:
        """What was counted."""
        _, resource, _ = slot.split("/", 2)
        if free:
            counts = self.counts[quota]
            counts[resource] = counts.get(resource, {}) | {slot: free}  # a new one: answers keep the old one
        if next_at and self.next_at.get((slot, quota)) != next_at:
            self.next_at[slot, quota] = next_at
            heapq.heappush(self.openings, (next_at, slot, quota))

    def forget(self, slot: str) -> None:
        """What was counted; it is about to be counted anew."""
        _, resource, _ = slot.split("/", 2)
        for counts in self.counts.values():
            if slot in counts.get(resource, ()):
                counts[resource] = {name: free for name, free in counts[resource].items() if name != slot}

    def opened(self, at: datetime) -> Iterator[str]:
        """Slots that may have gained a seat by time."""
        while self.openings and self.openings[0][0] <= at:
            when, slot, quota = heapq.heappop(self.openings)
            if self.next_at.get((slot, quota)) == when:
                del self.next_at[slot, quota]
                yield slot


class FreeSeats:
    """One process's counts. `now` is the database's clock."""

    def __init__(self, db: Database, now: Callable[[], datetime]) -> None:
        self._seats = db["seats"]
        self._now = now
        self._days: dict[date, _Day] = {}  # the one asked for last stands last
        self._as_of: datetime | None = None
        self._turn = asyncio.Lock()

    async def free_by_slot(self, resources: Iterable[str], days: Sequence[date], quota: str) -> Free:
        """Free seats of one quota in all slots of these resources on these days (at most 62 days).

        UnavailableError `booking_counts` if the database is too slow to be sure of a second.
        """
        if len(days) > MAX_DAYS:
            raise ValueError(days)
        for _ in range(TRIES):
            async with self._turn:  # whoever waits here finds it done
                as_of = await self._refreshed(days, STALE)
            if self._now() - as_of <= OLDEST and all(day in self._days for day in days):
                break
        else:
            raise UnavailableError(
                "booking_counts", zh="余号查询繁忙，请稍后再试", en="availability is behind: try again in a moment"
            )
        wanted = list(resources)
        tables = {day: self._days[day].counts.get(quota, {}) for day in days}
        return Free(as_of, {day: {r: table[r] for r in wanted if table.get(r)} for day, table in tables.items()})

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the days up to date until told to stop, so that searches need not; errors are left to them."""
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), REFRESH.total_seconds())
            except TimeoutError:
                with suppress(PyMongoError):
                    async with self._turn:
                        await self._refreshed([], REFRESH / 2)

    async def _refreshed(self, days: Sequence[date], stale: timedelta) -> datetime:
        """Bring the counts up to date unless they are; when they were read."""
        at = self._now()
        if self._as_of is None or at - self._as_of > stale:
            if self._as_of is not None:
                await self._recount(self._as_of - OVERLAP, at)
            self._as_of = at
        for day in days:
            kept = self._days.pop(day, None)
            self._days[day] = kept if kept is not None else await self._read(day)
        while len(self._days) > MAX_DAYS:
            del self._days[next(iter(self._days))]
        return self._as_of

    async def _read(self, day: date) -> _Day:
        prefix = day_prefix(day)
        found = _Day()
        await self._count({"$gte": prefix, "$lt": prefix + END}, self._now(), {day.isoformat(): found})
        return found

    async def _recount(self, since: datetime, at: datetime) -> None:
        """Count the slots anew that were written since, or gained a seat by time."""
        days, self._days = self._days, {}  # if this fails or is stopped half-way, all is read anew
        by_text = {day.isoformat(): kept for day, kept in days.items()}
        changed = {slot for slot in await self._changed(since) if slot[:10] in by_text}
        for kept in by_text.values():
            changed.update(kept.opened(at))
        if len(changed) > MAX_CHANGED:
            return
        waiting = iter(changed)
        while chunk := list(islice(waiting, CHUNK)):
            await self._count({"$in": chunk}, at, by_text)
        self._days = days

    async def _changed(self, since: datetime) -> list[str]:
        pipeline: list[dict[str, Any]] = [
            {"$match": {"changed_at": {"$gte": since}}},
            {"$group": {"_id": "$slot"}},
        ]
        cursor = await self._seats.aggregate(pipeline, hint="changed_at_1_slot_1")
        return [d["_id"] for d in await cursor.to_list()]

    async def _count(self, slots: dict[str, Any], at: datetime, days: dict[str, _Day]) -> None:
        is_free = {"$lte": ["$open_at", at]}
        pipeline: list[dict[str, Any]] = [
            {"$match": {"slot": slots, "open_at": {"$exists": True}}},
            {
                "$group": {
                    "_id": {"slot": "$slot", "quota": "$quota"},
                    "free": {"$sum": {"$cond": [is_free, 1, 0]}},
                    "next": {"$min": {"$cond": [is_free, None, "$open_at"]}},
                }
            },
        ]
        cursor = await self._seats.aggregate(pipeline, hint="open")
        found = await cursor.to_list()
        for slot in slots.get("$in", ()):
            days[slot[:10]].forget(slot)
        for d in found:
            slot, quota = d["_id"]["slot"], d["_id"]["quota"]
            days[slot[:10]].set(slot, quota, d["free"], d["next"])
