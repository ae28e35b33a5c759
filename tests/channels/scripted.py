"""A small scripted provider on loopback, and what the channels need around them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import cast

from channels.base import Outcome

Answer = Callable[["Request"], bytes | float | None]


@dataclass
class Request:
    """One request as the provider saw it. `number` counts all requests from 0."""

    number: int
    head: str
    body: bytes
    connection: asyncio.Transport

    @property
    def target(self) -> str:
        """The path and query."""
        return self.head.split(" ", 2)[1]

    def header(self, name: str) -> str:
        """A header by its lower-case name, "" without it."""
        lines = [line.partition(":") for line in self.head.split("\r\n")[1:]]
        return next((value.strip() for key, _, value in lines if key.lower() == name), "")


def http(body: bytes, status: int = 200, *headers: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers))
    return head.encode() + b"\r\n" + body


class _Connection(asyncio.Protocol):
    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are of another family
        self.provider.open.add(self.transport)
        self.provider.connections += 1

    def connection_lost(self, _exc: Exception | None) -> None:
        self.provider.open.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, rest = self.received.partition(b"\r\n\r\n")
        size = int(
            next((v for k, _, v in (x.partition(b":") for x in head.split(b"\r\n")) if k == b"Content-Length"), 0)
        )
        if not end or len(rest) < size:
            return
        self.received = rest[size:]
        request = Request(next(self.provider.numbers), head.decode(), rest[:size], self.transport)
        self.provider.requests.append(request)
        answer = self.provider.answer(request)
        if answer is None:
            self.transport.abort()
        elif isinstance(answer, float):
            asyncio.get_running_loop().call_later(answer, self.answer_late)
        else:
            self.transport.write(answer)

    def answer_late(self) -> None:
        """Answer, if the client is still there."""
        if not self.transport.is_closing():
            self.transport.write(http(b"{}"))


@dataclass
class Provider:
    """Answers each request by `answer`: bytes to write, a float of seconds to wait before "{}", None to reset."""

    answer: Answer
    requests: list[Request] = field(default_factory=list)
    open: set[asyncio.Transport] = field(default_factory=set)
    connections: int = 0
    numbers: count[int] = field(default_factory=count)
    port: int = 0
    server: asyncio.Server | None = None
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        """Where the provider listens."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", self.port, backlog=1024, ssl=self.tls
        )
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Go away: close the door and reset every connection."""
        assert self.server is not None
        self.server.close()
        for transport in list(self.open):
            transport.abort()
        await self.server.wait_closed()
        await asyncio.sleep(0)


Serve = Callable[[Answer], Awaitable[Provider]]


class MemoryTokens:
    """A token store for one process that counts its uses."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.locks: dict[str, asyncio.Lock] = {}

    async def get(self, name: str) -> str | None:
        """What was put."""
        return self.values.get(name)

    async def put(self, name: str, value: str, ttl_s: float) -> None:
        """Keep it for ever."""
        assert ttl_s > 0
        self.values[name] = value

    @asynccontextmanager
    async def lock(self, name: str, ttl_s: float) -> AsyncIterator[None]:
        """One holder at a time."""
        async with asyncio.timeout(ttl_s), self.locks.setdefault(name, asyncio.Lock()):
            yield


@dataclass
class MovedClock:
    """A clock the test moves."""

    now: datetime = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Now."""
        return self.now

    def pass_s(self, seconds: float) -> None:
        """Time passes."""
        self.now += timedelta(seconds=seconds)


Send = Callable[..., Awaitable[list[Outcome]]]
