"""What every handler shares: problem+json answers in the caller's language, a request id, bounds.

Errors of the domain become HTTP statuses in one table here; bodies are RFC 9457 problem details with the stable `code`,
the `field` at fault and the request id. An unexpected exception is a 500 whose details stand only in the log.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

import orjson
import structlog
import tornado.web
from pymongo.errors import PyMongoError

from server.domain import errors

STATUS: dict[type[errors.HuiminError], int] = {
    errors.InvalidInputError: 422,
    errors.UnauthenticatedError: 401,
    errors.ForbiddenError: 403,
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.TooManyError: 429,
    errors.UnavailableError: 503,
}
RETRY_AFTER_S = 2
REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")

log = structlog.get_logger()


class ApiHandler(tornado.web.RequestHandler):
    """JSON in, JSON out."""

    def prepare(self) -> None:
        """Name the request: the caller's X-Request-Id if it is a plain one."""
        given = self.request.headers.get("X-Request-Id", "")
        self.request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)

    def set_default_headers(self) -> None:
        """Nothing here may be framed, sniffed or cached, and nobody learns what serves it."""
        self.clear_header("Server")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")

    def respond(self, body: Any, status: int = 200) -> None:
        """Answer with JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(orjson.dumps(body))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Every error, whoever raised it, as problem+json."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        code, zh, en, field = "unexpected", "服务暂时出错，请稍后再试。", "something broke here; try again later", None
        if isinstance(error, errors.HuiminError):
            status_code = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)
            code, zh, en, field = error.code, error.zh, error.en, error.field
        elif isinstance(error, PyMongoError):
            status_code, code = 503, "database_away"
            zh, en = "数据库暂时不可用，请稍后再试。", "the database is away; try again in a moment"
        elif status_code < 500:
            code, zh, en = f"http_{status_code}", self._reason, self._reason
        if status_code == 503:
            self.set_header("Retry-After", str(RETRY_AFTER_S))
        speaks_chinese = not self.request.headers.get("Accept-Language", "zh").lower().startswith("en")
        self.set_status(status_code)
        self.set_header("Content-Type", "application/problem+json; charset=utf-8")
        problem = {"type": f"urn:huimin:error:{code}", "title": zh if speaks_chinese else en, "status": status_code}
        problem |= {"code": code, "request_id": getattr(self, "request_id", "")} | ({"field": field} if field else {})
        self.finish(orjson.dumps(problem))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Expected errors are no news; the rest is logged with the request id."""
        if isinstance(value, errors.HuiminError | tornado.web.HTTPError):
            return
        log.error("request_failed", request_id=getattr(self, "request_id", ""), exc_info=(typ, value, tb))
