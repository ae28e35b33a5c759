"""Rules of proactive service on the wire, each with an example for the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from server.domain.catalogue_versions import Change
from server.domain.faults import Fault
from server.domain.rule_life import Kept, State, Verb
from server.domain.rules import EXAMPLE, Rule

RULE = r"^[a-z][a-z0-9-]{1,59}$"
DIGEST = "4f9c2a70e1d35b8694af0c17d2e8b36590ac41f7e2d86b3509c7f14ae28d6b30"
AT = "2026-11-24T09:30:00+08:00"
BY = "6f2c9d0e6a1b4f0d8c3e7b5a9f1d2c4e"
VERSION: Mapping[str, Any] = {
    "id": EXAMPLE["id"], "version": 2, "state": "submitted", "edit": 2, "digest": DIGEST, "rule": EXAMPLE,
    "steps": [{"verb": "draft", "by": BY, "at": AT, "note": ""}], "changed_at": AT,
}  # fmt: skip
LINE: Mapping[str, Any] = {
    **{key: EXAMPLE[key] for key in ("id", "unit", "lane", "item")}, "title": "身份证快到期了",
    "force": "live", "version": 1, "desk": "submitted",
}  # fmt: skip


def _like(example: Mapping[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": dict(example)})


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RulesQuery(BaseModel):
    """Which rules."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(default=50, ge=1, le=100, examples=[50])
    after: str = Field(default="", pattern=RULE + "|^$", max_length=60, description="`next` of the page before")


class RuleDiffQuery(BaseModel):
    """Which versions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: int = Field(ge=1, le=999_999, examples=[1])
    after: int = Field(ge=1, le=999_999, examples=[2])


class RuleNote(BaseModel):
    """Why."""

    model_config = _like({"note": "群众反映日期有误，先停"})

    note: str = Field(min_length=2, max_length=200)


class RuleRelease(BaseModel):
    """What the second person saw."""

    model_config = _like({"digest": DIGEST})

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")


class RuleStep(_Told):
    """One thing that was done. `by` is an account, or `operator`."""

    verb: Verb
    by: str
    at: AwareDatetime
    note: str


class RuleVersionView(BaseModel):
    """One version. `edit` is what If-Match names while it lies on the desk; `digest` once it is handed in."""

    model_config = _like(VERSION)

    id: str
    version: int
    state: State
    edit: int
    digest: str
    rule: Rule
    steps: tuple[RuleStep, ...]
    changed_at: AwareDatetime

    @classmethod
    def of(cls, kept: Kept) -> Self:
        """As the counter has it."""
        steps = tuple(RuleStep(verb=s.verb, by=s.by, at=s.at, note=s.note) for s in kept.steps)
        return cls(
            id=kept.rule.id, version=kept.version, state=kept.state, edit=kept.edit, digest=kept.digest, rule=kept.rule,
            steps=steps, changed_at=kept.changed_at,
        )  # fmt: skip


class RuleView(BaseModel):
    """A rule: what lies on the desk, and what is in force (live or stopped)."""

    model_config = _like({"id": EXAMPLE["id"], "desk": VERSION, "force": None})

    id: str
    desk: RuleVersionView | None
    force: RuleVersionView | None


class RuleLine(_Told):
    """One of them in a list."""

    id: str
    title: str
    unit: str
    lane: str
    item: str
    force: State | None
    version: int = Field(description="of what is in force; 0: nothing is")
    desk: State | None


class RulePage(BaseModel):
    """By id. `next`: ask again with it as `after`."""

    model_config = _like({"rules": [LINE], "next": None})

    rules: tuple[RuleLine, ...]
    next: str | None


class RuleVersionsView(BaseModel):
    """Newest first."""

    model_config = _like({"versions": [VERSION]})

    versions: tuple[RuleVersionView, ...]


class RuleDiffView(BaseModel):
    """What differs."""

    model_config = _like({"before": 1, "after": 2, "changes": [{"path": "lasts_days", "before": 30, "after": 60}]})

    before: int
    after: int
    changes: tuple[Change, ...]


class RuleFault(_Told):
    """One thing that is wrong: where, and what to do, in both languages."""

    field: str
    zh: str
    en: str

    @classmethod
    def of(cls, fault: Fault) -> Self:
        """As the rules of rules say it."""
        return cls(field=fault.field, zh=fault.zh, en=fault.en)


class RuleCheckView(BaseModel):
    """Everything that is wrong; nothing: it may be handed in."""

    model_config = _like({"faults": [{"field": "unit", "zh": "没有单位“nobody”", "en": "there is no nobody"}]})

    faults: tuple[RuleFault, ...]
