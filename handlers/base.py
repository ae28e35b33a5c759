"""What every handler shares: who may enter, a body read before anything is done, answers as JSON or problems.

A handler's method runs only when its operation of the route table was passed: the entry was asked, headers and body
were read into the operation's models. An error, whoever raised it, leaves as problem+json; an unexpected exception is a
500 whose details stand only in the log. Every answer carries the security headers. A POST that its caller has named
(Idempotency-Key) is done once: its answer is kept before it is given, and given again.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import orjson
import structlog
import tornado.web
from pydantic import BaseModel
from pymongo.errors import PyMongoError
from tornado.httputil import HTTPServerRequest

from handlers.gate import NOBODY, Gate
from handlers.manners import KEPT_HEADERS, PLAIN, Manners, cors_headers, next_link, preflight_headers
from handlers.problems import AWAY, HTTP, UNEXPECTED, language_of, problem, problem_of, status_of
from handlers.reading import read_model, read_query
from handlers.routing import Operation, Who, may_repeat
from server.domain import errors
from server.domain.citizens import Caller
from server.domain.idempotency import Answer, fingerprint, is_final, key_of
from server.domain.officers import Officer
from server.domain.origins import counted, origin_of
from server.domain.sessions import Session
from server.services.idempotency import Hold

RETRY_AFTER_S = 2
REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
JSON = "application/json"
LANGUAGES: Mapping[str, str] = {"zh": "zh-CN", "en": "en"}
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
        manners: Manners = PLAIN,
        **parts: Any,
    ) -> None:
        given = request.headers.get("X-Request-Id", "")
        self.request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        self.language = language_of(request.headers.get("Accept-Language", ""))
        self.path = path  # of the route table
        self.operations = operations
        self.etag: str | None = None
        self.idempotency_key: str | None = None  # for services that must not do a thing twice, whoever dies in between
        self._gate = gate
        self._manners = manners
        self._told: dict[str, str] = {}  # headers that outlive an error: of quotas
        self._hold: Hold | None = None
        self._held_body: bytes | None = None
        self._entrant = NOBODY
        self._given: BaseModel | None = None
        self._asked: BaseModel | None = None
        super().__init__(application, request, **parts)

    async def prepare(self) -> None:
        """Pass the operation's entry, then read body and query into its models."""
        if self._is_preflight():
            self._answer_preflight()
            return
        operation = self.operation
        if operation.entry.who is Who.PUBLIC:
            self._charge(Who.PUBLIC, counted(self.origin))
        credential = self.request.headers.get("Authorization", "")
        self._entrant = await self._gate.admit(credential, operation.entry)
        if operation.entry.who is Who.CITIZEN:
            self._charge(Who.CITIZEN, self._entrant.name)
        if operation.query:
            self._asked = read_query(self.request.query, operation.query)
        self._refuse_misfit(operation)
        if operation.takes and self.media_type == JSON:
            self._given = read_model(self.request.body, operation.takes)
        await self._do_once(operation)

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
    def origin(self) -> str:
        """The network address that the request came from, as far as proxies can be believed."""
        forwarded = ",".join(self.request.headers.get_list("X-Forwarded-For"))
        return origin_of(self.request.remote_ip or "", forwarded, self._manners.proxies)

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
        self.set_header("Vary", "Accept-Language, Origin" if self._manners.origins else "Accept-Language")
        shared = cors_headers(self.request.headers.get("Origin", ""), self._manners.origins)
        for name, value in (self._told | shared).items():
            self.set_header(name, value)

    def mark(self, etag: str) -> None:
        """Say which version this is; a GET whose caller has it is answered 304."""
        self.etag = etag
        if self.request.method not in ("GET", "HEAD"):  # for these tornado sets it, and compares
            self.set_header("Etag", etag)

    def compute_etag(self) -> str | None:
        """What `mark` was told: bodies are not hashed."""
        return self.etag

    def link_next(self, changes: Mapping[str, object]) -> None:
        """Say where the list goes on: here, with these parameters of the query (`{"cursor": following}`).

        A value that is None or "" says that this was the last page: there is no link then.
        """
        if all(value not in (None, "") for value in changes.values()):
            self.set_header("Link", next_link(self.request.uri or "", changes))

    def respond(self, body: BaseModel | Mapping[str, Any], status: int = 200) -> None:
        """Answer with JSON."""
        self.set_status(status)
        self.set_header("Content-Type", f"{JSON}; charset=utf-8")
        self.set_header("Content-Language", LANGUAGES[self.language])
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
                status_code, what = 503, AWAY
            body = problem(status_code, what, self.language, self.request_id)
        self._explain(status_code, error.retry_after_s if isinstance(error, errors.HuiminError) else None)
        self.set_status(status_code)
        self.set_header("Content-Type", PROBLEM)
        self.set_header("Content-Language", LANGUAGES[self.language])
        self.finish(body.model_dump_json(exclude_defaults=True).encode())

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Expected errors are no news; the rest is logged with the request id."""
        if isinstance(value, errors.HuiminError | tornado.web.HTTPError):
            return
        log.error("request_failed", request_id=self.request_id, exc_info=(typ, value, tb))

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> asyncio.Future[None]:
        """Send the answer; that of a named request waits until it is kept."""
        if self._hold is None:
            return super().finish(chunk)
        assert chunk is None or isinstance(chunk, bytes)
        self._held_body = chunk or b""
        nothing_sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        nothing_sent.set_result(None)
        return nothing_sent

    async def _do_once(self, operation: Operation) -> None:
        """If the caller has named this request: answer as before, or see to it that the answer will be kept."""
        method, idempotency = self.request.method or "", self._manners.idempotency
        given = self.request.headers.get("Idempotency-Key")
        if given is None or idempotency is None or not may_repeat(method, operation):
            return
        self.idempotency_key = key_of(given)
        words = (method, self.request.uri or "", self.media_type, self.request.headers.get("If-Match", ""))
        print_ = fingerprint(words, self.request.body)
        found = await idempotency.begin(self._entrant.name, self.idempotency_key, print_)
        if isinstance(found, Hold):
            setattr(self, method.lower(), partial(self._work, self.post, found))
            return
        self.set_status(found.status)
        self.set_header("Idempotency-Replayed", "true")
        for name, value in found.headers.items():
            self.set_header(name, value)
        await self.finish(found.body or None)

    async def _work(self, post: Callable[..., Awaitable[None] | None], hold: Hold, **arguments: str) -> None:
        """Do what was asked; keep the answer, a refusal too; then send it. What broke leaves the key free."""
        idempotency = self._manners.idempotency
        assert idempotency is not None
        self._hold = hold
        try:
            await self._answer(post, arguments)
        except BaseException:
            self._hold = None
            await idempotency.free(hold)
            raise
        self._hold = None
        if is_final(self.get_status()):
            headers = {name: self._headers[name] for name in KEPT_HEADERS if name in self._headers}
            await idempotency.keep(hold, Answer(self.get_status(), headers, self._held_body or b""))
        else:
            await idempotency.free(hold)
        self.finish(self._held_body or None)

    async def _answer(self, post: Callable[..., Awaitable[None] | None], arguments: Mapping[str, str]) -> None:
        """Run the method of the route; a refusal that would stay one is an answer."""
        try:
            answer = post(**arguments)
            if answer is not None:
                await answer
        except errors.HuiminError as error:
            if not is_final(status_of(error)):
                raise
            self.clear()
            self.write_error(status_of(error), exc_info=(type(error), error, None))

    def _charge(self, who: Who, caller: str) -> None:
        """Count the request; TooManyError `too_many_requests` for one too many."""
        throttle = self._manners.throttles.get(who)
        if throttle is None:
            return
        standing = throttle.take(caller)
        self._told = standing.headers
        for name, value in self._told.items():
            self.set_header(name, value)
        if standing.retry_after_s:
            raise errors.TooManyError(
                "too_many_requests", zh="请求过于频繁", en="too many requests", retry_after_s=standing.retry_after_s
            )

    def _is_preflight(self) -> bool:
        """Whether a browser asks what a page of another origin may do (Fetch standard, 3.2.3)."""
        headers = self.request.headers
        return self.request.method == "OPTIONS" and "Origin" in headers and "Access-Control-Request-Method" in headers

    def _answer_preflight(self) -> None:
        """204 with what the route table has; HTTPError 403 for an origin that is not listed."""
        if self.request.headers["Origin"] not in self._manners.origins:
            raise tornado.web.HTTPError(403)
        for name, value in preflight_headers(self.operations).items():
            self.set_header(name, value)
        self.set_status(204)
        self.finish()

    def _explain(self, status: int, retry_after_s: int | None) -> None:
        """The headers that belong to a status."""
        if status == 401:
            self.set_header("WWW-Authenticate", "Bearer")
        elif status == 405:
            self.set_header("Allow", ", ".join(sorted(self.operations)))
        elif status in (429, 503) or retry_after_s is not None:
            self.set_header("Retry-After", str(retry_after_s or RETRY_AFTER_S))

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
