"""What a rule may need beyond the message, as plain facts. What is None is not known, and its rules are not run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from server.domain.alerts.model import Alert


class Profile(StrEnum):
    """For whom a message is checked."""

    AUTHOR = "author"  # an officer of ours writes it: strict
    INTAKE = "intake"  # it was received: when in doubt publish, with the defect on record


@dataclass(frozen=True, slots=True)
class KnownAlert:
    """A message we hold. `ended_at` is when its chain was cancelled or ran out; None = it is live."""

    alert: Alert
    chain: str
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """What the verifier said about the message's XML signature."""

    is_required: bool
    is_present: bool
    is_valid: bool


@dataclass(frozen=True, slots=True)
class Approval:
    """Who did what to a draft, and the hash of the content that was approved beside that of the content now."""

    author: str
    submitter: str
    approver: str
    approved_hash: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class Departure:
    """What must hold at the moment a notice leaves."""

    is_live: bool
    is_approved: bool
    is_expired: bool
    is_predecessor_done: bool


@dataclass(frozen=True, slots=True)
class Context:
    """The facts that one check may use."""

    now: datetime | None = None
    registered_senders: Collection[str] | None = None
    history: Sequence[KnownAlert] | None = None  # messages of this sender, and those referred to
    is_known_division: Callable[[str], bool] | None = None
    may_warn: Callable[[str, str], bool] | None = None  # (sender, division) -> within the sender's jurisdiction
    signature: Signature | None = None
    approval: Approval | None = None
    departure: Departure | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What a rule looks at: the model, and for a received message the lines of its elements by path."""

    alert: Alert
    is_schema_known: bool = False  # the reader has compared it with the schema of its own dialect
    lines: Mapping[str, int] = field(default_factory=dict)
