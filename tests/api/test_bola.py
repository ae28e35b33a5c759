"""What is one citizen's does not exist for another (OWASP API1): asked of every route that the table has, or will have.

A route of citizens with an id in its path needs a maker here, which makes the thing for one citizen and tells its id.
Then another citizen asks for it by every method, and has to be told the same 404 as for an id that nobody has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

import pytest

from handlers.base import ApiHandler
from handlers.bounds import listen
from handlers.routing import CITIZEN, PARAMETERS, Operation, Route, Who
from server.app import make_app
from server.assemble import Assembly
from server.domain.citizens import Client as LogInClient
from server.domain.citizens import LogIn
from server.domain.errors import ForbiddenError, NotFoundError
from server.domain.facts import Statement
from server.domain.wording import Words
from server.storage.catalogues import load_facts
from server.storage.facts import FactStore
from tests.api.application_doors import (
    make_application,
    make_application_with_source,
    make_attachment,
    make_named,
    make_rated,
)
from tests.api.binding import make_handler, make_invitation, make_join, make_organisation, make_relation, make_request
from tests.api.booking_town import make_booking, make_entry, make_visit
from tests.api.client import Answer, Citizens, Client, Officers, client_of
from tests.api.offer_town import make_offer

OWNER, STRANGER = 2**42 + 1, 2**42 + 2

# Of an assembly, the client, the owner's internal id and token: the parameters of the path of something that is theirs.
Maker = Callable[[Assembly, Client, int, str], Awaitable[Mapping[str, str]]]


async def make_log_in(assembly: Assembly, _api: Client, owner: int, _token: str) -> Mapping[str, str]:
    """Another log-in of theirs."""
    at = assembly.now()
    await assembly.accounts.begin_log_in(owner, LogIn("a" * 32, LogInClient.APP, "phone", at, at))
    return {"log_in": "a" * 32}


async def make_device(_assembly: Assembly, api: Client, _owner: int, token: str) -> Mapping[str, str]:
    """An app of theirs."""
    form = {"token": "device-of-owner:APA91bHun4MxP5egoKMwt2KZFBaFUH", "platform": "android"}
    return {"device": (await api("PUT", "/v1/me/devices", form, token=token)).json["id"]}


async def make_place(_assembly: Assembly, api: Client, _owner: int, token: str) -> Mapping[str, str]:
    """A place of theirs."""
    form = {"label": "home", "division": "440305"}
    return {"place": (await api("POST", "/v1/me/places", form, token=token)).json["id"]}


async def make_follow(_assembly: Assembly, api: Client, _owner: int, token: str) -> Mapping[str, str]:
    """Something they follow."""
    answer = await api("PUT", "/v1/me/follows", {"topic": "traffic", "division": "440305001000"}, token=token)
    return {"follow": answer.json["follows"][0]["id"]}


async def make_item(assembly: Assembly, api: Client, owner: int, token: str) -> Mapping[str, str]:
    """Something they were told."""
    await assembly.notices.tell(owner, Words("证件已办好", ""), Words("请到窗口领取", ""), key="card")
    return {"item": (await api("GET", "/v1/me/inbox", token=token)).json["items"][0]["id"]}


async def make_weather_subscription(assembly: Assembly, api: Client, owner: int, token: str) -> Mapping[str, str]:
    """A wish of theirs."""
    place = await make_place(assembly, api, owner, token)
    form = {"places": [place["place"]], "at": "07:30"}
    made = await api("POST", "/v1/me/weather-subscriptions", form, token=token)
    return {"weather_subscription": made.json["id"]}


async def make_fact(assembly: Assembly, _api: Client, owner: int, _token: str) -> Mapping[str, str]:
    """Something that a department states of them."""
    said = Statement(owner, "passport_until", 20_900, "exit_entry_record", assembly.now())
    await FactStore(assembly.db, load_facts()).apply([said])
    return {"fact": said.fact}


# By the path of the route table. A path that begins with one of these is made by it too.
MAKERS: dict[str, Maker] = {
    "/v1/me/facts/{fact}/objection": make_fact,
    "/v1/me/log-ins/{log_in}": make_log_in,
    "/v1/me/devices/{device}": make_device,
    "/v1/me/follows/{follow}": make_follow,
    "/v1/me/inbox/{item}": make_item,
    "/v1/me/places/{place}": make_place,
    "/v1/me/weather-subscriptions/{weather_subscription}": make_weather_subscription,
    "/v1/me/relatives/{relation}": make_relation,
    "/v1/me/relatives/{relation}/agree": make_request,
    "/v1/me/relatives/{relation}/refuse": make_request,
    "/v1/me/organisations/{relation}": make_invitation,
    "/v1/organisations/{organisation}/handlers": make_organisation,
    "/v1/organisations/{organisation}/handlers/{relation}": make_handler,
    "/v1/me/join/{join}": make_join,
    "/v1/applications/{application}": make_application,
    "/v1/applications/{application}/attachments/{attachment}": make_attachment,
    "/v1/applications/{application}/invitations/{invitation}": make_named,
    "/v1/applications/{application}/rating": make_rated,
    "/v1/applications/{application}/sources/{source}": make_application_with_source,
    "/v1/bookings/{booking}": make_booking,
    "/v1/me/offers/{offer}": make_offer,
    "/v1/bookings/{booking}.ics": make_booking,
    "/v1/waiting/{entry}": make_entry,
    "/v1/visits/{visit}": make_visit,
}

# What everybody shares (a purpose in the city's list, a public alert or notice): there is nobody whose it is.
SHARED = frozenset({"purpose", "identifier", "bulletin"})


def maker_of(path: str, makers: Mapping[str, Maker]) -> Maker | None:
    """The maker of a path, or of the nearest one above it."""
    return next((makers[known] for known in sorted(makers, reverse=True) if f"{path}/".startswith(f"{known}/")), None)


def of_citizens(routes: Iterable[Route]) -> list[Route]:
    """The routes of citizens that have an id of something."""
    return [
        r for r in routes if {*r.parameters} - SHARED and any(o.entry.who is Who.CITIZEN for o in r.operations.values())
    ]


def filled(path: str, values: Mapping[str, str]) -> str:
    """The path with these parameters."""
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", value)
    return path


async def ask(api: Client, method: str, path: str, operation: Operation, token: str) -> Answer:
    """As good a request as the contract's example."""
    body: Any = operation.takes.model_json_schema().get("example") if operation.takes else None
    if body is None and method not in ("GET", "HEAD"):
        body = b""
    return await api(method, path, body, token=token, If_Match='"v1"')


async def leaks(api: Client, route: Route, values: Mapping[str, str], token: str) -> list[str]:
    """Where a stranger learns that the thing exists."""
    found = []
    unknown = {name: PARAMETERS[name].example for name in route.parameters}
    for method, operation in route.operations.items():
        if operation.entry.who is not Who.CITIZEN:
            continue
        theirs = await ask(api, method, filled(route.path, values), operation, token)
        nobodys = await ask(api, method, filled(route.path, unknown), operation, token)
        told = [{k: v for k, v in a.json.items() if k != "request_id"} if a.code else {} for a in (theirs, nobodys)]
        names = [set(a.headers) for a in (theirs, nobodys)]
        if (theirs.status, nobodys.status) != (404, 404) or told[0] != told[1] or names[0] != names[1]:
            found.append(f"{method} {route.path}: {theirs.status} {theirs.code}, unknown {nobodys.status}")
    return found


async def test_every_route_of_citizens_with_an_id_has_a_maker(routes: list[Route]):
    assert [r.path for r in of_citizens(routes) if maker_of(r.path, MAKERS) is None] == []


async def test_what_is_one_citizens_does_not_exist_for_another(
    api: Client, assembly: Assembly, citizens: Citizens, routes: list[Route]
):
    owner, stranger = await citizens.enter(OWNER), await citizens.enter(STRANGER)
    found = []
    for route in of_citizens(routes):
        make = maker_of(route.path, MAKERS)
        assert make is not None
        values = await make(assembly, api, OWNER, owner)
        assert set(values) == set(route.parameters)
        found += await leaks(api, route, values, stranger)
        method = next(m for m in route.operations if route.operations[m].entry.who is Who.CITIZEN)
        own = await ask(api, method, filled(route.path, values), route.operations[method], owner)
        assert own.status != 404, f"nothing was made for {route.path}"
    assert found == []


# The frame itself, tried on handlers that leak and one that does not.


class ThingHandler(ApiHandler):
    """A thing of OWNER's; how a stranger is answered is the route's."""

    def initialize(self, refuse: Callable[[], Exception] | None) -> None:
        """None: whoever asks is answered."""
        self.refuse = refuse

    def get(self, session: str) -> None:
        """It, or a refusal."""
        if session != "0" * 32:
            raise unknown()
        if self.caller.id != OWNER and self.refuse is not None:
            raise self.refuse()
        self.respond({"thing": session})


def unknown() -> NotFoundError:
    return NotFoundError("thing_unknown", zh="没有", en="none")


def forbidden() -> ForbiddenError:
    return ForbiddenError("thing_foreign", zh="不是您的", en="not yours")


def telling() -> NotFoundError:
    return NotFoundError("thing_foreign", zh="不是您的", en="not yours")


@pytest.fixture
async def frame(officers: Officers, citizens: Citizens) -> AsyncIterator[tuple[Client, Callable[[str], Route]]]:
    operation = Operation(summary="one", entry=CITIZEN, gives_raw={"application/json": "{}"})
    kinds = {"open": None, "forbidden": forbidden, "telling": telling, "good": unknown}
    table = {
        kind: Route(f"/v1/{kind}/{{session}}", ThingHandler, {"GET": operation}, {"refuse": refuse})
        for kind, refuse in kinds.items()
    }
    server, port = listen(make_app(list(table.values()), officers.gate(citizens)), 0, "127.0.0.1")
    yield client_of(port), table.__getitem__
    server.stop()
    await server.close_all_connections()


@pytest.mark.parametrize(("kind", "is_leak"), [("open", True), ("forbidden", True), ("telling", True), ("good", False)])
async def test_the_check_sees_a_leak_and_nothing_else(
    frame: tuple[Client, Callable[[str], Route]], citizens: Citizens, kind: str, *, is_leak: bool
):
    api, route = frame
    owner, stranger = await citizens.enter(OWNER), await citizens.enter(STRANGER)
    values = {"session": "0" * 32}
    assert (await api("GET", filled(route(kind).path, values), token=owner)).status == 200
    assert bool(await leaks(api, route(kind), values, stranger)) == is_leak


def test_a_path_is_made_by_its_own_maker_or_the_nearest_above():
    async def make(*_: Any) -> Mapping[str, str]:
        return {}

    async def other(*_: Any) -> Mapping[str, str]:
        return {}

    makers: dict[str, Maker] = {"/v1/me/things/{thing}": make, "/v1/me/things/{thing}/parts/{part}": other}
    assert maker_of("/v1/me/things/{thing}", makers) is make
    assert maker_of("/v1/me/things/{thing}/close", makers) is make
    assert maker_of("/v1/me/things/{thing}/parts/{part}", makers) is other
    assert maker_of("/v1/me/thingsome/{thing}", makers) is None
