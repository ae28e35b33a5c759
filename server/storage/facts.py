"""What departments state about citizens, and of it what counts now.

`fact_statements`: {_id: "<citizen>/<fact>/<source>/<thing>", citizen, fact, thing, source, value, as_of_at, purpose,
is_disputed}: the newest word of each source. `facts`: {_id: citizen, <fact>: value or sorted values, from: {<fact>:
source}, as_of: {<fact>: time}, division, version, changed_at}: what rules are matched against, an index per fact.
`fact_conflicts`: {_id: "<citizen>/<fact>/<thing>", citizen, fact, thing, said: [{source, value, as_of_at}], since_at}.

Statements may come in any order, twice, and from two importers at once: `facts` is made from all of a person's
statements under an optimistic version, so the last writer has seen every statement that is acknowledged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from pymongo import ASCENDING, DeleteOne, IndexModel, ReturnDocument, UpdateOne
from pymongo.errors import BulkWriteError

from server.domain.facts import (
    MAX_THINGS,
    Fact,
    Facts,
    Kind,
    Statement,
    Value,
    Values,
    day_of_number,
    is_contradicted,
    winner,
)
from server.domain.rules import Bound, Scan
from server.storage.mongo import Database, Document, Session

BATCH = 500
DUPLICATE_KEY = 11000
SAID = ("source", "value", "as_of_at")
KEY = ("fact", "source", "thing")
BEFORE = (datetime.min.replace(tzinfo=UTC), "")


class Held(NamedTuple):
    """A person's facts as a scan gives them; `division` is the index of the first place."""

    citizen: int
    division: int
    values: Values


@dataclass(frozen=True, slots=True)
class Applied:
    """What statements came to: people whose facts changed, and contradictions that stand now."""

    changed: int = 0
    conflicts: int = 0


@dataclass(frozen=True, slots=True)
class Marks:
    """Of a person's statements: (fact, source, thing) that are disputed, (fact, thing) on which sources differ."""

    disputed: frozenset[tuple[str, str, str]]
    conflicts: frozenset[tuple[str, str]]


def indexes(facts: Facts) -> list[IndexModel]:
    """One per fact that a rule may begin with, and one to follow changes."""
    own = [
        IndexModel(
            [(fact.id, ASCENDING), ("_id", ASCENDING)], name=f"by_{fact.id}",
            partialFilterExpression={fact.id: {"$exists": True}},
        )
        for fact in facts.facts
        if fact.is_indexed
    ]  # fmt: skip
    return [*own, IndexModel([("changed_at", ASCENDING), ("_id", ASCENDING)], name="changed")]


class FactStore:
    """Reads and writes them. `division_of` gives the index of the first place of these people."""

    def __init__(self, db: Database, facts: Facts) -> None:
        self._facts = db["facts"]
        self._statements = db["fact_statements"]
        self._conflicts = db["fact_conflicts"]
        self._known = facts

    async def prepare(self) -> None:
        """Create the indexes that the list of facts asks for."""
        await self._facts.create_indexes(indexes(self._known))

    async def apply(self, statements: Sequence[Statement], division_of: Callable[[int], int] = lambda _: 0) -> Applied:
        """Keep these and let what counts now follow. Again, or in another order, it ends the same."""
        if not statements:
            return Applied()
        await self._keep(statements)
        return await self._settle({(each.citizen, each.fact) for each in statements}, division_of)

    async def _keep(self, statements: Sequence[Statement]) -> None:
        """The newest word of each source. What is new to us is inserted, which costs a third of comparing it there."""
        known = {
            d["_id"]: (d["as_of_at"], d["tie"])
            async for d in self._statements.find(
                {"_id": {"$in": list({_key(each) for each in statements})}}, {"as_of_at": 1, "tie": 1}
            ).batch_size(2_000)
        }
        newer = [each for each in statements if known.get(_key(each), BEFORE) < (each.as_of_at, str(each.value))]
        fresh = {_key(each): each for each in newer if _key(each) not in known}
        later = [each for each in newer if fresh.get(_key(each)) is not each]
        if fresh:
            try:
                await self._statements.insert_many(map(_to_document, fresh.values()), ordered=False)
            except BulkWriteError as error:  # another importer was faster with some of them
                if any(each["code"] != DUPLICATE_KEY for each in error.details["writeErrors"]):
                    raise
                later += [list(fresh.values())[each["index"]] for each in error.details["writeErrors"]]
        if later:
            await self._statements.bulk_write([_kept(each) for each in later], ordered=False)

    async def _settle(self, pairs: Collection[tuple[int, str]], division_of: Callable[[int], int]) -> Applied:
        """Make facts of these (citizen, fact) from what is stated; who was changed meanwhile is read again."""
        changed = conflicts = 0
        names_of: dict[int, set[str]] = defaultdict(set)
        for citizen, name in pairs:
            names_of[citizen].add(name)
        left = set(names_of)
        wanted = {name for _, name in pairs}
        while left:
            versions = {d["_id"]: d async for d in self._facts.find({"_id": {"$in": list(left)}}, self._seen(wanted))}
            stated = await self._stated(left, wanted)
            writes: dict[int, UpdateOne] = {}
            fresh: set[int] = set()
            for citizen in left:
                found = versions.get(citizen, {})
                update = self._update(found, {name: stated.get((citizen, name), []) for name in names_of[citizen]})
                if update:
                    division = division_of(citizen)
                    writes[citizen] = _versioned(citizen, found.get("version"), update, division)
                    fresh |= set() if found else {citizen}
            conflicts += await self._note_conflicts(
                {key: each for key, each in stated.items() if key in pairs}, versions
            )
            lost = await self._write(writes, fresh)
            await self._undo_forgotten(fresh - lost)
            changed += len(writes) - len(lost)
            left = lost
        return Applied(changed, conflicts)

    async def scan(self, scan: Scan, names: Collection[str], since: Value | None = None) -> AsyncIterator[list[Held]]:
        """Who a scan may find, in pages of up to 500 ordered by the value of `by`, with the values of `names`.

        `since` resumes at that value (its people come again). A fact of several things gives a superset: the caller
        asks `rules.matching`. Walks one index range, which the hint makes sure of.
        """
        fields = dict.fromkeys((*names, "division"), 1)
        cursor = self._facts.find(self.filter_of(scan, since), fields).hint(f"by_{scan.by.fact}").batch_size(BATCH)
        if not self._known.by_id[scan.by.fact].is_many:  # by several values a walk comes in order, a sort does not
            cursor = cursor.sort([(scan.by.fact, ASCENDING), ("_id", ASCENDING)])
        while found := await cursor.to_list(BATCH):
            yield [Held(d.pop("_id"), d.pop("division", 0), d) for d in found]

    async def changed_since(self, since: datetime, after: int = -1, limit: int = BATCH) -> list[tuple[datetime, Held]]:
        """Whose facts changed, oldest change first, from this time (and then after this citizen) on."""
        later = {"$or": [{"changed_at": {"$gt": since}}, {"changed_at": since, "_id": {"$gt": after}}]}
        cursor = self._facts.find(later).sort([("changed_at", ASCENDING), ("_id", ASCENDING)]).limit(limit)
        return [(d["changed_at"], _held(d)) async for d in cursor]

    async def find(self, citizens: Iterable[int]) -> dict[int, Held]:
        """The facts of these people; who has none is absent."""
        cursor = self._facts.find({"_id": {"$in": list(citizens)}}).batch_size(BATCH)
        return {d["_id"]: _held(d) async for d in cursor}

    async def statements_of(self, citizen: int) -> list[Statement]:
        """Everything that is stated of a person, by fact."""
        cursor = self._statements.find({"citizen": citizen}).sort([("fact", ASCENDING), ("_id", ASCENDING)])
        return [_statement(d) async for d in cursor]

    async def export(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """What is stated, with its source, time and purpose."""
        return [
            {
                "fact": each.fact, "thing": each.thing, "value": self._told(each), "source": each.source,
                "as_of": each.as_of_at.isoformat(), "purpose": each.purpose,
            }
            for each in await self.statements_of(citizen)
        ]  # fmt: skip

    def _told(self, each: Statement) -> Value | None:
        is_date = self._known.by_id[each.fact].kind is Kind.DATE
        return day_of_number(int(each.value)).isoformat() if is_date and each.value is not None else each.value

    async def marks_of(self, citizen: int) -> Marks:
        """Which statements of a person are disputed, and on which facts sources differ."""
        disputed = self._statements.find({"citizen": citizen, "is_disputed": True}, dict.fromkeys(KEY, 1))
        conflicts = self._conflicts.find({"citizen": citizen}, {"fact": 1, "thing": 1})
        return Marks(
            frozenset([(d["fact"], d["source"], d["thing"]) async for d in disputed]),
            frozenset([(d["fact"], d["thing"]) async for d in conflicts]),
        )

    async def dispute(self, citizen: int, fact: str) -> bool:
        """Leave what is stated now out until its source states it anew; False: nothing is stated."""
        result = await self._statements.update_many({"citizen": citizen, "fact": fact}, {"$set": {"is_disputed": True}})
        if result.matched_count:
            await self._settle({(citizen, fact)}, lambda _: 0)
        return bool(result.matched_count)

    async def touch(self, citizens: Collection[int]) -> None:
        """Have these people looked at again as if their facts had changed: they agreed to something."""
        await self._facts.update_many({"_id": {"$in": list(citizens)}}, [{"$set": {"changed_at": "$$NOW"}}])

    async def move(self, source: int, target: int, session: Session) -> None:
        """Give the statements to another account; `apply` them afterwards. What both have stays the target's."""
        cursor = self._statements.find({"citizen": source}, session=session)
        for document in await cursor.to_list():
            moved = document | {"citizen": target, "_id": document["_id"].replace(f"{source}/", f"{target}/", 1)}
            await self._statements.update_one(
                {"_id": moved.pop("_id")}, {"$setOnInsert": moved}, upsert=True, session=session
            )
        await self._statements.delete_many({"citizen": source}, session=session)
        await self._conflicts.delete_many({"citizen": source}, session=session)
        await self._facts.delete_one({"_id": source}, session=session)

    async def settle(self, citizen: int, division_of: Callable[[int], int] = lambda _: 0) -> None:
        """Make all facts of a person anew from what is stated."""
        names = await self._statements.distinct("fact", {"citizen": citizen})
        await self._settle({(citizen, name) for name in names}, division_of)

    async def erase(self, citizen: int) -> None:
        """Everything; may be repeated."""
        await self.forget(citizen)

    def forgets(self) -> Mapping[str, Callable[[int], Awaitable[None]]]:
        """By consent: what forgets the facts that are kept under it."""
        by_consent: dict[str, list[str]] = defaultdict(list)
        for fact in self._known.facts:
            by_consent[fact.consent].append(fact.id)
        return {purpose: partial(self.forget, facts=names) for purpose, names in by_consent.items()}

    async def forget_all(self, citizens: Collection[int], facts: Collection[str]) -> int:
        """Nothing of these facts is known of these people any more; of how many there was something."""
        query = {"citizen": {"$in": list(citizens)}, "fact": {"$in": list(facts)}}
        found = await self._statements.distinct("citizen", query) if citizens else []
        for citizen in found:
            await self.forget(citizen, facts)
        return len(found)

    async def forget(self, citizen: int, facts: Collection[str] | None = None) -> None:
        """Nothing is known of this person any more, or nothing of these facts. May be repeated."""
        if facts is None:
            await self._statements.delete_many({"citizen": citizen})
            await self._conflicts.delete_many({"citizen": citizen})
            await self._facts.delete_one({"_id": citizen})
            return
        query = {"citizen": citizen, "fact": {"$in": list(facts)}}
        await self._statements.delete_many(query)
        await self._conflicts.delete_many(query)
        gone = [name for fact in facts for name in (fact, f"from.{fact}", f"as_of.{fact}")]
        change = {"$unset": dict.fromkeys(gone, ""), "$inc": {"version": 1}}
        left = await self._facts.find_one_and_update(
            {"_id": citizen}, change, {"version": 1}, return_document=ReturnDocument.AFTER
        )
        if left and not await self._statements.find_one({"citizen": citizen}, {"_id": 1}):
            await self._facts.delete_one(left)  # of this version: what somebody writes just now stays

    async def _stated(
        self, citizens: Collection[int], names: Collection[str]
    ) -> dict[tuple[int, str], list[Statement]]:
        found: dict[tuple[int, str], list[Statement]] = defaultdict(list)
        query = {"citizen": {"$in": list(citizens)}, "fact": {"$in": list(names)}, "is_disputed": {"$ne": True}}
        async for document in self._statements.find(query).batch_size(2_000):
            found[document["citizen"], document["fact"]].append(_statement(document))
        return found

    def _update(self, found: Document, stated: Mapping[str, Sequence[Statement]]) -> Document:
        """What of a person's facts is different now: {"set": {...}, "unset": [...]}; {} for nothing."""
        fresh: Document = {}
        gone: list[str] = []
        for name, statements in stated.items():
            won = _winners(statements, self._known.by_id[name])
            values = sorted(_some(each.value for each in won), key=lambda each: (isinstance(each, str), each))
            value: Any = values[0] if values else None
            if values and self._known.by_id[name].is_many:
                value = values[-MAX_THINGS:]
            latest = max((each.as_of_at for each in won), default=None)
            if value is None:
                gone += [name, f"from.{name}", f"as_of.{name}"] if name in found else []
            elif found.get(name) != value or found.get("as_of", {}).get(name) != latest:
                source = max(won, key=lambda each: each.as_of_at).source
                fresh |= {name: value, f"from.{name}": source, f"as_of.{name}": latest}
        return {"set": fresh, "unset": gone} if fresh or gone else {}

    async def _write(self, writes: Mapping[int, UpdateOne], fresh: Collection[int]) -> set[int]:
        """Write; who has another version by now, or may have, is returned. `fresh`: who has no facts yet."""
        lost: set[int] = set()
        if order := [citizen for citizen in writes if citizen in fresh]:
            try:
                await self._facts.bulk_write([writes[citizen] for citizen in order], ordered=False)
            except BulkWriteError as error:
                if any(each["code"] != DUPLICATE_KEY for each in error.details["writeErrors"]):
                    raise
                lost = {order[each["index"]] for each in error.details["writeErrors"]}
        if order := [citizen for citizen in writes if citizen not in fresh]:
            result = await self._facts.bulk_write([writes[citizen] for citizen in order], ordered=False)
            if result.matched_count < len(order):
                lost |= set(order)  # whoever was written already comes out the same
        return lost

    async def _undo_forgotten(self, fresh: Collection[int]) -> None:
        """Who was forgotten between our reading and our writing has no facts."""
        if not fresh:
            return
        stated = set(await self._statements.distinct("citizen", {"citizen": {"$in": list(fresh)}}))
        if gone := set(fresh) - stated:
            await self._facts.delete_many({"_id": {"$in": list(gone)}})

    async def _note_conflicts(
        self, stated: Mapping[tuple[int, str], Sequence[Statement]], versions: Mapping[int, Document]
    ) -> int:
        writes: list[UpdateOne | DeleteOne] = []
        count = 0
        for (citizen, name), statements in stated.items():
            fact = self._known.by_id[name]
            for thing, several in _by_thing(statements).items():
                key = f"{citizen}/{name}/{thing}"
                if is_contradicted(several, fact):
                    count += 1
                    said = [{field: getattr(each, field) for field in SAID} for each in several]
                    fields = {"citizen": citizen, "fact": name, "thing": thing, "said": said}
                    since = max(each.as_of_at for each in several)
                    writes.append(
                        UpdateOne({"_id": key}, {"$set": fields, "$setOnInsert": {"since_at": since}}, upsert=True)
                    )
                elif len(several) > 1 and citizen in versions:
                    writes.append(DeleteOne({"_id": key}))
        if writes:
            await self._conflicts.bulk_write(writes, ordered=False)
        return count

    def _seen(self, names: Collection[str]) -> Document:
        return {"version": 1} | {field: 1 for name in names for field in (name, f"as_of.{name}")}

    def filter_of(self, scan: Scan, since: Value | None = None) -> Document:
        """The query of a scan."""
        parts = [self._holds(bound) for bound in (scan.by, *scan.also)]
        if since is not None:
            parts.append(self._holds(Bound(scan.by.fact, lo=since if isinstance(since, int) else None)))
        query: Document = {"$and": parts}
        if scan.unless:
            query["$nor"] = [self._holds(bound) for bound in scan.unless]
        return query

    def _holds(self, bound: Bound) -> Document:
        if bound.among:
            return {bound.fact: {"$in": list(bound.among)}}
        ends = {op: end for op, end in (("$gte", bound.lo), ("$lte", bound.hi)) if end is not None}
        is_many = self._known.by_id[bound.fact].is_many
        return {bound.fact: {"$elemMatch": ends} if is_many and ends else ends or {"$exists": True}}


def _key(each: Statement) -> str:
    return f"{each.citizen}/{each.fact}/{each.source}/{each.thing}"


def _to_document(each: Statement) -> Document:
    return {
        "_id": _key(each), "citizen": each.citizen, "fact": each.fact, "thing": each.thing, "source": each.source,
        "value": each.value, "as_of_at": each.as_of_at, "purpose": each.purpose, "tie": str(each.value),
    }  # fmt: skip


def _kept(each: Statement) -> UpdateOne:
    """The newest word of a source, whatever the order of arrival; of two at one time the greater text."""
    document = _to_document(each)
    is_newer = {
        "$or": [
            {"$eq": [{"$type": "$as_of_at"}, "missing"]},
            {"$gt": [{"$literal": each.as_of_at}, "$as_of_at"]},
            {
                "$and": [
                    {"$eq": [{"$literal": each.as_of_at}, "$as_of_at"]},
                    {"$gt": [{"$literal": document["tie"]}, "$tie"]},
                ]
            },
        ]
    }
    return UpdateOne(
        {"_id": document["_id"]},
        [{"$replaceWith": {"$cond": [is_newer, {"$literal": document}, "$$ROOT"]}}],
        upsert=True,
    )


def _versioned(citizen: int, version: int | None, update: Document, division: int) -> UpdateOne:
    """The update if nobody was faster; to insert a person who is there by now is a duplicate key."""
    fields = {name: {"$literal": value} for name, value in update["set"].items()}
    stamp = {"version": (version or 0) + 1, "changed_at": "$$NOW"} | ({"division": division} if division else {})
    pipeline: list[Document] = [{"$set": fields | stamp}]
    if update["unset"]:
        pipeline.append({"$unset": update["unset"]})
    return UpdateOne({"_id": citizen, "version": version}, pipeline, upsert=version is None)


def _winners(statements: Sequence[Statement], fact: Fact) -> list[Statement]:
    """What counts, per thing; for a fact of one thing at most one."""
    won = (winner(several, fact) for several in _by_thing(statements).values())
    return [each for each in won if each is not None]


def _some(values: Iterable[Value | None]) -> set[Value]:
    return {value for value in values if value is not None}


def _by_thing(statements: Sequence[Statement]) -> dict[str, list[Statement]]:
    found: dict[str, list[Statement]] = defaultdict(list)
    for each in statements:
        found[each.thing].append(each)
    return found


def _statement(d: Document) -> Statement:
    return Statement(
        citizen=d["citizen"], fact=d["fact"], value=d["value"], source=d["source"], as_of_at=d["as_of_at"],
        thing=d["thing"], purpose=d["purpose"],
    )  # fmt: skip


def _held(document: Document) -> Held:
    citizen, division = document.pop("_id"), document.pop("division", 0)
    for name in ("version", "changed_at", "from", "as_of"):
        document.pop(name, None)
    return Held(citizen, division, document)
