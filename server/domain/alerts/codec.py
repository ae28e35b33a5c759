"""Elements to model nodes and back, for every node alike: the model's fields are the table.

A field's alias is the element's name, its place in the class is the place in the schema. What has no field is kept with
its place. Normalisations, all of them without meaning: comments, processing instructions and white space between
elements go; namespace prefixes may change; elements come out in the schema's order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from lxml import etree

from server.domain.alerts.document import secure_parser
from server.domain.alerts.model import Area, Info, Kept, NamedValue, Node, Resource

SPACE = " \t\r\n"  # what XML calls white space; str.strip() would take more
_BEYOND_CAP = frozenset({"kept", "china", "is_misspelt", "group"})
_CHILDREN: tuple[type[Node], ...] = (Info, Area, Resource, NamedValue)


@dataclass(frozen=True, slots=True)
class Slot:
    """One field: the element's name, whether it repeats, and the class of what it holds (None = text)."""

    name: str
    tag: str
    is_many: bool
    is_optional: bool
    child: type[Node] | None


@cache
def slots(kind: type[Node]) -> dict[str, Slot]:
    """The elements of a node by name, in the schema's order."""
    found = {}
    for name, field in kind.model_fields.items():
        if name in _BEYOND_CAP:
            continue
        args = get_args(field.annotation)
        child = next((c for c in _CHILDREN if c in args), None)
        tag = field.alias or name
        found[tag] = Slot(name, tag, Ellipsis in args, type(None) in args, child)
    return found


def read_node(element: etree._Element, kind: type[Node], namespace: str) -> dict[str, Any]:
    """The constructor arguments of a node from its element; children in other namespaces are kept."""
    values: dict[str, list[Any]] = {}
    kept = [Kept(kind="attribute", name=str(name), text=str(value)) for name, value in element.attrib.items()]
    last = ("", 0)
    table = slots(kind)
    for child in element:
        name = etree.QName(child)
        slot = table.get(name.localname) if (name.namespace or "") == namespace else None
        if slot is None or (values.get(slot.name) and not slot.is_many):
            kept.append(Kept(kind="element", text=canonical(child), tag=last[0], nth=last[1]))
            continue
        held = values.setdefault(slot.name, [])
        held.append(read_value(child, slot, namespace))
        last = (slot.tag, len(held))
        if not slot.child:
            kept.extend(oddities(child, last))
    arguments: dict[str, Any] = {}
    for slot in table.values():
        held = values.get(slot.name, [])
        if slot.is_many:
            arguments[slot.name] = tuple(held)
        elif held or not slot.is_optional:
            arguments[slot.name] = held[0] if held else ""  # required but absent: no default may stand for it
    return arguments | {"kept": tuple(kept)}


def read_value(element: etree._Element, slot: Slot, namespace: str) -> Any:
    """What one element holds: a node, or its text."""
    return slot.child(**read_node(element, slot.child, namespace)) if slot.child else text_of(element)


def text_of(element: etree._Element) -> str:
    """All the text of an element, that of elements inside it too."""
    return "".join(str(part) for part in _rebuilt(element).itertext()) if len(element) else element.text or ""


def oddities(leaf: etree._Element, place: tuple[str, int]) -> Iterator[Kept]:
    """What a text element has besides its text."""
    tag, nth = place
    if len(leaf):
        yield Kept(kind="content", text=canonical(leaf), tag=tag, nth=nth)
        return
    for name, value in leaf.attrib.items():
        yield Kept(kind="attribute", name=str(name), text=str(value), tag=tag, nth=nth)


def write_node(parent: etree._Element, node: Node, namespace: str) -> None:
    """Fill an element from a node: fields in the schema's order, what was kept (of CAP's own) in its place."""
    kept = [k for k in node.kept if k.home == "cap"]
    write_kept(parent, kept, ("", 0))
    for slot in slots(type(node)).values():
        for nth, value in enumerate(values_of(node, slot), 1):
            write_value(parent, slot, value, namespace)
            write_kept(parent, kept, (slot.tag, nth))
    write_lost(parent, kept, {slot.tag: len(values_of(node, slot)) for slot in slots(type(node)).values()})


def values_of(node: Node, slot: Slot) -> tuple[Any, ...]:
    """What a field holds, as a tuple."""
    value = getattr(node, slot.name)
    if slot.is_many:
        return tuple(value)
    return () if value is None else (value,)


def write_value(parent: etree._Element, slot: Slot, value: Any, namespace: str) -> None:
    """Append one element."""
    element = etree.SubElement(parent, qualified(namespace, slot.tag))
    if isinstance(value, Node):
        write_node(element, value, namespace)
    else:
        element.text = value


def write_kept(parent: etree._Element, kept: list[Kept], place: tuple[str, int]) -> None:
    """Put back what stood at `place`; the element of `place` has just been appended to `parent`."""
    here = [k for k in kept if (k.tag, k.nth) == place]
    for item in here:
        target = parent[-1] if item.tag and len(parent) else parent
        if item.kind == "attribute":
            target.set(item.name, item.text)
        elif item.kind == "content" and len(parent):
            _restore_content(parent, item)
    for item in here:
        if item.kind == "element":
            parent.append(etree.fromstring(item.text, secure_parser()))


def write_lost(parent: etree._Element, kept: list[Kept], counts: dict[str, int]) -> None:
    """Elements whose neighbour is gone (somebody changed the message) come last: nothing is lost."""
    for item in kept:
        if item.kind == "element" and item.tag and not 1 <= item.nth <= counts.get(item.tag, 0):
            parent.append(etree.fromstring(item.text, secure_parser()))


def _restore_content(parent: etree._Element, item: Kept) -> None:
    rich = etree.fromstring(item.text, secure_parser())
    if text_of(rich) == (parent[-1].text or ""):  # else somebody has changed the text since
        parent.replace(parent[-1], rich)


def qualified(namespace: str, tag: str) -> str:
    """A name in Clark's notation."""
    return f"{{{namespace}}}{tag}" if namespace else tag


def canonical(element: etree._Element) -> str:
    """The XML of an element by itself, the same for the same content wherever it stood."""
    return etree.tostring(_rebuilt(element), encoding="unicode")


def _rebuilt(element: etree._Element) -> etree._Element:
    copy = etree.Element(element.tag)
    for name, value in element.attrib.items():
        copy.set(name, value)
    is_spacing = _holds_elements_only(element)
    copy.text = None if is_spacing else element.text or None
    for child in element:
        copy.append(_rebuilt(child))
        copy[-1].tail = None if is_spacing else child.tail or None
    return copy


def _holds_elements_only(element: etree._Element) -> bool:
    texts = (element.text, *(child.tail for child in element))
    return len(element) > 0 and not any((text or "").strip(SPACE) for text in texts)


def has_bare_names(node: Node) -> bool:
    """Something kept has an element without namespace: then the document cannot have a default namespace."""
    for item in node.kept:
        if item.kind != "attribute" and any(
            "{" not in str(e.tag) for e in etree.fromstring(item.text, secure_parser()).iter()
        ):
            return True
    children = (v for slot in slots(type(node)).values() if slot.child for v in values_of(node, slot))
    return any(has_bare_names(child) for child in children)


def serialised(root: etree._Element) -> bytes:
    """UTF-8 with a declaration, indented where elements hold nothing but elements."""
    _indent(root, "\n")
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _indent(element: etree._Element, margin: str) -> None:
    if not _holds_elements_only(element):
        return
    element.text = margin + "  "
    for child in element:
        _indent(child, margin + "  ")
        child.tail = margin + "  "
    element[-1].tail = margin
