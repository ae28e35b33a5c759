"""Applications on a port of their own: a small catalogue, citizens and officers who are already in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from handlers.bounds import Limits, listen
from handlers.manners import Manners
from server import assemble_applications, assemble_manners
from server.app import make_app
from server.assemble import Assembly
from server.assemble_applications import ApplicationParts
from server.domain.catalogue import Item
from server.routes import applications
from tests.api.client import Citizens, Client, Officers, client_of
from tests.domain.items import Shelf
from tests.services.application_world import Acting


@dataclass
class Counter:
    """What a test holds in its hands."""

    api: Client
    parts: ApplicationParts
    acting: Acting
    assembly: Assembly


@asynccontextmanager
async def counter_of(
    assembly: Assembly, officers: Officers, citizens: Citizens, *items: Item
) -> AsyncIterator[Counter]:
    """The routes of applications, served."""
    acting = Acting()
    parts = assemble_applications.applications(assembly, Shelf(*items), acting)
    manners = Manners(idempotency=assemble_manners.idempotency(assembly))
    app = make_app(applications.routes(parts), officers.gate(citizens), manners=manners)
    server, port = listen(app, 0, "127.0.0.1", Limits(header_timeout_s=1.0, body_timeout_s=1.0))
    yield Counter(client_of(port), parts, acting, assembly)
    server.stop()
    await server.close_all_connections()
