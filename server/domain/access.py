"""Who may do what over HTTP: one table of deeds, roles and reach. What it does not name is not allowed.

This is the door. Behind it stand the finer rules of the desk (`alerts/states`): state, second person, events, red. The
door never allows what those refuse; for the deeds of the desk both name the same roles, and a test holds them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from server.domain.divisions import prefix
from server.domain.errors import ForbiddenError
from server.domain.officers import Officer, Role


class Deed(StrEnum):
    """What an officer can ask for. The value is what the log calls it."""

    ALERT_READ = "alert.read"
    ALERT_PREVIEW = "alert.preview"
    ALERT_DRAFT = "alert.draft"
    ALERT_EDIT = "alert.edit"
    ALERT_FOLLOW = "alert.follow"  # draft an update, upgrade, downgrade, extension or cancellation
    ALERT_SUBMIT = "alert.submit"
    ALERT_RETURN = "alert.return"
    ALERT_REJECT = "alert.reject"
    ALERT_RELEASE = "alert.release"
    APPLICATION_READ = "application.read"
    APPLICATION_STEP = "application.step"  # claim, take a step of the workflow
    APPLICATION_ASSIGN = "application.assign"  # hand on the own work; a supervisor anybody's
    APPLICATION_ASK_AGAIN = "application.ask_again"  # 一次告知: ask for more a second time
    RATING_READ = "rating.read"  # bad ratings of the own units
    RATING_STEP = "rating.step"  # answer one, call back, appeal, decide an appeal
    RATING_CONTACT = "rating.contact"  # whom to call back, and where
    ACKNOWLEDGEMENT_READ = "acknowledgement.read"  # how many people say that they are safe or need help
    ACKNOWLEDGEMENT_HELP = "acknowledgement.help"  # who needs help: where, and the numbers
    BROADCAST_READ = "broadcast.read"  # progress, report
    BROADCAST_UNREACHED = "broadcast.unreached"  # who was not reached: names and numbers for telephoning
    BROADCAST_STOP = "broadcast.stop"
    BROADCAST_RESUME = "broadcast.resume"
    INTAKE_READ = "intake.read"
    INTAKE_DECIDE = "intake.decide"  # adopt a partner's proposal as a draft, or refuse it
    ORDER_READ = "order.read"  # standing orders: what is released without an officer's touch
    ORDER_WRITE = "order.write"
    ORDER_RELEASE = "order.release"  # as a second person; a chief if it names red
    ORDER_STOP = "order.stop"
    PARTNER_READ = "partner.read"
    PARTNER_MANAGE = "partner.manage"  # intake keys and webhooks
    OFFICER_READ = "officer.read"
    OFFICER_MANAGE = "officer.manage"  # create, change, lock, unlock, recover, end sessions
    BOOKING_READ = "booking.read"  # the day's list, with masked names
    BOOKING_SERVE = "booking.serve"  # check in, call, serve, requeue, mark as missed
    BOOKING_BOOK = "booking.book"  # for a person at the counter or on the telephone; cancel; whose bans there are
    BOOKING_EXCUSE = "booking.excuse"  # take a strike back, lift a ban
    BOOKING_CLOSE = "booking.close"  # 停诊, and open again
    RESOURCE_READ = "resource.read"
    RESOURCE_MANAGE = "resource.manage"  # what can be booked, when, by which rules
    ITEM_READ = "item.read"  # drafts and versions of the catalogue
    ITEM_WRITE = "item.write"
    ITEM_PUBLISH = "item.publish"
    FACT_OBJECTION_READ = "fact_objection.read"  # what people say against facts about them
    FACT_OBJECTION_ANSWER = "fact_objection.answer"
    RULE_READ = "rule.read"  # rules of proactive service, with drafts and versions
    RULE_WRITE = "rule.write"  # draft, change, hand in
    RULE_RETURN = "rule.return"
    RULE_RELEASE = "rule.release"  # what another person wrote; and let a stopped one go on
    RULE_STOP = "rule.stop"
    BULLETIN_READ = "bulletin.read"  # drafts of public notices, and their history
    BULLETIN_WRITE = "bulletin.write"  # draft, change, hand in
    BULLETIN_PUBLISH = "bulletin.publish"  # publish or return what somebody else wrote
    BULLETIN_WITHDRAW = "bulletin.withdraw"
    SESSION_OWN = "session.own"  # see and end one's own sessions, confirm the second factor
    AUDIT_READ = "audit.read"
    AUDIT_VERIFY = "audit.verify"


class Reach(StrEnum):
    """What the officer's division has to do with the thing."""

    SUBTREE = "subtree"  # all divisions the thing touches lie at or below the officer's
    MEETS = "meets"  # at least one does, or the officer's lies below one: enough for reading
    OWN = "own"  # the thing belongs to the officer: the caller has made sure of it


@dataclass(frozen=True, slots=True)
class Grant:
    """One line of the table: one of these roles, within this reach."""

    roles: frozenset[Role]
    reach: Reach


_AUTHOR = frozenset({Role.AUTHOR})
_RELEASER = frozenset({Role.RELEASER, Role.CHIEF})
_DESK = _AUTHOR | _RELEASER
_AUDITOR = frozenset({Role.AUDITOR})
_ADMINISTRATOR = frozenset({Role.ADMINISTRATOR})
_CLERK = frozenset({Role.CLERK})
_PLANNER = frozenset({Role.PLANNER})
_EDITOR = frozenset({Role.EDITOR})
_APPROVER = frozenset({Role.APPROVER})

_DECIDING = frozenset({Role.CLERK, Role.APPROVER})
_SUPERVISOR = frozenset({Role.SUPERVISOR})
_COUNTER = _DECIDING | _SUPERVISOR

GRANTS: Mapping[Deed, Grant] = {
    Deed.ALERT_READ: Grant(_DESK, Reach.MEETS),
    Deed.ALERT_PREVIEW: Grant(_DESK, Reach.MEETS),
    Deed.ALERT_DRAFT: Grant(_AUTHOR, Reach.SUBTREE),
    Deed.ALERT_EDIT: Grant(_AUTHOR, Reach.SUBTREE),
    Deed.ALERT_FOLLOW: Grant(_AUTHOR, Reach.SUBTREE),
    Deed.ALERT_SUBMIT: Grant(_AUTHOR, Reach.SUBTREE),
    Deed.ALERT_RETURN: Grant(_DESK, Reach.SUBTREE),
    Deed.ALERT_REJECT: Grant(_DESK, Reach.SUBTREE),
    Deed.ALERT_RELEASE: Grant(_RELEASER, Reach.SUBTREE),
    Deed.APPLICATION_READ: Grant(_COUNTER, Reach.SUBTREE),
    Deed.APPLICATION_STEP: Grant(_DECIDING, Reach.SUBTREE),
    Deed.APPLICATION_ASSIGN: Grant(_COUNTER, Reach.SUBTREE),
    Deed.APPLICATION_ASK_AGAIN: Grant(_SUPERVISOR, Reach.SUBTREE),
    Deed.RATING_READ: Grant(_SUPERVISOR, Reach.SUBTREE),
    Deed.RATING_STEP: Grant(_SUPERVISOR, Reach.SUBTREE),
    Deed.RATING_CONTACT: Grant(_SUPERVISOR, Reach.SUBTREE),
    Deed.ACKNOWLEDGEMENT_READ: Grant(_DESK, Reach.MEETS),
    Deed.ACKNOWLEDGEMENT_HELP: Grant(_DESK, Reach.SUBTREE),
    Deed.BROADCAST_READ: Grant(_DESK, Reach.MEETS),
    Deed.BROADCAST_UNREACHED: Grant(_DESK, Reach.SUBTREE),
    Deed.BROADCAST_STOP: Grant(_RELEASER, Reach.SUBTREE),
    Deed.BROADCAST_RESUME: Grant(_RELEASER, Reach.SUBTREE),
    Deed.INTAKE_READ: Grant(_DESK, Reach.MEETS),
    Deed.INTAKE_DECIDE: Grant(_AUTHOR, Reach.SUBTREE),
    Deed.ORDER_READ: Grant(_DESK, Reach.MEETS),
    Deed.ORDER_WRITE: Grant(_AUTHOR, Reach.SUBTREE),
    Deed.ORDER_RELEASE: Grant(_RELEASER, Reach.SUBTREE),
    Deed.ORDER_STOP: Grant(_DESK, Reach.SUBTREE),
    Deed.PARTNER_READ: Grant(_ADMINISTRATOR, Reach.SUBTREE),
    Deed.PARTNER_MANAGE: Grant(_ADMINISTRATOR, Reach.SUBTREE),
    Deed.OFFICER_READ: Grant(_ADMINISTRATOR, Reach.SUBTREE),
    Deed.OFFICER_MANAGE: Grant(_ADMINISTRATOR, Reach.SUBTREE),
    Deed.BOOKING_READ: Grant(_CLERK | _PLANNER, Reach.SUBTREE),
    Deed.BOOKING_SERVE: Grant(_CLERK, Reach.SUBTREE),
    Deed.BOOKING_BOOK: Grant(_CLERK, Reach.SUBTREE),
    Deed.BOOKING_EXCUSE: Grant(_CLERK, Reach.SUBTREE),
    Deed.BOOKING_CLOSE: Grant(_CLERK | _PLANNER, Reach.SUBTREE),
    Deed.RESOURCE_READ: Grant(_CLERK | _PLANNER, Reach.SUBTREE),
    Deed.RESOURCE_MANAGE: Grant(_PLANNER, Reach.SUBTREE),
    Deed.ITEM_READ: Grant(_EDITOR, Reach.SUBTREE),
    Deed.ITEM_WRITE: Grant(_EDITOR, Reach.SUBTREE),
    Deed.ITEM_PUBLISH: Grant(_EDITOR, Reach.SUBTREE),
    Deed.FACT_OBJECTION_READ: Grant(_EDITOR | _APPROVER, Reach.SUBTREE),
    Deed.FACT_OBJECTION_ANSWER: Grant(_EDITOR | _APPROVER, Reach.SUBTREE),
    Deed.RULE_READ: Grant(_EDITOR | _APPROVER, Reach.SUBTREE),
    Deed.RULE_WRITE: Grant(_EDITOR, Reach.SUBTREE),
    Deed.RULE_RETURN: Grant(_EDITOR | _APPROVER, Reach.SUBTREE),
    Deed.RULE_RELEASE: Grant(_APPROVER, Reach.SUBTREE),
    Deed.RULE_STOP: Grant(_EDITOR | _APPROVER, Reach.SUBTREE),
    Deed.BULLETIN_READ: Grant(_EDITOR | _APPROVER, Reach.SUBTREE),
    Deed.BULLETIN_WRITE: Grant(_EDITOR, Reach.SUBTREE),
    Deed.BULLETIN_PUBLISH: Grant(_APPROVER, Reach.SUBTREE),
    Deed.BULLETIN_WITHDRAW: Grant(_APPROVER, Reach.SUBTREE),
    Deed.SESSION_OWN: Grant(frozenset(Role), Reach.OWN),
    Deed.AUDIT_READ: Grant(_AUDITOR, Reach.SUBTREE),  # of the city: the log is one
    Deed.AUDIT_VERIFY: Grant(_AUDITOR, Reach.SUBTREE),
}


def may(officer: Officer, deed: Deed, divisions: Sequence[str] = ()) -> bool:
    """Whether the table lets this officer do this to a thing that touches these divisions; none touched = no reach."""
    grant = GRANTS.get(deed)
    if grant is None or not officer.roles & grant.roles:
        return False
    match grant.reach:
        case Reach.OWN:
            return True
        case Reach.SUBTREE:
            return bool(divisions) and all(_is_below(division, officer.division) for division in divisions)
        case Reach.MEETS:
            return any(_is_below(d, officer.division) or _is_below(officer.division, d) for d in divisions)


def refuse(officer: Officer, deed: Deed, divisions: Sequence[str] = ()) -> None:
    """ForbiddenError `role_missing` or `outside_division` unless `may`."""
    if may(officer, deed, divisions):
        return
    grant = GRANTS.get(deed)
    if grant is None or not officer.roles & grant.roles:
        raise ForbiddenError("role_missing", zh="您没有此权限", en="you have no role for this")
    raise ForbiddenError("outside_division", zh="超出您的辖区", en="outside your division")


def refuse_at(officer: Officer, deed: Deed, division: str, institution: str) -> None:
    """For what an institution has: besides `refuse`, ForbiddenError `outside_unit` if it is not the officer's."""
    refuse(officer, deed, [division])
    if institution not in officer.institutions:
        raise ForbiddenError(
            "outside_unit",
            zh="不属于您的单位，请到该单位办理",
            en="this belongs to another unit: it has to be done there",
        )


def may_ask(officer: Officer, deed: Deed) -> bool:
    """Whether the role alone would do: for the door, where the thing is not known yet."""
    grant = GRANTS.get(deed)
    return grant is not None and bool(officer.roles & grant.roles)


def _is_below(division: str, root: str) -> bool:
    return bool(division) and bool(root) and division.startswith(prefix(root))
