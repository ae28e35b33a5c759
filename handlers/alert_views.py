"""What the desk answers: allow-lists of what officers see of an alert, and what they may send besides the forms."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from server.domain.alerts.desk import DeskAlert, Hand
from server.domain.alerts.finding import Finding, Gravity
from server.domain.alerts.states import State
from server.domain.alerts.vocabulary import Colour
from server.domain.officers import DIVISION
from server.domain.preview import EXAMPLE as PREVIEW
from server.domain.preview import Preview
from server.domain.wording import Kind

_FINDING = {
    "code": "CAP-015",
    "severity": "warning",
    "path": "/alert/info[1]/instruction",
    "text": "没有防御指引",
    "text_en": "there is no instruction",
    "line": None,
    "patch": None,
}
_ALERT = {
    "identifier": "44030041600000_20261124093000",
    "chain": "44030041600000_20261124093000",
    "follows": None,
    "kind": "alert",
    "state": "submitted",
    "version": 2,
    "status": "Actual",
    "colour": "Red",
    "events": ["11B01"],
    "divisions": ["440305"],
    "is_loud": True,
    "unit": "深圳市气象台",
    "order": None,
    "author": "o-wangmin",
    "editor": "o-wangmin",
    "submitter": "o-wangmin",
    "digest": "6f2c9d0e6a1b4f0d8c3e7b5a9f1d2c4e6a8b0c2d4e6f8a0b1c3d5e7f9a1b3c5d",
    "expires_at": "2026-11-24T18:00:00Z",
    "submitted_at": "2026-11-24T01:31:00Z",
    "released_at": None,
    "published_at": None,
}
_WHOLE = _ALERT | {
    "alert": {"identifier": "44030041600000_20261124093000", "status": "Actual", "msgType": "Alert"},
    "steps": [{"at": "2026-11-24T01:30:00Z", "officer": "o-wangmin", "action": "draft", "reason": "", "order": None}],
}


def _example(value: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": value})


class PatchView(BaseModel):
    """A repair that changes no meaning."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    value: str


class FindingView(BaseModel):
    """One thing that the rules found."""

    model_config = _example(_FINDING)

    code: str = Field(description="of the rule: CAP-001 and up")
    severity: Gravity
    path: str = Field(description="where, XPath-like, in the CAP message")
    text: str = Field(description="in Chinese")
    text_en: str = Field(description="in English")
    line: int | None = Field(description="of the XML that was sent")
    patch: PatchView | None = Field(description="a mechanical repair, if there is one")

    @classmethod
    def of(cls, found: Finding) -> FindingView:
        """Of a finding."""
        patch = PatchView(path=found.patch.path, value=found.patch.value) if found.patch else None
        return cls(
            code=found.code,
            severity=found.severity,
            path=found.path,
            text=found.zh,
            text_en=found.en,
            line=found.line,
            patch=patch,
        )


class Findings(BaseModel):
    """Everything that the rules found, the gravest not first but where it stands."""

    model_config = _example({"may_be_submitted": True, "findings": [_FINDING]})

    may_be_submitted: bool = Field(description="no error among them; warnings have to be acknowledged")
    findings: tuple[FindingView, ...]

    @classmethod
    def of(cls, found: Sequence[Finding]) -> Findings:
        """Of a list of findings."""
        has_error = any(each.severity is Gravity.ERROR for each in found)
        return cls(may_be_submitted=not has_error, findings=tuple(map(FindingView.of, found)))


class StepView(BaseModel):
    """One entry of an alert's log."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: datetime
    officer: str = Field(description='account; "" is the product itself')
    action: str
    reason: str
    order: str | None = Field(description="the standing order that acted for this officer, if one did")


class AlertSummary(BaseModel):
    """One alert in a list."""

    model_config = _example(_ALERT)

    identifier: str = Field(description="of the message, and of its broadcast once it is released")
    chain: str = Field(description="identifier of the first message")
    follows: str | None
    kind: Kind
    state: State
    version: int = Field(description='counts the steps; the ETag is "v<version>"')
    status: str
    colour: Colour
    events: tuple[str, ...]
    divisions: tuple[str, ...] = Field(description="that its area names or meets")
    is_loud: bool
    unit: str
    order: str | None = Field(description="the standing order that acted for author and releaser, if one did")
    author: str
    editor: str
    submitter: str | None
    digest: str = Field(description="what was submitted, and what the releasing officer has to confirm")
    expires_at: datetime | None
    submitted_at: datetime | None
    released_at: datetime | None
    published_at: datetime | None

    @classmethod
    def of(cls, desk: DeskAlert) -> AlertSummary:
        """Of an alert on the desk."""
        return cls(**_summary(desk))


class AlertView(AlertSummary):
    """One alert with its message and its log."""

    model_config = _example(_WHOLE)

    alert: dict[str, Any] = Field(description="the CAP 1.2 message in JSON, with CAP's names")
    steps: tuple[StepView, ...]

    @classmethod
    def of(cls, desk: DeskAlert) -> AlertView:
        """Of an alert on the desk."""
        steps = (
            StepView(at=s.at, officer=s.officer, action=s.action, reason=s.reason, order=s.order or None)
            for s in desk.steps
        )
        message = desk.alert.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return cls(**_summary(desk), alert=message, steps=tuple(steps))


class CancelView(AlertView):
    """The all-clear that was drafted, and what keeps it from being submitted, if anything does."""

    model_config = _example(_WHOLE | {"kind": "cancel", "findings": []})

    findings: tuple[FindingView, ...]


class PreviewView(Preview):
    """What a release would mean: what the rules say, and who would read what, when, at what cost."""

    model_config = _example(
        {"identifier": _ALERT["identifier"], "version": 2, "digest": _ALERT["digest"], "findings": [_FINDING]} | PREVIEW
    )

    identifier: str
    version: int
    digest: str = Field(description='what the second person confirms; "" until it is submitted')
    findings: tuple[FindingView, ...]

    @classmethod
    def of(cls, desk: DeskAlert, found: Sequence[Finding], figures: Preview) -> PreviewView:
        """Of an alert that waits, its findings and its figures."""
        shown = {name: getattr(figures, name) for name in Preview.model_fields}
        findings = tuple(map(FindingView.of, found))
        return cls(identifier=desk.identifier, version=desk.version, digest=desk.digest, findings=findings, **shown)


class PreviewQuery(BaseModel):
    """How sure the figures have to be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exact: bool = Field(default=False, description="count everybody: takes seconds in a large city", examples=[False])


class AlertPage(BaseModel):
    """Some alerts, newest draft first."""

    model_config = _example({"alerts": [_ALERT], "next": "1795483800000.44030041600000_20261124093000"})

    alerts: tuple[AlertSummary, ...]
    next: str = Field(description='the cursor of the next page; "" after the last')


class AlertsQuery(BaseModel):
    """Which alerts to list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: tuple[State, ...] = Field(default=(), max_length=8, description="may be repeated; all if left out")
    division: str = Field(default="", pattern=rf"{DIVISION}|^$", description="only what meets it", examples=["440305"])
    cursor: str = Field(default="", max_length=100, description="`next` of the page before")
    limit: int = Field(default=50, ge=1, le=100)


class Submission(BaseModel):
    """Handing in."""

    model_config = _example({"acknowledged": ["CAP-015"]})

    acknowledged: frozenset[str] = Field(default=frozenset(), max_length=100, description="codes of accepted warnings")


class Release(BaseModel):
    """What the second person confirms."""

    model_config = _example({"digest": _ALERT["digest"]})

    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="as submit and preview show it")


class Decision(BaseModel):
    """Why an alert is returned or rejected."""

    model_config = _example({"reason": "影响范围应包括福田区"})

    reason: str = Field(min_length=1, max_length=500)


class Cancellation(BaseModel):
    """Why it is over."""

    model_config = _example({"note": "台风已远离本市"})

    note: str = Field(min_length=1, max_length=500, description="the reason; citizens read it in Chinese")
    acknowledged: frozenset[str] = Field(default=frozenset(), max_length=100, description="codes of accepted warnings")


def _summary(desk: DeskAlert) -> dict[str, Any]:
    def account(hand: Hand | None) -> str | None:
        return hand.officer if hand else None

    return {
        "identifier": desk.identifier,
        "chain": desk.chain,
        "follows": desk.follows,
        "kind": desk.kind,
        "state": desk.state,
        "version": desk.version,
        "status": desk.alert.status,
        "colour": desk.colour,
        "events": desk.facts.events,
        "divisions": desk.facts.divisions,
        "is_loud": desk.is_loud,
        "unit": desk.unit.name,
        "order": desk.order or None,
        "author": desk.author.officer,
        "editor": desk.editor.officer,
        "submitter": account(desk.submitter),
        "digest": desk.digest,
        "expires_at": desk.alert.expires_at,
        "submitted_at": desk.submitted_at,
        "released_at": desk.released_at,
        "published_at": desk.published_at,
    }
