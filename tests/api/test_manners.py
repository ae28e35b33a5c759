"""How every answer behaves: other sites' pages, quotas, languages, links to the next page, security headers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from ipaddress import ip_network

import pytest
from pydantic import ValidationError

from handlers.base import SECURITY_HEADERS
from handlers.bounds import listen
from handlers.front import Front
from handlers.manners import Manners
from handlers.routing import CITIZEN, PARAMETERS, Operation, Route, Who
from handlers.throttle import Throttle
from server import assemble_manners
from server.app import make_app
from server.assemble import Assembly
from server.assemble_public import PublicParts
from server.domain.alerts.forms import AlertForm, alert_of
from server.domain.officers import Role
from server.settings import Settings
from tests.api.client import Answer, Citizens, Client, Officers, client_of
from tests.api.test_bola import ThingHandler
from tests.services.desk import officer

CITY = "https://m.sz.example"
EVIL = "https://evil.example"
DESK = "/v1/staff/alerts"
MINE = f"/v1/mine/{'0' * 32}"
PREFLIGHT = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization,idempotency-key"}


@dataclass(slots=True)
class Clock:
    """Seconds that the test moves."""

    at: float = 1_000.0

    def __call__(self) -> float:
        """Now."""
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def polite(
    assembly: Assembly, routes: list[Route], officers: Officers, citizens: Citizens, readers: PublicParts, clock: Clock
) -> AsyncIterator[Client]:
    """The public port for a city whose own pages are listed, with small quotas."""
    mine = Operation(summary="one", entry=CITIZEN, gives_raw={"application/json": "{}"})
    table = [*routes, Route("/v1/mine/{session}", ThingHandler, {"GET": mine}, {"refuse": None})]
    manners = Manners(
        idempotency=assemble_manners.idempotency(assembly),
        throttles={who: Throttle(who.value, quota, clock) for who, quota in ((Who.CITIZEN, 3), (Who.PUBLIC, 5))},
        origins=frozenset({CITY}),
        proxies=[ip_network("127.0.0.0/8")],
    )
    app = make_app(table, officers.gate(citizens), manners=manners)
    server, port = listen(Front(app, readers.shelf), 0, "127.0.0.1")
    yield client_of(port)
    server.stop()
    await server.close_all_connections()


def shared_with(answer: Answer) -> str | None:
    return answer.headers.get("Access-Control-Allow-Origin")


async def test_a_page_of_a_listed_origin_is_told_what_it_may_do(polite: Client):
    answer = await polite("OPTIONS", DESK, Origin=CITY, **PREFLIGHT)
    assert (answer.status, answer.body, shared_with(answer)) == (204, b"", CITY)
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert {"authorization", "idempotency-key", "if-match", "content-type"} <= set(
        answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
    )
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("origin", [EVIL, "null", f"{CITY}.evil.example", "http://m.sz.example", f"{CITY}:8443"])
async def test_a_foreign_page_may_do_nothing(polite: Client, officers: Officers, origin: str):
    token = officers.enter(officer("a", Role.AUTHOR))
    asked = await polite("OPTIONS", DESK, Origin=origin, **PREFLIGHT)
    assert (asked.status, asked.code, shared_with(asked)) == (403, "origin_foreign", None)
    sent = await polite("POST", DESK, {}, token=token, Origin=origin)
    assert (sent.status, sent.code, shared_with(sent)) == (403, "origin_foreign", None)
    read = await polite("GET", DESK, token=token, Origin=origin)
    assert (shared_with(read), "Origin" in read.headers["Vary"]) == (None, True)


async def test_a_page_of_a_listed_origin_may_send_and_read_refusals_too(polite: Client, officers: Officers):
    token = officers.enter(officer("a", Role.AUTHOR))
    for answer in (
        await polite("POST", DESK, {}, token=token, Origin=CITY, Sec_Fetch_Site="cross-site"),
        await polite("GET", DESK, token=token, Origin=CITY),
        await polite("GET", DESK, Origin=CITY),
        await polite("GET", "/nowhere", Origin=CITY),
    ):
        assert shared_with(answer) == CITY
        assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


async def test_without_a_list_no_other_sites_page_is_told_anything(api: Client):
    asked = await api("OPTIONS", DESK, Origin=CITY, **PREFLIGHT)
    assert (asked.status, shared_with(asked), asked.headers["Vary"]) == (403, None, "Accept-Language")


async def test_a_citizen_is_told_the_quota_and_when_to_come_again(polite: Client, citizens: Citizens, clock: Clock):
    token, other = await citizens.enter(2**43 + 1), await citizens.enter(2**43 + 2)
    told = [(await polite("GET", MINE, token=token)).headers["Ratelimit"] for _ in range(3)]
    assert told == ['"citizen";r=2;t=20', '"citizen";r=1;t=40', '"citizen";r=0;t=60']
    refused = await polite("GET", MINE, token=token)
    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (429, "too_many_requests", "20")
    assert refused.headers["Ratelimit-Policy"] == '"citizen";q=3;w=60'
    assert (await polite("GET", MINE, token=other)).status == 200
    clock.at += 20
    assert (await polite("GET", MINE, token=token)).status == 200


async def test_strangers_share_the_quota_of_their_address(polite: Client):
    for _ in range(5):
        assert (await polite("POST", "/v1/staff/session", {}, X_Forwarded_For="192.0.2.1")).code == "input_invalid"
    assert (await polite("POST", "/v1/staff/session", {}, X_Forwarded_For="192.0.2.1")).code == "too_many_requests"
    assert (await polite("POST", "/v1/staff/session", {}, X_Forwarded_For="192.0.2.2")).code == "input_invalid"


async def test_an_officer_is_never_slowed_down(polite: Client, officers: Officers):
    token = officers.enter(officer("r", Role.RELEASER))
    for _ in range(20):
        answer = await polite("POST", f"{DESK}/440304_20260101000000/release", {"digest": "0" * 64}, token=token)
        assert (answer.status, "Ratelimit" in answer.headers) == (404, False)


async def test_what_is_ready_on_the_shelf_is_not_counted(polite: Client):
    answers = [await polite("GET", "/v1/feeds/version", X_Forwarded_For="192.0.2.9") for _ in range(20)]
    assert {answer.status for answer in answers} == {200}
    assert "Ratelimit" not in answers[-1].headers


@pytest.mark.parametrize(
    ("asked", "told"), [("en-GB,zh;q=0.5", "en"), ("zh-CN", "zh-CN"), ("", "zh-CN"), ("fr", "zh-CN")]
)
async def test_every_answer_names_its_language(api: Client, officers: Officers, asked: str, told: str):
    token = officers.enter(officer("a", Role.AUTHOR))
    for path, named in (("/nowhere", ""), (DESK, ""), (DESK, token), ("/v1/alerts", ""), ("/v1/feeds/alerts.atom", "")):
        answer = await api("GET", path, token=named, Accept_Language=asked)
        assert (answer.headers["Content-Language"], answer.headers["Vary"]) == (told, "Accept-Language"), path


async def test_every_answer_of_every_route_carries_the_security_headers(api: Client, routes: list[Route]):
    statuses = set()
    for route in routes:
        path = route.path
        for name in route.parameters:
            path = path.replace(f"{{{name}}}", PARAMETERS[name].example)
        for method in (*route.operations, "PATCH", "OPTIONS", "HEAD"):
            for body in (b"{", b" " * 1_100_000) if method == "POST" else (None,):
                answer = await api(method, path, body)
                statuses.add(answer.status)
                assert set(SECURITY_HEADERS) <= set(answer.headers), (method, path)
                assert "Server" not in answer.headers
    assert {200, 400, 401, 404, 405, 413} <= statuses


async def test_a_list_says_where_it_goes_on(api: Client, officers: Officers, assembly: Assembly):
    author = officer("a", Role.AUTHOR)
    token = officers.enter(author)
    form = AlertForm.model_validate(
        {
            "event": "11B01",
            "colour": "Blue",
            "areas": ({"divisions": ("440305",)},),
            "expires_at": assembly.now() + timedelta(hours=3),
        }
    )
    for _ in range(3):
        await assembly.alerts.draft(author, alert_of(form))
    seen, path = [], f"{DESK}?limit=1&state=draft"
    while path:
        answer = await api("GET", path, token=token)
        seen += [alert["identifier"] for alert in answer.json["alerts"]]
        link = answer.headers.get("Link", "")
        assert bool(link) == bool(answer.json["next"])
        path = link.partition(">")[0].removeprefix("<")
    assert len(set(seen)) == len(seen) == 3


@pytest.mark.parametrize(
    "origin", ["*", "null", "https://*.example", "https://a.example/", "ftp://a.example", "a.example"]
)
def test_an_origin_that_no_browser_sends_is_no_setting(origin: str):
    with pytest.raises(ValidationError):
        Settings(cors_origins=(origin,))


async def test_the_settings_are_what_the_public_port_goes_by(assembly: Assembly):
    settings = Settings(cors_origins=(CITY,), citizen_requests_per_min=0, public_requests_per_min=7)
    manners = assemble_manners.manners(replace(assembly, settings=settings))
    assert manners.origins == {CITY}
    assert {who: throttle.take("a").quota for who, throttle in manners.throttles.items()} == {Who.PUBLIC: 7}
    assert manners.idempotency is not None
