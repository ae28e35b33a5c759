"""The model as a message of the national platform (see `guotu`), and what the platform's message cannot say beside it.

First the message is written as the platform wants it. Then it is read, and wherever what was read differs from the
alert, the true value is added as CAP's own element, or named in `absent`. So `read_guotu` of what is written here gives
the same alert, for every alert, by construction: there is no list of special cases that could be incomplete.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

from lxml import etree

from server.domain.alerts.codec import (
    Slot,
    has_bare_names,
    qualified,
    serialised,
    slots,
    values_of,
    write_kept,
    write_lost,
    write_value,
)
from server.domain.alerts.guotu import ABSENT, CHINA, ITEM, MISSPELT, TAGS, in_metres, read_guotu
from server.domain.alerts.model import Alert, Area, China, Info, Kept, Method, Node, Resource, parse_time
from server.domain.alerts.vocabulary import (
    CAP12,
    COLOUR_PARAMETER,
    DIVISION_CODE,
    GUOTU,
    ISSUER_PARAMETER,
    KEPT,
    Colour,
)

_ALIGNED = {"info", "resource", "area"}  # written one for one, so their differences are noted inside them


def to_guotu(alert: Alert, *, is_whole: bool = True) -> bytes:
    """The message as the national platform takes it; read again it gives the same model.

    `is_whole` False leaves out what only CAP can say, for a platform that refuses elements it does not know.
    """
    namespace = alert.china.namespace if alert.china else GUOTU
    is_prefixed = has_bare_names(alert) or any(has_bare_names(m) for m in (alert.china.methods if alert.china else ()))
    prefixes: dict[str | None, str] = {"cap": CAP12, "kept": KEPT}
    if namespace:
        prefixes["amp" if is_prefixed else None] = namespace
    root = etree.Element(qualified(namespace, "alert"), nsmap=prefixes)  # type: ignore[arg-type]  # stubs forget None
    _write_alert(root, alert, namespace, is_whole=is_whole)
    if is_whole:
        derived = read_guotu(root)
        _note_differences(root, alert, derived, namespace)
        if derived.china != alert.china:
            _note_china(root, alert.china)
    etree.cleanup_namespaces(root)
    return serialised(root)


def _write_alert(root: etree._Element, alert: Alert, namespace: str, *, is_whole: bool) -> None:
    china = alert.china or China()
    main = _main_blocks(alert)
    unit = china.unit or next((info.sender_name for info in main if info.sender_name), None) or alert.sender
    references = alert.referenced
    values: dict[str, list[str | Node | tuple[Method, ...] | None]] = {
        "identifier": [alert.identifier],
        "sender": [unit],
        "senderCode": [alert.sender if alert.sender != unit else None],
        "phone": [china.phone],
        "sendTime": [_spaced(alert.sent)],
        "status": [alert.status],
        "msgType": [alert.msg_type],
        "scope": [alert.scope],
        "code": [tuple(methods) for _, methods in groupby(china.methods, key=lambda method: method.group)],
        "secClassification": [china.sec_classification],
        "note": [alert.note],
        "references": [references[0].identifier if references else None],
        "info": list(alert.infos if is_whole else main),
    }
    _write(root, alert, values, namespace, others=tuple(info for info in alert.infos if info not in main))


def _main_blocks(alert: Alert) -> tuple[Info, ...]:
    """The Chinese blocks are the platform's; where there is none, the first block is."""
    chinese = tuple(info for info in alert.infos if (info.language or "").strip().lower().partition("-")[0] == "zh")
    return chinese or alert.infos[:1]


def _info_values(info: Info) -> dict[str, list[Any]]:
    said = (info.parameter(COLOUR_PARAMETER) or "").partition(";")[0].strip()
    return {
        "language": [info.language],
        "eventType": [info.event_code],
        "urgency": [info.urgency],
        "severity": [said or Colour.of(info.severity) or "Unknown"],
        "certainty": [info.certainty],
        "effective": [_spaced(info.effective)],
        "onset": [_spaced(info.onset)],
        "expires": [_spaced(info.expires)],
        "senderName": [info.parameter(ISSUER_PARAMETER)],
        "headline": [info.headline],
        "description": [info.description],
        "instruction": [info.instruction],
        "web": [info.web],
        "resource": list(info.resources),
        "area": list(info.areas),
    }


def _values(node: Node) -> dict[str, list[Any]]:
    match node:
        case Info():
            return _info_values(node)
        case Resource():
            return {"resourceDesc": [node.resource_desc], "size": [node.size], "digest": [node.digest]}
        case Area():
            return {
                "areaDesc": [node.area_desc],
                "polygon": list(node.polygons),
                "circle": [in_metres(circle) for circle in node.circles],
                "geocode": [",".join(c.value for c in node.geocodes if c.value_name == DIVISION_CODE)],
            }
        case Method():
            return {
                "methodName": [node.method_name],
                "message": [node.message],
                "audienceGrp": [node.audience_group],
                "audiencePrt": [node.audience_part],
            }
        case _:
            raise TypeError(f"a 国突 message has no {type(node).__name__}")


def _write(
    parent: etree._Element, node: Node, values: dict[str, list[Any]], namespace: str, others: tuple[Info, ...] = ()
) -> None:
    kept = [item for item in node.kept if item.home == "guotu"]
    write_kept(parent, kept, ("", 0))
    counts: dict[str, int] = {}
    for tag in TAGS[type(node)]:
        for value in values[tag]:
            if any(value is other for other in others):
                write_value(parent, slots(Alert)["info"], value, CAP12)
                continue
            if value is None or value in ("", ()):
                continue
            counts[tag] = counts.get(tag, 0) + 1
            _append(parent, node, tag, value, namespace)
            write_kept(parent, kept, (tag, counts[tag]))
    write_lost(parent, kept, counts)


def _append(parent: etree._Element, node: Node, tag: str, value: Any, namespace: str) -> None:
    is_misspelt = tag == "audiencePrt" and isinstance(node, Method) and node.is_misspelt
    element = etree.SubElement(parent, qualified(namespace, MISSPELT if is_misspelt else tag))
    if isinstance(value, Node):
        _write(element, value, _values(value), namespace)
    elif isinstance(value, tuple):
        for method in value:
            _append(element, node, "method", method, namespace)
    else:
        element.text = value


def _spaced(text: str | None) -> str | None:
    return text.replace("T", " ", 1) if text and parse_time(text) else text


def _note_differences(element: etree._Element, node: Node, derived: Node, namespace: str) -> None:
    absent = []
    for slot in slots(type(node)).values():
        if slot.tag in _ALIGNED:
            _note_inside(element, slot, node, derived, namespace)
        elif (values := values_of(node, slot)) != values_of(derived, slot):
            for value in values:
                write_value(element, slot, value, CAP12)
            if not values:
                absent.append(slot.tag)
    if absent:
        element.set(ABSENT, " ".join(absent))
    for item in node.kept:
        if item.home == "cap":
            _note_item(element, item)


def _note_inside(element: etree._Element, slot: Slot, node: Node, derived: Node, namespace: str) -> None:
    pairs = zip(values_of(node, slot), values_of(derived, slot), strict=True)
    tags = {qualified(namespace, slot.tag), qualified(CAP12, slot.tag)}
    children = [child for child in element if child.tag in tags]
    for child, (ours, theirs) in zip(children, pairs, strict=True):
        if child.tag == qualified(namespace, slot.tag):
            _note_differences(child, ours, theirs, namespace)


def _note_item(element: etree._Element, item: Kept) -> None:
    note = etree.SubElement(element, ITEM, kind=item.kind, tag=item.tag, nth=str(item.nth), name=item.name)
    note.text = item.text


def _note_china(root: etree._Element, china: China | None) -> None:
    if china is None:
        root.set(ABSENT, " ".join(filter(None, (root.get(ABSENT), "china"))))
    else:
        root.set(CHINA, china.model_dump_json(by_alias=True))
