"""What a citizen agreed to: /v1/me/consents."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from handlers.base import ApiHandler
from server.domain.consents import Standing
from server.services.consents import Consents

_STANDING = {
    "purpose": "location",
    "is_sensitive": True,
    "version": 1,
    "title": "使用我的位置",
    "text": "为了按您关心的地点发送预警，我们保存您选择的地点坐标。",
    "is_given": True,
    "is_outdated": False,
    "said_version": 1,
    "said_at": "2026-11-24T01:30:05Z",
}


def _like(example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": example})


class ConsentView(BaseModel):
    """One purpose: the text in force, and what the citizen last said."""

    model_config = _like(_STANDING)

    purpose: str
    is_sensitive: bool = Field(description="ask for it by itself, never together with others")
    version: int = Field(description="of the text in force: what to send to agree")
    title: str = Field(description="in the caller's language")
    text: str
    is_given: bool = Field(description="whether the data may be used for it now")
    is_outdated: bool = Field(description="agreed to an earlier text: ask again; until then it counts as no")
    said_version: int | None
    said_at: datetime | None

    @classmethod
    def of(cls, standing: Standing, language: str) -> ConsentView:
        """As the citizen reads it."""
        current, latest = standing.purpose.current, standing.latest
        return cls(
            purpose=standing.purpose.purpose,
            is_sensitive=standing.purpose.is_sensitive,
            version=current.version,
            title=current.title.zh if language == "zh" else current.title.en,
            text=current.text.zh if language == "zh" else current.text.en,
            is_given=standing.is_given,
            is_outdated=standing.is_outdated,
            said_version=latest.version if latest else None,
            said_at=latest.at if latest else None,
        )


class ConsentsView(BaseModel):
    """All purposes."""

    model_config = _like({"consents": [_STANDING]})

    consents: tuple[ConsentView, ...]


class Agreement(BaseModel):
    """The version of the text that was read and agreed to."""

    model_config = _like({"version": 1})

    version: int = Field(ge=1, le=10_000)


class ConsentsHandler(ApiHandler):
    """All of them."""

    def initialize(self, consents: Consents) -> None:
        """`consents` keeps them."""
        self.consents = consents

    async def get(self) -> None:
        """Every purpose with its text and what was said."""
        found = await self.consents.standings(self.caller.id)
        self.respond(ConsentsView(consents=tuple(ConsentView.of(each, self.language) for each in found)))


class ConsentHandler(ApiHandler):
    """One of them."""

    def initialize(self, consents: Consents) -> None:
        """`consents` keeps them."""
        self.consents = consents

    async def put(self, purpose: str) -> None:
        """Agree."""
        found = await self.consents.give(self.caller.id, purpose, self.given(Agreement).version)
        self.respond(ConsentView.of(found, self.language))

    async def delete(self, purpose: str) -> None:
        """Withdraw."""
        found = await self.consents.withdraw(self.caller.id, purpose)
        self.respond(ConsentView.of(found, self.language))
