"""The routes of the catalogue: everybody reads it, editors write it."""

from __future__ import annotations

from handlers import catalogue as public
from handlers import catalogue_views as views
from handlers import staff_catalogue as staff
from handlers.front import Shelf
from handlers.routing import PUBLIC, Operation, Route, officer
from server.assemble_catalogue import CatalogueParts
from server.domain.access import Deed
from server.domain.catalogue import Item

UNCHANGED = {304: "unchanged since the ETag of If-None-Match"}


def routes(parts: CatalogueParts, shelf: Shelf) -> list[Route]:
    """The lines of the table."""
    return [*_public(parts, shelf), *_staff(parts)]


def _public(parts: CatalogueParts, shelf: Shelf) -> list[Route]:
    own = {"catalogue": parts.catalogue, "shelf": shelf}
    items = Operation(
        summary="Find items: by words, first letters of pinyin, moment, theme, unit, place, mode",
        entry=PUBLIC, query=views.ItemsQuery, gives=views.ItemPage, answers_as=UNCHANGED,
    )  # fmt: skip
    item = Operation(
        summary="One item: who it is for, materials, fee, time, steps",
        entry=PUBLIC, query=views.VersionQuery, gives=views.ItemView, answers_as=UNCHANGED,
    )  # fmt: skip
    form = Operation(
        summary="Its form as JSON Schema 2020-12, with hints for a page",
        entry=PUBLIC, query=views.VersionQuery, gives=views.FormView, answers_as=UNCHANGED,
    )  # fmt: skip
    windows = Operation(
        summary="Where it can be done, nearest first; windows that can be booked name their group",
        entry=PUBLIC, query=views.WindowsQuery, gives=views.WindowPage, answers_as=UNCHANGED,
    )  # fmt: skip
    moments = Operation(
        summary="What belongs together in life 一件事", entry=PUBLIC, gives=views.MomentsView, answers_as=UNCHANGED
    )
    units = Operation(summary="Units that have items", entry=PUBLIC, gives=views.GroupsView, answers_as=UNCHANGED)
    themes = Operation(summary="Themes that have items", entry=PUBLIC, gives=views.GroupsView, answers_as=UNCHANGED)
    one = "/v1/items/{catalogue_item}"
    return [
        Route("/v1/items", public.ItemsHandler, {"GET": items}, own),
        Route(one, public.ItemHandler, {"GET": item}, own),
        Route(f"{one}/form", public.ItemFormHandler, {"GET": form}, own),
        Route(f"{one}/windows", public.ItemWindowsHandler, {"GET": windows}, own),
        Route("/v1/moments", public.MomentsHandler, {"GET": moments}, own),
        Route("/v1/units", public.GroupsHandler, {"GET": units}, own),
        Route("/v1/themes", public.GroupsHandler, {"GET": themes}, own),
    ]


def _staff(parts: CatalogueParts) -> list[Route]:
    own = {"editing": parts.editing}
    read, write = officer(Deed.ITEM_READ), officer(Deed.ITEM_WRITE)
    drafts = {
        "GET": Operation(
            summary="Items within reach, with or without a draft",
            entry=read, query=views.DraftsQuery, gives=views.DraftPage,
        ),
        "POST": Operation(summary="Draft a new item", entry=write, takes=Item, gives=views.DraftView, status=201),
    }  # fmt: skip
    draft = {
        "GET": Operation(summary="One item with its draft", entry=read, gives=views.DraftView),
        "PUT": Operation(
            summary="Write over the draft; what is published stays as it is",
            entry=write, takes=Item, needs_version=True, gives=views.DraftView,
        ),
    }  # fmt: skip
    publish = Operation(
        summary="Make the draft the next version", entry=officer(Deed.ITEM_PUBLISH), takes=views.Publication,
        needs_version=True, gives=views.DraftView,
    )  # fmt: skip
    versions = Operation(summary="The publications of an item", entry=read, gives=views.VersionsView)
    version = Operation(summary="One version of an item, for good", entry=read, gives=views.VersionView)
    diff = Operation(
        summary="What differs between two versions; 0 is the draft",
        entry=read, query=views.DiffQuery, gives=views.DiffView,
    )  # fmt: skip
    one = "/v1/staff/items/{catalogue_item}"
    return [
        Route("/v1/staff/items", staff.DraftsHandler, drafts, own),
        Route(one, staff.DraftHandler, draft, own),
        Route(f"{one}/publish", staff.PublishHandler, {"POST": publish}, own),
        Route(f"{one}/versions", staff.VersionsHandler, {"GET": versions}, own),
        Route(f"{one}/versions/{{item_version}}", staff.VersionHandler, {"GET": version}, own),
        Route(f"{one}/diff", staff.DiffHandler, {"GET": diff}, own),
    ]
