"""Organisations over HTTP: /v1/organisations. What a handler does about an own invitation stands in relations."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from handlers.base import ApiHandler
from handlers.relations import RelationsView, RelationView
from server.domain.relations import Kind, Role, Scope
from server.services.organisations import Invited, Organisations
from server.services.relations import Relations

_ORGANISATION = {
    "id": "9d53a1c0e2b4d6f84b1de8c2f4a84c6e",
    "name": "深圳市惠民示范有限公司",
    "uscc": "91440300MA5EX0101X",
}


def _example(value: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": value})


class OrganisationForm(BaseModel):
    """Name and unified social credit code as they stand on the licence."""

    model_config = _example({"name": "深圳市惠民示范有限公司", "uscc": "91440300MA5EX0101X"})

    name: str = Field(max_length=200)
    uscc: str = Field(max_length=40, description="GB 32100, 18 characters; spaces are ignored")


class OrganisationView(BaseModel):
    """An organisation, to its own people."""

    model_config = _example(_ORGANISATION)

    id: str
    name: str
    uscc: str


class HandlerForm(BaseModel):
    """Whom to ask: by the public id that they find in their profile, or by their telephone."""

    model_config = _example(
        {
            "phone": "+8613800000001",
            "role": "handler",
            "scopes": ["apply", "see"],
            "until": "2027-11-24T00:00:00+08:00",
        }
    )

    account: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")
    phone: str | None = Field(default=None, pattern=r"^\+[1-9][0-9]{6,14}$", description="E.164")
    role: Literal["manager", "handler"] = "handler"
    scopes: frozenset[Scope] = Field(min_length=1, max_length=3)
    until: AwareDatetime

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.account is None) == (self.phone is None):
            raise ValueError("give `account` or `phone`")
        return self

    def invited(self) -> Invited:
        """As the counter takes it."""
        return Invited(self.account, self.phone, Role(self.role), self.scopes, self.until)


class _OrganisationHandler(ApiHandler):
    """What these handlers share."""

    def initialize(self, organisations: Organisations, relations: Relations) -> None:
        """`organisations` and `relations` hold the verbs."""
        self.organisations = organisations
        self.relations = relations


class OrganisationsHandler(_OrganisationHandler):
    """Registering."""

    async def post(self) -> None:
        """By the legal representative."""
        form = self.given(OrganisationForm)
        made = await self.organisations.register(self.caller, form.name, form.uscc)
        self.respond(OrganisationView(id=made.id, name=made.name, uscc=made.uscc), 201)


class HandlersHandler(_OrganisationHandler):
    """Who acts for it."""

    async def get(self, organisation: str) -> None:
        """Active and asked, newest first."""
        found = await self.organisations.handlers(self.caller, organisation)
        self.respond(RelationsView(relations=tuple(map(RelationView.of, found))))

    async def post(self, organisation: str) -> None:
        """Ask somebody to."""
        seen = await self.organisations.invite(self.caller, organisation, self.given(HandlerForm).invited())
        self.respond(RelationView.of(seen), 201)


class HandlerHandler(_OrganisationHandler):
    """One of them."""

    async def delete(self, organisation: str, relation: str) -> None:
        """End it, at once."""
        await self.organisations.refuse_stranger(self.caller, organisation, relation)
        await self.relations.end(self.caller, relation, Kind.ORGANISATION)
        self.set_status(204)
