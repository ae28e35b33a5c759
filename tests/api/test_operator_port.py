"""The port of the operator: alive, ready, and the figures of the process."""

from __future__ import annotations

import pytest

from handlers.bounds import listen
from handlers.gate import Gate
from handlers.health import Ready, ReadyHandler
from handlers.routing import OPERATOR, Operation, Route
from server.app import admin_routes, make_app
from server.assemble import Assembly
from server.telemetry import Kept, RequestFigures, metrics_registry, rendered
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


async def test_figures_are_counted_by_path_of_the_table_and_never_by_what_was_typed(
    assembly: Assembly, routes: list[Route]
) -> None:
    registry, outcomes = metrics_registry(), {("sms_aliyun/x", "accepted", "OK"): 3.0}
    registry.register(Kept("huimin_outcomes", "Answers.", ("account", "verdict", "code"), lambda: outcomes))
    app = make_app(routes, Gate(None, None, assembly.now), RequestFigures(registry).saw)
    server, port = listen(app, 0, "127.0.0.1")
    for path in ("/v1/staff/alerts/a", "/v1/staff/alerts/b", "/typed/13800138000"):
        await client_of(port)("GET", path)
    inside = admin_routes(assembly, lambda: rendered(registry))
    admin, admin_port = listen(make_app(inside, Gate(None, None, assembly.now)), 0, "127.0.0.1")
    answer = await client_of(admin_port)("GET", "/metrics")
    for each in (server, admin):
        each.stop()
        await each.close_all_connections()
    told = answer.body.decode()
    assert 'huimin_http_requests_total{method="GET",path="/v1/staff/alerts/{identifier}",status="401"} 2.0' in told
    assert 'huimin_http_requests_total{method="GET",path="unknown",status="404"} 1.0' in told
    assert 'huimin_outcomes_total{account="sms_aliyun/x",code="OK",verdict="accepted"} 3.0' in told
    assert "process_open_fds" in told
    assert "13800138000" not in told


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_the_public_port_does_not_serve_it(api: Client, path: str) -> None:
    assert (await api("GET", path)).status == 404
