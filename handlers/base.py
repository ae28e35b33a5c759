"""What every handler shares: who may enter, a body read before anything is done, answers as JSON or problems.

A handler's method runs only when its operation of the route table was passed: the entry was asked, headers and body
were read into the operation's models. An error, whoever raised it, leaves as problem+json; an unexpected exception is a
500 whose details stand only in the log. Every answer carries the security headers.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
import structlog
import tornado.web
from pydantic import BaseModel
from pymongo.errors import PyMongoError
from tornado.httputil import HTTPServerRequest

from handlers.gate import NOBODY, Gate
from handlers.problems import HTTP, UNEXPECTED, language_of, problem, problem_of, status_of
from handlers.reading import read_model, read_query
from handlers.routing import Operation
from server.domain import errors
from server.domain.citizens import Caller
from server.domain.officers import Officer
from server.domain.sessions import Session

RETRY_AFTER_S = 2
REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
JSON = "application/json"
PROBLEM = "application/problem+json; charset=utf-8"
_VERSION = re.compile(r'(?:W/)?"v(\d{1,9})"', re.ASCII)
SECURITY_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",  # read by browsers behind the city's TLS
}
M = TypeVar("M", bound=BaseModel)

log = structlog.get_logger()


class ApiHandler(tornado.web.RequestHandler):
    """JSON in, JSON out."""

    def __init__(
        self,
        application: tornado.web.Application,
        request: HTTPServerRequest,
        *,
        path: str,
        operations: Mapping[str, Operation],
        gate: Gate,
        **parts: Any,
    ) -> None:
        given = request.headers.get("X-Request-Id", "")
        self.request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        self.language = language_of(request.headers.get("Accept-Language", ""))
        self.path = path  # of the route table
        self.operations = operations
        self.etag: str | None = None
        self._gate = gate
        self._entrant = NOBODY
        self._given: BaseModel | None = None
        self._asked: BaseModel | None = None
        super().__init__(application, request, **parts)

    async def prepare(self) -> None:
        """Pass the operation's entry, then read body and query into its models."""
        operation = self.operation
        credential = self.request.headers.get("Authorization", "")
        self._entrant = await self._gate.admit(credential, operation.entry)
        if operation.query:
            self._asked = read_query(self.request.query, operation.query)
        self._refuse_misfit(operation)
        if operation.takes and self.media_type == JSON:
            self._given = read_model(self.request.body, operation.takes)

    @property
    def operation(self) -> Operation:
        """What the route table says about this method; HEAD is GET without its body. HTTPError 405."""
        method = self.request.method or ""
        found = self.operations.get(method)
        if found is None and method == "HEAD" and (found := self.operations.get("GET")):
            return found
        if found is None:
            raise tornado.web.HTTPError(405)
        return found

    @property
    def media_type(self) -> str:
        """Of the body, without parameters, in lower case; one without a name is JSON."""
        return (self.request.headers.get("Content-Type") or JSON).partition(";")[0].strip().lower()

    @property
    def officer(self) -> Officer:
        """Who has entered, on an operation for officers."""
        return self.session.officer

    @property
    def session(self) -> Session:
        """The session of that officer."""
        assert self._entrant.session is not None
        return self._entrant.session

    @property
    def partner(self) -> Any:
        """Who has entered, on an operation for partners."""
        return self._entrant.partner

    @property
    def caller(self) -> Caller:
        """Who has entered, on an operation for citizens."""
        assert self._entrant.caller is not None
        return self._entrant.caller

    async def head(self, **arguments: str) -> None:
        """As GET; tornado leaves the body out."""
        answer = self.get(**arguments)
        if answer is not None:
            await answer

    def given(self, model: type[M]) -> M:
        """The body as the model that the route table names."""
        assert isinstance(self._given, model)
        return self._given

    def asked(self, model: type[M]) -> M:
        """The query as the model that the route table names."""
        assert isinstance(self._asked, model)
        return self._asked

    @property
    def version(self) -> int:
        """What If-Match says the caller saw: the ETag of a GET; InvalidInputError `version_missing` (428)."""
        match = _VERSION.fullmatch(self.request.headers.get("If-Match", "").strip())
        if match is None:
            raise errors.InvalidInputError(
                "version_missing",
                zh='缺少 If-Match（如 "v3"）',
                en='If-Match is missing or not like "v3"',
                field="If-Match",
            )
        return int(match[1])

    def set_default_headers(self) -> None:
        """Nothing here may be framed, sniffed or cached, and nobody learns what serves it."""
        self.clear_header("Server")
        for name, value in SECURITY_HEADERS.items():
            self.set_header(name, value)
        self.set_header("X-Request-Id", self.request_id)

    def mark(self, etag: str) -> None:
        """Say which version this is; a GET whose caller has it is answered 304."""
        self.etag = etag
        if self.request.method not in ("GET", "HEAD"):  # for these tornado sets it, and compares
            self.set_header("Etag", etag)

    def compute_etag(self) -> str | None:
        """What `mark` was told: bodies are not hashed."""
        return self.etag

    def respond(self, body: BaseModel | Mapping[str, Any], status: int = 200) -> None:
        """Answer with JSON."""
        self.set_status(status)
        self.set_header("Content-Type", f"{JSON}; charset=utf-8")
        self.finish(body.model_dump_json().encode() if isinstance(body, BaseModel) else orjson.dumps(body))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Every error, whoever raised it, as problem+json."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, errors.HuiminError):
            status_code = status_of(error)
            body = problem_of(error, self.language, self.request_id)
        else:
            what = UNEXPECTED if status_code >= 500 else HTTP.get(status_code, HTTP[400])
            if isinstance(error, PyMongoError):
                status_code, what = 503, ("database_away", "数据库暂时不可用", "the database is away")
            body = problem(status_code, what, self.language, self.request_id)
        self._explain(status_code)
        self.set_status(status_code)
        self.set_header("Content-Type", PROBLEM)
        self.finish(body.model_dump_json(exclude_defaults=True).encode())

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Expected errors are no news; the rest is logged with the request id."""
        if isinstance(value, errors.HuiminError | tornado.web.HTTPError):
            return
        log.error("request_failed", request_id=self.request_id, exc_info=(typ, value, tb))

    def _explain(self, status: int) -> None:
        """The headers that belong to a status."""
        if status == 401:
            self.set_header("WWW-Authenticate", "Bearer")
        elif status == 405:
            self.set_header("Allow", ", ".join(sorted(self.operations)))
        elif status in (429, 503):
            self.set_header("Retry-After", str(RETRY_AFTER_S))

    def _refuse_misfit(self, operation: Operation) -> None:
        """InvalidInputError for a body that is too large, of another kind, or where none is taken."""
        size, limit = len(self.request.body), operation.max_bytes(self.media_type)
        if size > limit:
            raise errors.InvalidInputError(
                "body_too_large", zh=f"内容超过{limit}字节", en=f"the body is larger than {limit} bytes"
            )
        kinds = [*([JSON] if operation.takes else []), *operation.takes_raw]
        if size and not kinds and self.request.method not in ("GET", "HEAD"):
            raise errors.InvalidInputError("body_unexpected", zh="此操作不接受内容", en="this takes no body")
        if kinds and "*/*" not in kinds and self.media_type not in kinds:
            raise errors.InvalidInputError(
                "media_type_unknown",
                zh=f"Content-Type 应为 {'、'.join(kinds)}",
                en=f"Content-Type has to be {' or '.join(kinds)}",
                field="Content-Type",
            )
