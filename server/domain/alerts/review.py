"""The rule table applied to an alert on the desk: to the message as it would be sent, among the others of its sender.

Promise: every finding at once, for an author: nothing here raises, whatever was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from server.domain.alerts.cap import read_cap
from server.domain.alerts.context import Context, KnownAlert, Profile
from server.domain.alerts.desk import DeskAlert
from server.domain.alerts.document import parse_xml
from server.domain.alerts.finding import Fault, Finding, Gravity
from server.domain.alerts.model import Alert, cap_time
from server.domain.alerts.release import World, message_of
from server.domain.alerts.rules import check
from server.domain.alerts.states import is_within
from server.domain.alerts.verbs import is_over
from server.domain.alerts.vocabulary import MsgType
from server.domain.china import CHINA
from server.domain.errors import InvalidInputError


def review(desk: DeskAlert, world: World, history: Sequence[DeskAlert], at: datetime) -> list[Finding]:
    """What the rules say to its author if it were sent at `at`, after `history`: its chain and what else is live."""
    unit = desk.unit
    context = Context(
        now=at,
        registered_senders={unit.sender},
        history=_known(history, at),
        is_known_division=world.divisions.is_known,
        may_warn=lambda sender, code: sender == unit.sender and is_within(code, unit.division),
    )
    return check(_as_sent(desk, world, at), Profile.AUTHOR, context)


def review_misfit(alert: Alert, error: InvalidInputError, at: datetime) -> list[Finding]:
    """What the rules say about a message that the desk does not take as a draft, and why it does not."""
    refused = Finding(error.code, error.field or "/alert", Gravity.ERROR, error.zh, error.en)
    return [refused, *check(alert, Profile.AUTHOR, Context(now=at))]


def refuse_faulty(findings: Sequence[Finding], acknowledged: frozenset[str]) -> None:
    """InvalidInputError `alert_faulty` for errors, `alert_unacknowledged` for warnings whose code is not in the set."""
    errors = [finding for finding in findings if finding.severity is Gravity.ERROR]
    open_ones = [finding for finding in findings if finding.code not in acknowledged]
    if errors:
        raise _listed("alert_faulty", errors)
    if open_ones:
        raise _listed("alert_unacknowledged", open_ones)


def _listed(code: str, found: Sequence[Finding]) -> InvalidInputError:
    return InvalidInputError(
        code,
        zh="；".join(f"{each.code} {each.path}：{each.zh}" for each in found[:10]),
        en="; ".join(f"{each.code} {each.path}: {each.en}" for each in found[:10]),
        field=found[0].path,
    )


def _as_sent(desk: DeskAlert, world: World, at: datetime) -> Alert:
    try:
        return message_of(desk, world, at)
    except InvalidInputError:  # too little for texts: the rules say what is missing
        return desk.alert.model_copy(update={"sent": cap_time(at, CHINA)})


def _known(history: Sequence[DeskAlert], at: datetime) -> list[KnownAlert]:
    """Released messages as they were sent, each with the end of its chain."""
    newest = {desk.chain: desk for desk in history}  # the history is in order
    return [KnownAlert(_sent(desk), desk.chain, _ended_at(newest[desk.chain], at)) for desk in history]


def _ended_at(last: DeskAlert, at: datetime) -> datetime | None:
    if last.alert.msg_type == MsgType.CANCEL:
        return last.released_at
    return last.alert.expires_at if is_over(last.alert, at) else None


def _sent(desk: DeskAlert) -> Alert:
    tree = parse_xml(desk.cap)
    return desk.alert if isinstance(tree, Fault) else read_cap(tree)
