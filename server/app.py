"""The ONE route table: path, handler, who may enter, what goes in and out. Whatever is not in it does not exist.

Operations of one feature stand together. `server/openapi.py` makes the contract from the table; tests hold that both
are the same and that nobody enters where the table does not say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
import tornado.web
from prometheus_client import CollectorRegistry
from redis.exceptions import RedisError

import server
from handlers.base import ApiHandler
from handlers.gate import Gate
from handlers.health import Alive, LiveHandler, MetricsHandler, Ready, ReadyHandler
from handlers.openapi import OpenApiHandler
from handlers.receipts import ReceiptHandler
from handlers.routing import DOCUMENT_BYTES, OPERATOR, PROVIDER, PUBLIC, Operation, Route
from server.assemble import Assembly
from server.domain.errors import NotFoundError
from server.openapi import document_of
from server.services.receipts import Receipts
from server.storage.mongo import MongoError

ADMIN_URL = "http://127.0.0.1:8081"
CALLBACK_SAMPLE = '{"code":0,"msg":"接收成功"}'

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Services:
    """The services behind the public port: what handlers may ask."""

    assembly: Assembly
    receipts: Receipts


class UnknownHandler(ApiHandler):
    """Everything else."""

    async def prepare(self) -> None:
        """Answer 404 to every method."""
        raise NotFoundError("path_unknown", zh="没有这个地址", en="there is no such path")


def public_routes(services: Services) -> list[Route]:
    """What citizens, officers, partners and providers reach."""
    return [*_receipt_routes(services)]


def _receipt_routes(services: Services) -> list[Route]:
    parts = {"receipts": services.receipts}
    operations = {
        "GET": Operation(
            summary="The provider checks this address (WeChat's echo)",
            entry=PROVIDER,
            gives_raw={"text/plain": "5837164012"},
        ),
        "POST": Operation(
            summary="Receipts and events, in the provider's own form; answered once they are durable",
            entry=PROVIDER,
            takes_raw=("*/*",),
            gives_raw={"application/json": CALLBACK_SAMPLE, "text/plain": "success"},
            max_bytes=DOCUMENT_BYTES,
        ),
    }
    return [
        Route("/v1/receipts/{provider}", ReceiptHandler, operations, parts),
        Route("/v1/receipts/{provider}/{key}", ReceiptHandler, operations, parts),
    ]


def admin_routes(assembly: Assembly, registry: CollectorRegistry) -> list[Route]:
    """What stays inside."""

    async def mongo_answers() -> bool:
        try:
            await assembly.db.command("ping")
        except MongoError:
            return False
        return True

    async def redis_answers() -> bool:
        try:
            return bool(await assembly.redis.ping())
        except (RedisError, OSError):
            return False

    checks = {"mongo": mongo_answers, "redis": redis_answers}
    live = Operation(summary="Whether the process turns", entry=OPERATOR, gives=Alive)
    ready = Operation(
        summary="Whether requests can be served", entry=OPERATOR, gives=Ready, answers_as={503: "a part is away"}
    )
    metrics = Operation(
        summary="The figures of this process", entry=OPERATOR, gives_raw={"text/plain": "process_open_fds 42.0\n"}
    )
    return [
        Route("/livez", LiveHandler, {"GET": live}),
        Route("/readyz", ReadyHandler, {"GET": ready}, {"checks": checks}),
        Route("/metrics", MetricsHandler, {"GET": metrics}, {"registry": registry}),
    ]


def with_contract(public: Sequence[Route], admin: Sequence[Route]) -> list[Route]:
    """The public routes and the document that describes all of them, itself included."""
    contract = Operation(
        summary="This contract: OpenAPI 3.1, made from the route table",
        entry=PUBLIC,
        gives_raw={"application/json": '{"openapi":"3.1.0"}'},
        answers_as={304: "unchanged"},
    )
    route = Route("/openapi.json", OpenApiHandler, {"GET": contract})
    document = document_of([*public, route], admin, server.__version__, ADMIN_URL)
    return [*public, Route(route.path, route.handler, route.operations, {"document": document})]


def make_app(routes: Sequence[Route], gate: Gate) -> tornado.web.Application:
    """A Tornado application that serves these routes and answers 404 problem+json to everything else."""
    return tornado.web.Application(
        [(r.pattern, r.handler, {"operations": r.operations, "gate": gate, **r.parts}) for r in routes],
        default_handler_class=UnknownHandler,
        default_handler_args={"operations": {}, "gate": gate},
        compress_response=False,
        cross_origin_protection=True,
        serve_traceback=False,
        log_function=_log_request,
    )


def _log_request(handler: tornado.web.RequestHandler) -> None:
    """One line per request, without its query: queries of callbacks carry signatures and openids."""
    report = log.debug if handler.get_status() < 400 else log.warning
    report(
        "request",
        method=handler.request.method,
        path=handler.request.path,
        status=handler.get_status(),
        ms=round(handler.request.request_time() * 1000, 1),
        request_id=getattr(handler, "request_id", ""),
    )
