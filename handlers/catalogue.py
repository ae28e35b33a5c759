"""The catalogue as everybody reads it: search, one item, its form, where it can be done; moments, themes, units."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from handlers.front import Shelf
from handlers.public import PublicHandler, point_of
from server.domain.catalogue import Applicant, Item, Mode, Text, Unit
from server.domain.catalogue_forms import schema_of, ui_of
from server.domain.catalogue_search import MAX_QUERY, Published, Wanted
from server.domain.catalogue_windows import Moment, Theme, Window
from server.domain.resources import Named
from server.services.catalogue import Catalogue

SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
MAX_WINDOWS = 50


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ItemsQuery(BaseModel):
    """What to look for; everything that is given has to fit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    q: str = Field(
        default="", max_length=MAX_QUERY, description="words, or the first letters of their pinyin", examples=["gljt"]
    )
    moment: str | None = Field(default=None, pattern=SLUG, max_length=60, examples=["growing-old"])
    theme: str | None = Field(default=None, pattern=SLUG, max_length=60, examples=["elderly"])
    unit: str | None = Field(default=None, pattern=SLUG, max_length=60, examples=["civil-affairs"])
    division: str | None = Field(default=None, pattern=r"^\d{6}(\d{3}){0,2}$", examples=["440305"])
    applicant: Applicant | None = Field(default=None, description="who asks", examples=["person"])
    mode: Mode | None = Field(default=None, description="only what can be done so", examples=["online"])
    limit: int = Field(default=20, ge=1, le=100, examples=[20])
    after: int = Field(default=0, ge=0, le=100_000, description="`next` of the page before", examples=[0])


class WindowsQuery(BaseModel):
    """From where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    point: str | None = Field(default=None, max_length=40, description="lat,lon in degrees", examples=["22.54,113.93"])
    datum: Literal["wgs84", "gcj02"] | None = Field(
        default=None, description="of the point: gcj02 is what WeChat and Chinese maps give", examples=["gcj02"]
    )
    division: str | None = Field(default=None, pattern=r"^\d{6}(\d{3}){0,2}$", examples=["440305"])
    limit: int = Field(default=10, ge=1, le=MAX_WINDOWS, examples=[10])

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        if (self.point is None) != (self.datum is None):
            raise ValueError("point and datum belong together")
        return self


class VersionQuery(BaseModel):
    """Which version: that on offer, if none is named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int | None = Field(default=None, ge=1, le=999_999, description="what an application refers to")


class ItemLine(_Told):
    """One item in a list."""

    id: str
    version: int
    code: str
    name: Named
    about: Text
    unit: Named
    theme: str
    modes: tuple[Mode, ...]
    promised_days: int
    fee_fen: int
    is_paperless: bool


class ItemPage(_Told):
    """Some items, best first. `total`: how many fit; `next`: ask again with it as `after`."""

    total: int
    items: tuple[ItemLine, ...]
    next: int | None = None


class ItemView(_Told):
    """One version of an item, whole; without its form."""

    version: int
    is_paperless: bool
    item: Item


class FormView(_Told):
    """The form of one version: JSON Schema 2020-12 to check by, and what a page needs to show it."""

    item: str
    version: int
    json_schema: dict[str, Any]
    ui: dict[str, Any]


class WindowView(_Told):
    """A place with counters; `metres` from the point, if one was given."""

    window: Window
    metres: int | None = None


class WindowPage(_Told):
    """Nearest first."""

    windows: tuple[WindowView, ...]


class MomentView(_Told):
    """A bundle, with the items on offer in the order in which they are usually done."""

    id: str
    name: Named
    about: Named
    items: tuple[str, ...]


class MomentsView(_Told):
    """All of them."""

    moments: tuple[MomentView, ...]


class GroupView(_Told):
    """A unit or theme with how many items it has."""

    id: str
    name: Named
    items: int


class GroupsView(_Told):
    """All of them."""

    groups: tuple[GroupView, ...]


class CatalogueHandler(PublicHandler):
    """Answers about the catalogue."""

    def initialize(self, catalogue: Catalogue, shelf: Shelf) -> None:
        """`shelf` keeps what many ask for in the same words."""
        self.catalogue = catalogue
        self.stand_behind(shelf)


class ItemsHandler(CatalogueHandler):
    """/v1/items: search as one types, or browse."""

    def get(self) -> None:
        """Best first; without words in the order of the moment, else of names."""
        query = self.asked(ItemsQuery)
        fields = query.model_dump(include={"q", "moment", "theme", "unit", "division", "applicant", "mode"})
        found = self.catalogue.find(Wanted(**fields))
        page = found[query.after : query.after + query.limit]
        following = query.after + len(page) if query.after + len(page) < len(found) else None
        self.link_next({"after": following})
        answer = ItemPage(total=len(found), items=tuple(map(_line, page)), next=following)
        self.tell_model(answer, None, None if query.q else self.request.uri)  # words are too many to keep


class ItemHandler(CatalogueHandler):
    """/v1/items/{catalogue_item}: one item."""

    async def get(self, catalogue_item: str) -> None:
        """What is on offer, or the version that is named."""
        item, version = await _chosen(self, catalogue_item)
        told = item.model_copy(update={"form": type(item.form)()})
        self.tell_model(
            ItemView(version=version, is_paperless=item.is_paperless, item=told), None, self.request.uri
        )  # fmt: skip


class ItemFormHandler(CatalogueHandler):
    """/v1/items/{catalogue_item}/form."""

    async def get(self, catalogue_item: str) -> None:
        """Of what is on offer, or of the version that is named."""
        item, version = await _chosen(self, catalogue_item)
        schema, ui = schema_of(item.form), ui_of(item.form)
        self.tell_model(
            FormView(item=item.id, version=version, json_schema=schema, ui=ui), None, self.request.uri
        )  # fmt: skip


class ItemWindowsHandler(CatalogueHandler):
    """/v1/items/{catalogue_item}/windows: where it can be done."""

    def get(self, catalogue_item: str) -> None:
        """Nearest first if a point is given."""
        query = self.asked(WindowsQuery)
        point = None if query.point is None else point_of(query.point, query.datum)
        found = self.catalogue.windows(self.catalogue.get(catalogue_item).item, point, query.division)
        told = tuple(WindowView(window=each.window, metres=each.metres) for each in found[: query.limit])
        self.tell_model(WindowPage(windows=told), None, None if query.point else self.request.uri)


class MomentsHandler(CatalogueHandler):
    """/v1/moments: what belongs together in life."""

    def get(self) -> None:
        """All bundles with their items."""
        told = tuple(
            MomentView(id=of.id, name=of.name, about=of.about, items=self.catalogue.items_of(of))
            for each in self.catalogue.moments()
            if isinstance(of := each.of, Moment)
        )
        self.tell_model(MomentsView(moments=told), None, "/v1/moments")


class GroupsHandler(CatalogueHandler):
    """/v1/units and /v1/themes."""

    def get(self) -> None:
        """Each that has items, with how many."""
        counted = self.catalogue.units() if self.path == "/v1/units" else self.catalogue.themes()
        told = tuple(
            GroupView(id=each.of.id, name=each.of.name, items=each.items)
            for each in counted
            if isinstance(each.of, Unit | Theme)
        )
        self.tell_model(GroupsView(groups=told), None, self.path)


async def _chosen(handler: CatalogueHandler, name: str) -> tuple[Item, int]:
    """The version that the query names, else that on offer; NotFoundError."""
    version = handler.asked(VersionQuery).version
    if version is not None:
        return await handler.catalogue.version(name, version), version
    found = handler.catalogue.get(name)
    return found.item, found.version


def _line(published: Published) -> ItemLine:
    item = published.item
    return ItemLine(
        id=item.id, version=published.version, code=item.code, name=item.name, about=item.about, unit=item.unit.name,
        theme=item.theme, modes=item.modes, promised_days=item.promised_days, fee_fen=item.fee_fen,
        is_paperless=item.is_paperless,
    )  # fmt: skip
