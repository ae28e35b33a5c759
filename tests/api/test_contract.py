"""The route table and its contract are one: what is served is described, and what is described can be served."""

from __future__ import annotations

from typing import Any

import pytest

from handlers.base import ApiHandler
from handlers.routing import PUBLIC, Operation, Route
from tests.api.client import Client

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
async def document(api: Client) -> dict[str, Any]:
    answer = await api("GET", "/openapi.json")
    assert answer.status == 200
    found = answer.json
    assert isinstance(found, dict)
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", item[method])
        for path, item in document["paths"].items()
        for method in METHODS & set(item)
    ]


async def test_the_contract_describes_every_route_and_no_other(
    document: dict[str, Any], routes: list[Route], admin: list[Route]
) -> None:
    served = {f"{method} {route.path}" for route in [*routes, *admin] for method in route.operations}
    assert {name for name, _ in operations(document)} == served


async def test_every_operation_says_who_may_enter_what_it_does_and_shows_an_answer(document: dict[str, Any]) -> None:
    poor = []
    for name, operation in operations(document):
        good = [answer for status, answer in operation["responses"].items() if status < "3"]
        examples = [media.get("example") for answer in good for media in answer.get("content", {}).values()]
        has_example = any(example is not None for example in examples) or "204" in operation["responses"]
        if not (operation["summary"] and operation["description"].startswith("Entry: ") and has_example):
            poor.append(name)
    assert poor == []


async def test_every_json_body_and_parameter_has_an_example(document: dict[str, Any]) -> None:
    poor = [
        name
        for name, operation in operations(document)
        for media, content in operation.get("requestBody", {}).get("content", {}).items()
        if media == "application/json" and "example" not in content
    ]
    poor += [
        f"{path} {parameter['name']}"
        for path, item in document["paths"].items()
        for parameter in item.get("parameters", [])
        if "example" not in parameter
    ]
    assert poor == []


async def test_every_operation_answers_errors_as_problems(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for status in ("405", "default"):
            assert "application/problem+json" in operation["responses"][status]["content"], name
    assert {"type", "title", "status", "detail", "code", "request_id"} <= set(
        document["components"]["schemas"]["Problem"]["required"]
    )


async def test_every_reference_of_the_contract_leads_somewhere(document: dict[str, Any]) -> None:
    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(ref := value.get("$ref"), str):
                found: Any = document
                for step in ref.removeprefix("#/").split("/"):
                    found = found[step]
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(document)


async def test_every_handler_serves_exactly_the_methods_of_its_route(routes: list[Route], admin: list[Route]) -> None:
    for route in [*routes, *admin]:
        own = {m for m in METHODS if getattr(route.handler, m) is not getattr(ApiHandler, m)}
        assert {m.lower() for m in route.operations} <= own, route.path


def test_an_operation_without_an_answer_or_a_summary_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="says what it answers"):
        Operation(summary="it does something", entry=PUBLIC)
    with pytest.raises(ValueError, match="says what it answers"):
        Operation(summary="", entry=PUBLIC, gives_raw={"text/plain": "x"})


async def test_the_contract_is_not_sent_again_to_who_has_it(api: Client) -> None:
    first = await api("GET", "/openapi.json")
    again = await api("GET", "/openapi.json", If_None_Match=first.headers["Etag"])
    assert (again.status, again.body) == (304, b"")
