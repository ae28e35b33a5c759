"""The whole API in this process, on the run's real databases, reached over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from handlers.bounds import Limits, listen
from handlers.front import Front
from handlers.manners import Manners
from handlers.routing import Route
from server import assemble, assemble_binding, assemble_manners, assemble_public
from server.app import Services, admin_routes, binding_routes, make_app, public_routes, services_of, with_contract
from server.settings import Settings
from server.storage.mongo import Database
from tests.api.binding import Proofs, Town
from tests.api.booking_town import BookingTown
from tests.api.citizen_doors import Doors, doors
from tests.api.client import Citizens, Client, Officers, client_of

LIMITS = Limits(header_timeout_s=1.0, body_timeout_s=1.0)


@pytest.fixture(scope="session")
async def _assembly(mongo_url: str, redis_url: str) -> AsyncIterator[assemble.Assembly]:
    async with assemble.assemble(Settings(mongo_url=mongo_url, redis_url=redis_url, mongo_db="huimin_test")) as built:
        yield built


@pytest.fixture
async def assembly(_assembly: assemble.Assembly, db: Database, redis: Redis) -> assemble.Assembly:
    """The parts of an API process; `db` and `redis` empty what it leaves."""
    assert db.name == _assembly.db.name
    assert await redis.ping()
    return _assembly


@pytest.fixture
async def readers(assembly: assemble.Assembly) -> assemble_public.PublicParts:
    """What the public meets; it reads the board when a test says so."""
    parts = assemble_public.public(assembly)
    await parts.feeds.refresh()
    return parts


@pytest.fixture
def services(assembly: assemble.Assembly, readers: assemble_public.PublicParts) -> Services:
    """The services behind the public port."""
    return services_of(assembly, readers)


@pytest.fixture(scope="session")
def _contract(_assembly: assemble.Assembly) -> Route:
    """Where the document is. It takes half a second to make, and says the same of every test's table."""
    services = services_of(_assembly, assemble_public.public(_assembly))
    return with_contract(public_routes(services), admin_routes(_assembly, lambda: b""))[-1]


@pytest.fixture
def routes(services: Services, _contract: Route) -> list[Route]:
    """The public part of the table."""
    return [*public_routes(services), _contract]


@pytest.fixture
def admin(assembly: assemble.Assembly) -> list[Route]:
    """The part of the table that stays inside."""
    return admin_routes(assembly, lambda: b"")


@pytest.fixture
def officers(assembly: assemble.Assembly) -> Officers:
    """Sessions by token, without logging in."""
    return Officers(assembly.now)


@pytest.fixture
def citizens(assembly: assemble.Assembly) -> Citizens:
    """Citizens by token, without logging in."""
    return Citizens(assembly.accounts, assembly.now)


@pytest.fixture
async def door(assembly: assemble.Assembly, tmp_path: Path) -> AsyncIterator[Doors]:
    """A port where citizens really log in."""
    async with doors(assembly, tmp_path / "keys") as found:
        yield found


@pytest.fixture
async def api(
    assembly: assemble.Assembly,
    routes: list[Route],
    officers: Officers,
    citizens: Citizens,
    readers: assemble_public.PublicParts,
) -> AsyncIterator[Client]:
    """The public port, without quotas."""
    manners = Manners(idempotency=assemble_manners.idempotency(assembly))
    app = make_app(routes, officers.gate(citizens), manners=manners)
    server, port = listen(Front(app, readers.shelf), 0, "127.0.0.1", LIMITS)
    yield client_of(port)
    server.stop()
    await server.close_all_connections()


@pytest.fixture
async def ops(admin: list[Route], officers: Officers) -> AsyncIterator[Client]:
    """The admin port."""
    server, port = listen(make_app(admin, officers.gate()), 0, "127.0.0.1", LIMITS)
    yield client_of(port)
    server.stop()
    await server.close_all_connections()


@pytest.fixture
def proofs() -> Proofs:
    """One-time codes and WeChat log-ins, as the test decides."""
    return Proofs()


@pytest.fixture
async def town(
    assembly: assemble.Assembly, officers: Officers, citizens: Citizens, proofs: Proofs
) -> AsyncIterator[Town]:
    """Who somebody is and for whom they act, on a port of its own."""
    routes = binding_routes(assemble_binding.binding(assembly, proofs, proofs))
    server, port = listen(make_app(routes, officers.gate(citizens)), 0, "127.0.0.1", LIMITS)
    yield Town(assembly, citizens, client_of(port), proofs)
    server.stop()
    await server.close_all_connections()


@pytest.fixture
def bookable(assembly: assemble.Assembly, services: Services, api: Client) -> BookingTown:
    """Resources and their seats, at the public port."""
    return BookingTown(assembly, services, api)
