"""A named POST is done once: the same answer again, another request refused, and nothing lost to a kill."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from handlers.base import ApiHandler
from handlers.bounds import listen
from handlers.manners import Manners
from handlers.routing import CITIZEN, KEYED, PUBLIC, Operation, Route, officer
from server import assemble_manners
from server.app import make_app
from server.assemble import Assembly
from server.domain.access import Deed
from server.domain.errors import ConflictError, TooManyError, UnavailableError
from server.domain.idempotency import LEASE, LIFE, Answer, fingerprint
from server.domain.officers import Role
from server.services.idempotency import Hold, Idempotency
from tests.api.client import Citizens, Client, Officers, client_of
from tests.services.desk import officer as an_officer

SECRET = "canary-13900000017"
KEY = {"Idempotency_Key": "5f0c2b7a-9d3e"}
A, B = 2**40 + 1, 2**40 + 2


class Thing(BaseModel):
    """What is asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: str


@dataclass(slots=True)
class World:
    """What the handlers did, and how the next one ends."""

    done: Counter[str] = field(default_factory=Counter)
    keys: list[str | None] = field(default_factory=list)
    fails: Exception | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)


class ThingsHandler(ApiHandler):
    """Counts what it was asked for, and gives out something personal."""

    def initialize(self, world: World) -> None:
        """`world` is told."""
        self.world = world

    async def post(self) -> None:
        """One more."""
        what = self.given(Thing).what
        self.world.done[what] += 1
        self.world.keys.append(self.idempotency_key)
        if what == "slow":
            await self.world.gate.wait()
        if self.world.fails:
            raise self.world.fails
        self.set_header("Location", f"/v1/things/{self.world.done.total()}")
        self.mark('"v1"')
        self.respond({"number": self.world.done.total(), "phone": SECRET}, 201)


class SilentHandler(ThingsHandler):
    """Answers with nothing."""

    async def post(self) -> None:
        """204."""
        self.world.done["silent"] += 1
        self.set_status(204)
        self.finish()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def things(world: World, assembly: Assembly, officers: Officers, citizens: Citizens) -> AsyncIterator[Client]:
    raw: dict[str, Any] = {"gives_raw": {"application/json": "{}"}}
    made: dict[str, Any] = {"takes": Thing, **raw}
    entries = {"things": CITIZEN, "others": CITIZEN, "public": PUBLIC, "staff": officer(Deed.ALERT_READ)}
    routes = [
        Route(f"/v1/{name}", ThingsHandler, {"POST": Operation(summary="make", entry=entry, **made)}, {"world": world})
        for name, entry in entries.items()
    ]
    silent = Operation(summary="do", entry=CITIZEN, status=204)
    routes.append(Route("/v1/silent", SilentHandler, {"POST": silent}, {"world": world}))
    manners = Manners(idempotency=assemble_manners.idempotency(assembly))
    server, port = listen(make_app(routes, officers.gate(citizens), manners=manners), 0, "127.0.0.1")
    yield client_of(port)
    server.stop()
    await server.close_all_connections()


@pytest.fixture
async def token(citizens: Citizens) -> str:
    return await citizens.enter(A)


async def test_the_same_request_is_done_once_and_answered_the_same(things: Client, world: World, token: str):
    first = await things("POST", "/v1/things", {"what": "a"}, token=token, **KEY)
    again = await things("POST", "/v1/things", {"what": "a"}, token=token, **KEY)
    assert (first.status, world.done["a"]) == (201, 1)
    assert (again.status, again.body) == (first.status, first.body)
    for name in ("Location", "Etag", "Content-Type", "Content-Language"):
        assert again.headers[name] == first.headers[name]
    assert ("Idempotency-Replayed" in first.headers, again.headers["Idempotency-Replayed"]) == (False, "true")
    assert world.keys == ["5f0c2b7a-9d3e"]


async def test_without_a_key_nothing_is_kept(things: Client, world: World, token: str, assembly: Assembly):
    for _ in range(2):
        await things("POST", "/v1/things", {"what": "a"}, token=token)
    assert world.done["a"] == 2
    assert await assembly.db["idempotency"].count_documents({}) == 0


async def test_an_answer_without_a_body_is_repeated_too(things: Client, world: World, token: str):
    answers = [await things("POST", "/v1/silent", b"", token=token, **KEY) for _ in range(2)]
    assert [(a.status, a.body) for a in answers] == [(204, b"")] * 2
    assert world.done["silent"] == 1


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/v1/things", {"what": "b"}, {}),
        ("/v1/others", {"what": "a"}, {}),
        ("/v1/things?x=1", {"what": "a"}, {}),
        ("/v1/things", {"what": "a"}, {"If_Match": '"v2"'}),
    ],
)  # fmt: skip
async def test_another_request_under_the_same_key_is_refused(
    things: Client, world: World, token: str, path: str, body: dict[str, str], headers: dict[str, str]
):
    await things("POST", "/v1/things", {"what": "a"}, token=token, **KEY)
    other = await things("POST", path, body, token=token, **KEY, **headers)
    assert (other.status, other.code, other.json["field"]) == (422, "idempotency_mismatch", "Idempotency-Key")
    assert world.done.total() == 1


async def test_a_key_is_its_callers_own(things: Client, token: str, citizens: Citizens):
    await things("POST", "/v1/things", {"what": "a"}, token=token, **KEY)
    other = await things("POST", "/v1/things", {"what": "a"}, token=await citizens.enter(B), **KEY)
    assert (other.status, other.json["number"], "Idempotency-Replayed" in other.headers) == (201, 2, False)


async def test_a_key_outlives_the_log_in(things: Client, token: str, citizens: Citizens):
    await things("POST", "/v1/things", {"what": "a"}, token=token, **KEY)
    again = await things("POST", "/v1/things", {"what": "a"}, token=await citizens.enter(A), **KEY)
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_officers_keys_are_heeded_and_strangers_are_not(things: Client, world: World, officers: Officers):
    staff = officers.enter(an_officer("o", Role.AUTHOR))
    for _ in range(2):
        await things("POST", "/v1/staff", {"what": "staff"}, token=staff, **KEY)
        await things("POST", "/v1/public", {"what": "public"}, **KEY)
    assert world.done == {"staff": 1, "public": 2}


async def test_of_many_at_once_one_is_done_and_the_others_are_told_to_wait(things: Client, world: World, token: str):
    asked = [asyncio.create_task(things("POST", "/v1/things", {"what": "slow"}, token=token, **KEY)) for _ in range(8)]
    done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    while len(waiting) > 1:
        more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        done |= more
    for task in done:
        answer = task.result()
        assert (answer.status, answer.code, answer.headers["Retry-After"]) == (409, "idempotency_in_flight", "1")
    world.gate.set()
    (winner,) = [await task for task in waiting]
    assert (winner.status, world.done["slow"]) == (201, 1)
    later = await things("POST", "/v1/things", {"what": "slow"}, token=token, **KEY)
    assert later.body == winner.body


async def test_a_refusal_is_an_answer_and_is_repeated(things: Client, world: World, token: str):
    world.fails = ConflictError("thing_taken", zh="已被占用", en="taken")
    first = await things("POST", "/v1/things", {"what": "a"}, token=token, **KEY)
    world.fails = None
    again = await things("POST", "/v1/things", {"what": "a"}, token=token, **KEY)
    assert (first.status, first.code, first.body) == (409, "thing_taken", again.body)
    assert again.headers["Content-Type"].startswith("application/problem+json")


@pytest.mark.parametrize(
    ("fails", "status"),
    [
        (UnavailableError("away", zh="不可用", en="away"), 503),
        (TooManyError("later", zh="稍后", en="later", retry_after_s=7), 429),
        (RuntimeError("a bug"), 500),
    ],
)
async def test_what_broke_here_leaves_the_key_free(
    things: Client, world: World, token: str, fails: Exception, status: int
):
    world.fails = fails
    first = await things("POST", "/v1/things", {"what": "a"}, token=token, **KEY)
    assert (first.status, first.headers.get("Retry-After")) == (status, {429: "7", 503: "2"}.get(status))
    world.fails = None
    again = await things("POST", "/v1/things", {"what": "a"}, token=token, **KEY)
    assert (again.status, world.done["a"]) == (201, 2)


async def test_input_that_is_no_request_takes_no_key(things: Client, token: str):
    assert (await things("POST", "/v1/things", {"what": 1}, token=token, **KEY)).code == "input_invalid"
    assert (await things("POST", "/v1/things", {"what": "a"}, token=token, **KEY)).status == 201


@pytest.mark.parametrize("key", ["", " ", "a" * 129, "schlüssel", "two words"])
async def test_a_key_is_visible_ascii(things: Client, world: World, token: str, key: str):
    answer = await things("POST", "/v1/things", {"what": "a"}, token=token, Idempotency_Key=key)
    assert (answer.status, answer.code) == (422, "idempotency_key")
    assert world.done.total() == 0


async def test_what_is_kept_can_be_read_by_nobody_and_forgotten(things: Client, token: str, assembly: Assembly):
    await things("POST", "/v1/things", {"what": SECRET}, token=token, **KEY)
    kept = await assembly.db["idempotency"].find().to_list()
    assert len(kept) == 1
    assert not re.search(f"{SECRET}|{KEY['Idempotency_Key']}|{A}", str(kept))
    await assemble_manners.idempotency(assembly).forget(f"citizen/{B}")
    assert await assembly.db["idempotency"].count_documents({}) == 1
    await assemble_manners.idempotency(assembly).forget(f"citizen/{A}")
    assert await assembly.db["idempotency"].count_documents({}) == 0


async def _aged(assembly: Assembly, age: timedelta) -> None:
    ms = int(age.total_seconds() * 1000)
    earlier = [{"$set": {"begun_at": {"$subtract": ["$begun_at", ms]}}}]
    assert (await assembly.db["idempotency"].update_many({}, earlier)).modified_count == 1


async def test_a_killed_request_gives_way_to_the_same_one_after_its_lease_and_to_no_other(assembly: Assembly):
    keys = assemble_manners.idempotency(assembly)
    mine, other = fingerprint(["POST"], b"mine"), fingerprint(["POST"], b"other")
    killed = await keys.begin("citizen/1", "k", mine)
    assert isinstance(killed, Hold)
    await _aged(assembly, LEASE - timedelta(seconds=10))
    with pytest.raises(ConflictError):
        await keys.begin("citizen/1", "k", mine)
    await _aged(assembly, timedelta(seconds=11))
    with pytest.raises(Exception, match="idempotency_mismatch"):
        await keys.begin("citizen/1", "k", other)
    taker = await keys.begin("citizen/1", "k", mine)
    assert isinstance(taker, Hold)
    await keys.keep(killed, Answer(200, {}, b"late"))  # it was only slow: the taker's answer counts
    await keys.free(killed)
    await keys.keep(taker, Answer(201, {}, b"good"))
    assert await keys.begin("citizen/1", "k", mine) == Answer(201, {}, b"good")


async def test_an_answer_lives_a_day(assembly: Assembly):
    keys = assemble_manners.idempotency(assembly)
    first = await keys.begin("citizen/1", "k", b"print")
    assert isinstance(first, Hold)
    await keys.keep(first, Answer(201, {}, b"good"))
    await _aged(assembly, LIFE - timedelta(seconds=10))
    assert await keys.begin("citizen/1", "k", b"print") == Answer(201, {}, b"good")
    await _aged(assembly, timedelta(seconds=11))
    assert isinstance(await keys.begin("citizen/1", "k", b"another"), Hold)


async def test_of_fifty_claims_one_gets_the_key(assembly: Assembly):
    async def claim(keys: Idempotency) -> bool:
        try:
            return isinstance(await keys.begin("citizen/1", "k", b"print"), Hold)
        except ConflictError:
            return False

    got = await asyncio.gather(*(claim(assemble_manners.idempotency(assembly)) for _ in range(50)))
    assert sum(got) == 1


async def test_every_post_of_somebody_known_takes_a_key_and_the_contract_says_so(api: Client, routes: list[Route]):
    document = (await api("GET", "/openapi.json")).json
    reference = {"$ref": "#/components/parameters/IdempotencyKey"}
    told = {
        f"{method} {path}"
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method not in ("parameters", "servers") and reference in operation["parameters"]
    }
    served = {f"{m.lower()} {r.path}": o for r in routes for m, o in r.operations.items()}
    assert told == {name for name, o in served.items() if name.startswith("post ") and o.entry.who in KEYED}
    assert len(told) > 10


async def test_a_draft_sent_twice_is_one_alert(api: Client, officers: Officers, assembly: Assembly):
    token = officers.enter(an_officer("e", Role.AUTHOR))
    form = {
        "event": "11B01",
        "colour": "Blue",
        "areas": [{"divisions": ["440305"]}],
        "expires_at": "2099-01-01T00:00:00Z",
    }
    answers = [await api("POST", "/v1/staff/alerts", form, token=token, **KEY) for _ in range(2)]
    assert answers[0].status == 201
    assert answers[0].body == answers[1].body
    assert await assembly.db["alerts"].count_documents({}) == 1
