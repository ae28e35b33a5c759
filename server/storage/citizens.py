"""Citizens and how they can be reached.

`citizens`: {_id, places: [{division, divisions, point}], channels: [those with a usable address]}: who an audience
query streams, in id order, on the index (places.divisions, _id).
`addresses`: {_id, lang, quiet, off, wechat | push | sms: [{value: sealed, index: blind index}], grants}: what a sender
reads for a page, by contiguous id. A verified phone or openid belongs to one citizen (unique blind index).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import structlog
from pymongo import UpdateOne

from server.domain.broadcasts import CHANNELS, ID_SPACE, Audience
from server.domain.coverage import coverage_of
from server.storage.mongo import Database, Document
from server.storage.vault import KeyMissingError, SealedError, Vault

MEMBERS_AT_ONCE = 500  # decoded in one go: more would hold the loop
SAMPLES = (1024, 32, 1)  # shares of the id space in which an audience is counted until enough are found
ENOUGH = 50

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Place:
    """What a citizen cares about: the finest known division with all its ancestors, and a WGS-84 point if given."""

    division: str
    divisions: tuple[str, ...]
    point: tuple[float, float] | None = None  # latitude, longitude


@dataclass(frozen=True, slots=True)
class NewCitizen:
    """A citizen to store. `id` is 63 random bits and is never shown outside."""

    id: int
    places: Sequence[Place]
    addresses: Mapping[str, Sequence[str]]
    lang: str = "zh"
    quiet: tuple[int, int] | None = None  # minutes of the China day: from, to
    off: tuple[str, ...] = ()  # opted out: "topic:lane" or "topic"
    is_tester: bool = False  # gets exercises and tests


class Member(NamedTuple):
    """Somebody in an audience: id, the index of the matched place's division, channels with a usable address."""

    id: int
    division: int
    channels: Sequence[str]


class KnownPlace(NamedTuple):
    """One place of a person: its id ("" = it has none), its division, its (latitude, longitude) if given."""

    id: str
    division: str
    point: tuple[float, float] | None


class Whereabouts(NamedTuple):
    """What one person cares about, and whether exercises and tests are meant for them."""

    places: Sequence[KnownPlace]
    is_tester: bool


class Address(NamedTuple):
    """One address, opened for sending. `blind` is its blind index: it names it without telling it."""

    value: str
    blind: bytes


class Reach(NamedTuple):
    """How one person can be reached on one channel now."""

    addresses: Sequence[Address]
    lang: str = "zh"
    quiet: tuple[int, int] | None = None
    off: frozenset[str] = frozenset()


class Citizens:
    """Reads and writes citizens and addresses."""

    def __init__(self, db: Database, vault: Vault, division_index: Callable[[str], int]) -> None:
        self._citizens = db["citizens"]
        self._addresses = db["addresses"]
        self._vault = vault
        self._division_index = division_index

    async def add(self, citizens: Iterable[NewCitizen]) -> None:
        """Store new citizens; the addresses first, so that nobody is announced as reachable before it is true."""
        batch = list(citizens)
        if not batch:
            return
        await self._addresses.insert_many([self._sealed(c) for c in batch], ordered=False)
        await self._citizens.insert_many([_to_document(c) for c in batch], ordered=False)

    async def estimate(self, audience: Audience) -> int:
        """About how many people: counted in a small share of the id space, which random ids make representative."""
        if audience.citizens is not None:
            return len(audience.citizens)
        for share in SAMPLES:
            count = await self._citizens.count_documents(_query(audience, 0, ID_SPACE // share - 1))
            if count >= ENOUGH or share == 1:
                return count * share
        raise AssertionError("the last share is the whole")

    async def members(self, audience: Audience, lo: int, hi: int) -> AsyncIterator[Member]:
        """Stream the members of the audience with lo <= id <= hi, in id order."""
        coverage = coverage_of(audience)
        is_listed = audience.citizens is not None
        fields = {"places.division": 1, "channels": 1} | ({"places.point": 1} if coverage.shape is not None else {})
        cursor = self._citizens.find(_query(audience, lo, hi), fields).sort("_id", 1).batch_size(MEMBERS_AT_ONCE)
        index = self._division_index
        async for document in cursor:
            for place in document["places"]:
                if is_listed or coverage.covers(place["division"], place.get("point")):
                    yield Member(document["_id"], index(place["division"]), document["channels"])
                    break

    async def by_id(self, ids: Sequence[int]) -> list[Member]:
        """These people as members, whatever their places, in id order: the first place counts, "" if there is none."""
        cursor = self._citizens.find({"_id": {"$in": list(ids)}}, {"places.division": 1, "channels": 1}).sort("_id", 1)
        return [
            Member(d["_id"], self._division_index(next((p["division"] for p in d["places"]), "")), d["channels"])
            async for d in cursor
        ]

    async def whereabouts(self, citizen: int) -> Whereabouts:
        """What this person cares about; nothing for somebody who has no place."""
        fields = {"places.id": 1, "places.division": 1, "places.point": 1, "is_tester": 1}
        document = await self._citizens.find_one({"_id": citizen}, fields) or {}
        places = [KnownPlace(p.get("id", ""), p["division"], _pair(p.get("point"))) for p in document.get("places", ())]
        return Whereabouts(places, bool(document.get("is_tester")))

    async def reach(self, channel: str, ids: Sequence[int]) -> dict[int, Reach]:
        """How these people (ascending ids) can be reached on one channel now; those without an address are absent.

        An address that does not open is left out: one spoilt value must not silence a page of 500. SealedError if no
        value opens, or the key is missing: then the fault is ours and nobody may be written off for it.
        """
        fields = {channel: 1, "lang": 1, "quiet": 1, "off": 1}
        opened: dict[int, Reach] = {}
        spoilt: SealedError | None = None
        wanted = {"_id": {"$in": list(ids)}, f"{channel}.0": {"$exists": True}}
        async for d in self._addresses.find(wanted, fields).batch_size(1_000):
            owner = f"addresses|{d['_id']}|{channel}"
            addresses: list[Address] = []
            for a in d[channel]:
                try:
                    addresses.append(Address(self._vault.open(a["value"], owner=owner), a["index"]))
                except KeyMissingError:
                    raise
                except SealedError as error:
                    spoilt = error
                    log.warning("address_spoilt", citizen=d["_id"], channel=channel)
            quiet = d.get("quiet")
            opened[d["_id"]] = Reach(addresses, d["lang"], tuple(quiet) if quiet else None, frozenset(d.get("off", ())))
        if spoilt and not any(person.addresses for person in opened.values()):
            raise spoilt
        return opened

    async def usable_channels(self, ids: Sequence[int]) -> dict[int, list[str]]:
        """Which channels these people can be reached on now."""
        fields = {f"{c}.index": 1 for c in CHANNELS}
        cursor = self._addresses.find({"_id": {"$in": list(ids)}}, fields)
        return {d["_id"]: [c for c in CHANNELS if d.get(c)] async for d in cursor}

    async def find_by_address(self, channel: str, values: Sequence[str]) -> dict[str, int]:
        """Whose addresses these are: {value: citizen id}."""
        by_index = {self._vault.index(v, field=channel): v for v in values}
        found: dict[str, int] = {}
        cursor = self._addresses.find({f"{channel}.index": {"$in": list(by_index)}}, {f"{channel}.index": 1})
        async for document in cursor:
            for address in document[channel]:
                if (value := by_index.get(bytes(address["index"]))) is not None:
                    found[value] = document["_id"]
        return found

    def index(self, channel: str, value: str) -> bytes:
        """The blind index of an address."""
        return self._vault.index(value, field=channel)

    async def retire(self, channel: str, dead: Sequence[tuple[int, bytes]], *, code: str, now: datetime) -> None:
        """Take dead addresses out of use; a person without any left is not planned on this channel any more."""
        if not dead:
            return
        note = {"channel": channel, "code": code, "at": now}
        await self._addresses.bulk_write(
            [
                UpdateOne({"_id": citizen, f"{channel}.index": index}, _without(channel, index, note))
                for citizen, index in dead
            ],
            ordered=False,
        )
        ids = [citizen for citizen, _ in dead]
        none_left = [
            d["_id"] async for d in self._addresses.find({"_id": {"$in": ids}, channel: {"$exists": False}}, {"_id": 1})
        ]
        await self._citizens.update_many({"_id": {"$in": none_left}}, {"$pull": {"channels": channel}})

    async def erase(self, citizen: int) -> None:
        """Forget this person: first that they can be planned for, then their addresses. May be repeated."""
        await self._citizens.delete_one({"_id": citizen})
        await self._addresses.delete_one({"_id": citizen})

    async def spend_grants(self, template: str, citizens: Sequence[int]) -> None:
        """A forecast, settled once per finished page: each accepted message used up one accept."""
        field_name = f"grants.{template}.left"
        await self._addresses.update_many(
            {"_id": {"$in": list(citizens)}, field_name: {"$gt": 0}}, {"$inc": {field_name: -1}}
        )

    async def set_grants(self, changes: Sequence[tuple[int, str, bool, datetime]]) -> None:
        """(citizen, template, accepted, at): an accept adds one, a refusal empties, unless a later one is known."""
        if not changes:
            return
        await self._addresses.bulk_write(
            [
                UpdateOne(
                    {"_id": citizen, f"grants.{template}.at": {"$not": {"$gte": at}}},
                    {"$inc": {f"grants.{template}.left": 1}, "$set": {f"grants.{template}.at": at}}
                    if accepted
                    else {"$set": {f"grants.{template}": {"left": 0, "at": at}}},
                )
                for citizen, template, accepted, at in changes
            ],
            ordered=False,
        )

    async def testers(self) -> tuple[int, ...]:
        """Who takes part in exercises and tests: people who agreed to it, at most a thousand."""
        return tuple([d["_id"] async for d in self._citizens.find({"is_tester": True}, {"_id": 1}).limit(1_000)])

    async def sample_ids(self, limit: int) -> list[int]:
        """Some ids (for exercises' test lists and demonstrations)."""
        return [d["_id"] async for d in self._citizens.find({}, {"_id": 1}).sort("_id", 1).limit(limit)]

    async def count(self) -> int:
        """About how many citizens there are."""
        return await self._citizens.estimated_document_count()

    def _sealed(self, citizen: NewCitizen) -> Document:
        document: Document = {"_id": citizen.id, "lang": citizen.lang}
        if citizen.quiet:
            document["quiet"] = list(citizen.quiet)
        if citizen.off:
            document["off"] = list(citizen.off)
        for channel, values in citizen.addresses.items():
            owner = f"addresses|{citizen.id}|{channel}"
            document[channel] = [
                {"value": self._vault.seal(v, owner=owner), "index": self._vault.index(v, field=channel)}
                for v in values
            ]
        return document


def _pair(point: Sequence[float] | None) -> tuple[float, float] | None:
    return (point[0], point[1]) if point else None


def _to_document(citizen: NewCitizen) -> Document:
    return {
        "_id": citizen.id,
        "places": [
            {"division": p.division, "divisions": list(p.divisions)} | ({"point": list(p.point)} if p.point else {})
            for p in citizen.places
        ],
        "channels": [c for c in CHANNELS if citizen.addresses.get(c)],
    } | ({"is_tester": True} if citizen.is_tester else {})


def _without(channel: str, index: bytes, note: Document) -> list[Document]:
    """Remove one address. An emptied list goes too: a unique index would take two empty lists for the same value."""
    left = {"$filter": {"input": f"${channel}", "cond": {"$ne": ["$$this.index", index]}}}
    retired = {"$slice": [{"$concatArrays": [{"$ifNull": ["$retired", []]}, [note]]}, -5]}
    return [
        {"$set": {channel: left, "retired": retired}},
        {"$set": {channel: {"$cond": [{"$eq": [f"${channel}", []]}, "$$REMOVE", f"${channel}"]}}},
    ]


def _query(audience: Audience, lo: int, hi: int) -> dict[str, Any]:
    interval: dict[str, Any] = {"$gte": lo, "$lte": min(hi, ID_SPACE - 1)}
    if audience.citizens is not None:
        return {"_id": interval | {"$in": list(audience.citizens)}}
    codes = sorted({*audience.divisions, *audience.shape_districts})
    return {"_id": interval, "places.divisions": codes[0] if len(codes) == 1 else {"$in": codes}}
