"""Personal data at rest: what was planted is nowhere in the clear, in the very bytes of files, logs and figures.

mongod runs without any compression (blocks, journal, index prefixes) and Valkey dumps without it, so that a text that
is stored is found in the files; controls, stored in the clear, prove that it would be.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
import structlog
from redis.asyncio import Redis

from handlers.bounds import listen
from push.worker import Worker
from server import assemble_public, telemetry
from server.app import admin_routes, make_app, public_routes, services_of
from server.binaries import MONGOD, VALKEY, find
from server.commands.serve import _figures_of
from server.domain.broadcasts import Lane
from server.domain.citizens import Kind
from server.domain.officers import Account, AccountState, Officer, Role, Unit
from server.domain.wording import Words
from server.embedded import mongod, valkey
from server.storage import mongo
from server.storage.citizens import NewCitizen
from server.storage.mongo import Database
from server.storage.officers import OfficerStore
from server.storage.sessions import Kept, SessionStore
from server.telemetry import rendered
from tests.api.client import Citizens, Client, Officers, client_of
from tests.api.test_privacy import sent_code
from tests.push.city import crowd
from tests.push.conftest import City

PLAIN = (
    "--wiredTigerCollectionBlockCompressor", "none", "--wiredTigerJournalCompressor", "none",
    "--wiredTigerIndexPrefixCompression", "false",
)  # fmt: skip
EMPTY = re.compile(rb"\0{64,}")  # room that a file has in advance: it would be searched for every canary
PEOPLE = 30
UNIT = Unit(code="44030041600000", name="深圳市气象台", sender="weather@sz.example", division="440300")
LIST = "/v1/staff/broadcasts/canary/unreached?division=440305&purpose=telephone%20them&unconfirmed=true"


@dataclass(frozen=True, slots=True)
class Plain:
    """Two servers that store what they are told as it is."""

    home: Path
    mongo_url: str
    redis_url: str


@pytest.fixture(scope="module")
async def plain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plain]:
    home = tmp_path_factory.mktemp("plain")
    one = mongod(home, find(MONGOD, None).path, cache_gb=0.25, further=PLAIN)
    two = valkey(home, find(VALKEY, None).path)
    try:
        await one.start()
        await two.start()
        yield Plain(home, one.url, two.url)
    finally:
        await one.stop()
        await two.stop()


@pytest.fixture
def mongo_url(plain: Plain) -> str:
    return plain.mongo_url


@pytest.fixture
def redis_url(plain: Plain) -> str:
    return plain.redis_url


@pytest.fixture
async def db(mongo_url: str) -> AsyncIterator[Database]:
    """Prepared as the product does, except that pages are not compressed."""
    async with mongo.client(mongo_url) as client:
        found = mongo.database(client, "huimin_canary")
        await found.create_collection("pages")
        await mongo.prepare(found)
        yield found


@pytest.fixture
def logged(restored_logging: None) -> StringIO:  # noqa: ARG001 - used by being asked for
    stream = StringIO()
    telemetry.configure(console=False, debug=True, stream=stream)
    return stream


def names(number: int) -> tuple[str, str]:
    """A name and an ID number that nobody else has."""
    return f"欧阳金丝雀{number:03d}", f"44030519900101{number:04d}"


async def planted(city: City, people: Sequence[NewCitizen]) -> list[str]:
    """Plant everything that is known of these people, through the stores that keep it; all of it as texts."""
    assembly, canaries = (
        city.assembly,
        [v.removeprefix("+86") for c in people for vs in c.addresses.values() for v in vs],
    )
    for number, person in enumerate(people):
        name, id_number = names(number)
        await assembly.accounts.open(person.id, f"{person.id:032x}", kind=Kind.PERSON, now=city.now())
        own = await assembly.person_vault.of(person.id)
        sealed = {"name": own.seal(name, owner=f"accounts|{person.id}|name"),
                  "id_number": own.seal(id_number, owner=f"accounts|{person.id}|id_number"),
                  "id_index": assembly.vault.index(id_number, field="id_number")}  # fmt: skip
        assert await assembly.accounts.change(person.id, sealed)
        title, body = f"取件通知金丝雀{number:03d}", f"请持证到南山大道{number + 7000}号领取"
        assert await assembly.notices.tell(person.id, Words(title, ""), Words(body, ""), key=f"told-{number}")
        canaries += [name, id_number, title, body]
    return [*canaries, *await planted_officer(city)]


async def planted_officer(city: City) -> list[str]:
    """An officer with a second factor and a session."""
    officer = Officer(
        id="of-1", person="p1", name="司马金丝雀", roles=frozenset({Role.CHIEF}), unit=UNIT, division="440300",
        events=("11",),
    )  # fmt: skip
    at, secret, origin = city.now(), "JBSWY3DPEHPK3PXPCANARY", "203.0.113.77"
    account = Account(officer=officer, state=AccountState.INVITED, created_at=at, changed_at=at, sessions_since=at)
    store = OfficerStore(city.assembly.db, city.assembly.vault)
    assert await store.insert(account, "link-of-canary-000000", datetime(2099, 1, 1, tzinfo=UTC))
    assert await store.activate("of-1", "link-of-canary-000000", "$argon2id$x", secret, at)
    kept = Kept(id="s1", officer_id="of-1", created_at=at, seen_at=at, totp_at=at, origin=origin)
    await SessionStore(city.assembly.db, city.assembly.vault).insert("token-of-canary-000000", kept)
    return [officer.name, secret, origin, "link-of-canary-000000", "token-of-canary-000000"]


@asynccontextmanager
async def served(city: City) -> AsyncIterator[tuple[Client, Officers, Citizens]]:
    """The whole public API, for people who are in already."""
    officers, citizens = Officers(city.now), Citizens(city.assembly.accounts, city.now)
    routes = public_routes(services_of(city.assembly, assemble_public.public(city.assembly)))
    server, port = listen(make_app(routes, officers.gate(citizens)), 0, "127.0.0.1")
    yield client_of(port), officers, citizens
    server.stop()
    await server.close_all_connections()


async def lived(city: City, people: Sequence[NewCitizen], worker: Worker) -> None:
    """A day: warned, told, listed, asked, refused; one person leaves."""
    city.start(worker)
    storm = await city.release("canary", Lane.RED)
    await city.finished(storm)
    await city.receipts()
    async with served(city) as (api, officers, citizens):
        found = await api("GET", LIST, token=officers.enter(Officer(
            id="of-2", person="p2", name="诸葛金丝雀", roles=frozenset({Role.CHIEF}), unit=UNIT, division="440300",
            events=("11",),
        )))  # fmt: skip
        assert found.status == 200
        token = await citizens.enter(people[0].id)
        assert (await api("PUT", "/v1/me/consents/location", {"version": 1}, token=token)).status == 200
        phone = people[1].addresses["sms"][0]
        assert (await api("PUT", "/v1/me/consents/location", {"version": phone}, token=token)).status == 422
        assert (await api("GET", f"/v1/{phone}", token=token)).status == 404
        assert (await api("GET", "/v1/me/export", token=token)).status == 200
        leave = {"confirm": "erase", **await sent_code(city.assembly, people[0].addresses["sms"][0])}
        assert (await api("POST", "/v1/me/erasure", leave, token=token)).status == 202

    async def told() -> bool:
        return await city.assembly.db["outbox"].count_documents({"state": "waiting"}) == 0

    while not await told():
        await city.receipts()
    await city.drain()


async def figures(city: City, worker: Worker) -> bytes:
    """What Prometheus would read of the worker."""
    server, port = listen(
        make_app(
            admin_routes(city.assembly, partial(rendered, _figures_of(worker.parts.counters))),
            Officers(city.now).gate(),
        ),
        0,
        "127.0.0.1",
    )
    body = (await client_of(port)("GET", "/metrics")).body
    server.stop()
    await server.close_all_connections()
    return body


async def test_nothing_personal_is_in_the_clear_in_files_logs_or_figures(city: City, plain: Plain, logged: StringIO):
    people = sorted(crowd(PEOPLE, 77), key=lambda citizen: citizen.id)
    await city.assembly.citizens.add(people)
    city.citizens += people
    canaries = await planted(city, people)
    assert len(set(canaries)) >= 200
    worker = city.worker()
    await lived(city, people, worker)
    read = await figures(city, worker)
    assert b"huimin_outcomes" in read

    structlog.get_logger().info("control-of-the-log")
    await city.assembly.db["control"].insert_one({"_id": "control-of-mongod", "text": "金丝雀控制"})
    await city.assembly.db.client.admin.command("fsync")
    async with Redis.from_url(plain.redis_url, protocol=3) as redis:
        await redis.config_set("rdbcompression", "no")
        await redis.set("control", "control-of-valkey")
        await redis.save()
    kept = {path: EMPTY.sub(b"", path.read_bytes()) for path in plain.home.rglob("*") if path.is_file()}
    kept |= {Path("log"): logged.getvalue().encode(), Path("metrics"): read}
    for control in ("control-of-mongod", "金丝雀控制", "control-of-valkey", "control-of-the-log"):
        assert any(control.encode() in content for content in kept.values()), control
    leaks = {(c, path.name) for c in canaries for path, content in kept.items() if c.encode() in content}
    assert leaks == set()
