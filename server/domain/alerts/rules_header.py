"""Rules about the head of a message: who, when, to whom, about which other (CAP-003 .. 008, 014 .. 016, 038, 039)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, timedelta, timezone

from server.domain.alerts.cap import cap_tree
from server.domain.alerts.context import Context, Message
from server.domain.alerts.finding import Fault, Gravity, Patch
from server.domain.alerts.grammar import check_grammar
from server.domain.alerts.model import cap_time, parse_time
from server.domain.alerts.vocabulary import Dialect, MsgType, ResponseType, Scope, Status

MAX_AHEAD = timedelta(minutes=2)
MAX_AGE = timedelta(hours=24)
_BAD_IN_NAME = re.compile(r"[\s,<&]")
_CAP_TIME = re.compile(r"\s*\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d\s*", re.ASCII)
_ZONE = re.compile(r"([-+])(\d\d):(\d\d)\s*$")


def schema(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-003: valid by the schema. What was read has been compared already, in its own dialect."""
    if not message.is_schema_known:
        yield from check_grammar(cap_tree(message.alert), Dialect.CAP12)


def identifier(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-004: a message without a name cannot be told apart from others; a bad one breaks references."""
    name = message.alert.identifier
    if not name.strip():
        yield Fault("/alert/identifier", "identifier 为空", "identifier is empty", intake=Gravity.QUARANTINE)
    elif _BAD_IN_NAME.search(name):
        yield Fault("/alert/identifier", "identifier 含空格、逗号、< 或 &", "identifier holds a space, a comma, < or &")


def identifier_is_new(message: Message, context: Context) -> Iterator[Fault]:
    """CAP-004 with history: never reused, not even by an Update; the same message again is no fault."""
    alert = message.alert
    for known in context.history or ():
        is_same_name = (known.alert.sender, known.alert.identifier) == (alert.sender, alert.identifier)
        if is_same_name and known.alert != alert:
            yield Fault(
                "/alert/identifier",
                f"identifier 已被 {known.alert.sent} 的报文使用",
                f"identifier already used by {known.alert.sent}",
                intake=Gravity.QUARANTINE,
            )


def sender(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-005: somebody must have sent it."""
    name = message.alert.sender
    if not name.strip():
        yield Fault("/alert/sender", "sender 为空", "sender is empty", intake=Gravity.QUARANTINE)
    elif _BAD_IN_NAME.search(name):
        yield Fault("/alert/sender", "sender 含空格、逗号、< 或 &", "sender holds a space, a comma, < or &")


def sender_is_registered(message: Message, context: Context) -> Iterator[Fault]:
    """CAP-005 with the registry: attribution."""
    name = message.alert.sender
    if name not in (context.registered_senders or ()):
        yield Fault(
            "/alert/sender", f"sender {name} 未登记", f"sender {name} not registered", intake=Gravity.QUARANTINE
        )


def times(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-006: the one form of a time; what can be read otherwise gets a repair."""
    alert = message.alert
    fields = [("/alert/sent", alert.sent)]
    for n, info in enumerate(alert.infos, 1):
        named = (("effective", info.effective), ("onset", info.onset), ("expires", info.expires))
        fields += [(f"/alert/info[{n}]/{name}", text) for name, text in named if text is not None]
    for path, text in fields:
        at = parse_time(text)
        is_utc_otherwise = text.strip().endswith("+00:00")
        if at is not None and _CAP_TIME.fullmatch(text) and not is_utc_otherwise:
            continue
        zh, en = (
            f"时间“{text[:40]}”应形如 2026-11-24T09:00:00+08:00",
            f'time "{text[:40]}" must be like 2026-11-24T09:00:00+08:00',
        )
        if at is None:
            yield Fault(path, zh, en, intake=Gravity.QUARANTINE if path == "/alert/sent" else None)
        elif is_utc_otherwise and _CAP_TIME.fullmatch(text):
            yield Fault(path, "UTC 应写作 -00:00", "UTC is written -00:00", patch=Patch(path, cap_time(at, UTC)))
        else:
            yield Fault(path, zh, en, patch=Patch(path, cap_time(at, _zone(text))))


def _zone(text: str) -> timezone:
    match = _ZONE.search(text)
    if not match:
        return UTC
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(-offset if match[1] == "-" else offset)


def sent_is_now(message: Message, context: Context) -> Iterator[Fault]:
    """CAP-007: not in the future, not from yesterday."""
    sent_at = message.alert.sent_at
    if sent_at is None or context.now is None:
        return
    ahead = sent_at - context.now
    if ahead > MAX_AHEAD:
        n = int(ahead.total_seconds() // 60)
        yield Fault("/alert/sent", f"sent 超前 {n} 分钟", f"sent is {n} min ahead")
    elif -ahead > MAX_AGE:
        n = int(-ahead.total_seconds() // 3600)
        yield Fault("/alert/sent", f"sent 已过去 {n} 小时", f"sent is {n} h old")


def references(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-008: who updates, cancels or answers says what; triples, or the bare first identifier in 国突."""
    alert = message.alert
    if alert.msg_type != MsgType.ALERT and not (alert.references or "").strip():
        kind = alert.msg_type
        yield Fault("/alert/references", f"{kind} 必须有 references", f"msgType {kind} requires references")
    is_bare_allowed = alert.china is not None
    for entry in alert.referenced:
        is_triple = all(entry) and parse_time(entry.sent) is not None
        is_bare = not entry.sender and not entry.sent and "," not in entry.identifier
        if not is_triple and not (is_bare and is_bare_allowed):
            shown = entry.identifier if is_bare else str(entry)
            zh, en = f"引用“{shown[:80]}”应为 sender,identifier,sent", f'"{shown[:80]}" must be sender,identifier,sent'
            yield Fault("/alert/references", zh, en)


def scope(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-014: restriction goes with Restricted, addresses with Private."""
    alert = message.alert
    pairs = (("restriction", Scope.RESTRICTED, alert.restriction), ("addresses", Scope.PRIVATE, alert.addresses))
    for name, wanted, text in pairs:
        has_text = bool((text or "").strip())
        if has_text and alert.scope != wanted:
            yield Fault(f"/alert/{name}", f"仅 scope {wanted} 可有 {name}", f"{name} only with scope {wanted}")
        elif not has_text and alert.scope == wanted:
            yield Fault(f"/alert/{name}", f"scope {wanted} 必须有 {name}", f"scope {wanted} requires {name}")
    if (alert.addresses or "").count('"') % 2:
        yield Fault("/alert/addresses", "addresses 引号不成对", "addresses: a quotation mark is not closed")


def exercise_note(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-015: an exercise or an error says which."""
    alert = message.alert
    if (alert.note or "").strip():
        return
    if alert.status == Status.EXERCISE:
        yield Fault("/alert/note", "note 应说明是哪次演练", "note must say which exercise")
    if alert.msg_type == MsgType.ERROR:
        yield Fault("/alert/note", "note 应说明错误", "note must say what the error is")


def has_info(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-016: what warns people has something to say; heartbeats need not."""
    alert = message.alert
    if alert.status == Status.ACTUAL and alert.msg_type in {MsgType.ALERT, MsgType.UPDATE} and not alert.infos:
        yield Fault("/alert", "缺少 info", "info required")


def cancel_reason(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-038: a Cancel says why, and that it is over."""
    alert = message.alert
    if alert.msg_type != MsgType.CANCEL:
        return
    if not (alert.note or "").strip():
        yield Fault("/alert/note", "请说明解除原因", "give the reason for cancelling")
    for n, info in enumerate(alert.infos, 1):
        if info.response_types and ResponseType.ALL_CLEAR not in info.response_types:
            path = f"/alert/info[{n}]/responseType[1]"
            yield Fault(path, "解除应为 AllClear", "a Cancel says AllClear", intake=Gravity.WARNING)


def signature(_: Message, context: Context) -> Iterator[Fault]:
    """CAP-039: the policy of this sender about signatures."""
    facts = context.signature
    if facts is None:
        return
    if facts.is_required and not (facts.is_present and facts.is_valid):
        yield Fault("/alert/Signature", "签名缺失或无效", "signature failed", intake=Gravity.QUARANTINE)
    elif facts.is_present and not facts.is_valid:
        yield Fault("/alert/Signature", "签名无效", "signature failed")
