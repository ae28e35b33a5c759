"""The schemas as data, and a checker whose verdict on a CAP 1.2 message is that of the published XSD.

Why not an XSD validator: its messages name a type and a namespace where an officer needs "line 12: <sent> not expected;
expected one of ..."; it stops inside an element at the first wrong child; and it knows nothing of 国突. One table per
dialect: for every element its children in order, how many, and what each holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from lxml import etree

from server.domain.alerts.codec import SPACE
from server.domain.alerts.document import line_of
from server.domain.alerts.finding import Fault, Gravity
from server.domain.alerts.vocabulary import (
    CAP11,
    CAP12,
    GUOTU,
    KEPT,
    XMLDSIG,
    Category,
    Certainty,
    Colour,
    Dialect,
    MsgType,
    ResponseType,
    Scope,
    Severity,
    Status,
    Urgency,
)

_BESIDE = frozenset({CAP12, KEPT})  # what `guotu_writing` puts beside the platform's own elements
_XSI_ALLOWED = frozenset(
    f"{{http://www.w3.org/2001/XMLSchema-instance}}{name}" for name in ("schemaLocation", "noNamespaceSchemaLocation")
)


@dataclass(frozen=True, slots=True)
class Particle:
    """One child: its name, how often (`most` None = any number), and the type of its text or its own table."""

    tag: str
    holds: str = "string"
    least: int = 0
    most: int | None = 1


@dataclass(frozen=True, slots=True)
class Schema:
    """One dialect. `is_strict` False: an element out of place is a warning, an empty one is absent."""

    tables: Mapping[str, tuple[Particle, ...]]
    is_strict: bool = True
    has_signature: bool = False


def _one(tag: str, holds: str = "string") -> Particle:
    return Particle(tag, holds, 1, 1)


def _any(tag: str, holds: str = "string", least: int = 0) -> Particle:
    return Particle(tag, holds, least, None)


def _maybe(tag: str, holds: str = "string") -> Particle:
    return Particle(tag, holds)


_NAMED = (_one("valueName"), _one("value"))
_CAP12: dict[str, tuple[Particle, ...]] = {
    "alert": (
        _one("identifier"), _one("sender"), _one("sent", "time"), _one("status", "Status"), _one("msgType", "MsgType"),
        _maybe("source"), _one("scope", "Scope"), _maybe("restriction"), _maybe("addresses"), _any("code"),
        _maybe("note"), _maybe("references"), _maybe("incidents"), _any("info", "info"),
    ),
    "info": (
        _maybe("language", "language"), _any("category", "Category", 1), _one("event"),
        _any("responseType", "ResponseType"), _one("urgency", "Urgency"), _one("severity", "Severity"),
        _one("certainty", "Certainty"), _maybe("audience"), _any("eventCode", "eventCode"), _maybe("effective", "time"),
        _maybe("onset", "time"), _maybe("expires", "time"), _maybe("senderName"), _maybe("headline"),
        _maybe("description"), _maybe("instruction"), _maybe("web", "uri"), _maybe("contact"),
        _any("parameter", "parameter"), _any("resource", "resource"), _any("area", "area"),
    ),
    "resource": (
        _one("resourceDesc"), _one("mimeType"), _maybe("size", "integer"), _maybe("uri", "uri"), _maybe("derefUri"),
        _maybe("digest"),
    ),
    "area": (
        _one("areaDesc"), _any("polygon"), _any("circle"), _any("geocode", "geocode"), _maybe("altitude", "decimal"),
        _maybe("ceiling", "decimal"),
    ),
    "eventCode": _NAMED, "parameter": _NAMED, "geocode": _NAMED,
}  # fmt: skip
_CAP11 = _CAP12 | {
    "alert": tuple(
        Particle(p.tag, "any time" if p.holds == "time" else p.holds, p.least, p.most) for p in _CAP12["alert"]
    ),
    "info": tuple(
        Particle(p.tag, {"time": "any time", "Certainty": "Certainty 1.0"}.get(p.holds, p.holds), p.least, p.most)
        for p in _CAP12["info"]
    ),
    "resource": tuple(Particle(p.tag, p.holds, int(p.tag == "resourceDesc"), 1) for p in _CAP12["resource"]),
}
_GUOTU: dict[str, tuple[Particle, ...]] = {
    "alert": (
        _one("identifier"), _one("sender"), _maybe("senderCode"), _maybe("phone"), _one("sendTime", "any time"),
        _one("status", "Status"), _one("msgType", "MsgType"), _maybe("scope", "Scope"), _any("code", "code"),
        _maybe("secClassification", "SecClassification"), _maybe("note"), _maybe("references"), _any("info", "info"),
    ),
    "code": (_any("method", "method"),),
    "method": (_one("methodName"), _maybe("message"), _maybe("audienceGrp"), _maybe("audiencePrt")),
    "info": (
        _maybe("language", "language"), _one("eventType"), _maybe("urgency", "Urgency"), _one("severity", "Colour"),
        _maybe("certainty", "Certainty"), _maybe("effective", "any time"), _maybe("onset", "any time"),
        _maybe("expires", "any time"), _maybe("senderName"), _maybe("headline"), _maybe("description"),
        _maybe("instruction"), _maybe("web", "uri"), _any("resource", "resource"), _any("area", "area"),
    ),
    "resource": (_one("resourceDesc"), _maybe("size", "integer"), _maybe("digest")),
    "area": (_one("areaDesc"), _any("polygon"), _any("circle"), _any("geocode")),
}  # fmt: skip

SCHEMAS = {
    Dialect.CAP12: Schema(_CAP12, has_signature=True),
    Dialect.CAP11: Schema(_CAP11),
    Dialect.GUOTU: Schema(_GUOTU, is_strict=False),
}
DIALECTS = {CAP12: Dialect.CAP12, CAP11: Dialect.CAP11, GUOTU: Dialect.GUOTU, "": Dialect.GUOTU}

LISTS: dict[str, tuple[str, ...]] = {
    **{kind.__name__: tuple(kind) for kind in (Status, MsgType, Scope, Category, ResponseType, Urgency, Severity)},
    "Certainty": tuple(Certainty),
    "Certainty 1.0": (*Certainty, "Very Likely"),
    "Colour": (*Colour, "Unknown"),
    "SecClassification": ("None", "Inner"),
}
_SPACES = re.compile(f"[{SPACE}]+")
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)[-+](\d\d):(\d\d)", re.ASCII)
_ANY_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|[-+](\d\d):(\d\d))?", re.ASCII)
_LANGUAGE = re.compile(r"[a-zA-Z]{1,8}(?:-[a-zA-Z0-9]{1,8})*")
_INTEGER = re.compile(r"[-+]?\d+", re.ASCII)
_DECIMAL = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)
_URI = re.compile(  # RFC 3986 with the characters XML Schema allows besides; no colon in the first relative segment
    r"(?:[A-Za-z][A-Za-z0-9+.-]*:(?://{A}|(?!//))|//{A}|(?!//)(?![^/?#]*:))(?:[^%#\[\]]|{P})*(?:#(?:[^%#]|{P})*)?"
    .replace("{A}", r"(?:(?:[^%#\[\]/?@]|{P})*@)?(?:\[[^\[\]/?#@]*\]|(?:[^%#\[\]/?@:]|{P})*)(?::\d{1,9})?(?=[/?#]|$)")
    .replace("{P}", "%[0-9A-Fa-f]{2}")
)  # fmt: skip


def _is_time(text: str, pattern: re.Pattern[str] = _TIME) -> bool:
    """The pattern of the schema and the ranges of xs:dateTime."""
    match = pattern.fullmatch(text)
    if not match:
        return False
    year, month, day, hour, minute, second, zone_h, zone_min = (int(part or 0) for part in match.groups())
    try:
        date(year, month, day)
    except ValueError:
        return False
    is_clock = (hour < 24 and minute < 60 and second < 60) or (hour, minute, second) == (24, 0, 0)
    return is_clock and zone_min < 60 and zone_h * 60 + zone_min <= 14 * 60


_TYPES: dict[str, tuple[Callable[[str], object], str]] = {
    "time": (_is_time, "2026-11-24T09:00:00+08:00"),
    "any time": (lambda text: _is_time(text, _ANY_TIME), "2026-11-24 09:00:00+08:00"),
    "language": (_LANGUAGE.fullmatch, "zh-CN"),  # empty: the schema's default, en-US, stands
    "integer": (_INTEGER.fullmatch, "1024"),
    "decimal": (_DECIMAL.fullmatch, "12.5"),
    "uri": (_URI.fullmatch, "https://example.org/x"),
}


def check_grammar(root: etree._Element, dialect: Dialect) -> Iterator[Fault]:
    """Every place where the message departs from its schema (rule CAP-003), in document order."""
    yield from _element(root, "alert", SCHEMAS[dialect], "/alert", etree.QName(root).namespace or "")


def _element(element: etree._Element, holds: str, schema: Schema, path: str, namespace: str) -> Iterator[Fault]:
    yield from _attributes(element, schema, path)
    if holds in schema.tables:
        yield from _children(element, holds, schema, path, namespace)
    elif len(element):
        yield _fault(
            element[0],
            f"{path}/{_name(element[0])}",
            f"{_shown(element[0])} 不应出现在文本内",
            f"{_shown(element[0])} not expected inside text",
        )
    else:
        yield from _text(element, holds, schema, path)


def _attributes(element: etree._Element, schema: Schema, path: str) -> Iterator[Fault]:
    gravity = Gravity.ERROR if schema.is_strict else Gravity.WARNING
    for name in map(str, element.attrib):
        if name not in _XSI_ALLOWED and (schema.is_strict or etree.QName(name).namespace not in _BESIDE):
            yield _fault(element, f"{path}/@{name}", f"不应有属性 {name}", f"attribute {name} not expected", gravity)


def _text(element: etree._Element, holds: str, schema: Schema, path: str) -> Iterator[Fault]:
    text = element.text or ""
    if not schema.is_strict and not text.strip(SPACE):
        return
    if holds in LISTS:
        value = text if schema.is_strict else text.strip(SPACE)
        is_right, example = value in LISTS[holds], ", ".join(LISTS[holds])
    elif holds == "language" and not text:  # empty: the schema's default, en-US, stands
        return
    elif holds in _TYPES:
        test, example = _TYPES[holds]
        is_right = bool(test(_SPACES.sub(" ", text).strip(" ") if text else text))
    else:
        return
    if not is_right:
        shown = text if len(text) <= 60 else text[:60] + "…"
        tag = _shown(element)
        yield _fault(
            element, path, f"{tag} 的值“{shown}”无效；应为：{example}", f'{tag} holds "{shown}"; expected: {example}'
        )


@dataclass(slots=True)
class _Cursor:
    """Where in a sequence of particles we are: `at` is the particle, `seen` how often it came."""

    particles: tuple[Particle, ...]
    at: int = 0
    seen: int = 0

    def expected(self) -> list[str]:
        """The names that may come now; a closing tag too if "" is among them."""
        names = []
        for index in range(self.at, len(self.particles)):
            particle, count = self.particles[index], self.seen if index == self.at else 0
            if particle.most is None or count < particle.most:
                names.append(particle.tag)
            if count < particle.least:
                return names
        return [*names, ""]

    def take(self, tag: str) -> bool:
        """Move over `tag`; False if it is not expected here (then move on to it where it stands ahead)."""
        is_expected = tag in self.expected()
        for index in range(self.at, len(self.particles)):
            if self.particles[index].tag == tag:
                self.seen = self.seen + 1 if index == self.at else 1
                self.at = index
                break
        return is_expected


def _children(element: etree._Element, holds: str, schema: Schema, path: str, namespace: str) -> Iterator[Fault]:
    particles = schema.tables[holds]
    by_tag = {particle.tag: particle for particle in particles}
    cursor = _Cursor(particles)
    counts: dict[str, int] = {}
    is_signed = False
    for child in element:
        name = etree.QName(child)
        if schema.has_signature and holds == "alert" and name.namespace == XMLDSIG and "" in cursor.expected():
            is_signed = True
            continue
        particle = by_tag.get(name.localname) if (name.namespace or "") == namespace else None
        tag = name.localname if particle else f"?{name.localname}"
        counts[tag] = counts.get(tag, 0) + 1
        place = (
            f"{path}/{_name(child)}[{counts[tag]}]" if particle and particle.most is None else f"{path}/{_name(child)}"
        )
        expected = cursor.expected()
        if not schema.is_strict and name.namespace in _BESIDE:
            continue
        if is_signed or not cursor.take(tag):
            gravity = Gravity.ERROR if schema.is_strict else Gravity.WARNING
            yield _unexpected(child, place, expected, gravity)
        if particle:
            yield from _element(child, particle.holds, schema, place, namespace)
    missing = cursor.expected() if schema.is_strict else [p.tag for p in particles if p.least and p.tag not in counts]
    if missing and "" not in missing:
        names = _listed(missing)
        zh, en = (
            f"{_shown(element)} 内容不完整；应有 {names}",
            f"{_shown(element)} is incomplete; expected one of {names}",
        )
        is_grave = schema.is_strict or holds == "alert"
        yield _fault(element, path, zh, en, Gravity.ERROR if is_grave else Gravity.WARNING)
    yield from _stray_text(element, path)


def _stray_text(element: etree._Element, path: str) -> Iterator[Fault]:
    stray = [element.text or "", *(child.tail or "" for child in element)]
    if text := "".join(stray).strip(SPACE):
        yield _fault(
            element,
            path,
            f"{_shown(element)} 内不应有文字“{text[:40]}”",
            f'{_shown(element)} holds stray text "{text[:40]}"',
        )


def _unexpected(child: etree._Element, path: str, expected: list[str], gravity: Gravity) -> Fault:
    names = _listed(expected)
    zh, en = f"此处不应出现 {_shown(child)}；应为 {names}", f"{_shown(child)} not expected; expected one of {names}"
    return _fault(child, path, zh, en, gravity)


def _listed(expected: list[str]) -> str:
    return ", ".join(f"<{name}>" for name in expected if name) or "nothing more"


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname


def _shown(element: etree._Element) -> str:
    return f"<{_name(element)}>"


def _fault(element: etree._Element, path: str, zh: str, en: str, gravity: Gravity = Gravity.ERROR) -> Fault:
    line = line_of(element)
    return Fault(path, f"第 {line} 行：{zh}", f"line {line}: {en}", line=line, intake=gravity)
