"""What applications ask of the catalogue: an item in one version, with the workflow that its name stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from server.domain.applications import Terms
from server.domain.catalogue import Item
from server.domain.catalogue_versions import Kept
from server.domain.errors import NotFoundError
from server.domain.workflow import Workflow

MAX_KEPT = 2_000  # versions in memory: they never change


class Shelf(Protocol):
    """Where published items are: `CatalogueStore`."""

    async def find(self, item: str) -> Kept | None:
        """One item, with the number of its published version (0: none)."""
        ...

    async def find_version(self, item: str, version: int) -> Item | None:
        """One version, for good."""
        ...


class ItemTerms:
    """Implements `Items` on a shelf."""

    def __init__(self, shelf: Shelf, workflows: Mapping[str, Workflow]) -> None:
        self._shelf = shelf
        self._workflows = workflows
        self._kept: dict[tuple[str, int], Terms] = {}

    async def terms(self, item: str, version: int | None = None) -> Terms:
        """One item; NotFoundError `item_unknown`. Which version is in force is looked up at each call."""
        if version is not None and (kept := self._kept.get((item, version))):
            return kept
        found = await self._found(item, version)
        workflow = self._workflows.get(found[0].workflow) if found else None
        if found is None or workflow is None:
            raise NotFoundError("item_unknown", zh="没有这个事项", en="there is no such item", field="item")
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        terms = self._kept[item, found[1]] = Terms(found[0], found[1], workflow)
        return terms

    async def _found(self, item: str, version: int | None) -> tuple[Item, int] | None:
        if version is None:
            kept = await self._shelf.find(item)
            return (kept.published, kept.version) if kept and kept.published else None
        published = await self._shelf.find_version(item, version)
        return (published, version) if published else None
