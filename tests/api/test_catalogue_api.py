"""The catalogue over HTTP: found as one types, read with an ETag, written by editors only."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from handlers.bounds import listen
from handlers.front import Front
from server.app import make_app
from server.assemble import Assembly
from server.assemble_catalogue import CatalogueParts, catalogue
from server.assemble_public import PublicParts
from server.domain.officers import Role
from server.routes.catalogue import routes
from tests.api.client import Client, Officers, client_of
from tests.domain.catalogue_items import by_id, item
from tests.services.desk import officer

NAME = "elderly-allowance"
ONE = f"/v1/items/{NAME}"
STAFF = "/v1/staff/items"
SOME = (NAME, "elderly-card", "home-care", "passport", "company-registration", "housing-list", "deed-tax")
HOME = "point=22.5405,113.9400&datum=wgs84"


@pytest.fixture
async def parts(assembly: Assembly) -> CatalogueParts:
    found = catalogue(assembly)
    await found.editing.load([by_id()[name] for name in SOME], "load", lambda _: None)
    await found.catalogue.refresh()
    return found


@pytest.fixture
async def hall(parts: CatalogueParts, readers: PublicParts, officers: Officers) -> Any:
    """A port with the catalogue alone, and the shelf in front of it."""
    app = make_app(routes(parts, readers.shelf), officers.gate())
    server, port = listen(Front(app, readers.shelf), 0, "127.0.0.1")
    yield client_of(port)
    server.stop()
    await server.close_all_connections()


@pytest.fixture
def editor(officers: Officers) -> str:
    return officers.enter(officer("editor", Role.EDITOR))


async def test_items_are_found_by_the_first_letters_of_their_pinyin(hall: Client):
    told = (await hall("GET", "/v1/items?q=gljt")).json
    assert (told["total"], told["items"][0]["id"], told["items"][0]["is_paperless"]) == (1, NAME, True)
    assert (await hall("GET", "/v1/items?q=%E8%80%81%E4%BA%BA%E8%A1%A5%E8%B4%B4")).json["items"][0]["id"] == NAME


async def test_a_list_goes_on_where_its_link_leads_and_holds_each_item_once(hall: Client):
    seen: list[str] = []
    path = "/v1/items?limit=3"
    while path:
        answer = await hall("GET", path)
        seen += [each["id"] for each in answer.json["items"]]
        path = answer.headers.get("Link", "").partition(">")[0].lstrip("<")
    assert sorted(seen) == sorted(SOME)


async def test_an_item_tells_who_what_and_how_long_and_its_form_stands_apart(hall: Client):
    told = (await hall("GET", ONE)).json
    assert (told["version"], told["item"]["promised_days"], told["item"]["form"]) == (1, 5, {"fields": []})
    assert told["item"]["materials"][0]["source"]["name"] == "population"
    form = (await hall("GET", f"{ONE}/form")).json
    validator = jsonschema_rs.Draft202012Validator(form["json_schema"])
    assert not validator.is_valid({})
    assert form["ui"]["fields"]["family_name"]["show_if"] == {"field": "by_family", "among": [True]}


@pytest.mark.parametrize(
    "path", ["/v1/items", "/v1/items?moment=growing-old", ONE, f"{ONE}/form", f"{ONE}/windows", "/v1/moments",
             "/v1/units", "/v1/themes"]
)  # fmt: skip
async def test_what_many_ask_for_is_kept_and_not_sent_again_to_who_has_it(
    hall: Client, readers: PublicParts, path: str
):
    first = await hall("GET", path)
    assert first.status == 200
    hits = readers.shelf.hits
    again = await hall("GET", path)
    assert (again.body, readers.shelf.hits) == (first.body, hits + 1)
    assert (await hall("GET", path, If_None_Match=first.headers["Etag"])).status == 304


@pytest.mark.parametrize(
    "path",
    [
        "/v1/items?q=gl",
        "/v1/items?limit=7",
        "/v1/items?moment=none",
        "/v1/items?unit=tax&theme=tax",
        f"{ONE}?version=1",
    ],
)
async def test_what_can_be_spelled_in_many_ways_is_answered_but_not_kept(hall: Client, readers: PublicParts, path: str):
    for _ in range(2):
        assert (await hall("GET", path)).status == 200
    assert readers.shelf.hits == 0


async def test_windows_are_nearest_first_and_name_what_is_booked_there(hall: Client):
    told = (await hall("GET", f"{ONE}/windows?{HOME}&limit=3")).json["windows"]
    assert told[0]["window"]["id"] == "sz-street-nantou"
    assert [each["metres"] for each in told] == sorted(each["metres"] for each in told)
    passport = (await hall("GET", f"/v1/items/passport/windows?{HOME}")).json["windows"]
    assert passport[0]["visit"] == {"kind": "exit_entry", "group": "sz-border-residents", "service": "passport-first"}
    assert told[0]["visit"]["service"] == "elder-allowance"


async def test_a_point_of_a_chinese_map_is_converted(hall: Client):
    one, other = [
        (await hall("GET", f"{ONE}/windows?point=22.5405,113.94&datum={datum}")).json["windows"][0]["metres"]
        for datum in ("wgs84", "gcj02")
    ]
    assert 100 < abs(one - other) < 1_000


async def test_moments_units_and_themes_hold_only_what_is_on_offer(hall: Client):
    moments = {each["id"]: each["items"] for each in (await hall("GET", "/v1/moments")).json["moments"]}
    assert moments["growing-old"] == ["elderly-card", NAME, "home-care"]
    assert "having-a-baby" not in moments
    units = {each["id"]: each["items"] for each in (await hall("GET", "/v1/units")).json["groups"]}
    assert units["civil-affairs"] == 3
    assert {each["id"] for each in (await hall("GET", "/v1/themes")).json["groups"]} >= {"elderly", "housing"}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/items/no-such", 404, "catalogue_item_unknown"),
        ("/v1/items/no-such/form", 404, "catalogue_item_unknown"),
        (f"{ONE}?version=9", 404, "catalogue_item_unknown"),
        (f"{ONE}?version=0", 422, "input_invalid"),
        ("/v1/items/No_Such", 404, "path_unknown"),
        ("/v1/items?division=440399", 422, "division_unknown"),
        ("/v1/items?mode=magic", 422, "input_invalid"),
        ("/v1/items?q=" + "a" * 61, 422, "input_invalid"),
        (f"{ONE}/windows?point=22.5,113.9", 422, "input_invalid"),
        (f"{ONE}/windows?point=x&datum=wgs84", 422, "point_unreadable"),
    ],
)
async def test_a_bad_question_is_a_problem(hall: Client, path: str, status: int, code: str):
    answer = await hall("GET", path)
    assert (answer.status, answer.code) == (status, code)


async def test_an_editor_drafts_publishes_and_compares(hall: Client, editor: str, parts: CatalogueParts):
    new = item(id="centenarian-visit", code=f"{item().code[:-6]}999999").model_dump(mode="json")
    made = await hall("POST", STAFF, new, token=editor)
    assert (made.status, made.headers["Etag"], made.json["version"]) == (201, '"v1"', 0)
    one, note = f"{STAFF}/centenarian-visit", {"note": "新设事项"}
    assert (await hall("POST", f"{one}/publish", note, token=editor)).code == "version_missing"
    first = await hall("POST", f"{one}/publish", note, token=editor, If_Match='"v1"')
    assert (first.status, first.json["version"]) == (200, 1)
    stale = await hall("PUT", one, new | {"promised_days": 3}, token=editor, If_Match='"v1"')
    assert (stale.status, stale.code) == (412, "item_changed")
    etag = (await hall("GET", one, token=editor)).headers["Etag"]
    written = await hall("PUT", one, new | {"promised_days": 3}, token=editor, If_Match=etag)
    await hall("POST", f"{one}/publish", note, token=editor, If_Match=written.headers["Etag"])
    told = (await hall("GET", f"{one}/diff?before=1&after=2", token=editor)).json
    assert told["changes"] == [{"path": "promised_days", "before": 5, "after": 3}]
    assert [each["version"] for each in (await hall("GET", f"{one}/versions", token=editor)).json["versions"]] == [2, 1]
    assert (await hall("GET", f"{one}/versions/1", token=editor)).json["item"]["promised_days"] == 5
    await parts.catalogue.refresh()
    assert (await hall("GET", "/v1/items/centenarian-visit?version=1")).json["item"]["promised_days"] == 5
    assert (await hall("GET", "/v1/items/centenarian-visit")).json["version"] == 2


async def test_a_field_cannot_be_renamed_and_a_bad_form_names_its_field(hall: Client, editor: str):
    etag = (await hall("GET", f"{STAFF}/{NAME}", token=editor)).headers["Etag"]
    body = item().model_dump(mode="json")
    renamed = await hall("PUT", f"{STAFF}/{NAME}", body | {"id": "other"}, token=editor, If_Match=etag)
    assert (renamed.status, renamed.code) == (422, "item_renamed")
    bad = body | {"form": {"fields": [{"id": "a", "kind": "text", "label": {"zh": "甲"}, "pattern": "("}]}}
    answer = await hall("PUT", f"{STAFF}/{NAME}", bad, token=editor, If_Match=etag)
    assert (answer.status, answer.json["field"]) == (422, "form.fields[0]")


async def test_drafts_are_listed_and_only_those_that_are_asked_for(hall: Client, editor: str):
    etag = (await hall("GET", f"{STAFF}/{NAME}", token=editor)).headers["Etag"]
    changed = item(promised_days=3).model_dump(mode="json")
    await hall("PUT", f"{STAFF}/{NAME}", changed, token=editor, If_Match=etag)
    told = (await hall("GET", f"{STAFF}?is_draft=true", token=editor)).json
    assert [each["id"] for each in told["items"]] == [NAME]
    assert len((await hall("GET", f"{STAFF}?limit=2", token=editor)).json["items"]) == 2


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.EDITOR])
async def test_nobody_but_editors_enters(hall: Client, officers: Officers, role: Role):
    token = officers.enter(officer("somebody", role))
    assert (await hall("GET", STAFF, token=token)).code == "role_missing"
    assert (await hall("GET", STAFF)).status == 401
