"""Binding an officer's telephone over HTTP: /v1/staff/session/citizen for the officer, /v1/me/officer for the citizen.

What is shown of either side to the other is nothing but since when.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from handlers.base import ApiHandler
from server.domain.duty import CODE_DIGITS
from server.services.duty_phones import DutyBinding


def _example(value: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": value})


class PhoneForm(BaseModel):
    """The code that the citizen's program shows."""

    model_config = _example({"code": "49203917"})

    code: str = Field(pattern=rf"^[0-9]{{{CODE_DIGITS}}}$")


class BoundView(BaseModel):
    """Since when the two accounts are bound; null: they are not."""

    model_config = _example({"bound_at": "2026-11-24T01:30:00Z"})

    bound_at: datetime | None


class OfficerCodeView(BaseModel):
    """A code, shown once."""

    model_config = _example({"code": "49203917", "expires_at": "2026-11-24T01:35:00Z"})

    code: str
    expires_at: datetime


class _DutyHandler(ApiHandler):
    """What these handlers share."""

    def initialize(self, binding: DutyBinding) -> None:
        """`binding` holds the verbs."""
        self.binding = binding


class PhoneHandler(_DutyHandler):
    """The officer's side."""

    async def get(self) -> None:
        """Since when."""
        self.respond(BoundView(bound_at=await self.binding.can_be_called_since(self.officer)))

    async def put(self) -> None:
        """Bind."""
        self.respond(BoundView(bound_at=await self.binding.bind(self.officer, self.given(PhoneForm).code)))

    async def delete(self) -> None:
        """Unbind."""
        await self.binding.unbind(self.officer)
        self.set_status(204)
        self.finish()


class OwnDutyHandler(_DutyHandler):
    """The citizen's side."""

    async def get(self) -> None:
        """Since when."""
        self.respond(BoundView(bound_at=await self.binding.bound_since(self.caller)))

    async def delete(self) -> None:
        """Unbind."""
        await self.binding.leave(self.caller)
        self.set_status(204)
        self.finish()


class OfficerCodeHandler(_DutyHandler):
    """The code."""

    async def post(self) -> None:
        """A new one."""
        code = await self.binding.offer(self.caller)
        self.respond(OfficerCodeView(code=code.code, expires_at=code.expires_at), 201)
