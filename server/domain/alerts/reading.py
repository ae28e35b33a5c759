"""Bytes to an alert, in whichever dialect they are, with everything that is wrong with them.

`read` says what the message is; `inspect` says whether we would take it. Neither raises, whatever the bytes are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from lxml import etree

from server.domain.alerts.cap import read_cap
from server.domain.alerts.codec import slots
from server.domain.alerts.context import Context, Message, Profile
from server.domain.alerts.document import MAX_BYTES, line_of, parse_xml
from server.domain.alerts.finding import Fault, Finding, Gravity
from server.domain.alerts.grammar import DIALECTS, check_grammar
from server.domain.alerts.guotu import CAP_NAMES, read_guotu
from server.domain.alerts.model import Alert, Area, Info, NamedValue, Resource
from server.domain.alerts.rules import MAX_FINDINGS, check, finding
from server.domain.alerts.vocabulary import Dialect

_REPEATED = frozenset(
    slot.tag for kind in (Alert, Info, Area, Resource, NamedValue) for slot in slots(kind).values() if slot.is_many
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What came in. `alert` is None if it is no alert at all; `findings` are those of bytes and schema only."""

    alert: Alert | None
    dialect: Dialect | None
    findings: tuple[Finding, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inspection:
    """The verdict on a file. Warnings do not keep it out; errors and quarantine do.

    An error (the schema) is a defect on record: a received message goes out all the same, unless it is withheld.
    """

    is_accepted: bool
    alert: Alert | None
    dialect: Dialect | None
    findings: tuple[Finding, ...]

    @property
    def is_withheld(self) -> bool:
        """It is not to be published before an officer has looked at it."""
        return any(found.severity is Gravity.QUARANTINE for found in self.findings)


def read(data: bytes, *, profile: Profile = Profile.INTAKE, max_bytes: int = MAX_BYTES) -> Reading:
    """The alert in some bytes, and what is wrong with its XML (CAP-001, 002, 003)."""
    root = parse_xml(data, max_bytes=max_bytes)
    if isinstance(root, Fault):
        return Reading(None, None, (finding("CAP-001", root, profile),))
    name = etree.QName(root)
    dialect = DIALECTS.get(name.namespace or "")
    if dialect is None or name.localname != "alert":
        shown = f"{{{name.namespace or ''}}}{name.localname}"[:200]
        zh, en = f"未知的根元素或命名空间 {shown}", f"unknown root or namespace {shown}"
        fault = Fault(f"/{name.localname[:80]}", zh, en, line_of(root))
        return Reading(None, None, (finding("CAP-002", fault, profile),))
    faults = islice(check_grammar(root, dialect), MAX_FINDINGS)
    alert = read_guotu(root) if dialect is Dialect.GUOTU else read_cap(root)
    return Reading(alert, dialect, tuple(finding("CAP-003", fault, profile) for fault in faults), _lines(root))


def inspect(data: bytes, context: Context | None = None, *, max_bytes: int = MAX_BYTES) -> Inspection:
    """Everything the intake profile finds in some bytes. A file that fails its schema is not accepted here."""
    reading = read(data, max_bytes=max_bytes)
    findings = list(reading.findings)
    if reading.alert is not None:
        message = Message(reading.alert, is_schema_known=True, lines=reading.lines)
        findings += check(message, Profile.INTAKE, context)
    is_accepted = all(found.severity is Gravity.WARNING for found in findings)
    return Inspection(is_accepted, reading.alert, reading.dialect, tuple(findings))


def _lines(root: etree._Element) -> dict[str, int]:
    """The line of every element by its path in CAP's names; 国突's own names are translated."""
    found: dict[str, int] = {}
    _number(root, "/alert", found)
    return found


def _number(element: etree._Element, path: str, found: dict[str, int]) -> None:
    found.setdefault(path, line_of(element))
    counts: dict[str, int] = {}
    for child in element:
        name = etree.QName(child).localname
        tag = CAP_NAMES.get(name, name)
        counts[tag] = counts.get(tag, 0) + 1
        _number(child, f"{path}/{tag}[{counts[tag]}]" if tag in _REPEATED else f"{path}/{tag}", found)
