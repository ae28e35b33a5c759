"""Joining two accounts of one person over HTTP: /v1/me/join. Prove, look, confirm."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from handlers.base import ApiHandler
from server.domain.joining import JoinState, Means
from server.services.joining import Joining, Offered

_JOIN = {
    "id": "c0e2b4d6f84b1de8c2f4a84c6e9d53a1",
    "is_survivor": True,
    "means": "phone",
    "state": "proved",
    "proved_at": "2026-11-24T01:30:00Z",
    "due_at": "2026-11-27T01:30:00Z",
    "gone_at": "2026-12-04T01:30:00Z",
    "moves": {"addresses": 2, "places": 1},
    "obstacle": "join_proof_needed",
}


def _example(value: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": value})


class JoinProofForm(BaseModel):
    """Control of the other account: a one-time code (purpose `join`) of its telephone, or a fresh `wx.login` code."""

    model_config = _example({"request": "0b7de8c2f4a84c6e9d53a1c0e2b4d6f8", "code": "492039"})

    request: str | None = Field(default=None, max_length=64)
    code: str | None = Field(default=None, max_length=12)
    wechat_code: str | None = Field(default=None, max_length=128)

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        has_phone = self.request is not None and self.code is not None
        has_any_phone = self.request is not None or self.code is not None
        if has_any_phone != has_phone or has_phone == (self.wechat_code is not None):
            raise ValueError("give `request` and `code`, or `wechat_code`")
        return self


class ConfirmForm(BaseModel):
    """The ID number of the other account, where it is verified and the caller's is not."""

    model_config = _example({"id_number": "44030519900101123X"})

    id_number: str | None = Field(default=None, max_length=40)


class JoinView(BaseModel):
    """A join. The survivor may confirm it from `due_at` until `gone_at`; both may stop it until it is done."""

    model_config = _example(_JOIN)

    id: str
    is_survivor: bool = Field(description="whether the caller's account stays; else it would go into the other")
    means: Means
    state: JoinState
    proved_at: datetime
    due_at: datetime
    gone_at: datetime
    moves: Mapping[str, int] = Field(description="how many things of each kind would come over")
    obstacle: str = Field(description="the error that a confirmation would meet now; empty for none")

    @classmethod
    def of(cls, offered: Offered) -> JoinView:
        """Without the other's id: nothing of it is the caller's yet."""
        join = offered.join
        return cls(
            id=join.id,
            is_survivor=offered.is_survivor,
            means=join.means,
            state=join.state,
            proved_at=join.proved_at,
            due_at=join.due_at,
            gone_at=join.gone_at,
            moves=offered.moves,
            obstacle=offered.obstacle,
        )


class JoinsView(BaseModel):
    """Joins that wait."""

    model_config = _example({"joins": [_JOIN]})

    joins: tuple[JoinView, ...]


class _JoinHandler(ApiHandler):
    """What these handlers share."""

    def initialize(self, joining: Joining) -> None:
        """`joining` holds the verbs."""
        self.joining = joining


class JoinsHandler(_JoinHandler):
    """Joins of the caller's account."""

    async def get(self) -> None:
        """Those that wait, on either side."""
        found = await self.joining.waiting(self.caller)
        self.respond(JoinsView(joins=tuple(map(JoinView.of, found))))

    async def post(self) -> None:
        """Prove control of the other account; nothing moves yet."""
        form = self.given(JoinProofForm)
        if form.wechat_code is not None:
            offered = await self.joining.prove_wechat(self.caller, form.wechat_code)
        else:
            offered = await self.joining.prove_phone(self.caller, form.request or "", form.code or "")
        self.respond(JoinView.of(offered), 201)


class JoinHandler(_JoinHandler):
    """One join."""

    async def get(self, join: str) -> None:
        """What would move."""
        self.respond(JoinView.of(await self.joining.preview(self.caller, join)))

    async def delete(self, join: str) -> None:
        """Object, or take it back."""
        await self.joining.stop(self.caller, join)
        self.set_status(204)


class JoinConfirmationHandler(_JoinHandler):
    """Doing it."""

    async def post(self, join: str) -> None:
        """The two are one."""
        form = self.given(ConfirmForm)
        self.respond(JoinView.of(await self.joining.confirm(self.caller, join, form.id_number)))
