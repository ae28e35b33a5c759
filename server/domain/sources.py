"""What department sources may be asked instead of papers (免提交): a table, and everything else is denied. Pure.

A value that a source gave carries where it came from, as of when, for which purpose, and a hash over all of it: whoever
doubts a decision can ask the source again and compare.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.domain.applications import Terms
from server.domain.errors import ConfigurationError, ForbiddenError, NotFoundError

NAME = r"^[a-z][a-z0-9_]{0,39}$"
Value = str | int | bool


class SourceRule(BaseModel):
    """One source: the fields and purposes that are open, and the consent that is needed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(pattern=NAME)
    consent: str = Field(pattern=NAME)
    fields: frozenset[str] = Field(min_length=1)
    purposes: frozenset[str] = Field(min_length=1)


class Policy(BaseModel):
    """The table. `negative` beats whatever a rule says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    negative: frozenset[str]
    sources: tuple[SourceRule, ...]

    @property
    def names(self) -> frozenset[str]:
        """The sources that are registered."""
        return frozenset(rule.source for rule in self.sources)

    def rule(self, source: str, fields: Iterable[str], purposes: Iterable[str]) -> SourceRule:
        """The rule that allows all of this; ForbiddenError `source_denied` if none does."""
        wanted, meant = set(fields), set(purposes)
        found = next((rule for rule in self.sources if rule.source == source), None)
        if found is None or not meant or not meant <= found.purposes or not wanted <= found.fields - self.negative:
            raise ForbiddenError(
                "source_denied", zh="不允许向该数据源核验这些内容", en="this source may not be asked for this"
            )
        return found


@dataclass(frozen=True, slots=True)
class Question:
    """What a source is asked: which fields, what for. `fills`: form field -> the source's; `materials` it replaces."""

    source: str
    fields: frozenset[str]
    purposes: frozenset[str]
    fills: Mapping[str, str]
    materials: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What it said. `as_of_at` is the source's own word on how fresh that is."""

    values: Mapping[str, Value]
    as_of_at: datetime


def question_of(terms: Terms, source: str) -> Question:
    """What an item wants to know of a source; NotFoundError `source_unknown` if nothing.

    A field of the form that is filled is asked for the purposes of the materials that name the source.
    """
    materials = [each for each in terms.item.materials if each.source and each.source.name == source]
    fills = {
        each.id: each.fill.partition(".")[2]
        for each in terms.item.form.fields
        if each.fill and each.fill.partition(".")[0] == source
    }
    if not materials:
        raise NotFoundError(
            "source_unknown", zh="此事项不使用该数据源", en="this item does not use that source", field="source"
        )
    asked = {field for each in materials if each.source for field in each.source.fields} | set(fills.values())
    return Question(
        source=source,
        fields=frozenset(asked),
        purposes=frozenset(each.source.purpose for each in materials if each.source),
        fills=MappingProxyType(fills),
        materials=tuple(each.id for each in materials),
    )


def filled_by(terms: Terms, question: Question, answer: Answer, form: Mapping[str, Any]) -> dict[str, Any]:
    """The form with what the source said; a field that is not shown stays empty, for the form would refuse it."""
    filled = dict(form)
    for each in terms.item.form.fields:
        name, rule = question.fills.get(each.id, ""), each.show_if
        if name in answer.values and (rule is None or filled.get(rule.field) in rule.among):
            filled[each.id] = answer.values[name]
    return filled


def evidence_of(question: Question, answer: Answer, application: str) -> str:
    """SHA-256 in hexadecimal over source, purposes, application, values and their time, as canonical JSON."""
    content: dict[str, Any] = {
        "source": question.source,
        "purposes": sorted(question.purposes),
        "application": application,
        "values": dict(answer.values),
        "as_of": answer.as_of_at.isoformat(timespec="milliseconds"),
    }
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def load_policy(data: Any) -> Policy:
    """What `data/sources.yaml` holds; ConfigurationError `sources_invalid`."""
    try:
        return Policy.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError("sources_invalid", zh=f"数据源清单有误：{error}", en=f"sources: {error}") from None
