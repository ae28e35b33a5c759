"""Citizens and how they can be reached.

`citizens`: {_id, places: [{division, divisions, point, ...}], channels: [those with a usable address], order: [the
own order of channels], is_tester, follows}: who an audience query streams, in id order, on the indexes
(places.divisions, _id) and (follows, _id). What else stands in a place is `storage/profiles.py`'s.
`addresses`: {_id, lang, quiet, off, wechat | push | sms: [{value: sealed, index: blind index}], grants}: what a sender
reads for a page, by contiguous id. A verified phone or openid belongs to one citizen (unique blind index).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import structlog
from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from server.domain.broadcasts import CHANNELS, ID_SPACE, Audience
from server.domain.coverage import coverage_of
from server.domain.follows import counted_at
from server.storage.mongo import Database, Document, Session, in_transaction
from server.storage.vault import KeyMissingError, SealedError, Vault

MEMBER = {"places.division": 1, "channels": 1, "order": 1}
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
    off: tuple[str, ...] = ()  # opted out of: what `delivery.opt_out` writes
    order: tuple[str, ...] = ()  # the own order of channels
    is_tester: bool = False  # gets exercises and tests


class Member(NamedTuple):
    """Somebody in an audience: id, index of the matched place's division, channels with a usable address, own order."""

    id: int
    division: int
    channels: Sequence[str]
    order: Sequence[str] = ()  # the person's own order of channels, () = as the broadcast says


class KnownPlace(NamedTuple):
    """One place of a person: its id ("" = it has none yet), label, division, (latitude, longitude) if given."""

    id: str
    label: str
    division: str
    point: tuple[float, float] | None


class Whereabouts(NamedTuple):
    """What one person cares about, whether exercises and tests are meant for them, and what they follow (marks)."""

    places: Sequence[KnownPlace]
    is_tester: bool
    follows: Sequence[str] = ()


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

    async def add_unless_taken(self, citizen: NewCitizen) -> bool:
        """Store one new citizen, all or nothing; False if one of the addresses belongs to somebody already."""

        async def store(session: Session) -> None:
            await self._addresses.insert_one(self._sealed(citizen), session=session)
            await self._citizens.insert_one(_to_document(citizen), session=session)

        try:
            await in_transaction(self._addresses.database, store)
        except DuplicateKeyError:
            return False
        return True

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
        if audience.follows and audience.citizens is None:
            async for follower in self._followers(audience, lo, hi):
                yield follower
            return
        coverage = coverage_of(audience)
        is_listed = audience.citizens is not None
        fields = MEMBER | ({"places.point": 1} if coverage.shape is not None else {})
        cursor = self._citizens.find(_query(audience, lo, hi), fields).sort("_id", 1).batch_size(MEMBERS_AT_ONCE)
        index = self._division_index
        async for document in cursor:
            for place in document["places"]:
                if is_listed or coverage.covers(place["division"], place.get("point")):
                    yield _member(document, index(place["division"]))
                    break

    async def _followers(self, audience: Audience, lo: int, hi: int) -> AsyncIterator[Member]:
        """Those who follow; each counts under the division of the follow."""
        cursor = self._citizens.find(_query(audience, lo, hi), MEMBER | {"follows": 1}).sort("_id", 1)
        async for document in cursor.batch_size(MEMBERS_AT_ONCE):
            yield _member(document, self._division_index(counted_at(document["follows"], audience.follows)))

    async def by_id(self, ids: Sequence[int]) -> list[Member]:
        """These people as members, whatever their places, in id order: the first place counts, "" if there is none."""
        cursor = self._citizens.find({"_id": {"$in": list(ids)}}, MEMBER).sort("_id", 1).batch_size(1_000)
        index = self._division_index
        return [_member(d, index(next((p["division"] for p in d["places"]), ""))) async for d in cursor]

    async def whereabouts(self, citizen: int) -> Whereabouts:
        """What this person cares about; nothing for somebody who has no place and follows nothing."""
        fields = {f"places.{name}": 1 for name in ("id", "label", "division", "point")} | {"is_tester": 1, "follows": 1}
        document = await self._citizens.find_one({"_id": citizen}, fields) or {}
        places = [
            KnownPlace(p.get("id", ""), p.get("label", "home"), p["division"], _pair(p.get("point")))
            for p in document.get("places", ())
        ]
        return Whereabouts(places, bool(document.get("is_tester")), document.get("follows", ()))

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

    async def addresses_of(self, citizen: int, channel: str) -> list[str]:
        """The addresses of one person on a channel, opened."""
        document = await self._addresses.find_one({"_id": citizen}, {f"{channel}.value": 1})
        owner = f"addresses|{citizen}|{channel}"
        return [self._vault.open(a["value"], owner=owner) for a in (document or {}).get(channel, ())]

    async def bind(self, citizen: int, channel: str, value: str) -> bool:
        """Make this the person's one address on the channel; False if it belongs to somebody else."""
        update = {"$set": {channel: [self._address(citizen, channel, value)]}, "$setOnInsert": {"lang": "zh"}}
        try:
            await self._addresses.update_one({"_id": citizen}, update, upsert=True)
        except DuplicateKeyError:
            return False
        await self._citizens.update_one({"_id": citizen}, {"$addToSet": {"channels": channel}})
        return True

    async def bind_also(self, citizen: int, channel: str, value: str) -> bool:
        """One more address of theirs; False if it belongs to somebody. A second call changes nothing."""
        update = {"$push": {channel: self._address(citizen, channel, value)}, "$setOnInsert": {"lang": "zh"}}
        query = {"_id": citizen, f"{channel}.index": {"$ne": self.index(channel, value)}}
        try:
            await self._addresses.update_one(query, update, upsert=True)
        except DuplicateKeyError:
            owner = await self.find_by_address(channel, [value])
            return owner.get(value) == citizen
        await self._citizens.update_one({"_id": citizen}, {"$addToSet": {"channels": channel}})
        return True

    async def unbind(self, citizen: int, channel: str, *, keeping: str) -> bool:
        """Take a person's addresses on a channel away; False, and nothing happens, without one on `keeping`."""
        query = {"_id": citizen, f"{keeping}.0": {"$exists": True}}
        update = {"$unset": {channel: ""}, "$pull": {"retired": {"channel": channel}}}  # nor is one revived
        result = await self._addresses.update_one(query, update)
        if not result.matched_count:
            return False
        await self._citizens.update_one({"_id": citizen}, {"$pull": {"channels": channel}})
        return True

    async def let_go(self, citizen: int, channel: str, value: str, *, keeping: str) -> bool:
        """Take one address away; False, and nothing happens, without one on `keeping` or if it is not theirs."""
        index = self.index(channel, value)
        query = {"_id": citizen, f"{channel}.index": index, f"{keeping}.0": {"$exists": True}}
        return await self._drop(query, channel, index)

    async def take_over(self, citizen: int, channel: str, value: str) -> None:
        """One address more; whoever had it has it no longer. A second call changes nothing."""
        index = self.index(channel, value)
        while not await self.bind_also(citizen, channel, value):
            owner = await self._addresses.find_one({f"{channel}.index": index}, {"_id": 1})
            if owner:
                await self.drop(owner["_id"], channel, index)

    async def drop(self, citizen: int, channel: str, index: bytes) -> None:
        """Take one address away, by its blind index."""
        await self._drop({"_id": citizen, f"{channel}.index": index}, channel, index)

    async def _drop(self, query: Document, channel: str, index: bytes) -> bool:
        after = await self._addresses.find_one_and_update(
            query, _without(channel, index), {channel: 1}, return_document=ReturnDocument.AFTER
        )
        if after is not None and channel not in after:
            await self._citizens.update_one({"_id": after["_id"]}, {"$pull": {"channels": channel}})
        return after is not None

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
                UpdateOne(
                    {"_id": citizen, f"{channel}.index": index}, _retired(channel, index, note | {"index": index})
                )
                for citizen, index in dead
            ],
            ordered=False,
        )
        ids = [citizen for citizen, _ in dead]
        none_left = [
            d["_id"] async for d in self._addresses.find({"_id": {"$in": ids}, channel: {"$exists": False}}, {"_id": 1})
        ]
        await self._citizens.update_many({"_id": {"$in": none_left}}, {"$pull": {"channels": channel}})

    async def revive(self, channel: str, value: str, since: datetime) -> bool:
        """Give an address that was retired after `since` back to who had it, if they have no other on the channel.

        A provider that will not deliver there says nothing about who may log in with it.
        """
        note = {"channel": channel, "index": self.index(channel, value), "at": {"$gt": since}}
        query = {"retired": {"$elemMatch": note}, f"{channel}.0": {"$exists": False}}
        found = await self._addresses.find_one(query, {"_id": 1})
        return found is not None and await self.bind_also(found["_id"], channel, value)

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
            document[channel] = [self._address(citizen.id, channel, value) for value in values]
        return document

    def _address(self, citizen: int, channel: str, value: str) -> Document:
        sealed = self._vault.seal(value, owner=f"addresses|{citizen}|{channel}")
        return {"value": sealed, "index": self._vault.index(value, field=channel)}


def _pair(point: Sequence[float] | None) -> tuple[float, float] | None:
    return (point[0], point[1]) if point else None


def _to_document(citizen: NewCitizen) -> Document:
    own = {"order": list(citizen.order)} if citizen.order else {}
    return (
        own
        | {
            "_id": citizen.id,
            "places": [
                {"division": p.division, "divisions": list(p.divisions)} | ({"point": list(p.point)} if p.point else {})
                for p in citizen.places
            ],
            "channels": [c for c in CHANNELS if citizen.addresses.get(c)],
        }
        | ({"is_tester": True} if citizen.is_tester else {})
    )


def _member(document: Document, division: int) -> Member:
    return Member(document["_id"], division, document["channels"], document.get("order", ()))


def _without(channel: str, index: bytes) -> list[Document]:
    """Remove one address. An emptied list goes too: a unique index would take two empty lists for the same value."""
    left = {"$filter": {"input": f"${channel}", "cond": {"$ne": ["$$this.index", index]}}}
    return [
        {"$set": {channel: left}},
        {"$set": {channel: {"$cond": [{"$eq": [f"${channel}", []]}, "$$REMOVE", f"${channel}"]}}},
    ]


def _retired(channel: str, index: bytes, note: Document) -> list[Document]:
    """Remove one address, with a note that says why."""
    retired = {"$slice": [{"$concatArrays": [{"$ifNull": ["$retired", []]}, [note]]}, -5]}
    return [*_without(channel, index), {"$set": {"retired": retired}}]


def _query(audience: Audience, lo: int, hi: int) -> dict[str, Any]:
    interval: dict[str, Any] = {"$gte": lo, "$lte": min(hi, ID_SPACE - 1)}
    if audience.citizens is not None:
        return {"_id": interval | {"$in": list(audience.citizens)}}
    if audience.follows:
        return {"_id": interval, "follows": {"$in": list(audience.follows)}}
    codes = sorted({*audience.divisions, *audience.shape_districts})
    return {"_id": interval, "places.divisions": codes[0] if len(codes) == 1 else {"$in": codes}}
