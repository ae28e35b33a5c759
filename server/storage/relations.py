"""Relations in MongoDB: {_id, kind, actor, subject, role, scopes, state, about, name_index, label, asked_at, until}.

A question to a relative is kept under the blind indexes of the number and name that the asker typed (`about`,
`name_index`): whoever is verified under both sees it, now or later, and the asker learns nothing about whether there is
such an account. `label` is what was typed about the other (a name, a number), sealed with the key of who asked: the
actor, or the organisation. Of two people one relation at most is alive (unique).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import DESCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.domain.relations import ASKED_FOR, Kind, Merge, Relation, Role, Scope, State, merged
from server.storage.mongo import Database, Document, Session, in_transaction
from server.storage.person_keys import PersonVault

AT_MOST = 200  # of one person's relations in one answer
OPEN = [State.ASKED.value, State.ACTIVE.value]


@dataclass(frozen=True, slots=True)
class Question:
    """Whom a question to a relative is meant for."""

    about: bytes
    name_index: bytes


class RelationStore:
    """The collection `relations`."""

    def __init__(self, db: Database, people: PersonVault) -> None:
        self._db = db
        self._relations = db["relations"]
        self._people = people

    async def insert(self, relation: Relation, label: str = "", question: Question | None = None) -> bool:
        """Put a new one in; False: the same pair has an open one (of the same kind) already."""
        document = _to_document(relation)
        if question:
            document |= {"about": question.about, "name_index": question.name_index}
        if label:
            vault = await self._people.of(_keeper(relation))
            document["label"] = vault.seal(label, owner=f"relations|{relation.id}|label")
        await self._end_unanswered(relation.actor, relation.asked_at)
        try:
            await self._relations.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def find(self, relation: str) -> Relation | None:
        """One of them, by id."""
        document = await self._relations.find_one({"_id": relation})
        return _to_relation(document) if document else None

    async def between(self, actor: int, subject: int) -> list[Relation]:
        """All live or asked relations of these two."""
        cursor = self._relations.find({"actor": actor, "subject": subject, "state": {"$in": OPEN}})
        return [_to_relation(d) async for d in cursor]

    async def of(self, citizen: int, kind: Kind) -> list[Relation]:
        """All of one person's, in both directions, newest first. Unanswered questions to a relative are the asker's."""
        query = {"kind": kind.value, "$or": [{"actor": citizen}, {"subject": citizen}]}
        cursor = self._relations.find(query).sort("asked_at", DESCENDING).limit(AT_MOST)
        return [_to_relation(d) async for d in cursor]

    async def asked_of(self, about: bytes, name_index: bytes) -> list[Relation]:
        """The questions that wait for the person with this number and this name, newest first."""
        query = {"about": about, "state": State.ASKED.value, "name_index": name_index}
        cursor = self._relations.find(query).sort("asked_at", DESCENDING).limit(AT_MOST)
        return [_to_relation(d) async for d in cursor]

    async def is_asked(self, relation: str, about: bytes, name_index: bytes) -> bool:
        """Whether this question waits for that person."""
        query = {"_id": relation, "about": about, "name_index": name_index, "state": State.ASKED.value}
        return await self._relations.find_one(query, {"_id": 1}) is not None

    async def count_live(self, actor: int, kind: Kind, now: datetime) -> int:
        """How many somebody asked for or acts by."""
        asked = {"state": State.ASKED.value, "asked_at": {"$gt": now - ASKED_FOR}}
        alive = {"state": State.ACTIVE.value, "until": {"$gt": now}}
        return await self._relations.count_documents({"actor": actor, "kind": kind.value, "$or": [asked, alive]})

    async def label(self, relation: Relation) -> str:
        """What was typed about the other, "" without it."""
        document = await self._relations.find_one({"_id": relation.id, "label": {"$exists": True}}, {"label": 1})
        if document is None:
            return ""
        vault = await self._people.of(_keeper(relation))
        return vault.open(document["label"], owner=f"relations|{relation.id}|label")

    async def agree(self, relation: str, subject: int, until: datetime | None, now: datetime) -> Relation | None:
        """Bring it alive; an older one of the same two ends with it. None: it is not asked any more."""

        async def work(session: Session) -> Document | None:
            asked = {"_id": relation, "state": State.ASKED.value}
            found = await self._relations.find_one(asked, session=session)
            if found is None:
                return None
            pair = {"actor": found["actor"], "subject": subject, "state": State.ACTIVE.value}
            ended = {"state": State.ENDED.value, "decided_at": now}
            await self._relations.update_many(pair, {"$set": ended}, session=session)
            fields = {"state": State.ACTIVE.value, "subject": subject, "until": until, "decided_at": now}
            return await self._relations.find_one_and_update(
                asked, {"$set": fields}, return_document=ReturnDocument.AFTER, session=session
            )

        document = await in_transaction(self._db, work)
        return _to_relation(document) if document else None

    async def close(self, relation: str, before: State, after: State, now: datetime) -> Relation | None:
        """Refuse or end it; None: it is not in the state `before` any more."""
        document = await self._relations.find_one_and_update(
            {"_id": relation, "state": before.value},
            {"$set": {"state": after.value, "decided_at": now}},
            return_document=ReturnDocument.AFTER,
        )
        return _to_relation(document) if document else None

    async def appoint(self, relation: Relation) -> list[int] | None:
        """Somebody has this role at an organisation from now on and nobody else; who had it until now.

        None: they have it already. Needs no consent: it is what the register says.
        """
        now, actor = relation.asked_at, relation.actor

        async def work(session: Session) -> list[int] | None:
            alive = {"subject": relation.subject, "state": State.ACTIVE.value}
            holders = alive | {"role": relation.role.value}
            before = [d["actor"] async for d in self._relations.find(holders, {"actor": 1}, session=session)]
            if actor in before:
                return None
            ended = {"$set": {"state": State.ENDED.value, "decided_at": now}}
            await self._relations.update_many(holders, ended, session=session)
            await self._relations.update_many(alive | {"actor": actor}, ended, session=session)
            await self._relations.insert_one(_to_document(relation), session=session)
            return before

        try:
            return await in_transaction(self._db, work)
        except DuplicateKeyError:  # the same person asked twice at once
            return None

    async def move(self, source: int, target: int, session: Session) -> None:
        """What was the source's is the target's; two relations of one pair become one, one to oneself ends."""
        async for document in self._relations.find({"$or": [{"actor": source}, {"subject": source}]}, session=session):
            moved = _to_relation(document)
            actor = target if moved.actor == source else moved.actor
            subject = target if moved.subject == source else moved.subject
            change: dict[str, Any] = {"actor": actor, "subject": subject}
            if "label" in document and _keeper(moved) == source:
                change["label"] = await self._resealed(document, target)
            if moved.state.value in OPEN and actor == subject:
                change["state"] = State.ENDED.value
            elif moved.state.value in OPEN:
                rival = _rival(document, actor, subject)
                kept = await self._relations.find_one(rival, session=session)
                if kept is not None:
                    change["state"] = State.ENDED.value
                    await self._widen(kept["_id"], merged(_to_relation(kept), moved), session)
            await self._relations.update_one({"_id": moved.id}, {"$set": change}, session=session)

    async def export(self, citizen: int) -> list[dict[str, Any]]:
        """One person's relations without anybody's internal id, oldest first."""
        rows = []
        cursor = self._relations.find({"$or": [{"actor": citizen}, {"subject": citizen}]}).sort("asked_at", 1)
        async for document in cursor:
            relation = _to_relation(document)
            rows.append(
                {
                    "id": relation.id,
                    "kind": relation.kind.value,
                    "role": relation.role.value,
                    "acts": "for_another" if relation.actor == citizen else "for_me",
                    "scopes": sorted(relation.scopes),
                    "state": relation.state.value,
                    "name": await self.label(relation) if _keeper(relation) == citizen else "",
                    "asked_at": relation.asked_at.isoformat(),
                    "until": relation.until.isoformat() if relation.until else None,
                }
            )
        return rows

    async def erase(self, citizen: int) -> None:
        """Delete them, on both sides. May be repeated."""
        await self._relations.delete_many({"$or": [{"actor": citizen}, {"subject": citizen}]})

    async def handlers(self, organisation: int) -> list[Relation]:
        """Who acts, or is asked to act, for an organisation; newest first."""
        query = {"subject": organisation, "kind": Kind.ORGANISATION.value, "state": {"$in": OPEN}}
        cursor = self._relations.find(query).sort("asked_at", DESCENDING).limit(AT_MOST)
        return [_to_relation(d) async for d in cursor]

    async def _end_unanswered(self, actor: int, now: datetime) -> None:
        """What nobody answered in time must not stand in the way of a new question."""
        query = {"actor": actor, "state": State.ASKED.value, "asked_at": {"$lte": now - ASKED_FOR}}
        await self._relations.update_many(query, {"$set": {"state": State.ENDED.value, "decided_at": now}})

    async def _widen(self, relation: str, merge: Merge, session: Session) -> None:
        fields = {"scopes": sorted(merge.scopes), "until": merge.until}
        await self._relations.update_one({"_id": relation}, {"$set": fields}, session=session)

    async def _resealed(self, document: Document, target: int) -> bytes:
        owner = f"relations|{document['_id']}|label"
        keeper = _keeper(_to_relation(document))
        label = (await self._people.of(keeper)).open(document["label"], owner=owner)
        return (await self._people.of(target)).seal(label, owner=owner)


def _keeper(relation: Relation) -> int:
    """Whose key seals the label."""
    return relation.actor if relation.kind is Kind.RELATIVE or relation.subject is None else relation.subject


def _rival(document: Document, actor: int, subject: int | None) -> dict[str, Any]:
    """The other open relation that the unique indexes would not stand beside this one, once it is moved."""
    rival: dict[str, Any] = {"actor": actor, "state": document["state"], "_id": {"$ne": document["_id"]}}
    is_question = document["state"] == State.ASKED.value and "about" in document
    return rival | ({"about": document["about"]} if is_question else {"subject": subject})


def _to_document(relation: Relation) -> Document:
    return {
        "_id": relation.id,
        "kind": relation.kind.value,
        "actor": relation.actor,
        "subject": relation.subject,
        "role": relation.role.value,
        "scopes": sorted(relation.scopes),
        "state": relation.state.value,
        "asked_at": relation.asked_at,
        "until": relation.until,
    }


def _to_relation(d: Document) -> Relation:
    return Relation(
        id=d["_id"],
        kind=Kind(d["kind"]),
        actor=d["actor"],
        subject=d["subject"],
        role=Role(d["role"]),
        scopes=frozenset(map(Scope, d["scopes"])),
        state=State(d["state"]),
        asked_at=d["asked_at"],
        until=d["until"],
    )
