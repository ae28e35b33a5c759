"""What a citizen agreed to: purposes with versioned texts, and a history of acts from which the standing follows. Pure.

A consent holds for the version that was read. When a purpose gets a new version, who agreed to an earlier one is asked
again and until then counts as not having agreed (PIPL Art. 14). The latest act decides, so a withdrawal holds at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from server.domain.errors import ConfigurationError, ConflictError, NotFoundError


class Both(BaseModel):
    """A text in both languages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zh: str = Field(min_length=1, max_length=1_000)
    en: str = Field(min_length=1, max_length=1_000)


class Wording(BaseModel):
    """What somebody reads before agreeing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(ge=1)
    title: Both
    text: Both


class Purpose(BaseModel):
    """Something that data may be used for. The last version is the one in force."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    purpose: str = Field(pattern=r"^[a-z][a-z_]{1,39}$")
    is_sensitive: bool
    versions: tuple[Wording, ...] = Field(min_length=1)

    @property
    def current(self) -> Wording:
        """The version in force."""
        return self.versions[-1]


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a citizen said: yes or no to a version of a purpose."""

    purpose: str
    version: int
    is_given: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a citizen stands with one purpose. `latest` is None if they never said anything."""

    purpose: Purpose
    latest: Act | None

    @property
    def is_given(self) -> bool:
        """Whether the data may be used for it now."""
        return self.latest is not None and self.latest.is_given and not self.is_outdated

    @property
    def is_outdated(self) -> bool:
        """Whether they agreed, but to an earlier version: to be asked again."""
        return self.latest is not None and self.latest.is_given and self.latest.version != self.purpose.current.version


Purposes = Mapping[str, Purpose]


def load(listed: Any) -> Purposes:
    """The purposes of `data/consents.yaml`, parsed; ConfigurationError `consents_invalid`."""
    try:
        purposes = TypeAdapter(list[Purpose]).validate_python(listed)
    except ValidationError as error:
        first = error.errors()[0]
        raise _wrong(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for each in purposes:
        if [wording.version for wording in each.versions] != list(range(1, len(each.versions) + 1)):
            raise _wrong(f"{each.purpose}: versions are numbered 1, 2, 3, ...")
    by_name = {each.purpose: each for each in purposes}
    if len(by_name) != len(purposes):
        raise _wrong("a purpose stands there twice")
    return by_name


def standings(purposes: Purposes, acts: Iterable[Act]) -> Sequence[Standing]:
    """Where somebody stands with every purpose; `acts` is their history, oldest first."""
    latest = {act.purpose: act for act in acts}
    return [Standing(purpose, latest.get(name)) for name, purpose in purposes.items()]


def purpose_of(purposes: Purposes, name: str) -> Purpose:
    """The purpose of this name; NotFoundError `purpose_unknown`."""
    found = purposes.get(name)
    if found is None:
        raise NotFoundError("purpose_unknown", zh="没有这个用途", en="there is no such purpose", field="purpose")
    return found


def refuse_old_text(purpose: Purpose, version: int) -> None:
    """ConflictError `consent_outdated`: what was read is not the text in force."""
    if version != purpose.current.version:
        raise ConflictError(
            "consent_outdated",
            zh=f"说明已更新，请阅读第{purpose.current.version}版后再同意",
            en=f"the text has changed: read version {purpose.current.version} and agree to that",
            field="version",
        )


def _wrong(what: str) -> ConfigurationError:
    return ConfigurationError("consents_invalid", zh=f"data/consents.yaml：{what}", en=f"data/consents.yaml: {what}")
