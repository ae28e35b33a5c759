"""Applications in MongoDB: one document each, changed only if it is still the version that was read.

A step is one compare-and-set: state, clock and the new line of the timeline are written together or not at all, and the
notices of the step in the same transaction. What the audit log is to say of a write is part of it (`unlogged`) until
the log has it. The shapes are in `application_documents`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.domain.application_news import NOTHING, Change
from server.domain.applications import NOBODY, Application, events_of
from server.domain.audit import Event
from server.domain.outbox import Entry
from server.storage.application_documents import (
    fields_of,
    from_event,
    from_line,
    inbox_of,
    sealed_code,
    sealed_form,
    to_application,
    to_event,
    upgraded,
)
from server.storage.mongo import Database, Document, Session, in_transaction
from server.storage.outbox import Outbox
from server.storage.person_keys import PersonVault, ShreddedError
from server.storage.vault import Vault

AT_MOST = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which applications of an inbox. `owner`: "" nobody's, None whoever's."""

    units: Sequence[str]
    division: str
    owner: str | None = None
    state: str | None = None
    card: str | None = None
    after: tuple[datetime, str] | None = None
    limit: int = 50


class ApplicationStore:
    """The collection `applications`."""

    def __init__(self, db: Database, people: PersonVault, vault: Vault, outbox: Outbox) -> None:
        self._db = db
        self._applications = db["applications"]
        self._people = people
        self._vault = vault
        self._outbox = outbox

    async def insert(self, application: Application) -> bool:
        """A new draft; False: its offer has an application already. ShreddedError for somebody who was erased."""
        vault = await self._people.of(application.citizen)
        document = fields_of(application) | {"_id": application.id, "form": sealed_form(application, vault)}
        try:
            await self._applications.insert_one(document | {"timeline": [], "unlogged": []})
        except DuplicateKeyError:
            if not application.offer:
                raise
            return False
        return True

    async def find(self, application: str) -> Application | None:
        """One of them, opened. What belongs to nobody any more comes without what was sealed."""
        document = await self._applications.find_one({"_id": application})
        return await self._opened(document) if document else None

    async def find_tracked(self, number: str, code: str) -> Application | None:
        """By number and code, without anything that is sealed."""
        query = {"number": number, "code_index": self._code_index(number, code)}
        document = await self._applications.find_one(query)
        return to_application(document) if document else None

    async def find_numbered(self, number: str) -> Application | None:
        """By number alone, without anything that is sealed."""
        document = await self._applications.find_one({"number": number})
        return to_application(document) if document else None

    async def find_many(self, ids: Sequence[str]) -> dict[str, Application]:
        """Those of these that exist, without anything that is sealed."""
        cursor = self._applications.find({"_id": {"$in": list(ids)}})
        return {d["_id"]: to_application(d) async for d in cursor}

    async def page_of(
        self, citizen: int, after: tuple[datetime, str] | None, limit: int, since: datetime | None = None
    ) -> list[Application]:
        """A person's, or what changed of it since then, newest change first, without anything that is sealed."""
        query: Document = {"people": citizen} | _beyond("changed_at", after, "$lt")
        if since:
            query["changed_at"] = {"$gt": since}
        cursor = self._applications.find(query).sort([("changed_at", DESCENDING), ("_id", DESCENDING)]).limit(limit)
        return [to_application(d) async for d in cursor]

    async def applied_for(self, citizens: Collection[int], item: str, granted: Collection[str]) -> frozenset[int]:
        """Those of these people whose application for an item is open, or in one of the states that grant it."""
        query: Document = {
            "citizen": {"$in": list(citizens)}, "item": item, "number": {"$exists": True},
            "$or": [{"is_open": True}, {"state": {"$in": list(granted)}}],
        }  # fmt: skip
        cursor = self._applications.find(query, {"_id": 0, "citizen": 1}).hint("applied")
        return frozenset([d["citizen"] async for d in cursor])

    async def of_offers_since(self, since: datetime, after: str, limit: int) -> list[Application]:
        """Those begun by offers that changed at this time (after this id) or later, oldest change first, unopened."""
        query = _beyond("changed_at", (since, after), "$gt") | {"offer": {"$exists": True}}
        cursor = self._applications.find(query).sort([("changed_at", ASCENDING), ("_id", ASCENDING)]).limit(limit)
        return [to_application(d) async for d in cursor.hint("of_offers")]

    async def count_drafts(self, citizen: int) -> int:
        """How many a person has begun and not handed in."""
        query = {"people": citizen, "actor": citizen, "state": "draft"}
        return await self._applications.count_documents(query, limit=AT_MOST)

    async def inbox(self, wanted: Wanted) -> list[Application]:
        """What a unit has to work on, nearest deadline first, without anything that is sealed."""
        query: Document = {
            "inboxes": {"$in": [inbox_of(unit, wanted.division) for unit in wanted.units]},
            "is_open": True,
        }
        named = {"owner": wanted.owner, "state": wanted.state, "card": wanted.card}
        query |= {name: value for name, value in named.items() if value is not None}
        query |= _beyond("due_at", wanted.after, "$gt")
        cursor = self._applications.find(query).sort([("due_at", ASCENDING), ("_id", ASCENDING)]).limit(wanted.limit)
        return [to_application(d) async for d in cursor]

    async def swap(
        self,
        before: Application,
        after: Application,
        news: Change = NOTHING,
        *,
        is_logged: bool = False,
        events: Sequence[Event] = (),
    ) -> bool:
        """Write `after` if `before` is still the newest, with the notices of the step; False: it is not.

        Lines that are new, and `events`, are what the log has to get. `is_logged`: a change that it need not have.
        """
        change = await self._change(before, after)
        if not is_logged:
            fresh = after.timeline[len(before.timeline) :]
            waiting = [from_event(event, after.changed_at) for event in (*events_of(after.id, fresh), *events)]
            change["$push"] = change.get("$push", {}) | {"unlogged": {"$each": waiting}}
        query = {"_id": before.id, "version": before.version}
        if news == NOTHING:
            return (await self._applications.update_one(query, change)).matched_count == 1

        async def work(session: Session) -> bool:
            result = await self._applications.update_one(query, change, session=session)
            if result.matched_count:
                await self._outbox.put(news.entries, session=session)
                for key in news.moot:
                    await self._outbox.withdraw(key, after.changed_at, session=session)
            return result.matched_count == 1

        return await in_transaction(self._db, work)

    async def claim(self, application: str, before: str, to: str, now: datetime, event: Event) -> Application | None:
        """It is `to`'s from now on, if it was `before`'s ("" nobody's); None: it is not. The log has `event` to get."""
        document = await self._applications.find_one_and_update(
            {"_id": application, "owner": before, "is_open": True},
            {
                "$set": {"owner": to, "changed_at": now},
                "$inc": {"version": 1},
                "$push": {"unlogged": from_event(event, now)},
            },
            return_document=ReturnDocument.AFTER,
        )
        return await self._opened(document) if document else None

    async def mark_logged(self, application: str, keys: Sequence[str]) -> None:
        """The audit log has the events with these keys."""
        change = {"$pull": {"unlogged": {"key": {"$in": list(keys)}}}}
        await self._applications.update_one({"_id": application}, change)

    async def find_unlogged(self, before: datetime, limit: int) -> list[tuple[str, list[Event]]]:
        """Applications with the events that somebody did not live to record, of which one is as old as that."""
        cursor = self._applications.find(overdue("unlogged.at", before), {"unlogged": 1}).limit(limit)
        return [(d["_id"], [to_event(d["_id"], each) for each in d["unlogged"]]) async for d in cursor]

    async def find_carded(self, now: datetime, limit: int) -> list[Application]:
        """Those whose card changes by now."""
        query = overdue("card_at", now)
        return [to_application(d) async for d in self._applications.find(query).sort("card_at", 1).limit(limit)]

    async def find_with_seat(self, now: datetime, limit: int) -> list[Application]:
        """Those whose seat somebody left half-way."""
        found = await self._applications.find(overdue("seat.until", now)).limit(limit).to_list()
        return [await self._opened(d) for d in found]

    async def find_lapsing(self, now: datetime, limit: int) -> list[Application]:
        """Those of which a co-applicant's question is over by now, without anything that is sealed."""
        query = overdue("lapse_at", now)
        return [to_application(d) async for d in self._applications.find(query).sort("lapse_at", 1).limit(limit)]

    async def find_ended(self, actors: Collection[int], since: datetime, until: datetime) -> list[Application]:
        """What these people have applied for that ended in that time, without anything that is sealed."""
        among = {"$in": list(actors)}
        query = {"people": among, "actor": among, "ended_at": {"$gte": since, "$lt": until}}
        return [to_application(d) async for d in self._applications.find(query)]

    async def find_closing(self, now: datetime, limit: int) -> list[Application]:
        """Those whose citizen has not brought in time what was asked for, without anything that is sealed."""
        query = overdue("close_at", now)
        return [to_application(d) async for d in self._applications.find(query).sort("close_at", 1).limit(limit)]

    async def find_idle(self, now: datetime, limit: int) -> list[tuple[Application, bool]]:
        """Drafts that nobody has touched for long, longest first, and whether their people were told and had time."""
        found = self._applications.find(overdue("idle_at", now)).sort("idle_at", 1).limit(limit)
        return [(to_application(d), d.get("reminded") == d["version"]) async for d in found]

    async def remind(self, draft: Application, entries: Sequence[Entry], dropped_at: datetime) -> bool:
        """Its people are told, once for each version, and it has until then; False: it was touched meanwhile."""
        query = {"_id": draft.id, "version": draft.version, "state": "draft"}
        change = {"$set": {"reminded": draft.version, "idle_at": dropped_at}}

        async def work(session: Session) -> bool:
            result = await self._applications.update_one(query, change, session=session)
            if result.matched_count:
                await self._outbox.put(entries, session=session)
            return result.matched_count == 1

        return await in_transaction(self._db, work)

    async def upgrade(self, limit: int = AT_MOST) -> int:
        """Put what the version before has stored into inboxes; how many there were. May be repeated, by anybody."""
        query: Document = {"is_open": True, "inboxes": None}
        count = 0
        async for d in self._applications.find(query).limit(limit).hint("inboxes"):
            same = {"_id": d["_id"], "version": d["version"]}
            count += (await self._applications.update_one(same, {"$set": upgraded(d)})).modified_count
        return count

    async def delete_draft(self, before: Application) -> bool:
        """Gone without a trace; False: it is another version, or no draft any more."""
        query = {"_id": before.id, "version": before.version, "state": "draft"}
        return (await self._applications.delete_one(query)).deleted_count == 1

    async def all_of(self, citizen: int) -> list[Application]:
        """Everything that somebody applied for, opened, oldest first."""
        found = await self._applications.find(_of(citizen)).sort("created_at", 1).to_list()
        return [await self._opened(d) for d in found]

    async def move(self, source: int, target: int, session: Session) -> None:
        """Give a person's applications to another, sealed with the other's key. May be repeated."""
        query = {"$or": [{"people": source}, {"agreements.citizen": source}]}
        documents = await self._applications.find(query, session=session).to_list()
        if not documents:
            return
        vault = await self._people.of(target)
        for document in documents:
            opened = await self._opened(document)
            moved = _renamed(document, source, target)
            change: dict[str, Any] = {key: moved[key] for key in ("citizen", "actor", "people", "agreements")}
            if document["citizen"] == source:
                change |= self._sealed(opened, vault)
                change["timeline"] = [from_line(opened.id, line, vault) for line in opened.timeline]
            moves = {"$set": change, "$inc": {"version": 1}}  # who has read it before cannot write it back
            await self._applications.update_one({"_id": document["_id"]}, moves, session=session)

    async def erase(self, citizen: int) -> None:
        """Drafts go; of the rest stays what the office did, without anything personal. May be repeated."""
        await self._applications.delete_many(_of(citizen) | {"state": "draft"})
        gone = {"form": "", "code": "", "code_index": "", "timeline.$[].note": ""}
        await self._applications.update_many(_of(citizen), {"$unset": gone})
        read = {"$inc": {"version": 1}}  # who has read it before cannot write it back
        for name in ("citizen", "actor"):
            await self._applications.update_many(_of(citizen, name), {"$set": {name: NOBODY}} | read)
        for name in ("people", "agreements.citizen"):
            await self._applications.update_many(
                {name: citizen}, {"$pull": {"people": citizen, "agreements": {"citizen": citizen}}} | read
            )

    async def _change(self, before: Application, after: Application) -> dict[str, Any]:
        fresh = after.timeline[len(before.timeline) :]
        is_filled = after.form != before.form or after.answers != before.answers
        is_personal = is_filled or after.code != before.code or any(line.note for line in fresh)
        vault = await self._vault_of(after.citizen) if is_personal else None
        fields = fields_of(after)
        if vault and is_filled:
            fields["form"] = sealed_form(after, vault)
        if vault and after.code != before.code:
            fields |= {"code": sealed_code(after, vault), "code_index": self._code_index(after.number, after.code)}
        lines = [from_line(after.id, line, vault) for line in fresh]
        return {"$set": fields} | ({"$push": {"timeline": {"$each": lines}}} if lines else {})

    def _sealed(self, application: Application, vault: Vault) -> Document:
        sealed: Document = {"form": sealed_form(application, vault)}
        return sealed | ({"code": sealed_code(application, vault)} if application.code else {})

    def _code_index(self, number: str, code: str) -> bytes:
        return self._vault.index(f"{number}|{code.upper()}", field="applications.code")

    async def _opened(self, document: Document) -> Application:
        return to_application(document, await self._vault_of(document["citizen"]))

    async def _vault_of(self, citizen: int) -> Vault | None:
        """The person's vault; None for who was erased: what was sealed is closed, what is said to them is not kept."""
        if citizen == NOBODY:
            return None
        try:
            return await self._people.of(citizen)
        except ShreddedError:
            return None


def _of(citizen: int, name: str = "citizen") -> Document:
    """Whose it is by this field. With `people`, who all may see it: only that has an index for everything."""
    return {"people": citizen, name: citizen}


def overdue(name: str, now: datetime) -> Document:
    """Whose time of this name has come. With the type: only so is the partial index of the name used."""
    return {name: {"$lte": now, "$type": "date"}}


def _beyond(name: str, after: tuple[datetime, str] | None, compare: str) -> Document:
    if after is None:
        return {}
    at, id_ = after
    return {"$or": [{name: {compare: at}}, {name: at, "_id": {compare: id_}}]}


def _renamed(document: Document, source: int, target: int) -> Document:
    """What names people, with one for the other. Nobody confirms their own draft, whatever they were before."""

    def name(citizen: int) -> int:
        return target if citizen == source else citizen

    citizen = name(document["citizen"])
    agreements = [each | {"citizen": name(each["citizen"])} for each in document["agreements"]]
    return {
        "citizen": citizen,
        "actor": name(document["actor"]),
        "people": sorted({name(each) for each in document["people"]}),
        "agreements": [each for each in agreements if "number" in document or each["citizen"] != citizen],
    }
