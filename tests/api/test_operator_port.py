"""The port of the operator: alive, ready, and the figures of the process."""

from __future__ import annotations

import pytest

from handlers.bounds import listen
from handlers.gate import Gate
from handlers.health import Ready, ReadyHandler
from handlers.routing import OPERATOR, Operation, Route
from server.app import make_app
from server.assemble import Assembly
from tests.api.client import Client, client_of


async def test_a_process_with_its_databases_is_alive_and_ready(ops: Client) -> None:
    assert (await ops("GET", "/livez")).json == {"alive": True}
    ready = await ops("GET", "/readyz")
    assert (ready.status, ready.json) == (200, {"ready": True, "parts": {"mongo": True, "redis": True}})


async def test_a_process_without_a_database_is_not_ready_and_says_which(assembly: Assembly) -> None:
    async def away() -> bool:
        return False

    operation = Operation(summary="ready", entry=OPERATOR, gives=Ready)
    route = Route("/readyz", ReadyHandler, {"GET": operation}, {"checks": {"mongo": away}})
    server, port = listen(make_app([route], Gate(None, None, assembly.now)), 0, "127.0.0.1")
    answer = await client_of(port)("GET", "/readyz")
    server.stop()
    await server.close_all_connections()
    assert (answer.status, answer.json) == (503, {"ready": False, "parts": {"mongo": False}})


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_the_public_port_does_not_serve_it(api: Client, path: str) -> None:
    assert (await api("GET", path)).status == 404
