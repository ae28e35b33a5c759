"""What may happen to an alert on the desk, and who may do it: one table, read by `next_state` and by `refusal`.

draft -> submitted -> released -> updated | cancelled | expired
              |-> returned -> submitted ...      |-> rejected

Promises: what the table does not name is not allowed. Whoever wrote, last changed or submitted an alert does not
release it, and persons are compared, not accounts. Red is released by a chief. Nobody acts outside the own divisions
and events. No officer marks an alert `updated`, `cancelled` or `expired`: the product does, as a consequence of a
successor's release or of time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from server.domain.divisions import prefix
from server.domain.officers import Officer, Role


class State(StrEnum):
    """Of one message of a chain. `rejected`, `updated`, `cancelled` and `expired` are final."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    REJECTED = "rejected"
    RELEASED = "released"
    UPDATED = "updated"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Action(StrEnum):
    """What can be done to an alert."""

    EDIT = "edit"
    SUBMIT = "submit"
    RETURN = "return"
    REJECT = "reject"
    RELEASE = "release"
    FOLLOW = "follow"  # draft the next message of the chain; changes nothing yet
    PAGE = "page"  # a red draft waits too long: the next chief is called; voids nothing
    MARK_UPDATED = "mark_updated"
    MARK_CANCELLED = "mark_cancelled"
    MARK_EXPIRED = "mark_expired"


class Why(StrEnum):
    """Why an action is refused; the stable codes of the errors."""

    STATE = "alert_state"
    ROLE = "role_missing"
    DRILL = "drill_missing"
    CHIEF = "chief_needed"
    SAME_PERSON = "same_person"
    DIVISION = "outside_division"
    EVENT = "outside_events"


@dataclass(frozen=True, slots=True)
class Rule:
    """One cell of the table. `roles`: one of them is needed; empty = the product itself, no officer."""

    to: State
    roles: frozenset[Role] = frozenset()
    is_second_person: bool = False  # not the author, last editor or submitter; and for red a chief


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules ask of an alert. Persons, not accounts. `divisions`: all that its area touches, at least one."""

    state: State
    author: str
    editor: str
    submitter: str | None
    unit_division: str
    divisions: tuple[str, ...]
    events: tuple[str, ...]
    is_red: bool
    is_exercise: bool


_AUTHOR = frozenset({Role.AUTHOR})
_RELEASER = frozenset({Role.RELEASER, Role.CHIEF})

RULES: Mapping[tuple[State, Action], Rule] = {
    (State.DRAFT, Action.EDIT): Rule(State.DRAFT, _AUTHOR),
    (State.DRAFT, Action.SUBMIT): Rule(State.SUBMITTED, _AUTHOR),
    (State.DRAFT, Action.REJECT): Rule(State.REJECTED, _AUTHOR),  # thrown away before anyone saw it
    (State.SUBMITTED, Action.RETURN): Rule(State.RETURNED, _AUTHOR | _RELEASER),  # the author may take it back
    (State.SUBMITTED, Action.REJECT): Rule(State.REJECTED, _RELEASER, is_second_person=True),
    (State.SUBMITTED, Action.RELEASE): Rule(State.RELEASED, _RELEASER, is_second_person=True),
    (State.SUBMITTED, Action.PAGE): Rule(State.SUBMITTED),
    (State.RETURNED, Action.EDIT): Rule(State.RETURNED, _AUTHOR),
    (State.RETURNED, Action.SUBMIT): Rule(State.SUBMITTED, _AUTHOR),
    (State.RETURNED, Action.REJECT): Rule(State.REJECTED, _AUTHOR),
    (State.RELEASED, Action.FOLLOW): Rule(State.RELEASED, _AUTHOR),
    (State.RELEASED, Action.MARK_UPDATED): Rule(State.UPDATED),
    (State.RELEASED, Action.MARK_CANCELLED): Rule(State.CANCELLED),
    (State.RELEASED, Action.MARK_EXPIRED): Rule(State.EXPIRED),
}


def next_state(state: State, action: Action) -> State | None:
    """The state after this action, or None if the table does not allow it."""
    rule = RULES.get((state, action))
    return rule.to if rule else None


def refusal(actor: Officer | None, action: Action, alert: Facts) -> Why | None:
    """Why this actor may not do this to this alert; None = allowed. `actor` None is the product itself."""
    rule = RULES.get((alert.state, action))
    if rule is None:
        return Why.STATE
    if actor is None or not rule.roles:
        return None if actor is None and not rule.roles else Why.ROLE
    return reach_refusal(actor, rule.roles, alert) or _second_person_refusal(actor, action, rule, alert)


def may(actor: Officer | None, action: Action, alert: Facts) -> bool:
    """Whether `refusal` has nothing to say."""
    return refusal(actor, action, alert) is None


def reach_refusal(actor: Officer, roles: frozenset[Role], alert: Facts) -> Why | None:
    """Role x division subtree x event, without the state: what drafting a first alert has to pass as well."""
    if not actor.roles & roles:
        return Why.ROLE
    if alert.is_exercise and Role.DRILL not in actor.roles:
        return Why.DRILL
    if not alert.divisions or not all(is_within(division, actor.division) for division in alert.divisions):
        return Why.DIVISION
    if not alert.events or not all(any(event.startswith(p) for p in actor.events if p) for event in alert.events):
        return Why.EVENT
    return None


def draft_refusal(actor: Officer, alert: Facts) -> Why | None:
    """Why this officer may not begin an alert like this."""
    return reach_refusal(actor, _AUTHOR, alert)


def _second_person_refusal(actor: Officer, action: Action, rule: Rule, alert: Facts) -> Why | None:
    if not rule.is_second_person:
        return None
    if actor.person in {alert.author, alert.editor, alert.submitter}:
        return Why.SAME_PERSON
    if not is_within(alert.unit_division, actor.division):  # the same or a parent division of the author's unit
        return Why.DIVISION
    if action is Action.RELEASE and alert.is_red and Role.CHIEF not in actor.roles:
        return Why.CHIEF
    return None


def is_within(division: str, root: str) -> bool:
    """Whether a division lies in the subtree of `root`; a malformed one lies nowhere.

    >>> is_within("440305001", "440300"), is_within("440300", "440305"), is_within("", "440300")
    (True, False, False)
    """
    return division.startswith(prefix(root))
