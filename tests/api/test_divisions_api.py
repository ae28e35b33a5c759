"""The divisions over HTTP: level by level, by code, by name; answered from memory, kept in front, unchanged by ETag."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from server import assemble, assemble_public
from tests.api.client import Client

NANSHAN = {
    "code": "440305", "level": "district", "name": "南山区", "name_en": "Nanshan District", "parent": "440300",
    "has_children": True, "has_shape": True,
}  # fmt: skip


async def found(api: Client, query: str = "") -> list[dict[str, Any]]:
    answer = await api("GET", f"/v1/divisions{query}")
    assert answer.status == 200, answer.body
    divisions: list[dict[str, Any]] = answer.json["divisions"]
    return divisions


async def test_without_a_question_the_cities_are_told(api: Client) -> None:
    cities = await found(api)
    assert [(each["code"], each["level"], each["parent"]) for each in cities] == [
        ("130100", "city", None), ("440300", "city", None),
    ]  # fmt: skip


async def test_walking_down_from_the_cities_every_division_is_met_once(
    api: Client, assembly: assemble.Assembly
) -> None:
    met: list[str] = []
    level = [each for each in await found(api) if each["code"] == "440300"]
    while level:
        met += [each["code"] for each in level]
        level = [
            below for each in level if each["has_children"] for below in await found(api, f"?parent={each['code']}")
        ]
    assert sorted(met) == sorted(code for code in assembly.divisions.by_code if code.startswith("4403"))


async def test_a_division_is_told_by_its_code_padded_or_not(api: Client) -> None:
    for code in ("440305", "440305000", "440305000000"):
        assert (await api("GET", f"/v1/divisions/{code}")).json == NANSHAN
    street = (await found(api, "?parent=440305"))[0]
    community = (await api("GET", f"/v1/divisions/{street['code']}001")).json
    assert (community["level"], community["parent"]) == ("community", street["code"])
    assert (community["has_children"], community["has_shape"]) == (False, False)


async def test_a_code_is_told_with_all_that_is_above_it(api: Client) -> None:
    above = await found(api, "?code=440305001000")
    assert [each["code"] for each in above] == ["440300", "440305", "440305001"]
    assert above[1] == NANSHAN


@pytest.mark.parametrize("name", ["南山", "南山区", "nanshan d", "Nanshan District"])
async def test_a_division_is_found_by_the_beginning_of_its_name_in_either_language(api: Client, name: str) -> None:
    names = await found(api, f"?name={quote(name)}")
    assert NANSHAN in names
    assert [len(each["code"]) for each in names] == sorted(len(each["code"]) for each in names)


async def test_a_name_that_many_begin_with_gives_a_bounded_answer(api: Client) -> None:
    assert len(await found(api, "?name=%E5%8D%97")) == 100
    assert await found(api, "?name=%20") == []
    assert await found(api, "?name=.*") == []


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/divisions/440399", 404, "division_not_found"),
        ("/v1/divisions?parent=440399", 404, "division_not_found"),
        ("/v1/divisions?code=990000", 404, "division_not_found"),
        ("/v1/divisions/44", 404, "path_unknown"),
        ("/v1/divisions/44030500000000", 404, "path_unknown"),
        ("/v1/divisions?parent=44", 422, "input_invalid"),
        ("/v1/divisions?parent=440300%0a", 422, "input_invalid"),
        ("/v1/divisions?name=", 422, "input_invalid"),
        ("/v1/divisions?name=" + "x" * 21, 422, "input_invalid"),
        ("/v1/divisions?parent=440300&code=440300", 422, "input_invalid"),
        ("/v1/divisions?parent=440300&parent=440300", 400, "query_invalid"),
        ("/v1/divisions?limit=5", 422, "input_invalid"),
    ],
)
async def test_what_cannot_be_is_refused_and_says_why(api: Client, path: str, status: int, code: str) -> None:
    answer = await api("GET", path)
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize(
    "path",
    ["/v1/divisions", "/v1/divisions?parent=440300", "/v1/divisions?code=440305", "/v1/divisions/440305"],
)
async def test_a_second_answer_comes_from_the_shelf_is_the_same_and_is_saved_by_its_etag(
    api: Client, readers: assemble_public.PublicParts, path: str
) -> None:
    first = await api("GET", path)
    again = await api("GET", path)
    unchanged = await api("GET", path, If_None_Match=first.headers["Etag"])
    assert readers.shelf.hits == 2
    assert (again.body, again.headers["Etag"]) == (first.body, first.headers["Etag"])
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert first.headers["Cache-Control"] == again.headers["Cache-Control"] == "public, max-age=3600"


@pytest.mark.parametrize("path", ["/v1/divisions?name=nanshan", "/v1/divisions/440305000000"])
async def test_what_can_be_asked_in_many_ways_is_not_kept_but_has_an_etag(
    api: Client, readers: assemble_public.PublicParts, path: str
) -> None:
    first, again = await api("GET", path), await api("GET", path)
    assert again.body == first.body
    assert (await api("GET", path, If_None_Match=first.headers["Etag"])).status == 304
    assert readers.shelf.hits == 0
