"""The catalogue as everybody reads it: search, one item, its form, where it can be done; moments, themes, units."""

from __future__ import annotations

from handlers.catalogue_views import (
    FormView,
    GroupsView,
    GroupView,
    ItemLine,
    ItemPage,
    ItemsQuery,
    ItemView,
    MomentsView,
    MomentView,
    VersionQuery,
    WindowPage,
    WindowsQuery,
    WindowView,
)
from handlers.front import Shelf
from handlers.public import PublicHandler, point_of
from server.domain.catalogue import Item, Unit
from server.domain.catalogue_forms import schema_of, ui_of
from server.domain.catalogue_search import Published, Wanted
from server.domain.catalogue_windows import Moment, Theme
from server.services.catalogue import Catalogue


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
        self.tell_model(answer, None, _kept_as(query) if found else None)


class ItemHandler(CatalogueHandler):
    """/v1/items/{catalogue_item}: one item."""

    async def get(self, catalogue_item: str) -> None:
        """What is on offer, or the version that is named."""
        item, version = await _chosen(self, catalogue_item)
        told = item.model_copy(update={"form": type(item.form)()})
        visits = self.catalogue.visits(item)
        # not validated again: without its form a material may depend on an answer that is not there
        view = ItemView.model_construct(version=version, is_paperless=item.is_paperless, item=told, visits=visits)
        self.tell_model(view, None, f"/v1/items/{catalogue_item}")


class ItemFormHandler(CatalogueHandler):
    """/v1/items/{catalogue_item}/form."""

    async def get(self, catalogue_item: str) -> None:
        """Of what is on offer, or of the version that is named."""
        item, version = await _chosen(self, catalogue_item)
        schema, ui = schema_of(item.form), ui_of(item.form)
        view = FormView(item=item.id, version=version, json_schema=schema, ui=ui)
        self.tell_model(view, None, f"/v1/items/{catalogue_item}/form")


class ItemWindowsHandler(CatalogueHandler):
    """/v1/items/{catalogue_item}/windows: where it can be done."""

    def get(self, catalogue_item: str) -> None:
        """Nearest first if a point is given."""
        query = self.asked(WindowsQuery)
        point = None if query.point is None else point_of(query.point, query.datum)
        found = self.catalogue.windows(self.catalogue.get(catalogue_item).item, point, query.division)
        told = tuple(
            WindowView(window=each.window, metres=each.metres, visit=each.visit) for each in found[: query.limit]
        )
        self.tell_model(WindowPage(windows=told), None, f"/v1/items/{catalogue_item}/windows")


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


def _kept_as(query: ItemsQuery) -> str | None:
    """The few lists that are kept, spelled in one way: all items, those of a moment, theme or unit. Others come anew.

    What is kept is never thrown out for something newer, so nobody may fill the shelf with spellings.
    """
    if not query.model_fields_set:
        return "/v1/items"
    (name, *others) = query.model_fields_set
    return f"/v1/items?{name}={getattr(query, name)}" if not others and name in ("moment", "theme", "unit") else None


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
