"""国突, the message of the national emergency warning platform: how one is read.

The platform's message says less than CAP and says it otherwise: a colour for a severity, metres for kilometres, a space
for the T in a time, the first identifier for the triples of `references`, the unit's name in `sender` and its code in
`senderCode`, one comma list for the geocodes, texts per channel under code/method. Here that becomes the model; the way
back is `guotu_writing`.

What such a message cannot say travels in it: CAP's own elements beside the platform's (they win over what would be
derived), and marks in our namespace (`absent`, `china`, `item`). A message of the platform itself has none of them.

Normalisations of a message read and written again: an empty element is an absent one; a time has a space, and
Beijing's offset if it named none; an absent scope is Public, an absent language zh-CN, an absent severity, urgency or
certainty Unknown; a radius loses trailing zeros; the geocodes share one element; and what `codec` says about white
space and order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from lxml import etree
from pydantic import ValidationError

from server.domain.alerts.codec import SPACE, canonical, oddities, read_value, slots, text_of
from server.domain.alerts.model import (
    Alert,
    Area,
    China,
    Info,
    Kept,
    Method,
    NamedValue,
    Node,
    Resource,
    colour_parameter,
    parse_time,
)
from server.domain.alerts.vocabulary import (
    CAP12,
    COLOUR_PARAMETER,
    DIVISION_CODE,
    EVENT_CODE,
    ISSUER_PARAMETER,
    KEPT,
    Colour,
    Scope,
    Severity,
    category_of,
)

N = TypeVar("N", bound=Node)

TAGS: dict[type[Node], tuple[str, ...]] = {
    Alert: (
        "identifier", "sender", "senderCode", "phone", "sendTime", "status", "msgType", "scope", "code",
        "secClassification", "note", "references", "info",
    ),
    Info: (
        "language", "eventType", "urgency", "severity", "certainty", "effective", "onset", "expires", "senderName",
        "headline", "description", "instruction", "web", "resource", "area",
    ),
    Resource: ("resourceDesc", "size", "digest"),
    Area: ("areaDesc", "polygon", "circle", "geocode"),
    Method: ("methodName", "message", "audienceGrp", "audiencePrt"),
}  # fmt: skip
CAP_NAMES = {"sendTime": "sent", "sender": "unit", "senderCode": "sender", "eventType": "eventCode"}
MISSPELT = "audenceprt"  # what real systems write for audiencePrt
ABSENT, CHINA, ITEM = f"{{{KEPT}}}absent", f"{{{KEPT}}}china", f"{{{KEPT}}}item"

_MANY = frozenset({"code", "info", "resource", "area", "polygon", "circle", "geocode"})
_HOLDERS = frozenset({"code", "info", "resource", "area"})
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)([-+]\d\d:\d\d)?", re.ASCII)
_IDENTIFIER = re.compile(r"(\d{14})_(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:_\d)?", re.ASCII)
_CIRCLE = re.compile(r"(\s*\S+\s+)(\d{1,9}(?:\.\d{1,9})?)(\s*)", re.ASCII)
_EVENT = re.compile(r"(?:发布|变更|升级为|降级为|解除)了?(\S{1,20}?)[红橙黄蓝]色预警")


@dataclass(slots=True)
class _Parts:
    """The children of one element, sorted."""

    namespace: str
    found: dict[str, list[etree._Element]] = field(default_factory=dict)
    stated: dict[str, list[etree._Element]] = field(default_factory=dict)  # CAP's own elements beside them
    blocks: list[etree._Element] = field(default_factory=list)  # info blocks of both kinds, in document order
    kept: list[Kept] = field(default_factory=list)
    absent: frozenset[str] = frozenset()
    china: str | None = None

    def text(self, tag: str) -> str | None:
        """The text of an element; empty means absent."""
        elements = self.found.get(tag)
        return text_of(elements[0]) if elements else None

    def texts(self, tag: str) -> list[str]:
        """The texts of a repeated element."""
        return [text_of(element) for element in self.found.get(tag, ())]

    def time(self, tag: str) -> str | None:
        """A time as CAP writes it; what is no time stays as it is."""
        text = self.text(tag)
        return None if text is None else cap_form(text)


def read_guotu(root: etree._Element) -> Alert:
    """The model from a 国突 tree, whatever its values are; an absent required element reads as an empty one."""
    parts = _sorted(root, Alert, etree.QName(root).namespace or "")
    unit = parts.text("sender")
    alert = Alert(
        identifier=parts.text("identifier") or "",
        sender=parts.text("senderCode") or unit or "",
        sent=parts.time("sendTime") or "",
        status=parts.text("status") or "",
        msg_type=parts.text("msgType") or "",
        scope=parts.text("scope") or Scope.PUBLIC,
        note=parts.text("note"),
        references=_triples(parts.text("references")),
        infos=tuple(_block(element, unit, parts.namespace) for element in parts.blocks),
        china=China(
            unit=unit,
            phone=parts.text("phone"),
            methods=tuple(
                _method(element, group, parts.namespace)
                for group, code in enumerate(parts.found.get("code", ()))
                for element in code
            ),
            sec_classification=parts.text("secClassification"),
            namespace=parts.namespace,
        ),
        kept=tuple(parts.kept),
    )
    return _with_china(_with_stated(alert, parts), parts)


def _block(element: etree._Element, unit: str | None, namespace: str) -> Info:
    if etree.QName(element).namespace == CAP12:
        return read_value(element, slots(Alert)["info"], CAP12)  # type: ignore[no-any-return]
    return read_info(element, unit, namespace)


def read_info(element: etree._Element, unit: str | None, namespace: str) -> Info:
    """One info block; `unit` is the name in the head of the message."""
    parts = _sorted(element, Info, namespace)
    code, level, issuer = parts.text("eventType"), parts.text("severity") or "", parts.text("senderName")
    colour = Colour(level) if level in {*Colour} else None
    parameters = [colour_parameter(colour)] if colour else []
    if not colour and level not in {"", Severity.UNKNOWN}:
        parameters.append(NamedValue(value_name=COLOUR_PARAMETER, value=level))  # a province's White
    if issuer is not None:
        parameters.append(NamedValue(value_name=ISSUER_PARAMETER, value=issuer))
    named = _EVENT.search(parts.text("headline") or "")
    info = Info(
        language=parts.text("language") or "zh-CN",
        categories=(category_of(code or ""),),
        event=named[1] if named else code or "",
        urgency=parts.text("urgency") or "Unknown",
        severity=colour.severity if colour else Severity.UNKNOWN,
        certainty=parts.text("certainty") or "Unknown",
        event_codes=() if code is None else (NamedValue(value_name=EVENT_CODE, value=code),),
        effective=parts.time("effective"),
        onset=parts.time("onset"),
        expires=parts.time("expires"),
        sender_name=unit,
        headline=parts.text("headline"),
        description=parts.text("description"),
        instruction=parts.text("instruction"),
        web=parts.text("web"),
        parameters=tuple(parameters),
        resources=tuple(_resource(e, namespace) for e in parts.found.get("resource", ())),
        areas=tuple(_area(e, namespace) for e in parts.found.get("area", ())),
        kept=tuple(parts.kept),
    )
    return _with_stated(info, parts)


def _resource(element: etree._Element, namespace: str) -> Resource:
    parts = _sorted(element, Resource, namespace)
    resource = Resource(
        resource_desc=parts.text("resourceDesc") or "",
        mime_type="application/octet-stream",
        size=parts.text("size"),
        digest=parts.text("digest"),
        kept=tuple(parts.kept),
    )
    return _with_stated(resource, parts)


def _area(element: etree._Element, namespace: str) -> Area:
    parts = _sorted(element, Area, namespace)
    codes = [code.strip() for text in parts.texts("geocode") for code in text.split(",")]
    area = Area(
        area_desc=parts.text("areaDesc") or "",
        polygons=tuple(parts.texts("polygon")),
        circles=tuple(in_kilometres(text) for text in parts.texts("circle")),
        geocodes=tuple(NamedValue(value_name=DIVISION_CODE, value=code) for code in codes if code),
        kept=tuple(parts.kept),
    )
    return _with_stated(area, parts)


def _method(element: etree._Element, group: int, namespace: str) -> Method:
    parts = _sorted(element, Method, namespace)
    part = parts.found.get("audiencePrt", ())
    return Method(
        method_name=parts.text("methodName") or "",
        message=parts.text("message"),
        audience_group=parts.text("audienceGrp"),
        audience_part=parts.text("audiencePrt"),
        is_misspelt=any(etree.QName(e).localname == MISSPELT for e in part),
        group=group,
        kept=tuple(parts.kept),
    )


def _sorted(element: etree._Element, kind: type[Node], namespace: str) -> _Parts:
    parts = _Parts(namespace)
    for name, value in element.attrib.items():
        if name == ABSENT:
            parts.absent = frozenset(str(value).split())
        elif name == CHINA:
            parts.china = str(value)
        else:
            parts.kept.append(Kept(kind="attribute", name=str(name), text=str(value), home="guotu"))
    last = ("", 0)
    for child in element:
        place = _place(child, kind, parts)
        if place:
            last = place
            parts.kept.extend(item.model_copy(update={"home": "guotu"}) for item in _leaf_oddities(child, place))
        elif not _is_ours(child, kind, parts) and not _is_empty(child, kind, namespace):
            parts.kept.append(Kept(kind="element", text=canonical(child), tag=last[0], nth=last[1], home="guotu"))
    return parts


def _place(child: etree._Element, kind: type[Node], parts: _Parts) -> tuple[str, int] | None:
    """File a child that the platform's message may have here; None if it may not."""
    name = etree.QName(child)
    tag = "audiencePrt" if name.localname == MISSPELT else name.localname
    if (name.namespace or "") != parts.namespace or tag not in TAGS[kind]:
        return None
    held = parts.found.setdefault(tag, [])
    if (held and tag not in _MANY) or not _is_sound(child, tag):
        return None
    held.append(child)
    if tag == "info":
        parts.blocks.append(child)
    return tag, len(held)


def _is_sound(child: etree._Element, tag: str) -> bool:
    """It holds what its name promises: a `code` holds methods and nothing else, a text holds text."""
    if tag == "code":
        methods = all(etree.QName(e).localname == "method" for e in child)
        return len(child) > 0 and methods and not child.attrib
    return tag in _HOLDERS or len(child) > 0 or bool((child.text or "").strip(SPACE))


def _is_empty(child: etree._Element, kind: type[Node], namespace: str) -> bool:
    name = etree.QName(child)
    is_known = (name.namespace or "") == namespace and (name.localname in TAGS[kind] or name.localname == MISSPELT)
    return is_known and len(child) == 0 and not child.attrib and not (child.text or "").strip(SPACE)


def _is_ours(child: etree._Element, kind: type[Node], parts: _Parts) -> bool:
    """File a child that `guotu_writing` put there."""
    name = etree.QName(child)
    if child.tag == ITEM:
        try:
            parts.kept.append(Kept.model_validate({**dict(child.attrib), "text": text_of(child)}))
        except ValidationError:
            return False
        return True
    slot = slots(kind).get(name.localname) if name.namespace == CAP12 and kind is not Method else None
    if slot is None or (parts.stated.get(slot.tag) and not slot.is_many):
        return False
    if slot.child is Info:
        parts.blocks.append(child)
    else:
        parts.stated.setdefault(slot.tag, []).append(child)
    return True


def _leaf_oddities(child: etree._Element, place: tuple[str, int]) -> list[Kept]:
    return [] if place[0] in _HOLDERS else list(oddities(child, place))


def _with_stated(node: N, parts: _Parts) -> N:
    """CAP's own elements win over what was derived."""
    update: dict[str, Any] = {}
    for tag, elements in parts.stated.items():
        slot = slots(type(node))[tag]
        values = [read_value(element, slot, CAP12) for element in elements]
        update[slot.name] = tuple(values) if slot.is_many else values[0]
    for slot in slots(type(node)).values():
        if slot.tag in parts.absent:
            update[slot.name] = () if slot.is_many else None if slot.is_optional else ""
    return node.model_copy(update=update) if update else node


def _with_china(alert: Alert, parts: _Parts) -> Alert:
    if "china" in parts.absent:
        return alert.model_copy(update={"china": None})
    if parts.china is None:
        return alert
    try:
        return alert.model_copy(update={"china": China.model_validate_json(parts.china)})
    except ValidationError:  # a stranger's attribute of the same name
        return alert


def cap_form(text: str) -> str:
    """2012-10-25 09:15:58+08:00 -> 2012-10-25T09:15:58+08:00; without an offset Beijing's is meant."""
    match = _TIME.fullmatch(text.strip(SPACE))
    return f"{match[1]}T{match[2]}{match[3] or '+08:00'}" if match else text


def in_kilometres(circle: str) -> str:
    """From "22.5,114.1 1500", metres, to "22.5,114.1 1.5"."""
    return _scaled(circle, lambda radius: radius.scaleb(-3))


def in_metres(circle: str) -> str:
    """From "22.5,114.1 1.5", kilometres, to "22.5,114.1 1500"."""
    return _scaled(circle, lambda radius: radius.scaleb(3))


def _scaled(circle: str, scale: Callable[[Decimal], Decimal]) -> str:
    match = _CIRCLE.fullmatch(circle)
    if not match:
        return circle
    radius = f"{scale(Decimal(match[2])):f}"
    return match[1] + (radius.rstrip("0").rstrip(".") if "." in radius else radius) + match[3]


def _triples(text: str | None) -> str | None:
    """An identifier of the platform names its unit and its entry time: enough for CAP's triple; else it stays bare."""
    if text is None:
        return None
    return " ".join(_triple(word) for word in text.split()) if text.split() else text


def _triple(word: str) -> str:
    match = _IDENTIFIER.fullmatch(word)
    if not match:
        return word
    code, year, month, day, hour, minute, second = match.groups()
    sent = f"{year}-{month}-{day}T{hour}:{minute}:{second}+08:00"
    return f"{code},{word},{sent}" if parse_time(sent) else word
