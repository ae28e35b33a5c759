"""CAP 1.2 XML to the model and back, and CAP 1.1 in.

What the national platform says beyond CAP travels in one `code` element (CAP gives that element to "special handling"
of a sender's own): `huimin:guotu={...}`. It is taken out again on reading only if writing would give the same text, so
a stranger's code that looks like ours stays what it is.
"""

from __future__ import annotations

from typing import Any, TypeVar

from lxml import etree
from pydantic import BaseModel, ConfigDict, ValidationError

from server.domain.alerts.codec import has_bare_names, qualified, read_node, serialised, slots, values_of, write_node
from server.domain.alerts.model import Alert, China, Kept, Node
from server.domain.alerts.vocabulary import CAP11, CAP12

N = TypeVar("N", bound=Node)
BEYOND_CAP = "huimin:guotu="


class _Beyond(BaseModel):
    """What CAP has no element for: `kept` pairs the way to a node (field, index, ...) with what that node kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    china: China | None = None
    kept: tuple[tuple[tuple[str | int, ...], Kept], ...] = ()


def to_cap(alert: Alert) -> bytes:
    """The message as CAP 1.2. Valid by the schema if the fields are; read again it gives the same model."""
    return serialised(cap_tree(alert))


def cap_tree(alert: Alert) -> etree._Element:
    """The message as a CAP 1.2 tree."""
    alert = alert.model_copy(update={"codes": _codes(alert), "china": None})
    prefixes: dict[str | None, str] = {"cap" if has_bare_names(alert) else None: CAP12}
    root = etree.Element(qualified(CAP12, "alert"), nsmap=prefixes)  # type: ignore[arg-type]  # the stubs forget None
    write_node(root, alert, CAP12)
    return root


def read_cap(root: etree._Element) -> Alert:
    """The model from a CAP 1.2 or CAP 1.1 tree, whatever its values; an absent required one is empty."""
    namespace = etree.QName(root).namespace or ""
    alert = Alert(**read_node(root, Alert, namespace))
    return alert if namespace == CAP11 or not alert.codes else _with_beyond(alert)


def _beyond(alert: Alert) -> _Beyond:
    return _Beyond(china=alert.china, kept=tuple(_foreign(alert, ())))


def _foreign(node: Node, way: tuple[str | int, ...]) -> list[tuple[tuple[str | int, ...], Kept]]:
    found = [(way, item) for item in node.kept if item.home == "guotu"]
    for slot in slots(type(node)).values():
        if slot.child:
            for index, child in enumerate(values_of(node, slot)):
                found += _foreign(child, (*way, slot.name, index))
    return found


def _codes(alert: Alert) -> tuple[str, ...]:
    """The codes as written: ours comes last, and also follows a code that could be mistaken for ours."""
    beyond = _beyond(alert)
    is_needed = beyond.china is not None or beyond.kept or (alert.codes and alert.codes[-1].startswith(BEYOND_CAP))
    ours = BEYOND_CAP + beyond.model_dump_json(exclude_defaults=True, by_alias=True)
    return (*alert.codes, ours) if is_needed else alert.codes


def _with_beyond(alert: Alert) -> Alert:
    *codes, last = alert.codes
    if not last.startswith(BEYOND_CAP):
        return alert
    try:
        beyond = _Beyond.model_validate_json(last.removeprefix(BEYOND_CAP))
        restored = alert.model_copy(update={"codes": tuple(codes), "china": beyond.china})
        for way, item in beyond.kept:
            restored = _restored(restored, way, item)
    except (ValidationError, LookupError, AttributeError, TypeError, ValueError):  # it only looked like ours
        return alert
    return restored if _codes(restored) == alert.codes else alert


def _restored(node: N, way: tuple[str | int, ...], item: Kept) -> N:
    if not way:
        return node.model_copy(update={"kept": (*node.kept, item)})
    name, index, *rest = way
    children: list[Any] = list(getattr(node, str(name)))
    children[int(index)] = _restored(children[int(index)], tuple(rest), item)
    return node.model_copy(update={str(name): tuple(children)})
