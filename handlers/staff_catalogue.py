"""The catalogue as editors write it: drafts, versions, what differs between them, and publication."""

from __future__ import annotations

from handlers.base import ApiHandler
from handlers.catalogue_views import (
    DiffQuery,
    DiffView,
    DraftLine,
    DraftPage,
    DraftsQuery,
    DraftView,
    Publication,
    VersionLine,
    VersionsView,
    VersionView,
)
from server.domain.catalogue import Item
from server.domain.catalogue_versions import Kept
from server.domain.errors import InvalidInputError
from server.services.catalogue_editing import CatalogueEditing


class EditingHandler(ApiHandler):
    """What editors ask."""

    def initialize(self, editing: CatalogueEditing) -> None:
        """`editing` asks the policy."""
        self.editing = editing

    def tell(self, kept: Kept, status: int = 200) -> None:
        """An item, with the ETag that If-Match names."""
        self.mark(f'"v{kept.edit}"')
        view = DraftView(
            id=kept.id, version=kept.version, edit=kept.edit, published=kept.published, draft=kept.draft, by=kept.by,
            changed_at=kept.changed_at,
        )  # fmt: skip
        self.respond(view, status)


class DraftsHandler(EditingHandler):
    """/v1/staff/items."""

    async def get(self) -> None:
        """Items within reach."""
        query = self.asked(DraftsQuery)
        page = await self.editing.page(self.officer, query.after, query.limit, is_draft=query.is_draft)
        following = page[-1].id if len(page) == query.limit else None
        self.link_next({"after": following})
        self.respond(DraftPage(items=tuple(map(_line, page)), next=following))

    async def post(self) -> None:
        """Draft a new item."""
        self.tell(await self.editing.create(self.officer, self.given(Item)), 201)


class DraftHandler(EditingHandler):
    """/v1/staff/items/{catalogue_item}."""

    async def get(self, catalogue_item: str) -> None:
        """One item with its draft."""
        self.tell(await self.editing.get(self.officer, catalogue_item))

    async def put(self, catalogue_item: str) -> None:
        """Write over the draft that one has seen; what is published stays."""
        edit, item = self.version, self.given(Item)
        if item.id != catalogue_item:
            raise InvalidInputError("item_renamed", zh="事项编号不能更改", en="an item keeps its id", field="id")
        self.tell(await self.editing.write(self.officer, item, edit))


class PublishHandler(EditingHandler):
    """/v1/staff/items/{catalogue_item}/publish."""

    async def post(self, catalogue_item: str) -> None:
        """Make the draft the next version."""
        edit, note = self.version, self.given(Publication).note
        self.tell(await self.editing.publish(self.officer, catalogue_item, edit, note))


class VersionsHandler(EditingHandler):
    """/v1/staff/items/{catalogue_item}/versions."""

    async def get(self, catalogue_item: str) -> None:
        """Its publications."""
        found = await self.editing.versions(self.officer, catalogue_item)
        lines = [VersionLine(version=v.version, published_at=v.published_at, by=v.by, note=v.note) for v in found]
        self.respond(VersionsView(versions=tuple(lines)))


class VersionHandler(EditingHandler):
    """/v1/staff/items/{catalogue_item}/versions/{item_version}."""

    async def get(self, catalogue_item: str, item_version: str) -> None:
        """One of them."""
        found = await self.editing.version(self.officer, catalogue_item, int(item_version))
        self.respond(VersionView(version=int(item_version), item=found))


class DiffHandler(EditingHandler):
    """/v1/staff/items/{catalogue_item}/diff."""

    async def get(self, catalogue_item: str) -> None:
        """What differs between two versions."""
        query = self.asked(DiffQuery)
        found = await self.editing.diff(self.officer, catalogue_item, query.before, query.after)
        self.respond(DiffView(before=query.before, after=query.after, changes=found))


def _line(kept: Kept) -> DraftLine:
    newest = kept.newest
    return DraftLine(
        id=kept.id, code=newest.code, name=newest.name.zh, version=kept.version, is_draft=kept.draft is not None,
        changed_at=kept.changed_at,
    )  # fmt: skip
