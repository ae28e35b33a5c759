"""The editors' counter: items are drafted, compared and published; what is published stays as it is for good.

Promises. Nobody writes over what he has not seen (`edit`). An item that names what is not there (a workflow, unit,
moment, network, source, ...) is refused, and so is a code that does not fit the unit. Each publication and each load is
in the audit log before it is answered. Taking an item off is publishing a version that is not offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from server.domain.access import Deed, may, refuse
from server.domain.audit import OPERATOR, Detail, Event
from server.domain.catalogue import Item
from server.domain.catalogue_rules import Rules, unfit
from server.domain.catalogue_seed import Defect
from server.domain.catalogue_versions import Change, Kept, Version, changes
from server.domain.errors import ConflictError, InvalidInputError, NotFoundError
from server.domain.officers import Officer
from server.services.audit import Audit
from server.services.catalogue import unknown
from server.storage.catalogue import CatalogueStore

VERSIONS_TOLD = 100
AT_ONCE = 100  # items of one transaction: some hundred kilobytes


class CatalogueEditing:
    """The verbs."""

    def __init__(self, store: CatalogueStore, rules: Rules, audit: Audit, now: Callable[[], datetime]) -> None:
        self._store = store
        self._rules = rules
        self._audit = audit
        self._now = now

    async def get(self, by: Officer, item: str) -> Kept:
        """One item with its draft; NotFoundError, also for one outside the officer's division."""
        kept = await self._store.find(item)
        if kept is None or not may(by, Deed.ITEM_READ, [kept.newest.division]):
            raise unknown()
        return kept

    async def page(self, by: Officer, after: str, limit: int, *, is_draft: bool | None) -> list[Kept]:
        """Items within reach, by id."""
        return await self._store.page(by.division, after, limit, is_draft=is_draft)

    async def create(self, by: Officer, item: Item) -> Kept:
        """A new draft; ConflictError `item_exists`."""
        refuse(by, Deed.ITEM_WRITE, [item.division])
        self.check(item)
        kept = await self._store.insert(item, by.id, self._now())
        if kept is None:
            raise _exists()
        return kept

    async def write(self, by: Officer, item: Item, edit: int) -> Kept:
        """Write the draft over what one has seen; ConflictError `item_changed`, `item_exists` for another's code."""
        kept = await self.get(by, item.id)
        refuse(by, Deed.ITEM_WRITE, [kept.newest.division, item.division])
        self.check(item)
        if (await self._store.find_codes([item.code])).get(item.code, item.id) != item.id:
            raise _exists()
        written = await self._store.write(item, edit, by.id, self._now())
        if written is None:
            raise _changed()
        return written

    async def publish(self, by: Officer, item: str, edit: int, note: str) -> Kept:
        """Make the draft the next version. ConflictError: `item_changed`, or `item_undrafted` for no draft."""
        kept = await self.get(by, item)
        refuse(by, Deed.ITEM_PUBLISH, [kept.newest.division])
        if kept.edit != edit:
            raise _changed()
        if kept.draft is None or kept.draft == kept.published:
            raise ConflictError("item_undrafted", zh="没有待发布的修改", en="there is nothing new to publish")
        self.check(kept.draft)
        details: dict[str, Detail] = {"version": kept.version + 1, "note": note}
        await self._audit.record(Event(by.id, "item.publish", item, details=details, key=f"{item}/{edit}/publish"))
        published = await self._store.publish(item, edit, by.id, note, self._now())
        if published is None:
            raise _changed()
        return published

    async def versions(self, by: Officer, item: str) -> list[Version]:
        """The last hundred publications, newest first."""
        await self.get(by, item)
        return await self._store.list_versions(item, VERSIONS_TOLD)

    async def version(self, by: Officer, item: str, version: int) -> Item:
        """One version; 0 is the draft. NotFoundError."""
        kept = await self.get(by, item)
        found = kept.draft if version == 0 else await self._store.find_version(item, version)
        if found is None:
            raise NotFoundError("item_version_unknown", zh="没有这个版本", en="no such version")
        return found

    async def diff(self, by: Officer, item: str, before: int, after: int) -> tuple[Change, ...]:
        """What differs between two versions; 0 is the draft."""
        return changes(await self.version(by, item, before), await self.version(by, item, after))

    async def load(
        self, items: Sequence[Item], note: str, tell: Callable[[int], None]
    ) -> tuple[dict[str, int], list[Defect]]:
        """Publish, as the operator, what says something new; returns new versions and what was refused.

        `tell` hears how many were looked at with each step. A second call changes nothing.
        """
        done: dict[str, int] = {}
        taken = await self._store.find_codes([item.code for item in items])
        defects = list(self._twins(items, taken))
        bad = {defect.item for defect in defects}
        good = [item for item in items if item.id not in bad]
        tell(len(items) - len(good))
        for start in range(0, len(good), AT_ONCE):
            part = good[start : start + AT_ONCE]
            fresh = await self._store.publish_all(part, OPERATOR, note, self._now())
            done.update(fresh)
            tell(len(part))
        if done:
            details: dict[str, Detail] = {"items": len(done), "note": note}
            await self._audit.record(Event(OPERATOR, "item.load", "catalogue", details=details))
        return done, defects

    def check(self, item: Item) -> None:
        """InvalidInputError `item_unfit` naming the field that does not fit the city."""
        for found in unfit(item, self._rules):
            raise InvalidInputError("item_unfit", zh=found.zh, en=found.en, field=found.field)

    def _twins(self, items: Iterable[Item], taken: Mapping[str, str]) -> Iterable[Defect]:
        """What cannot be loaded. `taken`: codes that items of the catalogue have."""
        seen: dict[str, str] = {}
        for item in items:
            for name in (item.id, item.code):
                if name in seen:
                    yield Defect("", item.id, "code", f"the same id or code as {seen[name]}: give it its own")
                seen[name] = item.id
            if taken.get(item.code, item.id) != item.id:
                yield Defect("", item.id, "code", f"the code of {taken[item.code]}: give it its own")
            for found in unfit(item, self._rules):
                yield Defect("", item.id, found.field, found.en)


def _exists() -> ConflictError:
    return ConflictError("item_exists", zh="已有此编号或编码的事项", en="an item has this id or code")


def _changed() -> ConflictError:
    return ConflictError("item_changed", zh="事项刚被他人改动，请刷新", en="someone changed the item; load it again")
