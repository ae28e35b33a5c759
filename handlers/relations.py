"""Relations over HTTP: /v1/me/relatives and /v1/me/organisations. The same handlers serve both kinds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from handlers.base import ApiHandler
from server.domain.relations import LASTS, LONGEST, Kind, Role, Scope, State
from server.services.relations import Acts, Relations, Seen, Wish

_RELATION = {
    "id": "4b1de8c2f4a84c6e9d53a1c0e2b4d6f8",
    "acts": "for_another",
    "role": "parent",
    "name": "张*",
    "account": "9d53a1c0e2b4d6f84b1de8c2f4a84c6e",
    "scopes": ["book", "see"],
    "state": "active",
    "asked_at": "2026-11-24T01:30:00Z",
    "until": "2027-11-24T01:30:00Z",
}


def _example(value: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": value})


class RelativeForm(BaseModel):
    """For whom one wants to act. They are asked; the answer here does not tell whether they have an account."""

    model_config = _example(
        {"name": "张大山", "id_number": "440305195503082312", "relation": "parent", "scopes": ["book", "see"]}
    )

    name: str = Field(max_length=100)
    id_number: str = Field(max_length=40)
    relation: Literal["parent", "child", "spouse", "other"] = Field(description="what they are to the caller")
    scopes: frozenset[Scope] = Field(min_length=1, max_length=3)
    days: int = Field(default=LASTS.days, ge=1, le=LONGEST.days, description="how long it is to last")

    def wish(self) -> Wish:
        """As the counter takes it."""
        return Wish(self.name, self.id_number, Role(self.relation), self.scopes, timedelta(days=self.days))


class ConsentForm(BaseModel):
    """The one-time code (purpose `consent`) that the relative got on their own telephone."""

    model_config = _example({"request": "0b7de8c2f4a84c6e9d53a1c0e2b4d6f8", "code": "492039"})

    request: str = Field(max_length=64)
    code: str = Field(max_length=12)


class RelationView(BaseModel):
    """A relation as one side sees it. `name` is the other side's, masked; whole where somebody asks for a consent."""

    model_config = _example(_RELATION)

    id: str
    acts: Acts = Field(description="whether the caller acts for the other, or the other for the caller")
    role: Role
    name: str
    account: str | None = Field(description="what to name as the one for whom something is done, once it is active")
    scopes: tuple[Scope, ...]
    state: State
    asked_at: datetime
    until: datetime | None

    @classmethod
    def of(cls, seen: Seen) -> RelationView:
        """Without internal ids."""
        relation = seen.relation
        return cls(
            id=relation.id,
            acts=seen.acts,
            role=relation.role,
            name=seen.name,
            account=seen.account,
            scopes=tuple(sorted(relation.scopes)),
            state=relation.state,
            asked_at=relation.asked_at,
            until=relation.until,
        )


class RelationsView(BaseModel):
    """Relations, newest first."""

    model_config = _example({"relations": [_RELATION]})

    relations: tuple[RelationView, ...]


class _RelationHandler(ApiHandler):
    """What these handlers share."""

    def initialize(self, relations: Relations, kind: Kind) -> None:
        """`relations` holds the verbs."""
        self.relations = relations
        self.kind = kind


class RelationsHandler(_RelationHandler):
    """All of the caller's, in both directions."""

    async def get(self) -> None:
        """Newest first, also those that are over."""
        found = await self.relations.list_all(self.caller.id, self.kind)
        self.respond(RelationsView(relations=tuple(map(RelationView.of, found))))


class RelativesHandler(RelationsHandler):
    """Relatives."""

    async def post(self) -> None:
        """Ask for a consent."""
        asked = await self.relations.ask(self.caller, self.given(RelativeForm).wish())
        self.respond(RelationView.of(asked), 201)


class RequestsHandler(_RelationHandler):
    """What waits for the caller's consent."""

    async def get(self) -> None:
        """Newest first."""
        found = await self.relations.requests(self.caller.id, self.kind)
        self.respond(RelationsView(relations=tuple(map(RelationView.of, found))))


class AgreeHandler(_RelationHandler):
    """Consent."""

    async def post(self, relation: str) -> None:
        """From now on."""
        self.respond(RelationView.of(await self.relations.agree(self.caller, relation, self.kind)))


class RefuseHandler(_RelationHandler):
    """No."""

    async def post(self, relation: str) -> None:
        """Whoever asked is told."""
        self.respond(RelationView.of(await self.relations.refuse(self.caller, relation, self.kind)))


class ConsentCodeHandler(_RelationHandler):
    """A consent by telephone."""

    async def post(self, relation: str) -> None:
        """The code that the relative read out."""
        form = self.given(ConsentForm)
        seen = await self.relations.agree_by_code(self.caller, relation, form.request, form.code)
        self.respond(RelationView.of(seen))


class RelationHandler(_RelationHandler):
    """One of them."""

    async def delete(self, relation: str) -> None:
        """End it, at once, from either side."""
        await self.relations.end(self.caller, relation, self.kind)
        self.set_status(204)
