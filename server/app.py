"""The ONE route table: pattern, handler, who may enter. Whatever is not in it does not exist."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import structlog
import tornado.web
from redis.exceptions import RedisError

from handlers.base import ApiHandler
from handlers.health import LiveHandler, ReadyHandler
from handlers.receipts import ReceiptHandler
from server.assemble import Assembly
from server.domain.errors import NotFoundError
from server.services.receipts import Receipts
from server.storage.mongo import MongoError

MAX_BODY_BYTES = 1_048_576
RECEIPT_KEY = re.compile(r"(/receipts/[^/]*)/.*", re.DOTALL)

log = structlog.get_logger()


class Entry(StrEnum):
    """Who may enter. A route without one cannot be written."""

    PROVIDER = "provider"  # the handler's reader verifies the signature
    OPERATOR = "operator"  # the admin port, reachable from inside only


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table."""

    pattern: str
    handler: type[ApiHandler]
    entry: Entry
    arguments: Mapping[str, Any] = field(default_factory=dict)


class UnknownHandler(ApiHandler):
    """Everything else."""

    def prepare(self) -> None:
        """Answer 404 to every method."""
        super().prepare()
        raise NotFoundError("path_unknown", zh="没有这个地址。", en="there is no such path")


def public_routes(receipts: Receipts) -> Sequence[Route]:
    """What citizens, partners and providers reach."""
    return [
        Route(
            r"/v1/receipts/([a-z_]{2,20})(?:/([A-Za-z0-9_-]{8,128}))?",
            ReceiptHandler,
            Entry.PROVIDER,
            {"receipts": receipts},
        ),
    ]


def admin_routes(assembly: Assembly) -> Sequence[Route]:
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
    return [
        Route(r"/livez", LiveHandler, Entry.OPERATOR),
        Route(r"/readyz", ReadyHandler, Entry.OPERATOR, {"checks": checks}),
    ]


def make_app(routes: Sequence[Route]) -> tornado.web.Application:
    """A Tornado application that serves these routes and answers 404 problem+json to everything else."""
    return tornado.web.Application(
        [(f"{r.pattern}$", r.handler, dict(r.arguments)) for r in routes],
        default_handler_class=UnknownHandler,
        compress_response=False,
        serve_traceback=False,
        log_function=_log_request,
    )


def _log_request(handler: tornado.web.RequestHandler) -> None:
    """One line per request, without its query and without the key in a receipt's path: both are secrets."""
    report = log.debug if handler.get_status() < 400 else log.warning
    report(
        "request",
        method=handler.request.method,
        path=RECEIPT_KEY.sub(r"\1/***", handler.request.path),
        status=handler.get_status(),
        ms=round(handler.request.request_time() * 1000, 1),
        request_id=getattr(handler, "request_id", ""),
    )
