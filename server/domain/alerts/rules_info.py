"""Rules about what a message says (CAP-017 .. 023, 033 .. 037)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from server.domain.alerts.context import Context, Message
from server.domain.alerts.finding import Fault, Patch
from server.domain.alerts.grammar import LISTS
from server.domain.alerts.model import Alert, Info, Resource, parse_time
from server.domain.alerts.vocabulary import Category, Severity

MAX_HEADLINE = 160
MAX_EVENT = 35
MAX_GSM7, MAX_UCS2 = 1395, 615  # one cell broadcast, in characters
MAX_SMS_SEGMENTS, SMS_SEGMENT = 10, 67  # a long SMS in UCS-2 carries 67 characters a segment
LONGEST = {Category.MET: timedelta(hours=24)}
LONGEST_ELSE = timedelta(days=7)

_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_LETTER = re.compile(r"[^\W\d_]")
_MARKUP = re.compile(
    r"</?(?:a|b|br|div|em|font|h[1-6]|i|img|li|ol|p|script|span|strong|table|td|tr|u|ul)\b[^<>]{0,500}>"
    r"|&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,7}|#x[0-9A-Fa-f]{1,6});",
    re.IGNORECASE,
)
_WRITTEN_IN_HAN = frozenset({"zh", "ja", "yue", "lzh", "nan", "wuu", "hak"})
_TEXTS = ("event", "headline", "description", "instruction", "audience", "contact", "sender_name")
_ENUMS = (
    ("urgency", "Urgency"), ("severity", "Severity"), ("certainty", "Certainty"),
    ("categories", "Category"), ("response_types", "ResponseType"),
)  # fmt: skip


def _infos(alert: Alert) -> Iterator[tuple[str, Info]]:
    for n, info in enumerate(alert.infos, 1):
        yield f"/alert/info[{n}]", info


def _tag(info: Info, name: str) -> str:
    return type(info).model_fields[name].alias or name


def _language(info: Info) -> str:
    return (info.language or "en-US").strip()


def language(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-017: a language tag of RFC 3066; each language says one thing once."""
    seen: set[tuple[str, str, tuple[str, ...]]] = set()
    for path, info in _infos(message.alert):
        tag = _language(info)
        if not _LANGUAGE.fullmatch(tag):
            yield Fault(f"{path}/language", f"“{tag[:40]}”不是语言代码", f'"{tag[:40]}" is no language tag')
        key = (tag.lower(), info.event, tuple(area.area_desc for area in info.areas))
        if key in seen:
            yield Fault(f"{path}/language", f"语言 {tag} 重复", f"duplicate language {tag}")
        seen.add(key)


def blocks_agree(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-018: blocks of other languages say the same as those of the first."""
    by_language: dict[str, list[tuple[str, Info]]] = {}
    for path, info in _infos(message.alert):
        by_language.setdefault(_language(info).lower(), []).append((path, info))
    first, *others = by_language.values() or [[]]
    for blocks in others:
        if len(blocks) != len(first):
            continue  # blocks for other events or areas: nobody can say which belong together
        for (path, info), (_path, model) in zip(blocks, first, strict=True):
            for name, ours, theirs in _comparable(info, model):
                if ours != theirs:
                    where = path.removeprefix("/alert/")
                    yield Fault(f"{path}/{name}", f"{where} 的 {name} 与其他语言不一致", f"{where} differs in {name}")


def _comparable(info: Info, model: Info) -> Iterator[tuple[str, Any, Any]]:
    for name in ("category", "eventCode", "urgency", "severity", "certainty", "effective", "onset", "expires", "area"):
        yield name, _facts(info, name), _facts(model, name)


def _facts(info: Info, name: str) -> Any:
    match name:
        case "category":
            return set(info.categories)
        case "eventCode":
            return {(code.value_name, code.value) for code in info.event_codes}
        case "effective" | "onset" | "expires":
            text = getattr(info, name)
            return parse_time(text) or text
        case "area":
            return [(a.polygons, a.circles, sorted((g.value_name, g.value) for g in a.geocodes)) for a in info.areas]
        case _:
            return getattr(info, name)


def text_fits_language(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-019: a zh block is written in Han characters, an en block is not; two languages are two texts."""
    texts: dict[str, str] = {}
    for path, info in _infos(message.alert):
        tag = _language(info)
        text = " ".join(filter(None, (info.headline, info.description)))
        letters, han = len(_LETTER.findall(text)), len(_HAN.findall(text))
        root = tag.partition("-")[0].lower()
        if letters >= 10 and root == "zh" and han / letters < 0.2:
            yield Fault(f"{path}/language", f"{tag} 段落不像中文", f"{tag} block does not look Chinese")
        if letters >= 10 and root not in _WRITTEN_IN_HAN and han / letters > 0.3:
            yield Fault(f"{path}/language", f"{tag} 段落像中文", f"{tag} block holds Chinese")
        if text and texts.setdefault(text, root) != root:
            yield Fault(f"{path}/description", "两种语言的文字相同", "the same text in two languages")


def values(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-020: the words of the lists, exactly; "Very Likely" (CAP 1.0) means Likely."""
    alert = message.alert
    head = (("status", "Status", alert.status), ("msgType", "MsgType", alert.msg_type), ("scope", "Scope", alert.scope))
    for tag, kind, value in head:
        yield from _value(f"/alert/{tag}", kind, value)
    for path, info in _infos(alert):
        for name, kind in _ENUMS:
            held = getattr(info, name)
            if isinstance(held, str):
                yield from _value(f"{path}/{name}", kind, held)
                continue
            for n, value in enumerate(held, 1):
                yield from _value(f"{path}/{_tag(info, name)}[{n}]", kind, value)


def _value(path: str, kind: str, value: str) -> Iterator[Fault]:
    allowed = LISTS[kind]
    if not value or value in allowed:  # nothing at all: CAP-003 says so
        return
    known = {word.lower(): word for word in allowed} | ({"very likely": "Likely"} if kind == "Certainty" else {})
    meant = known.get(" ".join(value.split()).lower())
    listed = ", ".join(allowed)
    zh, en = f"“{value[:40]}”应为 {listed} 之一", f'"{value[:40]}" must be one of {listed}'
    yield Fault(path, zh, en, patch=Patch(path, meant) if meant else None)


def unknowns(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-021: Unknown helps nobody. In 国突 urgency and certainty never say more."""
    names = ("severity",) if message.alert.china else ("urgency", "severity", "certainty")
    for path, info in _infos(message.alert):
        for name in names:
            if getattr(info, name) == "Unknown":
                yield Fault(f"{path}/{name}", f"{name} 为 Unknown，请选择", f"{name} is Unknown: choose a value")


def expiry(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-022: an end, after everything else."""
    sent_at = message.alert.sent_at
    for path, info in _infos(message.alert):
        if not (info.expires or "").strip():
            yield Fault(f"{path}/expires", "缺少 expires", "expires is missing")
            continue
        if (end := info.expires_at) is None:
            continue  # CAP-006 says so
        starts = (("sent", sent_at, True), ("effective", info.effective_at, False), ("onset", info.onset_at, True))
        for name, start, is_strict in starts:
            if start is not None and (end < start or (is_strict and end == start)):
                yield Fault(f"{path}/expires", f"expires 早于 {name}", f"expires is before {name}")


def is_over(message: Message, context: Context) -> Iterator[Fault]:
    """CAP-022 with a clock: what has run out warns nobody."""
    for path, info in _infos(message.alert):
        end = info.expires_at
        if end is not None and context.now is not None and end <= context.now:
            yield Fault(f"{path}/expires", "expires 已过", "expires has passed")


def duration(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-023: a warning that lasts unusually long."""
    for path, info in _infos(message.alert):
        start = info.onset_at or info.effective_at or message.alert.sent_at
        end = info.expires_at
        longest = min(
            (LONGEST.get(Category(c), LONGEST_ELSE) for c in info.categories if c in {*Category}), default=LONGEST_ELSE
        )
        if start is not None and end is not None and end - start > longest:
            hours = int((end - start).total_seconds() // 3600)
            yield Fault(f"{path}/expires", f"持续 {hours} 小时", f"lasts {hours} h")


def headline(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-033: short, and each text says something of its own."""
    for path, info in _infos(message.alert):
        if len(info.headline or "") > MAX_HEADLINE:
            yield Fault(f"{path}/headline", f"headline 超过 {MAX_HEADLINE} 字", "headline too long")
        if len(info.event) > MAX_EVENT:
            yield Fault(f"{path}/event", f"event 超过 {MAX_EVENT} 字", "event too long")
        if info.headline and info.headline == info.description:
            yield Fault(f"{path}/description", "description 与 headline 相同", "description equals headline")
        if info.description and info.description == info.instruction:
            yield Fault(f"{path}/instruction", "instruction 与 description 相同", "instruction equals description")


def markup(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-034: no HTML in texts, no line breaks around codes."""
    for path, info in _infos(message.alert):
        for name in _TEXTS:
            text = getattr(info, name) or ""
            if found := _MARKUP.search(text):
                yield Fault(
                    f"{path}/{_tag(info, name)}", f"含 HTML 标记 {found[0][:40]}", f"HTML tags found: {found[0][:40]}"
                )
    for n, code in enumerate(message.alert.codes, 1):
        if code != code.strip():
            where = f"/alert/code[{n}]"
            yield Fault(where, "code 前后有空白", "white space around code", patch=Patch(where, code.strip()))


def lengths(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-035: a text for one channel fits that channel."""
    for n, method in enumerate(message.alert.china.methods if message.alert.china else (), 1):
        text, name = method.message or "", method.method_name.upper()
        most = {"SMS": MAX_SMS_SEGMENTS * SMS_SEGMENT, "CELLBROADCAST": MAX_GSM7 if text.isascii() else MAX_UCS2}.get(
            name
        )
        if most is not None and len(text) > most:
            over = len(text) - most
            yield Fault(
                f"/alert/code/method[{n}]/message", f"{name} 超出 {over} 字", f"{over} characters over for {name}"
            )


def links(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-036: links lead somewhere, and a file is what its digest says."""
    for path, info in _infos(message.alert):
        if info.web and not _is_absolute(info.web):
            yield Fault(f"{path}/web", "web 应为完整网址", "web must be an absolute URI")
        for n, resource in enumerate(info.resources, 1):
            yield from _resource(f"{path}/resource[{n}]", resource)


def _is_absolute(uri: str) -> bool:
    try:
        return bool(urlsplit(uri.strip()).scheme)
    except ValueError:
        return False


def _resource(path: str, resource: Resource) -> Iterator[Fault]:
    if resource.uri and not _is_absolute(resource.uri) and not resource.deref_uri:
        yield Fault(f"{path}/uri", "uri 应为完整网址，或附 derefUri", "uri must be absolute, or come with derefUri")
    if not resource.deref_uri:
        return
    try:
        content = base64.b64decode("".join(resource.deref_uri.split()), validate=True)
    except (binascii.Error, ValueError):
        yield Fault(f"{path}/derefUri", "derefUri 不是 base64", "derefUri is not base64")
        return
    if resource.size and resource.size.strip() != str(len(content)):
        yield Fault(f"{path}/size", f"size 应为 {len(content)}", f"size should be {len(content)}")
    digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()  # the digest CAP 1.2 prescribes
    if resource.digest and resource.digest.strip().lower() != digest:
        yield Fault(f"{path}/digest", "digest 不符", "digest does not match")


def advice(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-037: a grave warning says what to do and who speaks."""
    for path, info in _infos(message.alert):
        if info.severity not in {Severity.EXTREME, Severity.SEVERE}:
            continue
        for name in ("instruction", "response_types", "sender_name", "contact"):
            if not getattr(info, name):
                tag = _tag(info, name)
                yield Fault(
                    f"{path}/{tag}",
                    f"缺少 {tag}：请说明该做什么、由谁发布",
                    f"{tag} missing: say what people should do",
                )
