"""What a check says: a finding names the rule, the place and, where a machine can do it, the repair."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Gravity(StrEnum):
    """What a finding does to a message."""

    ERROR = "error"  # it cannot be sent
    WARNING = "warning"  # the author must acknowledge it; a received message is published with the defect on record
    QUARANTINE = "quarantine"  # a received message is withheld until an officer has looked at it


@dataclass(frozen=True, slots=True)
class Patch:
    """A repair that changes no meaning: the element at `path` (as in a finding) gets `value`."""

    path: str
    value: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What a rule found, before the table says how grave it is. `path` is XPath-like: /alert/info[1]/expires."""

    path: str
    zh: str
    en: str
    line: int | None = None
    patch: Patch | None = None
    intake: Gravity | None = None  # where a received message fares otherwise than the rule's row says


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, for people (`zh`, `en`) and for programs (`code`, `path`, `line`)."""

    code: str  # CAP-001 .. CAP-041, or "internal": a check of ours crashed
    path: str
    severity: Gravity
    zh: str
    en: str
    line: int | None = None
    patch: Patch | None = None
