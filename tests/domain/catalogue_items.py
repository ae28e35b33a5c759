"""Items, forms and the city's own catalogue for the tests."""

from __future__ import annotations

from functools import cache
from typing import Any

from server.domain.catalogue import Item
from server.domain.catalogue_forms import Form, FormField
from server.domain.catalogue_seed import Seed
from server.storage.catalogue_files import read_seed

SHENZHEN, SHIJIAZHUANG = "440300", "130100"


@cache
def seed(city: str = SHENZHEN) -> Seed:
    """What `data/catalogue` says about a city."""
    return read_seed(city)


@cache
def by_id(city: str = SHENZHEN) -> dict[str, Item]:
    """Its items."""
    return {item.id: item for item in seed(city).items}


def item(like: str = "elderly-allowance", /, **other: Any) -> Item:
    """A real item with what is different."""
    return Item.model_validate(by_id()[like].model_dump() | other)


def field(name: str, /, kind: str, **other: Any) -> FormField:
    """A field."""
    return FormField.model_validate({"id": name, "kind": kind, "label": {"zh": f"字段{name}", "en": name}, **other})


def form(*fields: FormField) -> Form:
    """A form of these."""
    return Form(fields=fields)


def options(*values: str) -> list[dict[str, Any]]:
    """Choices."""
    return [{"value": value, "label": {"zh": value}} for value in values]
