"""The life of a rule: written, handed in, released by a second person, stopped, resumed, replaced. Pure.

Of one rule at most one version lies on the desk (draft or submitted) and at most one is in force (live or stopped).
Nobody releases what he wrote or handed in. What is released is what was handed in: any change voids it, and the digest
that the releaser saw has to be that of the rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from server.domain.errors import ConflictError, ForbiddenError
from server.domain.rule_files import digest_of
from server.domain.rules import Rule

MAX_STEPS = 100  # kept of a version; the audit log has all


class State(StrEnum):
    """Where a version stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    LIVE = "live"
    STOPPED = "stopped"
    REPLACED = "replaced"


class Verb(StrEnum):
    """What is done to a version. The value is what the audit log calls it, after `rule.`."""

    DRAFT = "draft"
    WRITE = "write"
    SUBMIT = "submit"
    RETURN = "return"
    RELEASE = "release"
    STOP = "stop"
    RESUME = "resume"


ON_DESK, IN_FORCE = (State.DRAFT, State.SUBMITTED), (State.LIVE, State.STOPPED)
STEPS: Mapping[Verb, tuple[tuple[State, ...], State]] = {  # from where, to where
    Verb.WRITE: (ON_DESK, State.DRAFT),
    Verb.SUBMIT: ((State.DRAFT,), State.SUBMITTED),
    Verb.RETURN: ((State.SUBMITTED,), State.DRAFT),
    Verb.RELEASE: ((State.SUBMITTED,), State.LIVE),
    Verb.STOP: ((State.LIVE,), State.STOPPED),
    Verb.RESUME: ((State.STOPPED,), State.LIVE),
}


@dataclass(frozen=True, slots=True)
class Hand:
    """Who does something: the account and the human being behind it."""

    officer: str
    person: str


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done. `edit` is the number of the change that it was."""

    verb: Verb
    by: str
    at: datetime
    edit: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """One version of a rule. `edit` counts its changes; `persons` wrote or handed it in; `digest` once handed in."""

    version: int
    rule: Rule
    state: State
    edit: int
    digest: str
    persons: frozenset[str]
    steps: tuple[Step, ...]
    changed_at: datetime

    @property
    def name(self) -> str:
        """Of the version: what the audit log calls it."""
        return f"{self.rule.id}@{self.version}"


def drafted(rule: Rule, version: int, by: Hand, at: datetime) -> Kept:
    """A new version, on the desk."""
    steps = (Step(Verb.DRAFT, by.officer, at, 1),)
    return Kept(version, rule, State.DRAFT, 1, "", frozenset({by.person}), steps, at)


def written(kept: Kept, rule: Rule, by: Hand, at: datetime) -> Kept:
    """The draft in other words; what was handed in is a draft again."""
    moved = _moved(kept, Verb.WRITE, by, at, "")
    return replace(moved, rule=rule, digest="", persons=kept.persons | {by.person})


def submitted(kept: Kept, by: Hand, at: datetime) -> Kept:
    """Handed in: its digest is what the second person confirms."""
    moved = _moved(kept, Verb.SUBMIT, by, at, "")
    return replace(moved, digest=digest_of(kept.rule), persons=kept.persons | {by.person})


def returned(kept: Kept, by: Hand, at: datetime, note: str) -> Kept:
    """Back to those who write."""
    return replace(_moved(kept, Verb.RETURN, by, at, note), digest="")


def released(kept: Kept, digest: str, by: Hand, at: datetime) -> Kept:
    """In force. ForbiddenError `same_person`, ConflictError `digest_changed`."""
    moved = _moved(kept, Verb.RELEASE, by, at, "")
    if by.person in kept.persons:
        raise ForbiddenError(
            "same_person",
            zh="起草人、修改人和提交人不得发布",
            en="who wrote it or handed it in may not release it",
        )
    if not digest == kept.digest == digest_of(kept.rule):
        raise ConflictError(
            "digest_changed", zh="规则已变动，请重新查看", en="the rule is not what you saw: look at it again"
        )
    return moved


def stopped(kept: Kept, by: Hand, at: datetime, note: str) -> Kept:
    """Out of force at once."""
    return _moved(kept, Verb.STOP, by, at, note)


def resumed(kept: Kept, by: Hand, at: datetime, note: str) -> Kept:
    """In force again."""
    return _moved(kept, Verb.RESUME, by, at, note)


def _moved(kept: Kept, verb: Verb, by: Hand, at: datetime, note: str) -> Kept:
    sources, target = STEPS[verb]
    if kept.state not in sources:
        raise ConflictError(
            "rule_state",
            zh="规则当前状态不允许此操作，请刷新",
            en="the rule's state does not allow this: load it again",
        )
    edit = kept.edit + 1
    steps = (*kept.steps, Step(verb, by.officer, at, edit, note))[-MAX_STEPS:]
    return replace(kept, state=target, edit=edit, steps=steps, changed_at=at)
