"""The API reference is served by ourselves alone, under a policy that lets nothing else in."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

from handlers.bounds import listen
from handlers.docs import FOLDER, KINDS, docs_routes
from server.app import make_app
from server.assemble import Assembly
from tests.api.client import Client, Officers, client_of


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/docs", "text/html"), ("/docs/page.css", "text/css"), ("/docs/page.js", "text/javascript")],
)
async def test_the_page_is_served_under_a_strict_policy(api: Client, path: str, kind: str):
    answer = await api("GET", path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert policy["require-trusted-types-for"] == "'script'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = await api("GET", path, If_None_Match=answer.headers["Etag"])
    assert (again.status, again.body) == (304, b"")


async def test_every_file_that_the_page_names_is_served(api: Client):
    html = (await api("GET", "/docs")).body.decode()
    named = set(re.findall(r'(?:src|href)="(/[^"]*)"', html))
    assert named == {"/docs/page.css", "/docs/page.js", "/openapi.json"}
    assert {(await api("GET", path)).status for path in named} == {200}


def test_nothing_of_the_page_is_anothers_or_written_as_markup():
    for name in KINDS:
        text = (FOLDER / name).read_text()
        assert re.findall(r"https?://|innerHTML|insertAdjacentHTML|document\.write|eval\(|style=|onclick=", text) == []


async def test_a_city_that_names_a_contact_tells_it_and_another_tells_nothing(
    api: Client, assembly: Assembly, officers: Officers
):
    assert (await api("GET", "/.well-known/security.txt")).code == "path_unknown"
    named = make_app(docs_routes("mailto:security@sz.example", assembly.now), officers.gate())
    server, port = listen(named, 0, "127.0.0.1")
    answer = await client_of(port)("GET", "/.well-known/security.txt")
    server.stop()
    await server.close_all_connections()
    told = dict(line.split(": ") for line in answer.body.decode().splitlines())
    assert (answer.headers["Content-Type"], told["Contact"]) == (
        "text/plain; charset=utf-8",
        "mailto:security@sz.example",
    )
    assert timedelta(days=100) < datetime.fromisoformat(told["Expires"]) - assembly.now() < timedelta(days=365)


async def test_no_other_file_can_be_asked_for(api: Client):
    for path in ("/docs/", "/docs/page.html", "/docs/docs.py", "/docs/..%2fbase.py", "/docs/%2e%2e/base.py"):
        assert (await api("GET", path)).status == 404
