"""The ONE route table: path, handler, who may enter, what goes in and out. Whatever is not in it does not exist.

Operations of one feature stand together. `server/openapi.py` makes the contract from the table; tests hold that both
are the same and that nobody enters where the table does not say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
import tornado.web
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from redis.exceptions import RedisError

import server
from handlers import feeds
from handlers.base import ApiHandler
from handlers.gate import Gate
from handlers.health import Alive, LiveHandler, MetricsHandler, Ready, ReadyHandler
from handlers.openapi import OpenApiHandler
from handlers.receipts import ReceiptHandler
from handlers.routing import DOCUMENT_BYTES, OPERATOR, PROVIDER, PUBLIC, Operation, Route
from server.assemble import Assembly, PublicParts
from server.domain.errors import NotFoundError
from server.domain.feeds_json import ActiveAlerts, AlertHistory, FeedEvents, FeedVersion, PublicAlert
from server.domain.feeds_writing import ATOM_TYPE, CAP_TYPE, GEOJSON_TYPE
from server.openapi import document_of
from server.services.receipts import Receipts
from server.storage.mongo import MongoError

ADMIN_URL = "http://127.0.0.1:8081"
CAP_SAMPLE = (
    '<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>44030041600000_20261124093000</identifier>...'
)
GUOTU_SAMPLE = '<alert xmlns="http://com.icss.amp"><identifier>44030041600000_20261124093000</identifier>...'
ATOM_SAMPLE = '<feed xmlns="http://www.w3.org/2005/Atom"><title>生效中的预警</title>...'
GEOJSON_SAMPLE = '{"type":"FeatureCollection","features":[]}'
CALLBACK_SAMPLE = '{"code":0,"msg":"接收成功"}'

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Services:
    """The services behind the public port: what handlers may ask."""

    assembly: Assembly
    receipts: Receipts
    public: PublicParts


class UnknownHandler(ApiHandler):
    """Everything else."""

    async def prepare(self) -> None:
        """Answer 404 to every method."""
        raise NotFoundError("path_unknown", zh="没有这个地址", en="there is no such path")


def public_routes(services: Services) -> list[Route]:
    """What citizens, officers, partners and providers reach."""
    return [*_receipt_routes(services), *_feed_routes(services)]


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


def _feed_routes(services: Services) -> list[Route]:
    public = services.public
    settings = services.assembly.settings
    parts = {"feeds": public.feeds, "shelf": public.shelf, "base": settings.public_url, "city": settings.city}

    def reads(summary: str, gives: type[BaseModel] | None = None, **more: Any) -> Mapping[str, Operation]:
        unchanged = {304: "unchanged since the ETag of If-None-Match"}
        return {"GET": Operation(summary=summary, entry=PUBLIC, gives=gives, answers_as=unchanged, **more)}

    def raw(kind: str, example: str) -> Mapping[str, Any]:
        return {"gives_raw": {kind: example}}

    cap = raw(CAP_TYPE, CAP_SAMPLE)
    guotu = raw(feeds.GUOTU_TYPE, GUOTU_SAMPLE)
    where = {"query": feeds.DivisionQuery}
    atom, geojson = raw(ATOM_TYPE, ATOM_SAMPLE), raw(GEOJSON_TYPE, GEOJSON_SAMPLE)
    table: list[tuple[str, type[ApiHandler], Mapping[str, Operation]]] = [
        ("/v1/alerts", feeds.AlertsHandler,
         reads("Alerts in force: here, or in all of the city", ActiveAlerts, query=feeds.AlertsQuery)),
        ("/v1/alerts/{identifier}.cap", feeds.CapHandler, reads("One message: the released CAP 1.2 bytes", **cap)),
        ("/v1/alerts/{identifier}.guotu", feeds.GuotuHandler, reads("One message as 国突 XML", **guotu)),
        ("/v1/alerts/{identifier}/history", feeds.HistoryHandler, reads("The chain of a message", AlertHistory)),
        ("/v1/alerts/{identifier}", feeds.AlertHandler, reads("One message, in force or not", PublicAlert)),
        ("/v1/feeds/alerts.atom", feeds.AtomHandler, reads("Alerts in force as Atom (RFC 4287)", **where, **atom)),
        ("/v1/feeds/alerts.geojson", feeds.GeoJsonHandler, reads("The same as GeoJSON (RFC 7946)", **where, **geojson)),
        ("/v1/feeds/version", feeds.VersionHandler, reads("Whether anything has changed, in a few bytes", FeedVersion)),
        ("/v1/feeds/heartbeat.cap", feeds.HeartbeatHandler, reads("A CAP System message of this minute", **cap)),
        ("/v1/feeds/events", feeds.EventsHandler,
         reads("All releases in order, from a cursor", FeedEvents, query=feeds.EventsQuery)),
    ]  # fmt: skip
    return [Route(path, handler, operations, parts) for path, handler, operations in table]


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
