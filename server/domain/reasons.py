"""Reasons that officers give again and again, as data: why something is asked for, not taken, or not granted."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from server.domain.errors import ConfigurationError


class Reason(BaseModel):
    """One template; `actions` are the steps that it may be given for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z][a-z_]{1,39}$")
    actions: frozenset[str] = Field(min_length=1)
    zh: str = Field(min_length=2, max_length=200)
    en: str = Field(min_length=2, max_length=400)


def load_reasons(data: Any) -> Mapping[str, Reason]:
    """What `data/reasons.yaml` holds, by id; ConfigurationError `reasons_invalid`."""
    try:
        reasons = TypeAdapter(tuple[Reason, ...]).validate_python(data)
    except ValidationError as error:
        raise ConfigurationError("reasons_invalid", zh=f"理由模板有误：{error}", en=f"reasons: {error}") from None
    return MappingProxyType({reason.id: reason for reason in reasons})
