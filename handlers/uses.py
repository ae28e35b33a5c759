"""Who used my data: /v1/me/uses."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from handlers.base import ApiHandler
from server.domain.uses import Use
from server.services.uses import Uses

_USE = {
    "at": "2026-11-24T01:30:05Z",
    "unit": "深圳市气象台",
    "office": "值班首长",
    "purpose": "电话通知未送达居民",
    "fields": ["phone", "division"],
    "about": "44030041600000_20261124093000",
}


def _like(example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": example})


class UsesQuery(BaseModel):
    """Which part of the list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cursor: str = Field(default="", max_length=60, description="`next` of the page before", examples=[""])
    limit: int = Field(default=50, ge=1, le=100, examples=[50])


class UseView(BaseModel):
    """One look at the citizen's data."""

    model_config = _like(_USE)

    at: datetime
    unit: str = Field(description="which answers for it")
    office: str = Field(description="of the officer, in the caller's language; never a name")
    purpose: str = Field(description="as the officer gave it")
    fields: tuple[str, ...] = Field(description="what was seen")
    about: str = Field(description="the alert or thing it was for")

    @classmethod
    def of(cls, use: Use, language: str) -> UseView:
        """As the citizen reads it."""
        office = use.office[0] if language == "zh" else use.office[1]
        return cls(at=use.at, unit=use.unit, office=office, purpose=use.purpose, fields=use.fields, about=use.about)


class UsesPage(BaseModel):
    """Uses, newest first; `next` is the cursor of the following page."""

    model_config = _like({"uses": [_USE], "next": ""})

    uses: tuple[UseView, ...]
    next: str = Field(description='"" after the last')


class UsesHandler(ApiHandler):
    """The list."""

    def initialize(self, uses: Uses) -> None:
        """`uses` keeps it."""
        self.uses = uses

    async def get(self) -> None:
        """A page of it."""
        asked = self.asked(UsesQuery)
        found, following = await self.uses.page(self.caller.id, asked.cursor, asked.limit)
        self.respond(UsesPage(uses=tuple(UseView.of(use, self.language) for use in found), next=following))
