"""An item as editors keep it, its publications, and what differs between two versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from server.domain.catalogue import Item

KEYS = ("id", "name", "value")  # what tells the entries of a list apart


@dataclass(frozen=True, slots=True)
class Kept:
    """An item as editors see it. `version` 0: nothing is published yet; `edit` is what If-Match names."""

    id: str
    version: int
    published: Item | None
    draft: Item | None
    edit: int
    by: str
    changed_at: datetime

    @property
    def newest(self) -> Item:
        """The draft, else what is published."""
        found = self.draft or self.published
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class Version:
    """One publication of an item."""

    version: int
    published_at: datetime
    by: str
    note: str


class Change(BaseModel):
    """One thing that differs. `path` is like `materials[id_card].is_required`; what was not there is None."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    before: Any = None
    after: Any = None


def changes(before: BaseModel, after: BaseModel) -> tuple[Change, ...]:
    """Everything that differs between two of a kind, in the order of their fields; empty for the same content."""
    one, other = (each.model_dump(mode="json", by_alias=True) for each in (before, after))
    return tuple(_changes(one, other, ""))


def _changes(before: Any, after: Any, path: str) -> Iterator[Change]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in {**before, **after}:
            yield from _changes(before.get(key), after.get(key), f"{path}.{key}".lstrip("."))
    elif _has_names(before) and _has_names(after):
        one, other = _by_name(before), _by_name(after)
        for key in {**one, **other}:
            yield from _changes(one.get(key), other.get(key), f"{path}[{key}]")
        if [key for key in one if key in other] != [key for key in other if key in one]:
            yield Change(path=f"{path}.order", before=list(one), after=list(other))
    else:
        yield Change(path=path, before=before, after=after)


def _has_names(value: Any) -> bool:
    """Whether it is a list whose entries are told apart by a name; an empty one may be."""
    return isinstance(value, Sequence) and not isinstance(value, str) and len(_by_name(value)) == len(value)


def _by_name(entries: Sequence[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in entries:
        if isinstance(entry, Mapping):
            name = next((entry[key] for key in KEYS if isinstance(entry.get(key), str)), None)
            if name is not None:
                found[name] = entry
    return found
