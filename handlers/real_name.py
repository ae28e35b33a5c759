"""Real-name binding over HTTP: /v1/me/real-name."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from handlers.base import ApiHandler
from server.services.real_name import Masked, RealNames


class RealNameForm(BaseModel):
    """Name and ID number as they stand on the card."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"example": {"name": "张三", "id_number": "44030519900101123X"}},
    )

    name: str = Field(max_length=100)
    id_number: str = Field(max_length=40, description="GB 11643, 18 characters; spaces are ignored")


class RealNameView(BaseModel):
    """One's own verified name, masked; all empty if there is none."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "example": {
                "is_bound": True,
                "name": "张*",
                "id_number": "440***********123X",
                "age_years": 36,
                "is_elder": False,
            }
        },
    )

    is_bound: bool
    name: str | None = None
    id_number: str | None = None
    age_years: int | None = Field(default=None, description="today, in completed years")
    is_elder: bool | None = Field(default=None, description="60 or older: services for the elderly are open")

    @classmethod
    def of(cls, masked: Masked | None) -> RealNameView:
        """What the owner may see."""
        if masked is None:
            return cls(is_bound=False)
        return cls(
            is_bound=True,
            name=masked.name,
            id_number=masked.id_number,
            age_years=masked.age_years,
            is_elder=masked.is_elder,
        )


class RealNameHandler(ApiHandler):
    """The caller's own."""

    def initialize(self, real_names: RealNames) -> None:
        """`real_names` holds the verbs."""
        self.real_names = real_names

    async def get(self) -> None:
        """Masked."""
        self.respond(RealNameView.of(await self.real_names.show(self.caller.id)))

    async def put(self) -> None:
        """Verify and bind, once."""
        form = self.given(RealNameForm)
        self.respond(RealNameView.of(await self.real_names.bind(self.caller, form.name, form.id_number)))
