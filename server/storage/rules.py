"""Rules in MongoDB: every version, of each rule at most one on the desk and one in force.

`rules`: {_id: "<id>@<version>", id, version, rule: as files have it, state, slot: desk | force (absent when replaced),
edit, digest, persons, steps: [{verb, by, at, edit, note}], changed_at, logged: the last edit that the audit log has,
is_left (absent when nothing is left to do after its last step)}

A change is one compare-and-set on `edit`. A release takes the slot of the version before in one transaction. Who asks
for the rules in force gets what was so within the last second, so a stop holds that soon in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from pydantic import ValidationError
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError

from server.domain.rule_files import document_of
from server.domain.rule_life import IN_FORCE, ON_DESK, Kept, State, Step, Verb
from server.domain.rules import Live, Rule
from server.storage.mongo import Database, Document, Session, in_transaction

FRESH_S = 1.0
REMEMBERED = 5_000  # released versions, which never change
DESK, FORCE = "desk", "force"

log = structlog.get_logger()


@dataclass(slots=True)
class _Seen:
    """The rules in force as they were at a time of this process's monotonic clock."""

    at: float
    live: list[Live] = field(default_factory=list)
    stopped: frozenset[str] = frozenset()


class RuleStore:
    """Reads and writes them. `clock` is monotonic, in seconds."""

    def __init__(self, db: Database, clock: Callable[[], float], remembered: int = REMEMBERED) -> None:
        self._db = db
        self._rules = db["rules"]
        self._clock = clock
        self._seen: _Seen | None = None
        self._remembered = remembered
        self._released: dict[tuple[str, int], Rule | None] = {}

    async def live(self) -> Sequence[Live]:
        """Those in force, as they were at most a second ago."""
        return (await self._look()).live

    async def find(self, wanted: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], Rule]:
        """Those of these released versions whose rule is not stopped."""
        seen, known = await self._look(), self._released
        unknown = [f"{name}@{version}" for name, version in wanted if (name, version) not in known]
        if unknown:
            async for d in self._rules.find({"_id": {"$in": unknown}, "state": {"$nin": list(ON_DESK)}}):
                _remember(known, d)
        asked = {each: known.get(each) for each in wanted if each[0] not in seen.stopped}
        return {each: rule for each, rule in asked.items() if rule is not None}

    async def _look(self) -> _Seen:
        seen = self._seen
        if seen is not None and self._clock() - seen.at < FRESH_S:
            return seen
        at = self._clock()
        if len(self._released) > self._remembered:
            self._released = {}  # another one: who is reading the old one keeps it
        known = self._released
        fields = {"id": 1, "version": 1, "state": 1}
        there = [d async for d in self._rules.find({"slot": FORCE}, fields).sort("id", ASCENDING)]
        new = [d["_id"] for d in there if (d["id"], d["version"]) not in known]
        if new:
            async for d in self._rules.find({"_id": {"$in": new}}):
                _remember(known, d)
        live = [
            Live(rule, d["version"])
            for d in there
            if d["state"] == State.LIVE and (rule := known.get((d["id"], d["version"])))
        ]
        self._seen = _Seen(at, live, frozenset(d["id"] for d in there if d["state"] == State.STOPPED))
        return self._seen

    async def on_desk(self, rule: str) -> Kept | None:
        """What is being written or waits for release."""
        return await self._one({"id": rule, "slot": DESK})

    async def in_force(self, rule: str) -> Kept | None:
        """What is live or stopped."""
        return await self._one({"id": rule, "slot": FORCE})

    async def find_version(self, rule: str, version: int) -> Kept | None:
        """One version."""
        return await self._one({"_id": f"{rule}@{version}"})

    async def _one(self, query: Document) -> Kept | None:
        found = await self._rules.find_one(query)
        return _to_kept(found) if found else None

    async def page(self, after: str, limit: int) -> list[tuple[str, Kept | None, Kept | None]]:
        """Rules by id, after one: (id, what lies on the desk, what is in force)."""
        pipeline: list[Document] = [
            {"$match": {"slot": {"$in": [DESK, FORCE]}, "id": {"$gt": after}}},
            {"$sort": {"id": 1}},
            {"$limit": 2 * limit},  # two of each at most
            {"$group": {"_id": "$id", "versions": {"$push": "$$ROOT"}}},
            {"$sort": {"_id": 1}},
            {"$limit": limit},
        ]
        found = []
        async for d in await self._rules.aggregate(pipeline):
            slots = {version["slot"]: _to_kept(version) for version in d["versions"]}
            found.append((d["_id"], slots.get(DESK), slots.get(FORCE)))
        return found

    async def versions(self, rule: str, limit: int) -> list[Kept]:
        """Its versions, newest first."""
        cursor = self._rules.find({"id": rule}).sort("version", DESCENDING).limit(limit)
        return [_to_kept(d) async for d in cursor]

    async def next_version(self, rule: str) -> int:
        """The number of a new version."""
        newest = await self._rules.find_one({"id": rule}, {"version": 1}, sort=[("version", DESCENDING)])
        return int(newest["version"]) + 1 if newest else 1

    async def insert(self, kept: Kept) -> bool:
        """A new draft; False: one lies on the desk already."""
        try:
            await self._rules.insert_one(_document(kept) | {"_id": kept.name, "logged": 0})
        except DuplicateKeyError:
            return False
        return True

    async def swap(self, before: Kept, after: Kept) -> bool:
        """Write `after` if `before` is still so."""
        result = await self._rules.update_one(_as_it_was(before), _change(after))
        self._seen = None
        return bool(result.matched_count)

    async def release(self, before: Kept, after: Kept) -> bool:
        """Write `after` and replace the version in force, both or neither; False: `before` is not so any more."""

        async def work(session: Session) -> bool:
            gone: Document = {"$set": {"state": State.REPLACED.value}, "$unset": {"slot": ""}}
            await self._rules.update_one({"id": after.rule.id, "slot": FORCE}, gone, session=session)
            result = await self._rules.update_one(_as_it_was(before), _change(after), session=session)
            if not result.matched_count:
                await session.abort_transaction()
            return bool(result.matched_count)

        done = await in_transaction(self._db, work)
        self._seen = None
        return done

    async def left(self, limit: int) -> list[tuple[Kept, int]]:
        """Versions after whose last step something is left to do, with the last edit that the audit log has."""
        cursor = self._rules.find({"is_left": True}).sort("changed_at", ASCENDING).limit(limit)
        return [(_to_kept(d), d["logged"]) async for d in cursor]

    async def note_logged(self, kept: Kept, *, is_left: bool) -> None:
        """The audit log has its steps; unless `is_left` nothing is left to do, if nobody has changed it since."""
        await self._rules.update_one({"_id": kept.name}, {"$max": {"logged": kept.edit}})
        if not is_left:
            await self._rules.update_one(_as_it_was(kept), {"$unset": {"is_left": ""}})


def _remember(known: dict[tuple[str, int], Rule | None], d: Document) -> None:
    try:
        rule = Rule.model_validate(d["rule"])
    except ValidationError as error:  # of another release of the product: it must not keep the others from running
        log.warning("rule_unreadable", rule=d["_id"], faults=error.error_count())
        rule = None
    known[d["id"], d["version"]] = rule


def _as_it_was(kept: Kept) -> Document:
    return {"_id": kept.name, "edit": kept.edit, "state": kept.state.value}


def _change(kept: Kept) -> Document:
    return {"$set": _document(kept)}


def _document(kept: Kept) -> Document:
    slot = DESK if kept.state in ON_DESK else FORCE
    assert kept.state in (*ON_DESK, *IN_FORCE)
    return {
        "id": kept.rule.id, "version": kept.version, "rule": document_of(kept.rule), "state": kept.state.value,
        "slot": slot, "edit": kept.edit, "digest": kept.digest, "persons": sorted(kept.persons),
        "steps": [_step(each) for each in kept.steps], "changed_at": kept.changed_at, "is_left": True,
    }  # fmt: skip


def _step(step: Step) -> dict[str, Any]:
    return {"verb": step.verb.value, "by": step.by, "at": step.at, "edit": step.edit, "note": step.note}


def _to_kept(d: Document) -> Kept:
    return Kept(
        version=d["version"], rule=Rule.model_validate(d["rule"]), state=State(d["state"]), edit=d["edit"],
        digest=d["digest"], persons=frozenset(d["persons"]), changed_at=d["changed_at"],
        steps=tuple(Step(Verb(s["verb"]), s["by"], s["at"], s["edit"], s["note"]) for s in d["steps"]),
    )  # fmt: skip
