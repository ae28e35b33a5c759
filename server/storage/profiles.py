"""What people told about themselves, where the engine reads it: no copy that could lag behind.

In `citizens`: `places` ({id, label, division, divisions, point, datum, name: sealed, address: sealed}), counted up in
`places_version` by every change; `order` (own order of channels); `is_tester`. In `addresses`: `lang`, `quiet`, `off`,
`grants` (WeChat's own word) and `told` ({template: [{id, at, is_accepted}]}, what a mini-program told of it). A place's
name and address are sealed with the person's key; its point is not, because audiences are asked by it. People who were
registered by the city have places without an id: the first reader gives them one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from pymongo.errors import DuplicateKeyError

from server.domain.broadcasts import CHANNELS
from server.domain.preferences import Grant, Told
from server.domain.profile import Datum, Kept, Label, OwnPlace, Where
from server.storage.mongo import Database, Document, Session, in_transaction
from server.storage.person_keys import PersonVault
from server.storage.point_reads import Part, PointReads
from server.storage.vault import Vault

TOLD_KEPT = 5  # words about one template that WeChat need not have confirmed: what was told can never count for more
CITIZEN_FIELDS = {"order": 1, "is_tester": 1}
ADDRESS_FIELDS = {"lang": 1, "quiet": 1, "off": 1, "grants": 1, "told": 1} | {f"{c}.index": 1 for c in CHANNELS}
NEW_CITIZEN: Document = {"places": [], "channels": []}


class Profiles:
    """Reads and writes them."""

    def __init__(self, db: Database, vault: PersonVault) -> None:
        self._db = db
        self._citizens = db["citizens"]
        self._addresses = db["addresses"]
        self._vault = vault
        parts = (Part(self._citizens, "_id", CITIZEN_FIELDS), Part(self._addresses, "_id", ADDRESS_FIELDS))
        self._settings: PointReads[int] = PointReads(*parts)

    async def find(self, citizen: int, session: Session | None = None) -> Kept:
        """The settings; those of somebody unknown are empty."""
        if session is None:
            person, address = await self._settings.find(citizen)
        else:  # one at a time: a transaction is a conversation
            person = await self._citizens.find_one({"_id": citizen}, CITIZEN_FIELDS, session=session)
            address = await self._addresses.find_one({"_id": citizen}, ADDRESS_FIELDS, session=session)
        return kept_of(person or {}, address or {})

    async def change(self, citizen: int, kept: Mapping[str, Any], session: Session) -> None:
        """Set some of lang, quiet, off, order, is_tester; None or an empty value takes it away."""
        at_address = {name: value for name, value in kept.items() if name in ("lang", "quiet", "off")}
        at_citizen = {name: value for name, value in kept.items() if name in ("order", "is_tester")}
        if at_address:
            fresh = {} if at_address.get("lang") else {"lang": "zh"}
            await self._addresses.update_one({"_id": citizen}, _update(at_address, fresh), upsert=True, session=session)
        if at_citizen:
            await self._citizens.update_one(
                {"_id": citizen}, _update(at_citizen, NEW_CITIZEN), upsert=True, session=session
            )

    async def places(self, citizen: int, session: Session | None = None) -> tuple[int, list[OwnPlace]]:
        """Their version (0: never changed) and the places in order, opened; an id is "" where none was given yet."""
        fields = {"places": 1, "places_version": 1}
        found = await self._citizens.find_one({"_id": citizen}, fields, session=session) or {}
        documents: Sequence[Document] = found.get("places", ())
        is_sealed = any("name" in each or "address" in each for each in documents)
        vault = await self._vault.of(citizen) if is_sealed else None
        return found.get("places_version", 0), [_to_place(citizen, each, vault) for each in documents]

    async def set_places(
        self, citizen: int, places: Sequence[OwnPlace], *, version: int, session: Session | None = None
    ) -> bool:
        """Put these in place of what was there at this version, at once for every audience; False: it has changed."""
        is_sealed = any(place.name or place.address for place in places)
        vault = await self._vault.of(citizen) if is_sealed else None
        fields = {"places": [_from_place(citizen, each, vault) for each in places], "places_version": version + 1}
        query = {"_id": citizen, "places_version": version or None}
        try:
            result = await self._citizens.update_one(
                query, {"$set": fields, "$setOnInsert": {"channels": []}}, upsert=not version, session=session
            )
        except DuplicateKeyError:
            return False  # they are there, in a later version
        return bool(result.matched_count or result.upserted_id is not None)

    async def forget_points(self, citizen: int) -> None:
        """Keep the places by their divisions alone; a change that is under way has to look again."""
        update = {"$unset": {"places.$[].point": "", "places.$[].datum": ""}, "$inc": {"places_version": 1}}
        await self._citizens.update_one({"_id": citizen}, update)

    async def tell(self, citizen: int, template: str, told: Told) -> bool:
        """Keep a word of a mini-program about one template; False: its id is known, or nobody would get the message."""
        word = {"id": told.id, "at": told.at, "is_accepted": told.is_accepted}
        result = await self._addresses.update_one(
            {"_id": citizen, f"told.{template}.id": {"$ne": told.id}},
            {"$push": {f"told.{template}": {"$each": [word], "$slice": -TOLD_KEPT}}},
        )
        return bool(result.modified_count)

    async def set_grants(self, citizen: int, grants: Mapping[str, Grant], session: Session) -> None:
        """Put these in place of what is known (when two accounts are joined); those who have no address get none."""
        if not grants:
            return
        fields: Document = {}
        for template, grant in grants.items():
            if grant.at is not None:
                fields[f"grants.{template}"] = {"left": grant.left, "at": grant.at}
            if grant.told:
                fields[f"told.{template}"] = [
                    {"id": each.id, "at": each.at, "is_accepted": each.is_accepted} for each in grant.told[-TOLD_KEPT:]
                ]
        await self._addresses.update_one({"_id": citizen}, {"$set": fields}, session=session)

    async def forget(
        self, citizen: int, *, of_citizen: Sequence[str] = (), of_address: Sequence[str] = (), session: Session | None
    ) -> None:
        """Take these fields away."""
        if of_citizen:
            gone = dict.fromkeys(of_citizen, "")
            await self._citizens.update_one({"_id": citizen}, {"$unset": gone}, session=session)
        if of_address:
            gone = dict.fromkeys(of_address, "")
            await self._addresses.update_one({"_id": citizen}, {"$unset": gone}, session=session)

    async def drop(self, citizen: int) -> None:
        """Delete the person from `citizens`."""
        await self._citizens.delete_one({"_id": citizen})

    async def together(self, work: Callable[[Session], Awaitable[bool]]) -> bool:
        """All of it or nothing: `work` writes with the session and says whether it may stand. It may run again."""

        async def attempt(session: Session) -> bool:
            is_good = await work(session)
            if not is_good:
                await session.abort_transaction()
            return is_good

        return await in_transaction(self._db, attempt)


def _update(kept: Mapping[str, Any], fresh: Document) -> Document:
    stays = {name: list(value) if isinstance(value, tuple) else value for name, value in kept.items() if value}
    goes = {name: "" for name, value in kept.items() if not value}
    parts = {"$set": stays, "$unset": goes, "$setOnInsert": fresh}
    return {operator: fields for operator, fields in parts.items() if fields}


def kept_of(person: Document, address: Document) -> Kept:
    """What documents of CITIZEN_FIELDS and ADDRESS_FIELDS say; an empty one is nobody's."""
    quiet = address.get("quiet")
    grants, told = address.get("grants", {}), address.get("told", {})
    return Kept(
        lang=address.get("lang", ""),
        quiet=(quiet[0], quiet[1]) if quiet else None,
        off=tuple(address.get("off", ())),
        order=tuple(person.get("order", ())),
        is_tester=bool(person.get("is_tester")),
        has=tuple(c for c in CHANNELS if address.get(c)),
        grants={
            template: Grant(
                left=grants.get(template, {}).get("left", 0),
                at=grants.get(template, {}).get("at"),
                told=tuple(Told(**each) for each in told.get(template, ())),
            )
            for template in {**grants, **told}
        },
    )


def _owner(citizen: int, place: str, name: str) -> str:
    return f"citizens|{citizen}|places.{place}.{name}"


def _to_place(citizen: int, d: Document, vault: Vault | None) -> OwnPlace:
    id_, point = d.get("id", ""), d.get("point")
    said = {
        name: vault.open(d[name], owner=_owner(citizen, id_, name)) if vault and name in d else ""
        for name in ("name", "address")
    }
    where = Where(
        division=d["division"],
        divisions=tuple(d["divisions"]),
        point=(point[0], point[1]) if point else None,
        came_as=Datum(d.get("datum", Datum.WGS84)) if point else None,
    )
    return OwnPlace(id_, Label(d.get("label", Label.HOME)), where, **said)


def _from_place(citizen: int, place: OwnPlace, vault: Vault | None) -> Document:
    document: Document = {
        "id": place.id,
        "label": place.label.value,
        "division": place.where.division,
        "divisions": list(place.where.divisions),
    }
    if place.where.point and place.where.came_as:
        document |= {"point": list(place.where.point), "datum": place.where.came_as.value}
    said = {"name": place.name, "address": place.address}
    sealed = {n: vault.seal(t, owner=_owner(citizen, place.id, n)) for n, t in said.items() if vault and t}
    return document | sealed
