"""The ledger of pages in MongoDB. With `page_documents`, the only file that knows a page's document.

{_id, broadcast, channel, number, lane, state, lo, hi, to: packed ids, dv: packed division indexes, s: [rank],
 why: {position: reason}, sent: [[packed runs, attempt, at, account]], resent: [position],
 refs: {key: packed (position, 8-byte hash)}, about: [id], not_before, expires_at, lease: {owner, attempt, at},
 tries, reason}

Outcomes and receipts are `$max` on `s.<position>`: they may be applied by anybody, twice and in any order. Intents,
leases and states are fenced by the lease. The lease's clock is the database's.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import BulkWriteError

from server.domain import ranks
from server.domain.broadcasts import Lane, range_id, range_of
from server.domain.pages import (
    Page,
    PageState,
    Sent,
    ids_from_bytes,
    may_have_it,
    runs,
    shorts_to_bytes,
)
from server.storage.commit import Fence, GroupCommit, Write
from server.storage.mongo import Database, Document
from server.storage.page_documents import Hint, readable, to_document, to_hint, to_page

LEASE_S = 10.0
RED_LEASE_S = 3.0
DUPLICATE_KEY = 11000
SKELETON = {"refs": 0, "why": 0}
HINT = {"channel": 1, "lane": 1}

SPANS_PER_QUERY = 100

Home = tuple[str, int]  # broadcast id and its number of ranges: enough to find the range of any citizen


@dataclass(frozen=True, slots=True)
class Spot:
    """Where one person stands: page, position, range, and the hashes of the provider's references that are known.

    `is_incomplete`: something may have left of which no reference is known.
    """

    page: str
    position: int
    range_id: str
    references: frozenset[bytes]
    is_incomplete: bool
    about: str = ""  # the thing that a personal notice is about


def lease_s(lane: Lane) -> float:
    """How long a page is held without a sign of life. Red is short: a dead worker must not cost it ten seconds."""
    return RED_LEASE_S if lane is Lane.RED else LEASE_S


def hash_reference(reference: str) -> bytes:
    """8 bytes that recognise a provider's reference in a receipt."""
    return hashlib.blake2b(reference.encode(), digest_size=8).digest()


def is_free() -> dict[str, Any]:
    """No lease, or one that has lapsed by the database's clock."""
    length_ms = {"$cond": [{"$eq": ["$lane", Lane.RED.value]}, int(RED_LEASE_S * 1000), int(LEASE_S * 1000)]}
    return {"$lt": [{"$ifNull": ["$lease.at", None]}, {"$subtract": ["$$NOW", length_ms]}]}


class Pages:
    """Reads and writes pages. One instance per process: its writes are committed in groups."""

    def __init__(self, db: Database) -> None:
        self._pages = db["pages"]
        self._commit = GroupCommit(self._pages)

    async def insert(self, pages: Sequence[Page]) -> bool:
        """Insert new pages; False if another planner has already written one of them (then: stop planning)."""
        try:
            await self._pages.insert_many([to_document(page) for page in pages], ordered=False)
        except BulkWriteError as error:
            if all(e["code"] == DUPLICATE_KEY for e in error.details["writeErrors"]):
                return False
            raise
        return True

    async def find_people(self, id_: str) -> frozenset[int]:
        """Who stands on this page; nobody if there is no such page."""
        found = await self._pages.find_one({"_id": id_}, {"to": 1})
        return frozenset(ids_from_bytes(found["to"])) if found else frozenset()

    async def claim(self, ids: Sequence[str], owner: str, token: str) -> list[Page]:
        """Lease those of these pages that are open, due and free. `owner` is unique per process, `token` per call."""
        due = {"$and": [{"$lte": ["$not_before", "$$NOW"]}, is_free()]}
        update = {
            "$set": {"lease.owner": owner, "lease.token": token},
            "$inc": {"lease.attempt": 1},
            "$currentDate": {"lease.at": True},
        }
        if len(ids) == 1:
            found = await self._pages.find_one_and_update(
                {"_id": ids[0], "state": "open", "$expr": due},
                update,
                return_document=ReturnDocument.AFTER,
                projection=SKELETON,
            )
            return readable([found]) if found else []
        await self._pages.bulk_write(
            [UpdateOne({"_id": i, "state": "open", "$expr": due}, update) for i in ids], ordered=False
        )
        taken = self._pages.find({"_id": {"$in": list(ids)}, "lease.token": token, "lease.owner": owner}, SKELETON)
        return readable([document async for document in taken])

    async def write(self, page: Page, changes: Mapping[str, Any], *, is_fenced: bool, is_urgent: bool = False) -> bool:
        """Apply the changes (see `outcomes`, `intent`, `release`); False if fenced and the lease is lost."""
        fence = Fence(page.owner or "", page.attempt) if is_fenced else None
        return await self._commit.write(Write(page.id, changes, fence), is_urgent=is_urgent)

    async def find_lapsed(self, lanes: Sequence[Lane], *, limit: int = 1_000) -> list[Hint]:
        """Pages whose holder gave no sign of life for the length of a lease, by the database's clock."""
        now = await self._now()
        cuts = [{"lane": lane.value, "lease.at": {"$lt": now - timedelta(seconds=lease_s(lane))}} for lane in lanes]
        cursor = self._pages.find({"state": "open", "$or": cuts}, HINT).limit(limit)
        return [to_hint(d) async for d in cursor]

    async def find_waiting(self, lane: Lane, channel: str, *, limit: int = 500) -> list[Hint]:
        """Pages that are due and held by nobody, longest due first."""
        query = {
            "state": "open",
            "lane": lane.value,
            "channel": channel,
            "lease.at": None,
            "not_before": {"$lte": await self._now()},
        }
        cursor = self._pages.find(query, HINT).sort("not_before", 1).limit(limit)
        return [to_hint(d) async for d in cursor]

    async def is_any_open(self, broadcast: str) -> bool:
        """Whether anything of this broadcast is still to be done, now or later."""
        return await self._pages.find_one({"broadcast": broadcast, "state": "open"}, {"_id": 1}) is not None

    async def is_any_dead(self, broadcast: str) -> bool:
        """Whether a page of this broadcast waits for a human."""
        return await self._pages.find_one({"state": "dead", "broadcast": broadcast}, {"_id": 1}) is not None

    async def close_untouched(self, broadcast: str, reason: str) -> int:
        """Close, in the database, every page of which nobody has sent anything: its people are suppressed."""
        result = await self._pages.update_many(
            {"broadcast": broadcast, "state": "open", "lease.owner": None, "sent": {"$exists": False}},
            [
                {
                    "$set": {
                        "s": {"$map": {"input": "$s", "in": {"$max": ["$$this", ranks.SUPPRESSED]}}},
                        "state": PageState.DONE.value,
                        "reason": reason,
                    }
                }
            ],
        )
        return result.modified_count

    async def hasten(self, broadcast: str) -> list[Hint]:
        """Make the open pages of a stopped broadcast due now, so that a worker closes them; returns them."""
        query = {"broadcast": broadcast, "state": {"$in": ["open", "dead"]}}
        await self._pages.update_many(query, {"$min": {"not_before": await self._now()}, "$set": {"state": "open"}})
        return [to_hint(d) async for d in self._pages.find({"broadcast": broadcast, "state": "open"}, HINT)]

    async def _now(self) -> datetime:
        hello = await self._pages.database.command("hello")
        now: datetime = hello["localTime"]
        return now if now.tzinfo else now.replace(tzinfo=UTC)

    async def last_of_range(self, broadcast: str, channel: str, number: int) -> tuple[int, int] | None:
        """(page count, highest id) that planning has reached in this range, or None. A planner resumes after it."""
        prefix = f"{broadcast}/{channel}/{number:05d}/"
        query = {"_id": {"$gte": prefix, "$lt": prefix + ":"}, "planned": True}  # ':' follows '9'
        cursor = self._pages.find(query, {"hi": 1}).sort("_id", -1).limit(1)
        async for document in cursor:
            return int(document["_id"].rsplit("/", 1)[1]) + 1, document["hi"]
        return None

    async def of_range(self, broadcast: str, number: int) -> list[Page]:
        """All pages of one range on all channels, follow-ups too."""
        return [to_page(d) async for d in self._pages.find({"broadcast": broadcast, "number": number}, {"refs": 0})]

    async def delete_some(self, broadcast: str, number: int, limit: int) -> int:
        """Delete at most `limit` pages of a range, for good; returns how many."""
        found = self._pages.find({"broadcast": broadcast, "number": number}, {"_id": 1}).limit(limit)
        ids = [d["_id"] async for d in found]
        return (await self._pages.delete_many({"_id": {"$in": ids}})).deleted_count if ids else 0

    async def overlapping(self, homes: Sequence[Home], lo: int, hi: int) -> AsyncIterator[Page]:
        """Pages of these broadcasts that hold ids with lo <= id <= hi."""
        for broadcast, ranges in homes:
            numbers = {"$gte": range_of(lo, ranges), "$lte": range_of(hi, ranges)}
            query = {"broadcast": broadcast, "number": numbers, "lo": {"$lte": hi}, "hi": {"$gte": lo}}
            async for document in self._pages.find(query):
                yield to_page(document)

    async def is_any_leased(self, broadcasts: Sequence[str], lo: int, hi: int) -> bool:
        """Whether somebody may still be handing over notices of these broadcasts to ids with lo <= id <= hi."""
        query = {
            "broadcast": {"$in": list(broadcasts)},
            "lo": {"$lte": hi},
            "hi": {"$gte": lo},
            "state": "open",
            "lease.owner": {"$ne": None},
            "$expr": {"$not": [is_free()]},
        }
        return await self._pages.find_one(query, {"_id": 1}) is not None

    async def find_spots(self, channel: str, recent: Sequence[Home], ids: Sequence[int]) -> dict[int, list[Spot]]:
        """Where these people stand on the pages of these broadcasts, in the order of `recent`.

        Only notices that left or may have left: a receipt cannot speak of what nobody has sent. The reference hashes
        are read only if a person can have several notices: only then are they needed.
        """
        if len(recent) > 1:
            return await self._spots(channel, recent, ids, {})
        found = await self._spots(channel, recent, ids, {"refs": 0})
        several = [citizen for citizen, spots in found.items() if len(spots) > 1]  # of a standing broadcast
        return found | await self._spots(channel, recent, several, {}) if several else found

    async def find_named(self, channel: str, homes: Sequence[Home], ids: Sequence[int]) -> dict[int, list[Spot]]:
        """The same for who names the broadcast: without references, for none is needed to tell which is meant."""
        return await self._spots(channel, homes, ids, {"refs": 0})

    async def _spots(
        self, channel: str, recent: Sequence[Home], ids: Sequence[int], fields: Mapping[str, int]
    ) -> dict[int, list[Spot]]:
        wanted = set(ids)
        found: dict[int, list[Spot]] = {}
        for broadcast, ranges in recent:
            async for document in self._holding(broadcast, ranges, channel, ids, fields):
                page = to_page(document)
                handed_over = set(may_have_it(page))
                for i, citizen in enumerate(page.to):
                    if citizen in wanted and i in handed_over:
                        named = page.references.get(i, frozenset())
                        is_incomplete = not named or i in page.resent
                        about = page.about[i] if page.about else ""
                        spot = Spot(page.id, i, range_id(broadcast, page.number), named, is_incomplete, about)
                        found.setdefault(citizen, []).append(spot)
        return found

    async def _holding(
        self, broadcast: str, ranges: int, channel: str, ids: Sequence[int], fields: Mapping[str, int]
    ) -> AsyncIterator[Document]:
        """Pages of one broadcast and channel that span one of the ids."""
        by_number: dict[int, list[int]] = {}
        for i in ids:
            by_number.setdefault(range_of(i, ranges), []).append(i)
        spans = [
            {"number": number, "lo": {"$lte": max(inside)}, "hi": {"$gte": min(inside)}}
            for number, inside in by_number.items()
        ]
        for start in range(0, len(spans), SPANS_PER_QUERY):
            clauses = [
                {"broadcast": broadcast, "channel": channel, **span} for span in spans[start : start + SPANS_PER_QUERY]
            ]
            async for document in self._pages.find({"$or": clauses}, fields):
                yield document

    async def apply(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Unfenced changes of many pages at once (receipts), durable when it returns."""
        if changes:
            await self._pages.bulk_write(
                [UpdateOne({"_id": i}, change) for i, change in changes.items()], ordered=False
            )

    async def dead(self, limit: int = 100) -> list[Page]:
        """The dead-letter list."""
        return [to_page(d) async for d in self._pages.find({"state": "dead"}).limit(limit)]

    async def revive(self, ids: Sequence[str]) -> list[Hint]:
        """Put dead pages back to work; returns (id, channel, lane) of those that were dead."""
        found = [to_hint(d) async for d in self._pages.find({"_id": {"$in": list(ids)}, "state": "dead"}, HINT)]
        await self._pages.update_many(
            {"_id": {"$in": [i for i, _, _ in found]}, "state": "dead"},
            {"$set": {"state": "open", "tries": 0, "reason": ""}, "$unset": {"lease.owner": "", "lease.at": ""}},
        )
        return found

    async def of_citizen(self, citizen: int, recent: Sequence[Home]) -> list[tuple[Page, int]]:
        """Every page of these broadcasts with this citizen in it, and the position."""
        places = []
        for broadcast, ranges in recent:
            query = {"broadcast": broadcast, "number": range_of(citizen, ranges), "lo": {"$lte": citizen}}
            async for document in self._pages.find(query | {"hi": {"$gte": citizen}}):
                page = to_page(document)
                if citizen in page.to:
                    places.append((page, page.to.index(citizen)))
        return places


# --- changes: parts of an update, combined with `combine` -------------------------------------------------------------


def outcomes(
    ranks_: Mapping[int, int], why: Mapping[int, str], references: Iterable[tuple[int, str]], key: str
) -> dict[str, Any]:
    """Outcomes of one window: they only raise ranks. `key`: unique per window of the page (attempt.first position)."""
    change: dict[str, Any] = {"$max": {f"s.{i}": rank for i, rank in ranks_.items()}} if ranks_ else {}
    sets: dict[str, Any] = {f"why.{i}": reason for i, reason in why.items()}
    packed = b"".join(struct.pack(">H", i) + hash_reference(r) for i, r in references)
    if packed:
        sets[f"refs.{key}"] = packed
    if sets:
        change["$set"] = sets
    return change


def intent(sent: Sent) -> dict[str, Any]:
    """Write down that these positions are about to be handed over, and renew the lease."""
    packed = shorts_to_bytes(n for run in runs(sent.positions) for n in run)
    return {"$push": {"sent": [packed, sent.attempt, sent.at, sent.account]}, "$currentDate": {"lease.at": True}}


def send_again(positions: Sequence[int]) -> dict[str, Any]:
    """Write down that these doubtful positions will be sent a second time."""
    return {"$addToSet": {"resent": {"$each": list(positions)}}} if positions else {}


def release(
    *, not_before: datetime | None = None, state: PageState = PageState.OPEN, reason: str = ""
) -> dict[str, Any]:
    """Give the lease back: done, dead with a reason, or open again from `not_before` on."""
    sets: dict[str, Any] = {"state": state.value}
    if state is not PageState.DEAD:
        sets["tries"] = 0  # only exceptions in a row make a dead letter
    if not_before:
        sets["not_before"] = not_before
    if reason:
        sets["reason"] = reason[:500]
    return {"$set": sets, "$unset": {"lease.owner": "", "lease.at": "", "lease.token": ""}}


def fallen(waits_until: datetime) -> dict[str, Any]:
    """Ladder: the refused have gone on; the rest wait for receipts until then."""
    return {"$set": {"is_fallen": True, "waits_until": waits_until, "not_before": waits_until}}


def failed() -> dict[str, Any]:
    """Count an exception: a page that breaks its workers ends on the dead-letter list."""
    return {"$inc": {"tries": 1}}


def combine(*changes: Mapping[str, Any]) -> dict[str, Any]:
    """One update out of several; later parts win on equal fields."""
    result: dict[str, dict[str, Any]] = {}
    for change in changes:
        for operator, fields in change.items():
            result.setdefault(operator, {}).update(fields)
    return result


def receipt(change: dict[str, Any], position: int, rank: int, code: str) -> None:
    """Add a receipt to a page's change (unfenced: ranks only rise)."""
    raised = change.setdefault("$max", {})
    raised[f"s.{position}"] = max(rank, raised.get(f"s.{position}", rank))
    if code:
        change.setdefault("$set", {})[f"why.{position}"] = code[:60]
