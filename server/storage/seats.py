"""Seats, one document each: whoever writes a seat has to name the version it was read at. That is all the locking.

`seats`: {_id: "<slot>/<rank>", slot, resource, unit, group, day: "2026-11-25", begins_at, ends_at, quota, rank, state,
open_at?, version, stamp, changed_at, booking?: {code, citizen, holder, key, ...}, past?: [booking + outcome],
transit?: {code, other, until, booking?, is_refused?}}.

Promises. A person has one seat per group and day, a holder one live hold per group and one booking per key: unique
indexes say so; of a visit of several seats there, the first counts, and the others are numbered. `changed_at` is the
database's own time of the last write, so who reads on from it (`find_changed`) misses nothing. A collection with unique
indexes over people cannot be sharded by slot: a city's seats, some millions a week, stay on one replica set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import BulkWriteError

from server.domain.booking import Booking, Outcome, Seat, Slot, State, Transit, Visit, day_prefix, visits_of
from server.storage.mongo import Database, Document

DUPLICATE_KEY = 11000
WHEN_EMPTY = {field.name: field.default for field in fields(Booking)}
SLOT_FIELDS = ("resource", "unit", "group", "begins_at", "ends_at")
END = "\uffff"  # above every character of a slot's id
Pair = tuple[Seat, Seat]  # as it was read, as it shall be


class Swap(StrEnum):
    """What became of one write."""

    DONE = "done"
    LOST = "lost"  # somebody was quicker: read again
    CLASH = "clash"  # the person, the holder or the key has another seat already


class SeatStore:
    """The collection `seats`. `stamp` names each write, to tell one's own from a rival's; 63 random bits."""

    def __init__(self, db: Database, stamp: Callable[[], int]) -> None:
        self._seats = db["seats"]
        self._stamp = stamp

    async def insert(self, seats: Sequence[Seat]) -> int:
        """Add what is not there yet; returns how many. A second call changes nothing."""
        if not seats:
            return 0
        result = await self._seats.bulk_write(
            [
                UpdateOne(  # what is there already overrides all of it
                    {"_id": seat.id},
                    [
                        {
                            "$replaceWith": {
                                "$mergeObjects": [{"$literal": to_document(seat)}, {"changed_at": "$$NOW"}, "$$ROOT"]
                            }
                        }
                    ],
                    upsert=True,
                )
                for seat in seats
            ],
            ordered=False,
        )
        return result.upserted_count

    async def find_free(self, slot: str, quota: str, at: datetime, limit: int) -> list[Seat]:
        """Seats that can be taken now, longest open and lowest number first."""
        query = {"slot": slot, "quota": quota, "open_at": {"$lte": at}}
        cursor = self._seats.find(query).sort([("open_at", 1), ("rank", 1)]).limit(limit)
        return [from_document(d) for d in await cursor.to_list()]

    async def find_visits(self, codes: Sequence[str]) -> dict[str, Visit]:
        """Bookings by their public codes, live or ended; who is not there is not in the answer."""
        found: dict[str, Visit] = {}
        # One that moves meanwhile goes from a booking over a transit to a booking: look there again.
        for field in ("booking.code", "past.code", "transit.code", "booking.code"):
            if missing := [code for code in codes if code not in found]:
                seats = [from_document(d) for d in await self._seats.find({field: {"$in": missing}}).to_list()]
                found |= {visit.booking.code: visit for seat in seats for visit in visits_of(seat)}
        return {code: found[code] for code in codes if code in found}

    async def find(self, seat: str) -> Seat | None:
        """One seat."""
        document = await self._seats.find_one({"_id": seat})
        return from_document(document) if document else None

    async def find_all(self, ids: Sequence[str]) -> list[Seat]:
        """Those of these that exist, by id."""
        return [from_document(d) for d in await self._seats.find({"_id": {"$in": list(ids)}}).sort("_id", 1).to_list()]

    async def find_coming_open(self, group: str, days: Sequence[date], limit: int) -> list[Seat]:
        """Seats of a group that anybody can take now or some time, earliest `open_at` last: free ones, and held ones.

        Those that everybody can take already come after those that are kept back.
        """
        query = {"group": group, "day": {"$in": [day.isoformat() for day in days]}, "open_at": {"$exists": True}}
        cursor = self._seats.find(query, hint="comes_open").sort("open_at", -1).limit(limit)
        return [from_document(d) for d in await cursor.to_list()]

    async def find_keyed(self, keys: Sequence[tuple[int, str]]) -> list[Seat]:
        """Seats that these holders have under these keys."""
        if not keys:
            return []
        query = {"$or": [{"booking.holder": holder, "booking.key": key} for holder, key in keys]}
        return [from_document(d) for d in await self._seats.find(query).to_list()]

    async def find_moving(self, before: datetime, limit: int) -> list[Seat]:
        """Ends of moves that should have been over by then."""
        cursor = self._seats.find({"transit.until": {"$lte": before}}).sort("transit.until", 1).limit(limit)
        return [from_document(d) for d in await cursor.to_list()]

    async def find_rivals(self, booking: Booking, seat: Seat) -> list[Seat]:
        """Seats that keep this booking from this seat: the person's in its group and day, or of the same key."""
        query = {
            "$or": [
                {"booking.citizen": booking.citizen, "group": seat.group, "day": seat.day.isoformat()},
                {"booking.holder": booking.holder, "booking.key": booking.key},
            ]
        }
        return [from_document(d) for d in await self._seats.find(query).to_list()]

    async def find_history(self, people: Sequence[int], since: date, *, made: bool = False) -> list[Visit]:
        """Every booking for one of these, of slots since that day, and every live one that one of them made.

        `made`: also what they made for others and has ended; for the rules of booking that does not matter.
        """
        among = {"$in": list(people)}
        among_whom = ["booking.citizen", "booking.holder", "past.citizen", "transit.booking.citizen"]
        if made:
            among_whom += ["past.holder", "transit.booking.holder"]
        query = {"$or": [{field: among} for field in among_whom], "day": {"$gte": since.isoformat()}}
        wanted = frozenset(people)
        seats = [from_document(d) for d in await self._seats.find(query).to_list()]
        return [
            visit
            for seat in seats
            for visit in visits_of(seat)
            if visit.booking.citizen in wanted or visit.booking.holder in wanted
        ]

    async def find_slot(self, slot: str) -> list[Seat]:
        """All seats of a slot, by number."""
        return [from_document(d) for d in await self._seats.find({"slot": slot}).sort("rank", 1).to_list()]

    async def find_day(self, resource: str, day: date) -> list[Seat]:
        """All seats of a resource on a day, by time and number: the officers' list."""
        prefix = day_prefix(day, resource)
        query = {"slot": {"$gte": prefix, "$lt": prefix + END}}
        return [from_document(d) for d in await self._seats.find(query).sort([("slot", 1), ("rank", 1)]).to_list()]

    async def find_times(self, resource: str, day: date) -> list[Slot]:
        """The slots of a resource on a day for which seats were laid out, by time."""
        prefix = day_prefix(day, resource)
        pipeline: list[dict[str, Any]] = [
            {"$match": {"slot": {"$gte": prefix, "$lt": prefix + END}}},
            {"$group": {"_id": "$slot"} | {name: {"$first": f"${name}"} for name in SLOT_FIELDS}},
            {"$sort": {"_id": 1}},
        ]
        found = await (await self._seats.aggregate(pipeline)).to_list()
        return [Slot(**{name: d[name] for name in SLOT_FIELDS}) for d in found]

    async def find_awaiting(self, codes: Sequence[str]) -> list[Seat]:
        """Seats that are kept for these bookings, which are about to move there."""
        query = {"transit.code": {"$in": list(codes)}, "state": State.AWAITED.value}
        return [from_document(d) for d in await self._seats.find(query).to_list()]

    async def find_absent(self, before: datetime, after: str, limit: int) -> list[str]:
        """Slots after `after`, by id, that began before then and in which somebody who booked has not come."""
        pipeline: list[dict[str, Any]] = [
            {"$match": {"state": State.BOOKED.value, "begins_at": {"$lt": before}, "slot": {"$gt": after}}},
            {"$group": {"_id": "$slot"}},
            {"$sort": {"_id": 1}},
            {"$limit": limit},
        ]
        cursor = await self._seats.aggregate(pipeline, hint="absent")
        return [d["_id"] for d in await cursor.to_list()]

    async def find_changed(self, since: datetime, limit: int, *, had: bool = False) -> list[tuple[datetime, Seat]]:
        """Seats written since then (the database's clock), with the time of the write, oldest first.

        `had`: only those that somebody has had; a day's new seats are many. Read again from a few seconds before the
        last one seen, and be idempotent: writes of the same moment may show one after the other.
        """
        query: Document = {"changed_at": {"$gte": since}} | ({"version": {"$gt": 0}} if had else {})
        cursor = self._seats.find(query).sort("changed_at", 1).limit(limit)
        return [(d["changed_at"], from_document(d)) for d in await cursor.to_list()]

    async def swap(self, pairs: Sequence[Pair]) -> list[Swap]:
        """Write seats, each only if it still is what was read: one unordered bulk, an answer for each."""
        if not pairs:
            return []
        stamps = [self._stamp() for _ in pairs]
        writes = [UpdateOne(*update_of(old, new, stamp)) for (old, new), stamp in zip(pairs, stamps, strict=True)]
        clashed: set[int] = set()
        try:
            matched = (await self._seats.bulk_write(writes, ordered=False)).matched_count
        except BulkWriteError as error:
            wrong = error.details["writeErrors"]
            if error.details["writeConcernErrors"] or any(each["code"] != DUPLICATE_KEY for each in wrong):
                raise
            clashed = {each["index"] for each in wrong}
            matched = error.details["nMatched"]
        if matched + len(clashed) == len(pairs):
            return [Swap.CLASH if i in clashed else Swap.DONE for i in range(len(pairs))]
        # Some lost. A stamp that is still there proves a win; one that was overwritten is told as lost, and whoever
        # reads again finds what its booking has become since.
        cursor = self._seats.find({"_id": {"$in": [new.id for _, new in pairs]}}, {"stamp": 1})
        now = {d["_id"]: d.get("stamp") for d in await cursor.to_list()}
        return [
            Swap.CLASH if i in clashed else Swap.DONE if now.get(new.id) == stamps[i] else Swap.LOST
            for i, (_, new) in enumerate(pairs)
        ]

    async def call_next(self, resource: str, day: date, at: datetime) -> Seat | None:
        """Call who waits longest: by the place in the queue, then by time and number. None: nobody waits."""
        found = await self._seats.find_one_and_update(
            {"resource": resource, "day": day.isoformat(), "state": State.CHECKED_IN.value},
            {
                "$set": {"state": State.CALLED.value, "booking.called_at": at, "stamp": self._stamp()},
                "$inc": {"version": 1},
                "$currentDate": {"changed_at": True},
            },
            sort=[("booking.queue_at", 1), ("_id", 1)],
            return_document=ReturnDocument.AFTER,
        )
        return from_document(found) if found else None


def update_of(old: Seat, new: Seat, stamp: int) -> tuple[Document, Document]:
    """(filter, update): only what may change changes."""
    after: dict[str, Any] = {"state": new.state.value, "version": new.version, "stamp": stamp}
    gone: dict[str, str] = {}
    if new.past != old.past:
        after["past"] = [_from_booking(each) for each in new.past]
    changing = {
        "open_at": new.open_at,
        "booking": new.booking and _from_booking(new.booking),
        "transit": new.transit and _from_transit(new.transit),
    }
    for name, value in changing.items():
        if value is None:
            gone[name] = ""
        else:
            after[name] = value
    update: Document = {"$set": after, "$currentDate": {"changed_at": True}}
    return {"_id": old.id, "version": old.version}, update | ({"$unset": gone} if gone else {})


def to_document(seat: Seat) -> Document:
    """For Mongo; a new seat that nobody has had."""
    return {
        "slot": seat.slot,
        "resource": seat.resource,
        "unit": seat.unit,
        "group": seat.group,
        "day": seat.day.isoformat(),
        "begins_at": seat.begins_at,
        "ends_at": seat.ends_at,
        "quota": seat.quota,
        "rank": seat.rank,
        "state": seat.state.value,
        "version": seat.version,
    } | ({"open_at": seat.open_at} if seat.open_at else {})


def from_document(d: Mapping[str, Any]) -> Seat:
    """From Mongo."""
    return Seat(
        id=d["_id"],
        slot=d["slot"],
        resource=d["resource"],
        unit=d["unit"],
        group=d["group"],
        day=date.fromisoformat(d["day"]),
        begins_at=d["begins_at"],
        ends_at=d["ends_at"],
        quota=d["quota"],
        rank=d["rank"],
        state=State(d["state"]),
        open_at=d.get("open_at"),
        version=d["version"],
        booking=_to_booking(d["booking"]) if "booking" in d else None,
        past=tuple(_to_booking(each) for each in d.get("past", ())),
        transit=_to_transit(d["transit"]) if "transit" in d else None,
    )


def _from_booking(booking: Booking) -> Document:
    return {name: value for name in WHEN_EMPTY if (value := getattr(booking, name)) != WHEN_EMPTY[name]}


def _to_booking(d: Mapping[str, Any]) -> Booking:
    outcome = d.get("outcome")
    return Booking(**{**d, "outcome": Outcome(outcome) if outcome else None})


def _from_transit(transit: Transit) -> Document:
    document: Document = {"code": transit.code, "other": transit.other, "until": transit.until}
    if transit.booking:
        document["booking"] = _from_booking(transit.booking)
    return document | ({"is_refused": True} if transit.is_refused else {})


def _to_transit(d: Mapping[str, Any]) -> Transit:
    return Transit(**{**d, "booking": _to_booking(d["booking"]) if "booking" in d else None})
