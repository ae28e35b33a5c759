"""The readers' counter of the catalogue: find an item, read it, fill in its form, see where it can be done.

Promises. All published items stand in this process's memory in an index that is read again within a second of any
publication, by whichever process it was made; only what changed is read. Searching costs the database nothing. A
version that an application refers to is read from the database for good, whatever is offered today. If the database is
away the index that was read last is shown: a catalogue of yesterday is better than none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from server.domain.catalogue import Item, Unit
from server.domain.catalogue_search import Index, Published, Wanted
from server.domain.catalogue_windows import (
    Ground,
    Moment,
    Near,
    Theme,
    Visit,
    nearest,
    visit_at,
    visits_elsewhere,
)
from server.domain.divisions import Divisions
from server.domain.errors import NotFoundError
from server.storage.catalogue import CatalogueStore
from server.storage.mongo import MongoError

REFRESH_EVERY_S = 0.25
MAX_VERSIONS_KEPT = 2_000  # old versions in memory, for applications that are open

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Counted:
    """A unit, theme or moment with how many items it has."""

    of: Unit | Theme | Moment
    items: int


class Catalogue:
    """What is offered."""

    def __init__(self, store: CatalogueStore, ground: Ground, divisions: Divisions) -> None:
        self._store = store
        self._ground = ground
        self._divisions = divisions
        self._offered: dict[str, Published] = {}
        self._versions: dict[tuple[str, int], Item] = {}
        self._seq = 0
        self._index = Index((), ground)
        self._is_read = False

    @property
    def seq(self) -> int:
        """The number of the publication that the index is of."""
        return self._seq

    @property
    def index(self) -> Index:
        """The items on offer."""
        return self._index

    async def refresh(self) -> bool:
        """Read what was published since; True if anything was."""
        head = await self._store.head()
        if self._is_read and head == self._seq:
            return False
        if head < self._seq:  # another database behind the same name: begin anew
            self._offered, self._seq, self._versions = {}, 0, {}
        changed = await self._store.find_since(self._seq)
        offered = dict(self._offered)
        for each in changed:
            if each.item.is_offered:
                offered[each.item.id] = Published(each.item, each.version)
            else:
                offered.pop(each.item.id, None)
        # Pinyin of a whole catalogue takes a second; requests go on meanwhile.
        self._index = await asyncio.to_thread(Index, list(offered.values()), self._ground, self._index)
        self._offered, self._is_read = offered, True
        self._seq = max([head, *(each.seq for each in changed)])
        return True

    async def run(self, stop: asyncio.Event, on_change: Callable[[], None]) -> None:
        """Keep the index fresh until told to stop; `on_change` is called whenever an older answer may be wrong."""
        try:
            while not stop.is_set():
                try:
                    if await self.refresh():
                        on_change()
                except MongoError as error:
                    log.warning("catalogue_not_read", error=type(error).__name__)
                await asyncio.sleep(REFRESH_EVERY_S)
        finally:
            on_change()  # nobody watches any more: what was answered before may not stand

    def find(self, wanted: Wanted) -> list[Published]:
        """The items that fit, best first. InvalidInputError for a division that does not exist."""
        if wanted.division is not None:
            self._divisions.get(wanted.division)
        return self.index.find(wanted)

    def get(self, item: str) -> Published:
        """One item on offer; NotFoundError `catalogue_item_unknown`."""
        found = self.index.by_id.get(item)
        if found is None:
            raise unknown()
        return found

    async def version(self, item: str, version: int) -> Item:
        """One version of an item, offered today or not; NotFoundError `catalogue_item_unknown`."""
        offered = self._index.by_id.get(item)
        if offered is not None and offered.version == version:
            return offered.item
        found = self._versions.get((item, version)) or await self._store.find_version(item, version)
        if found is None:
            raise unknown()
        if len(self._versions) >= MAX_VERSIONS_KEPT:
            self._versions.pop(next(iter(self._versions)))
        self._versions[item, version] = found
        return found

    def windows(self, item: Item, point: tuple[float, float] | None, division: str | None) -> list[Near]:
        """Where it can be done and what is booked there, nearest first. `point`: latitude, longitude, WGS-84."""
        if division is not None:
            self._divisions.get(division)
        found = nearest(self._ground.windows, item.networks, point=point, division=division)
        desks = self._ground.desks
        return [replace(near, visit=visit_at(desks, item.id, item.networks, near.window)) for near in found]

    def visits(self, item: Item) -> tuple[Visit, ...]:
        """What is booked for it at no window."""
        return visits_elsewhere(self._ground.desks, item.id)

    def items_of(self, moment: Moment) -> tuple[str, ...]:
        """The items of a moment that are on offer, in their order."""
        return tuple(item for item in moment.items if item in self._index.by_id)

    def moments(self) -> list[Counted]:
        """All bundles that have items, as the city orders them."""
        return self._counted(self._ground.moments, lambda item: item.moments)

    def themes(self) -> list[Counted]:
        """All themes that have items."""
        return self._counted(self._ground.themes, lambda item: (item.theme,))

    def units(self) -> list[Counted]:
        """All units that have items, by their ids."""
        units = {each.item.unit.id: each.item.unit for each in self.index.items}
        return self._counted([units[name] for name in sorted(units)], lambda item: (item.unit.id,))

    def _counted(self, of: Sequence[Unit | Theme | Moment], names: Callable[[Item], Sequence[str]]) -> list[Counted]:
        having = [name for each in self.index.items for name in names(each.item)]
        counted = [Counted(each, having.count(each.id)) for each in of]
        return [each for each in counted if each.items]


def unknown() -> NotFoundError:
    """There is no such item."""
    return NotFoundError("catalogue_item_unknown", zh="没有这个事项", en="no such item")
