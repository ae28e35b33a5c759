"""Rules about a message among others, and about its release (CAP-009 .. 013, 040, 041): they need history or facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from server.domain.alerts.context import Context, KnownAlert, Message
from server.domain.alerts.finding import Fault, Gravity
from server.domain.alerts.model import Alert, Reference
from server.domain.alerts.vocabulary import MsgType, Severity

REISSUE_WINDOW = timedelta(minutes=60)
_PATH = "/alert/references"
_FOLLOWING = frozenset({MsgType.UPDATE, MsgType.CANCEL})


def _known(context: Context, entry: Reference) -> list[KnownAlert]:
    """The messages an entry may mean: by sender and identifier; a bare identifier may fit several."""
    return [
        known
        for known in context.history or ()
        if known.alert.identifier == entry.identifier and entry.sender in {"", known.alert.sender}
    ]


def reference_exists(message: Message, context: Context) -> Iterator[Fault]:
    """CAP-009: it exists, is not this message, not listed twice, not of a later time, not another sender's."""
    alert = message.alert
    seen: set[tuple[str, str]] = set()
    for entry in alert.referenced:
        name = entry.identifier
        if (entry.sender, name) in seen:
            yield Fault(_PATH, f"重复引用 {name}", f"{name} is listed twice")
            continue
        seen.add((entry.sender, name))
        if name == alert.identifier and entry.sender in {"", alert.sender}:
            yield Fault(_PATH, "循环引用", "circular reference")
            continue
        found = _known(context, entry)
        if not found:
            yield Fault(_PATH, f"没有报文 {name}", f"no such alert {name}")
        yield from _fits(alert, found)


def _fits(alert: Alert, found: Sequence[KnownAlert]) -> Iterator[Fault]:
    for known in found:
        name = known.alert.identifier
        if known.alert.sender != alert.sender:
            yield Fault(_PATH, f"{name} 属于 {known.alert.sender}", f"{name} belongs to {known.alert.sender}")
        if known.alert.sent_at and alert.sent_at and known.alert.sent_at > alert.sent_at:
            yield Fault(_PATH, f"{name} 晚于本报文", f"{name} is later than this message")


def references_all(message: Message, context: Context) -> Iterator[Fault]:
    """CAP-010: an Update or Cancel refers to every message of its chain that has not run out."""
    alert = message.alert
    if alert.msg_type not in _FOLLOWING or alert.china is not None:  # 国突 names the first message only
        return
    meant = [known for entry in alert.referenced for known in _known(context, entry)]
    chains = {known.chain for known in meant}
    named = {known.alert.identifier for known in meant}
    missing = [
        known.alert.reference
        for known in context.history or ()
        if known.chain in chains and known.ended_at is None and _is_open(known.alert, context)
        and known.alert.identifier not in named | {alert.identifier}
    ]  # fmt: skip
    if missing:
        listed = " ".join(map(str, missing))
        yield Fault(_PATH, f"还应引用 {listed}", f"also reference {listed}")


def _is_open(alert: Alert, context: Context) -> bool:
    expires_at = alert.expires_at
    return expires_at is None or context.now is None or expires_at > context.now


def one_chain(message: Message, context: Context) -> Iterator[Fault]:
    """CAP-011: references lead to one chain."""
    chains = {known.chain for entry in message.alert.referenced for known in _known(context, entry)}
    if len(chains) > 1:
        yield Fault(
            _PATH, "引用涉及多个预警，无法确定对象", "unclear which alert is meant: references lead to several chains"
        )


def chain_is_live(message: Message, context: Context) -> Iterator[Fault]:
    """CAP-012: nothing follows what was cancelled or has run out."""
    if message.alert.msg_type not in _FOLLOWING:
        return
    for entry in message.alert.referenced:
        for known in _known(context, entry):
            if known.ended_at is not None:
                at = known.ended_at.isoformat(timespec="seconds")
                yield Fault(_PATH, f"该预警已于 {at} 解除或到期", f"alert already cancelled or expired at {at}")


def is_no_reissue(message: Message, context: Context) -> Iterator[Fault]:
    """CAP-013: the same content again without a reference should have been an Update."""
    alert = message.alert
    if alert.referenced or not alert.infos or alert.sent_at is None:
        return
    for known in context.history or ():
        other = known.alert
        is_other = other.identifier != alert.identifier and other.sender == alert.sender and known.ended_at is None
        is_near = other.sent_at is not None and abs(alert.sent_at - other.sent_at) <= REISSUE_WINDOW
        if is_other and is_near and _content(other) == _content(alert):
            name = other.identifier
            zh, en = f"与 {name} 内容相同；请发更新", f"identical to {name}; issue an Update"
            yield Fault("/alert", zh, en, intake=Gravity.QUARANTINE)


def _content(alert: Alert) -> object:
    return [info.model_copy(update={"effective": None, "onset": None, "expires": None}) for info in alert.infos]


def two_persons(message: Message, context: Context) -> Iterator[Fault]:
    """CAP-040: who approves did not submit (nor, for red, write), and approved these very bytes."""
    facts = context.approval
    if facts is None:
        return
    if facts.approver == facts.submitter:
        yield Fault("/alert", "提交人不能审批自己的预警", "you submitted this alert")
    if facts.approver == facts.author and message.alert.severity == Severity.EXTREME:
        yield Fault("/alert", "起草人不能审批红色预警", "you wrote this red alert")
    if facts.approved_hash != facts.content_hash:
        yield Fault("/alert", "审批后内容有变，审批失效", "the content changed after approval")


def may_leave(_: Message, context: Context) -> Iterator[Fault]:
    """CAP-041: what must hold at the moment a notice leaves."""
    facts = context.departure
    if facts is None:
        return
    checks = (
        (facts.is_live, "预警已失效", "the alert is not live"),
        (facts.is_approved, "预警未经审批", "the alert is not approved"),
        (not facts.is_expired, "预警已到期", "the alert has expired"),
        (facts.is_predecessor_done, "前一报文尚未发出", "previous event not sent yet"),
    )
    yield from (Fault("/alert", zh, en) for is_right, zh, en in checks if not is_right)
