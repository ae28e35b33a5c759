"""Leave, and be forgotten: /v1/me/erasure."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from handlers.base import ApiHandler
from server.domain.erasure import FADING, KEPT_BY_LAW, WITHIN, Remainder
from server.domain.erasure import Erasure as Case
from server.domain.one_time_codes import Purpose
from server.services.erasure import Erasure
from server.services.one_time_codes import OneTimeCodes

_REMAINDER = {"name": "delivery_ledger", "what": "预警送达台账中的随机内部编号，无法再对应到您", "days": 30}


def _like(example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": example})


class ErasureRequest(BaseModel):
    """The word that says it is meant, and for whoever has a phone a one-time code of the purpose `erase` sent to it."""

    model_config = _like({"confirm": "erase", "request": "6f2c9d0e6a1b4f0d8c3e7b5a9f1d2c4e", "code": "492039"})

    confirm: Literal["erase"]
    request: str | None = Field(default=None, min_length=1, max_length=64, description="what /v1/codes answered")
    code: str | None = Field(default=None, min_length=1, max_length=12)


class RemainderView(BaseModel):
    """Something that stays for a while."""

    model_config = _like(_REMAINDER)

    name: str
    what: str
    days: int | None = Field(description="null: for good")

    @classmethod
    def of(cls, each: Remainder, language: str) -> RemainderView:
        """As the citizen reads it."""
        return cls(name=each.name, what=each.what.zh if language == "zh" else each.what.en, days=each.days)


class ErasureView(BaseModel):
    """The account is locked; by `done_by` everything is gone but what is named here."""

    model_config = _like(
        {
            "asked_at": "2026-11-24T01:30:05Z",
            "done_by": "2026-11-25T01:30:05Z",
            "kept_by_law": [],
            "fading": [_REMAINDER],
        }
    )

    asked_at: datetime
    done_by: datetime
    kept_by_law: tuple[RemainderView, ...] = Field(description="what a law makes us keep, and how long")
    fading: tuple[RemainderView, ...] = Field(description="what stays and tells nothing about a person")

    @classmethod
    def of(cls, case: Case, language: str) -> ErasureView:
        """As the citizen reads it."""
        return cls(
            asked_at=case.asked_at,
            done_by=case.asked_at + WITHIN,
            kept_by_law=tuple(RemainderView.of(each, language) for each in KEPT_BY_LAW),
            fading=tuple(RemainderView.of(each, language) for each in FADING),
        )


class ErasureHandler(ApiHandler):
    """The way out."""

    def initialize(self, erasure: Erasure, codes: OneTimeCodes) -> None:
        """`erasure` does it; `codes` says whose number a code was sent to."""
        self.erasure = erasure
        self.codes = codes

    async def post(self) -> None:
        """Lock now, erase soon."""
        form, prove = self.given(ErasureRequest), None
        if form.request and form.code:
            prove = partial(self.codes.check, form.request, form.code, Purpose.ERASE)
        case = await self.erasure.ask(self.caller, prove)
        self.respond(ErasureView.of(case, self.language), status=202)
