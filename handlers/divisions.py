"""The divisions of the cities for forms and maps: level by level, by code, by the beginning of a name; from memory."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from handlers.front import Shelf
from handlers.public import PublicHandler
from server.domain.divisions import Division, Divisions
from server.domain.errors import NotFoundError

MAX_FOUND = 100  # by a name; more than any division has children
EXAMPLE: dict[str, JsonValue] = {
    "code": "440305", "level": "district", "name": "南山区", "name_en": "Nanshan District", "parent": "440300",
    "has_children": True, "has_shape": True,
}  # fmt: skip
CODE = r"^\d{6}(\d{3}){0,2}$"


class DivisionsQuery(BaseModel):
    """One of these, or none of them: the cities."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parent: str | None = Field(
        default=None, pattern=CODE, description="those one level below it, in order", examples=["440300"]
    )
    code: str | None = Field(
        default=None, pattern=CODE, description="it and all above it, from the city down", examples=["440305001"]
    )
    name: str | None = Field(
        default=None, min_length=1, max_length=20, examples=["南山"],
        description=f"those whose Chinese or English name begins so, at most {MAX_FOUND}, larger ones first",
    )  # fmt: skip

    @model_validator(mode="after")
    def _is_one_question(self) -> Self:
        if sum(each is not None for each in (self.parent, self.code, self.name)) > 1:
            raise ValueError("only one of parent, code and name")
        return self


class DivisionView(BaseModel):
    """One division. `name_en` is "" where the city has given none."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"example": EXAMPLE})

    code: str
    level: Literal["city", "district", "street", "community"]
    name: str
    name_en: str
    parent: str | None = Field(description="the code one level up; null for a city")
    has_children: bool
    has_shape: bool = Field(description="whether points are looked up in it")

    @classmethod
    def about(cls, one: Division, divisions: Divisions) -> Self:
        """What the registry knows of it."""
        return cls.model_validate(
            {"code": one.code, "level": one.level, "name": one.name, "name_en": one.name_en, "parent": one.parent}
            | {"has_children": one.code in divisions.below, "has_shape": one.code in divisions.shapes}
        )


class DivisionList(BaseModel):
    """Some divisions."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"example": {"divisions": [EXAMPLE]}})

    divisions: tuple[DivisionView, ...]


class _RegistryHandler(PublicHandler):
    """What these handlers share: the registry does not change while a process lives."""

    fresh_s = 3_600

    def initialize(self, divisions: Divisions, shelf: Shelf) -> None:
        """`divisions` is the registry."""
        self.divisions = divisions
        self.stand_behind(shelf)


class DivisionsHandler(_RegistryHandler):
    """/v1/divisions: the cities, or what is asked for."""

    def get(self) -> None:
        """By parent, by code, or by the beginning of a name; NotFoundError `division_not_found`."""
        query = self.asked(DivisionsQuery)
        found, target = self._found(query)
        views = tuple(DivisionView.about(one, self.divisions) for one in found)
        self.tell_model(DivisionList(divisions=views), None, target)

    def _found(self, query: DivisionsQuery) -> tuple[list[Division], str | None]:
        """The divisions, and the one way to ask for them that is kept; searches by name are too many to keep."""
        known, path = self.divisions, "/v1/divisions"
        if query.parent is not None:
            parent = _known(known, query.parent)
            return [known.by_code[code] for code in known.children(parent.code)], f"{path}?parent={parent.code}"
        if query.code is not None:
            one = _known(known, query.code)
            return [known.by_code[code] for code in known.lineage(one.code)], f"{path}?code={one.code}"
        if query.name is not None:
            return known.named(query.name)[:MAX_FOUND], None
        return [one for _, one in sorted(known.by_code.items()) if one.parent is None], path


class DivisionHandler(_RegistryHandler):
    """/v1/divisions/{division}: one of them."""

    def get(self, division: str) -> None:
        """By its code, padded or not; NotFoundError `division_not_found`."""
        one = _known(self.divisions, division)
        self.tell_model(DivisionView.about(one, self.divisions), None, f"/v1/divisions/{one.code}")


def _known(divisions: Divisions, code: str) -> Division:
    found = divisions.find(code)
    if found is None:
        raise NotFoundError("division_not_found", zh="没有这个行政区划代码", en="there is no such division")
    return found
