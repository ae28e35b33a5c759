"""The catalogue as editors write it: drafts, versions, what differs between them, and publication."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from handlers.base import ApiHandler
from handlers.catalogue import SLUG
from server.domain.catalogue import Item
from server.domain.catalogue_versions import Change, Kept
from server.domain.errors import InvalidInputError
from server.services.catalogue_editing import CatalogueEditing


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DraftsQuery(BaseModel):
    """Which items."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    is_draft: bool | None = Field(default=None, description="only those with (without) an unpublished draft")
    limit: int = Field(default=50, ge=1, le=100, examples=[50])
    after: str = Field(default="", pattern=SLUG[:-1] + "|$", max_length=60, description="`next` of the page before")


class DiffQuery(BaseModel):
    """Which versions; 0 is the draft."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: int = Field(ge=0, le=999_999, examples=[1])
    after: int = Field(ge=0, le=999_999, examples=[2])


class Publication(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": {"note": "承诺时限缩短为3天"}})

    note: str = Field(min_length=2, max_length=200)


class DraftView(_Told):
    """An item as editors see it. `version` 0: nothing is published yet."""

    id: str
    version: int
    edit: int
    published: Item | None = None
    draft: Item | None = None
    by: str
    changed_at: AwareDatetime


class DraftLine(_Told):
    """One of them in a list."""

    id: str
    code: str
    name: str
    version: int
    is_draft: bool
    changed_at: AwareDatetime


class DraftPage(_Told):
    """By id. `next`: ask again with it as `after`."""

    items: tuple[DraftLine, ...]
    next: str | None = None


class VersionLine(_Told):
    """One publication."""

    version: int
    published_at: AwareDatetime
    by: str
    note: str


class VersionsView(_Told):
    """Newest first."""

    versions: tuple[VersionLine, ...]


class VersionView(_Told):
    """One version, for good."""

    version: int
    item: Item


class DiffView(_Told):
    """What differs."""

    before: int
    after: int
    changes: tuple[Change, ...]


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
