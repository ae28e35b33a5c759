"""The counters of the catalogue: versions stay for good, nobody writes over what he has not seen, readers keep up."""

from __future__ import annotations

import asyncio

import pytest

from server.domain.audit import OPERATOR
from server.domain.catalogue import Item
from server.domain.catalogue_search import Wanted
from server.domain.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from server.domain.officers import Role
from server.services.audit import AuditLog
from server.services.catalogue import Catalogue
from server.services.catalogue_editing import CatalogueEditing
from server.storage.catalogue import CatalogueStore
from server.storage.catalogue_files import load_rules
from server.storage.mongo import Database
from tests.domain.catalogue_items import SHENZHEN, by_id, item, seed
from tests.services.desk import DIVISIONS, Clock, officer

EDITOR = officer("editor", Role.EDITOR)
OTHER = officer("other", Role.EDITOR, division="130100")
NAME = "elderly-allowance"


UNIT = item().unit.model_dump()
POLICE = by_id()["identity-card"].unit.uscc
FILLED = {"id": "a", "kind": "text", "label": {"zh": "甲"}, "fill": "population.name"}


def material(source: str, fields: list[str], purpose: str) -> dict[str, object]:
    """A paper that a source replaces."""
    asked = {"name": source, "title": {"zh": "某库"}, "fields": fields, "purpose": purpose}
    return {"id": "paper", "name": {"zh": "材料"}, "source": asked}


@pytest.fixture
def editing(db: Database, audit: AuditLog, clock: Clock) -> CatalogueEditing:
    return CatalogueEditing(CatalogueStore(db), load_rules(SHENZHEN, DIVISIONS, seed().ground), audit, clock)


def reader(db: Database) -> Catalogue:
    """The readers' counter of a process of its own."""
    return Catalogue(CatalogueStore(db), seed().ground, DIVISIONS)


async def load(editing: CatalogueEditing, *items: Item) -> dict[str, int]:
    done, defects = await editing.load(items, "load", lambda _: None)
    assert defects == []
    return done


async def test_a_load_publishes_everything_and_a_second_one_changes_nothing(editing: CatalogueEditing, db: Database):
    heard: list[int] = []
    done, defects = await editing.load(seed().items, "load", heard.append)
    assert (len(done), set(done.values()), defects) == (len(seed().items), {1}, [])
    assert sum(heard) == len(seed().items)
    catalogue = reader(db)
    assert await catalogue.refresh()
    assert catalogue.find(Wanted(q="gljt"))[0].item.id == NAME
    assert await load(editing, *seed().items) == {}
    assert not await catalogue.refresh()


async def test_only_what_says_something_new_becomes_a_version(editing: CatalogueEditing, db: Database):
    await load(editing, *list(by_id().values())[:5], item())
    assert await load(editing, *list(by_id().values())[:5], item(promised_days=3)) == {NAME: 2}
    catalogue = reader(db)
    await catalogue.refresh()
    assert (catalogue.get(NAME).version, catalogue.get(NAME).item.promised_days) == (2, 3)
    assert (await catalogue.version(NAME, 1)).promised_days == 5  # what an application from yesterday refers to


async def test_a_draft_is_written_published_and_compared(editing: CatalogueEditing, db: Database):
    made = await editing.create(EDITOR, item())
    assert (made.version, made.edit, made.published) == (0, 1, None)
    first = await editing.publish(EDITOR, NAME, made.edit, "新设")
    assert (first.version, first.draft) == (1, None)
    changed = await editing.write(EDITOR, item(promised_days=3), first.edit)
    assert changed.published == item()
    catalogue = reader(db)
    await catalogue.refresh()
    assert catalogue.get(NAME).item.promised_days == 5  # a draft is not on offer
    assert [change.path for change in await editing.diff(EDITOR, NAME, 1, 0)] == ["promised_days"]
    second = await editing.publish(EDITOR, NAME, changed.edit, "缩短时限")
    assert second.version == 2
    assert await catalogue.refresh()
    assert catalogue.get(NAME).item.promised_days == 3
    told = await editing.versions(EDITOR, NAME)
    assert [(version.version, version.note, version.by) for version in told] == [
        (2, "缩短时限", EDITOR.id), (1, "新设", EDITOR.id),
    ]  # fmt: skip


async def test_of_two_editors_who_saw_the_same_one_writes(editing: CatalogueEditing):
    made = await editing.create(EDITOR, item())
    tries = [editing.write(EDITOR, item(promised_days=n), made.edit) for n in range(1, 5)]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(each, Exception) for each in done) == 1
    assert {each.code for each in done if isinstance(each, ConflictError)} == {"item_changed"}


async def test_of_many_publications_of_one_draft_one_happens(editing: CatalogueEditing, db: Database):
    made = await editing.create(EDITOR, item())
    tries = [editing.publish(EDITOR, NAME, made.edit, "新设") for _ in range(5)]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(each, Exception) for each in done) == 1
    assert await db["item_versions"].count_documents({}) == 1
    assert await CatalogueStore(db).head() == 1


async def test_publications_at_once_are_all_seen_by_a_reader_that_looks_all_the_time(
    editing: CatalogueEditing, db: Database
):
    catalogue = reader(db)
    items = list(by_id().values())[:12]

    async def look() -> None:
        while len(catalogue.index.items) < len(items):
            await catalogue.refresh()
            await asyncio.sleep(0.005)

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(look())
        for each in items:
            group.create_task(load(editing, each))
    assert set(catalogue.index.by_id) == {each.id for each in items}


async def test_a_publication_reaches_every_process_within_a_second(editing: CatalogueEditing, db: Database):
    readers, stop, changed = [reader(db), reader(db)], asyncio.Event(), [0, 0]

    def noted(number: int) -> None:
        changed[number] += 1

    async with asyncio.TaskGroup() as group:
        for number, each in enumerate(readers):
            group.create_task(each.run(stop, lambda number=number: noted(number)))
        await asyncio.sleep(0.05)
        await load(editing, item())
        async with asyncio.timeout(1.0):
            while not all(NAME in each.index.by_id for each in readers):
                await asyncio.sleep(0.01)
        stop.set()
    assert all(count >= 2 for count in changed)  # the first reading, and this


async def test_an_item_that_is_taken_off_is_gone_and_its_versions_stay(editing: CatalogueEditing, db: Database):
    await load(editing, item())
    catalogue = reader(db)
    await catalogue.refresh()
    kept = await editing.get(EDITOR, NAME)
    off = await editing.write(EDITOR, item(is_offered=False), kept.edit)
    await editing.publish(EDITOR, NAME, off.edit, "停办")
    await catalogue.refresh()
    with pytest.raises(NotFoundError, match="catalogue_item_unknown"):
        catalogue.get(NAME)
    assert (await catalogue.version(NAME, 1)).is_offered


async def test_an_editor_of_another_city_finds_nothing_and_writes_nothing_here(editing: CatalogueEditing):
    await load(editing, item())
    with pytest.raises(NotFoundError, match="catalogue_item_unknown"):
        await editing.get(OTHER, NAME)
    with pytest.raises(ForbiddenError, match="outside_division"):
        await editing.create(OTHER, by_id()["passport"])
    with pytest.raises(NotFoundError):
        await editing.publish(OTHER, NAME, 1, "x")
    assert await editing.page(OTHER, "", 10, is_draft=None) == []


async def test_an_officer_who_is_no_editor_may_nothing(editing: CatalogueEditing):
    with pytest.raises(ForbiddenError, match="role_missing"):
        await editing.create(officer("chief", Role.CHIEF), item())


@pytest.mark.parametrize(
    ("other", "field"),
    [
        ({"theme": "magic"}, "theme"),
        ({"moments": ["being-immortal"]}, "moments"),
        ({"networks": ["moon"]}, "networks"),
        ({"code": "440305-11440300HM0000012A-101010"}, "code"),
        ({"workflow": "magic"}, "workflow"),
        ({"unit": UNIT | {"id": "ministry-of-magic"}}, "unit.id"),
        ({"unit": UNIT | {"uscc": POLICE}, "code": f"440300-{POLICE}-140010"}, "unit.uscc"),
        ({"materials": [material("stars", ["name"], "identity_check")]}, "materials[0].source"),
        ({"materials": [material("population", ["religion"], "identity_check")]}, "materials[0].source"),
        ({"materials": [material("population", ["name"], "marketing")]}, "materials[0].source"),
        ({"materials": [], "form": {"fields": [FILLED]}}, "form.fields[0].fill"),
        (
            {
                "materials": [material("population", ["name"], "identity_check")],
                "form": {"fields": [FILLED | {"fill": "population.ethnic_group"}]},
            },
            "form.fields[0].fill",
        ),
    ],
)
async def test_an_item_that_does_not_fit_the_city_is_refused_and_named(
    editing: CatalogueEditing, other: dict[str, object], field: str
):
    with pytest.raises(InvalidInputError) as caught:
        await editing.create(EDITOR, item(**other))
    assert (caught.value.code, caught.value.field) == ("item_unfit", field)
    assert "请" in caught.value.zh, "says what to do"
    done, defects = await editing.load([item(**other), by_id()["passport"]], "load", lambda _: None)
    assert (list(done), {defect.item for defect in defects}, defects[0].path) == (["passport"], {NAME}, field)


async def test_two_items_never_have_one_code(editing: CatalogueEditing):
    await load(editing, item())
    twin = item(id="twin")
    with pytest.raises(ConflictError, match="item_exists"):
        await editing.create(EDITOR, twin)
    done, defects = await editing.load([twin], "load", lambda _: None)
    assert done == {}
    assert f"the code of {NAME}" in defects[0].what
    made = await editing.create(EDITOR, by_id()["home-care"])
    stolen = by_id()["home-care"].model_copy(update={"code": item().code})
    with pytest.raises(ConflictError, match="item_exists"):
        await editing.write(EDITOR, stolen, made.edit)


async def test_nothing_new_is_not_published(editing: CatalogueEditing):
    await load(editing, item())
    kept = await editing.get(EDITOR, NAME)
    same = await editing.write(EDITOR, item(), kept.edit)
    with pytest.raises(ConflictError, match="item_undrafted"):
        await editing.publish(EDITOR, NAME, same.edit, "x")
    with pytest.raises(ConflictError, match="item_changed"):
        await editing.publish(EDITOR, NAME, kept.edit, "x")


async def test_publications_and_loads_are_in_the_log(editing: CatalogueEditing, audit: AuditLog):
    made = await editing.create(EDITOR, item())
    await editing.publish(EDITOR, NAME, made.edit, "新设")
    await load(editing, by_id()["passport"])
    told = await audit.latest("item")
    assert [(entry.action, entry.actor, entry.object) for entry in told] == [
        ("item.load", OPERATOR, "catalogue"), ("item.publish", EDITOR.id, NAME),
    ]  # fmt: skip


async def test_a_division_that_does_not_exist_is_refused(db: Database):
    with pytest.raises(InvalidInputError, match="division_unknown"):
        reader(db).find(Wanted(division="440399"))
