"""For whom somebody may act: relatives (代办) and organisations (法人). Pure; one rule for both.

A relation says that `actor` may do what `scopes` name on behalf of `subject`. It comes alive only by the consent of who
gives something away: the relative for whom somebody wants to act, the person whom an organisation wants as a handler.
Either side ends it at once, and it runs out by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

LASTS = timedelta(days=365)
LONGEST = timedelta(days=3 * 365)
ASKED_FOR = timedelta(days=14)  # a question that nobody answered is gone then
MAX_LIVE = 20  # relations that one person asked for or acts by: a family and some employers, not a trade in bookings


class Scope(StrEnum):
    """What one may do for another."""

    BOOK = "book"
    APPLY = "apply"
    SEE = "see"


class Kind(StrEnum):
    """What the subject is to the actor."""

    RELATIVE = "relative"
    ORGANISATION = "organisation"


class Role(StrEnum):
    """As what one acts: the subject is the actor's parent, child, ...; or the actor is the organisation's ..."""

    PARENT = "parent"
    CHILD = "child"
    SPOUSE = "spouse"
    OTHER = "other"
    REPRESENTATIVE = "representative"  # 法定代表人, as the register says
    MANAGER = "manager"
    HANDLER = "handler"  # 经办人


class State(StrEnum):
    """Where a relation stands. What has ended never comes alive again: one asks anew."""

    ASKED = "asked"
    ACTIVE = "active"
    REFUSED = "refused"
    ENDED = "ended"


class Side(StrEnum):
    """Of a relation."""

    ACTOR = "actor"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation. `subject` is not known (None) while a relative has not agreed."""

    id: str
    kind: Kind
    actor: int
    subject: int | None
    role: Role
    scopes: frozenset[Scope]
    state: State
    asked_at: datetime
    until: datetime | None  # None: as long as the register says so


@dataclass(frozen=True, slots=True)
class Merge:
    """What becomes of two relations of the same two people when accounts are joined."""

    scopes: frozenset[Scope]
    until: datetime | None


MAY_INVITE: Mapping[Role, frozenset[Role]] = {
    Role.REPRESENTATIVE: frozenset({Role.MANAGER, Role.HANDLER}),
    Role.MANAGER: frozenset({Role.HANDLER}),
}


def is_live(relation: Relation, now: datetime) -> bool:
    """Whether it is good now; for a question: whether it may still be answered."""
    if relation.state is State.ASKED:
        return now < relation.asked_at + ASKED_FOR
    return relation.state is State.ACTIVE and (relation.until is None or now < relation.until)


def as_it_stands(relation: Relation, now: datetime) -> Relation:
    """The relation as one sees it: what has run out has ended."""
    is_open = relation.state in (State.ASKED, State.ACTIVE)
    return replace(relation, state=State.ENDED) if is_open and not is_live(relation, now) else relation


def may_act(relations: Iterable[Relation], scope: Scope, now: datetime) -> bool:
    """The one rule: a live, agreed relation that names this scope."""
    return any(r.state is State.ACTIVE and is_live(r, now) and scope in r.scopes for r in relations)


def may_invite(relations: Iterable[Relation], role: Role, now: datetime) -> bool:
    """Whether somebody with these relations to an organisation may take on, and end, somebody in this role."""
    return any(
        r.state is State.ACTIVE and is_live(r, now) and role in MAY_INVITE.get(r.role, frozenset()) for r in relations
    )


def may_see_handlers(relations: Iterable[Relation], now: datetime) -> bool:
    """Whether somebody with these relations to an organisation may see who acts for it."""
    return any(r.state is State.ACTIVE and is_live(r, now) and r.role in MAY_INVITE for r in relations)


def who_agrees(kind: Kind) -> Side:
    """Whose consent brings it alive."""
    return Side.SUBJECT if kind is Kind.RELATIVE else Side.ACTOR


def merged(kept: Relation, other: Relation) -> Merge:
    """Both consents were given, so both hold: all scopes, until the later end."""
    until = None if kept.until is None or other.until is None else max(kept.until, other.until)
    return Merge(kept.scopes | other.scopes, until)
