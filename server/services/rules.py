"""The counter of rules: drafted, handed in, released by a second person, stopped with one button, resumed.

Promises. A rule that names what is not there, or would read everybody, is refused with every fault at once. Nobody
writes over what he has not seen. A stop holds in every process within about a second; what it leaves to do (open runs,
open offers, notices that wait) is done by `finish`, which may be repeated and interrupted anywhere. Every step is in
the audit log before it is answered, or as soon as `finish` runs again after a crash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.domain.access import Deed, refuse
from server.domain.audit import OPERATOR, Detail, Event
from server.domain.catalogue_versions import Change, changes
from server.domain.errors import ConflictError, NotFoundError
from server.domain.facts import Facts
from server.domain.faults import Fault, FaultyInputError
from server.domain.officers import Officer
from server.domain.rule_faults import Known, faults_of, item_faults
from server.domain.rule_files import digest_of
from server.domain.rule_life import Hand, Kept, State, drafted, released, resumed, returned, stopped, submitted, written
from server.domain.rules import Rule
from server.services.audit import Audit
from server.services.offer_notices import Telling
from server.storage.catalogue import CatalogueStore
from server.storage.offers import OfferStore
from server.storage.rules import RuleStore
from server.storage.runs import RunStore

TOLD = 100  # versions
TAKE = 500
SETTLED = timedelta(seconds=20)  # after a stop, processes that have not heard of it may still have made an offer
THE_OPERATOR = Hand(OPERATOR, OPERATOR)


@dataclass(frozen=True, slots=True)
class Names:
    """What rules may name, beside the items of the catalogue."""

    facts: Facts
    units: Mapping[str, object]
    consents: Mapping[str, object]
    templates: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RuleShelves:
    """What the counter reads and writes."""

    rules: RuleStore
    catalogue: CatalogueStore
    offers: OfferStore
    runs: RunStore


@dataclass(frozen=True, slots=True)
class Standing:
    """A rule: what lies on the desk, and what is in force."""

    id: str
    desk: Kept | None
    force: Kept | None


class RuleOffice:
    """The verbs. Rules belong to the city (its 6-digit code): who may handle them has all of it for a division."""

    def __init__(
        self, shelves: RuleShelves, names: Names, telling: Telling, audit: Audit, *, city: str,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._shelves = shelves
        self._rules = shelves.rules
        self._names = names
        self._telling = telling
        self._audit = audit
        self._city = city
        self._now = now

    async def page(self, by: Officer, after: str, limit: int) -> list[Standing]:
        """Rules by id, after one."""
        self._refuse(by, Deed.RULE_READ)
        return [Standing(*each) for each in await self._rules.page(after, limit)]

    async def get(self, by: Officer, rule: str) -> Standing:
        """One rule; NotFoundError."""
        self._refuse(by, Deed.RULE_READ)
        found = Standing(rule, await self._rules.on_desk(rule), await self._rules.in_force(rule))
        if found.desk is None and found.force is None:
            raise _unknown()
        return found

    async def versions(self, by: Officer, rule: str) -> list[Kept]:
        """Its last hundred versions, newest first."""
        await self.get(by, rule)
        return await self._rules.versions(rule, TOLD)

    async def version(self, by: Officer, rule: str, version: int) -> Kept:
        """One version, whatever became of it; NotFoundError."""
        self._refuse(by, Deed.RULE_READ)
        found = await self._rules.find_version(rule, version)
        if found is None:
            raise _unknown()
        return found

    async def diff(self, by: Officer, rule: str, before: int, after: int) -> tuple[Change, ...]:
        """What differs between two versions."""
        one, other = await self.version(by, rule, before), await self.version(by, rule, after)
        return changes(one.rule, other.rule)

    async def check(self, rule: Rule) -> list[Fault]:
        """Everything that is wrong with it now; nothing is stored."""
        names = self._names
        kept = await self._shelves.catalogue.find(rule.item) if rule.item else None
        item = kept.published if kept and kept.published and kept.published.is_offered else None
        items = frozenset({rule.item} if item else ())
        known = Known(names.facts, items, names.units, names.consents, names.templates)
        return faults_of(rule, known) + (item_faults(rule, item, names.facts) if item else [])

    async def draft(self, by: Officer, rule: Rule) -> Kept:
        """A new rule, or the next version of one; ConflictError `rule_drafted` while there is a draft."""
        self._refuse(by, Deed.RULE_WRITE)
        return await self._draft(rule, _hand(by))

    async def write(self, by: Officer, rule: Rule, edit: int) -> Kept:
        """Write over the draft that one has seen; what was handed in is a draft again."""
        self._refuse(by, Deed.RULE_WRITE)
        before = await self._seen(rule.id, edit)
        return await self._swap(before, written(before, rule, _hand(by), self._now()))

    async def submit(self, by: Officer, rule: str, edit: int) -> Kept:
        """Hand it in; FaultyInputError `rule_faulty`, ConflictError `rule_unchanged`."""
        self._refuse(by, Deed.RULE_WRITE)
        return await self._submit(await self._seen(rule, edit), _hand(by))

    async def send_back(self, by: Officer, rule: str, edit: int, note: str) -> Kept:
        """Not so: back to those who write."""
        self._refuse(by, Deed.RULE_RETURN)
        before = await self._seen(rule, edit)
        return await self._swap(before, returned(before, _hand(by), self._now(), note))

    async def release(self, by: Officer, rule: str, digest: str) -> Kept:
        """Put it in force in place of the version before. `digest` is what the officer saw.

        ForbiddenError `same_person`; ConflictError `digest_changed`, `rule_state`; FaultyInputError `rule_faulty`.
        """
        self._refuse(by, Deed.RULE_RELEASE)
        before = await self._rules.on_desk(rule)
        if before is None:
            raise _unknown()
        after = released(before, digest, _hand(by), self._now())
        await self._refuse_faulty(before.rule)
        if not await self._rules.release(before, after):
            raise _changed()
        await self._finish(after, before.edit)
        return after

    async def stop(self, by: Officer, rule: str, note: str) -> Kept:
        """Nothing of it is handed off any more, at once."""
        self._refuse(by, Deed.RULE_STOP)
        before = await self._forced(rule)
        return await self._swap(before, stopped(before, _hand(by), self._now(), note))

    async def resume(self, by: Officer, rule: str, note: str) -> Kept:
        """In force again; offers that the stop took back are not made again in their period."""
        self._refuse(by, Deed.RULE_RELEASE)
        before = await self._forced(rule)
        await self._refuse_faulty(before.rule)
        return await self._swap(before, resumed(before, _hand(by), self._now(), note))

    async def load(self, rules: Sequence[Rule]) -> tuple[list[Kept], list[tuple[Rule, Sequence[Fault]]]]:
        """Hand in, as the operator, what says something new; (what was handed in, what was refused). Repeatable.

        What an officer is writing on is left alone.
        """
        done: list[Kept] = []
        refused: list[tuple[Rule, Sequence[Fault]]] = []
        for rule in rules:
            if faults := await self.check(rule):
                refused.append((rule, faults))
                continue
            force, desk = await self._rules.in_force(rule.id), await self._rules.on_desk(rule.id)
            newest = desk or force
            if newest is not None and digest_of(newest.rule) == digest_of(rule) and newest.state is not State.DRAFT:
                continue
            if desk is not None and desk.persons != {OPERATOR}:
                refused.append(
                    (rule, [Fault("id", "有人正在编辑，请先处理其草稿", "an officer has a draft: finish it")])
                )
                continue
            if desk is not None:
                desk = await self._swap(desk, written(desk, rule, THE_OPERATOR, self._now()))
            done.append(await self._submit(desk or await self._draft(rule, THE_OPERATOR), THE_OPERATOR))
        return done, refused

    async def finish(self) -> int:
        """Do what was left after steps: log them, take back what a stopped rule had on its way; how many versions."""
        left = await self._rules.left(TAKE)
        for kept, logged in left:
            await self._finish(kept, logged)
        return len(left)

    async def _finish(self, kept: Kept, logged: int) -> None:
        await self._audit.record(*_events(kept, logged))
        is_left = kept.state is State.STOPPED
        await self._rules.note_logged(kept, is_left=is_left)
        if is_left and await self._is_cleared(kept):
            await self._rules.note_logged(kept, is_left=False)

    async def _is_cleared(self, kept: Kept) -> bool:
        """Take back what a stopped rule had on its way; whether nothing more can come."""
        rule, shelves = kept.rule.id, self._shelves
        is_settled = self._now() - kept.changed_at >= SETTLED
        await shelves.runs.drop(rule, kept.version)
        while ids := await shelves.offers.withdraw(rule, self._now(), TAKE):
            await self._telling.take_back(ids)
        return is_settled

    async def _draft(self, rule: Rule, by: Hand) -> Kept:
        kept = drafted(rule, await self._rules.next_version(rule.id), by, self._now())
        if not await self._rules.insert(kept):
            raise ConflictError(
                "rule_drafted", zh="此规则已有草稿，请在其上修改", en="there is a draft: change that one"
            )
        await self._finish(kept, 0)
        return kept

    async def _submit(self, before: Kept, by: Hand) -> Kept:
        after = submitted(before, by, self._now())
        await self._refuse_faulty(before.rule)
        force = await self._rules.in_force(before.rule.id)
        if force is not None and digest_of(force.rule) == after.digest:
            raise ConflictError("rule_unchanged", zh="与现行规则相同，无须发布", en="it says what is in force already")
        return await self._swap(before, after)

    async def _swap(self, before: Kept, after: Kept) -> Kept:
        if not await self._rules.swap(before, after):
            raise _changed()
        if after.state is State.STOPPED:  # what is on its way is taken back by `finish`: the button answers at once
            await self._audit.record(*_events(after, before.edit))
            await self._rules.note_logged(after, is_left=True)
        else:
            await self._finish(after, before.edit)
        return after

    async def _seen(self, rule: str, edit: int) -> Kept:
        """The version on the desk, if it is what the officer saw."""
        found = await self._rules.on_desk(rule)
        if found is None:
            raise _unknown()
        if found.edit != edit:
            raise _changed()
        return found

    async def _forced(self, rule: str) -> Kept:
        found = await self._rules.in_force(rule)
        if found is None:
            raise _unknown()
        return found

    async def _refuse_faulty(self, rule: Rule) -> None:
        if faults := await self.check(rule):
            raise FaultyInputError("rule_faulty", faults)

    def _refuse(self, by: Officer, deed: Deed) -> None:
        refuse(by, deed, [self._city])


def _events(kept: Kept, logged: int) -> list[Event]:
    """What the audit log does not have yet. A key is of one step, so a repeated one is one entry."""
    told = []
    for step in kept.steps:
        if step.edit > logged:
            details: dict[str, Detail] = {"edit": step.edit}
            details |= {"note": step.note} if step.note else {}
            details |= {"digest": kept.digest} if kept.digest and step is kept.steps[-1] else {}
            key = f"{kept.name}/{step.edit}"
            told.append(Event(step.by, f"rule.{step.verb.value}", kept.name, details=details, key=key))
    return told


def _hand(officer: Officer) -> Hand:
    return Hand(officer.id, officer.person)


def _unknown() -> NotFoundError:
    return NotFoundError("rule_unknown", zh="没有这条规则或草稿", en="there is no such rule or draft")


def _changed() -> ConflictError:
    return ConflictError("rule_changed", zh="规则刚被他人改动，请刷新", en="someone changed the rule; load it again")
