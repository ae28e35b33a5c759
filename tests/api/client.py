"""What the tests of the API speak with: a small client, officers who are already in, and sockets that misbehave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from handlers.gate import Gate
from server.domain.citizens import Caller, Kind, LogIn
from server.domain.citizens import Client as LogInClient
from server.domain.errors import UnauthenticatedError
from server.domain.officers import Officer
from server.domain.sessions import Session
from server.storage.accounts import Accounts

SECURITY = ("X-Content-Type-Options", "Content-Security-Policy", "Cache-Control", "Referrer-Policy", "X-Request-Id")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The problem's code; "" for an answer that is none."""
        is_problem = self.headers.get("Content-Type", "").startswith("application/problem+json")
        return str(self.json["code"]) if is_problem else ""


@dataclass(frozen=True, slots=True)
class Client:
    """Asks one port. `token` is sent as a bearer token."""

    port: int

    async def __call__(self, method: str, path: str, body: Any = None, *, token: str = "", **headers: str) -> Answer:
        """`body`: bytes go as they are, anything else as JSON; header names with _ for -."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"Authorization": f"Bearer {token}"} if token else {}
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        request = HTTPRequest(
            f"http://127.0.0.1:{self.port}{path}", method, sent, data, allow_nonstandard_methods=True,
            request_timeout=20, decompress_response=False, follow_redirects=False,
        )  # fmt: skip
        got = await AsyncHTTPClient().fetch(request, raise_error=False)
        return Answer(got.code, dict(got.headers), got.body or b"")

    async def raw(self, data: bytes, *, wait_s: float = 5.0) -> bytes:
        """Send bytes as they are and read until the server closes; TimeoutError if it does not."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            return await asyncio.wait_for(reader.read(), wait_s)
        finally:
            writer.close()


def client_of(port: int) -> Client:
    """A client of one port."""
    return Client(port)


@dataclass(slots=True)
class Officers:
    """Sessions by token, without logging in."""

    now: Callable[[], datetime]
    by_token: dict[str, Session] = field(default_factory=dict)

    def enter(self, officer: Officer, *, totp_age: timedelta = timedelta(0)) -> str:
        """Let somebody in; the token. `totp_age`: how long ago the second factor was shown."""
        at, token = self.now(), f"token-{len(self.by_token)}"
        self.by_token[token] = Session(
            id=token, officer=officer, created_at=at, seen_at=at, totp_at=at - totp_age, origin="127.0.0.1"
        )
        return token

    async def session(self, token: str) -> Session:
        """The session of a token."""
        if token not in self.by_token:
            raise UnauthenticatedError("session_unknown", zh="会话无效", en="no such session")
        return self.by_token[token]

    async def note_refusal(self, officer: Officer, action: str) -> None:
        """Nobody keeps it here."""

    def gate(self, citizens: Citizens | None = None) -> Gate:
        """The door in front of them."""
        return Gate(self, None, self.now, citizens)


@dataclass(slots=True)
class Citizens:
    """Citizens by token, without logging in."""

    accounts: Accounts
    now: Callable[[], datetime]
    by_token: dict[str, int] = field(default_factory=dict)

    async def enter(self, citizen: int) -> str:
        """Let somebody in, with an account made if there is none; the token."""
        at, token = self.now(), f"citizen-{len(self.by_token)}"
        await self.accounts.open(citizen, f"{citizen:032x}", kind=Kind.PERSON, now=at)
        await self.accounts.begin_log_in(citizen, LogIn(token, LogInClient.APP, "test", at, at))
        self.by_token[token] = citizen
        return token

    async def caller(self, token: str) -> Caller:
        """Who holds this token."""
        if token not in self.by_token:
            raise UnauthenticatedError("token_invalid", zh="登录已失效", en="log in again")
        return Caller(await self.accounts.get(self.by_token[token]), token)
