"""Kept public answers: the shelf in front of the application, against a bare handler that writes the same bytes.

Both sides are served by one process, on two ports, one after the other; the load comes from this process over
connections that stay open. `python -m bench.public_cache` is the server: it says its ports in one JSON line and serves
until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import cast

import orjson
import tornado.web
import uvloop

from bench.city import Stage
from bench.figures import Row, spread
from handlers.bounds import listen
from handlers.front import Front, Ready, Shelf
from server.domain.feeds_json import EXAMPLE

REACH = 1.2
PATH = "/v1/alerts?division=440305"
ALERTS = 3
CONNECTIONS = 64
SECONDS, QUICK_SECONDS = 3.0, 0.3
BODY = orjson.dumps({"version": "9f86d081884c7d65", "alerts": [dict(EXAMPLE)] * ALERTS, "next": None})
HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "Cache-Control": "public, max-age=1",
    "Vary": "Accept-Language",
    "Access-Control-Allow-Origin": "*",
    "Etag": '"9f86d081884c7d659a2feaa0c55ad015"',
}
REQUEST = f"GET {PATH} HTTP/1.1\r\nHost: city.example\r\nAccept-Language: zh-CN\r\n\r\n".encode()


async def public_cache(stage: Stage) -> list[Row]:
    """Answers a second from the shelf over answers a second of the bare handler, in one run."""
    seconds = SECONDS if stage.sizes.repeats > 1 else QUICK_SECONDS
    rates: dict[str, list[float]] = {"bare": [], "kept": []}
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.public_cache", stdin=PIPE, stdout=PIPE, cwd=Path(__file__).parents[1]
    )
    try:
        assert server.stdout is not None
        ports: dict[str, int] = json.loads(await server.stdout.readline())
        for turn in range(stage.sizes.repeats + 1):  # the first turn warms up and does not count
            stage.tell("measuring", turn, stage.sizes.repeats + 1)
            for side, port in ports.items():
                rate = await load(port, seconds, [REQUEST] * CONNECTIONS)
                if turn:
                    rates[side].append(rate)
    finally:
        server.kill()
        await server.wait()
    kept, bare = spread(rates["kept"]), spread(rates["bare"])
    ratio = kept.median / bare.median
    row = Row(
        name="public_cache",
        figure="kept public answers against a bare Tornado handler that writes the same bytes",
        reach=f">= {REACH}",
        measured=ratio,
        is_reached=ratio >= REACH,
        detail={"kept_per_s": kept, "bare_per_s": bare, "bytes": len(BODY), "connections": CONNECTIONS},
    )
    return [row]


class _Client(asyncio.Protocol):
    """Asks again as soon as it has an answer, until told to stop. `count` are whole answers."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.count = 0
        self.is_asking = True
        self._left = 0
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are of another family
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._left:
            self._head += data
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                raise ValueError(head)
            size = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            self._head, self._left, data = b"", size, rest
        self._left -= len(data)
        if not self._left:
            self.count += 1
            if self.is_asking:
                self.transport.write(self._request)


async def load(port: int, seconds: float, requests: Sequence[bytes]) -> float:
    """Whole answers a second over connections that stay open, one for each of the requests."""
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(partial(_Client, each), "127.0.0.1", port) for each in requests]
    clients = [client for _, client in made]
    before, began = sum(client.count for client in clients), time.perf_counter()
    await asyncio.sleep(seconds)
    done, took = sum(client.count for client in clients) - before, time.perf_counter() - began
    for client in clients:
        client.is_asking = False
        client.transport.close()
    return done / took


class BareHandler(tornado.web.RequestHandler):
    """What any Tornado application would do at least."""

    def get(self) -> None:
        """The bytes."""
        self.write(BODY)


async def serve() -> None:
    """Both sides, each on a port of its own."""
    shelf = Shelf(lambda: datetime.now(UTC))
    until = datetime.now(UTC) + timedelta(hours=1)
    shelf.put(PATH, "zh", Ready(BODY, HEADERS["Etag"], tuple(HEADERS.items()), until), shelf.generation)
    bare = tornado.web.Application([(r"/v1/alerts", BareHandler)], log_function=lambda _: None)
    front = Front(tornado.web.Application([]), shelf)
    ports = {"bare": listen(bare, 0, "127.0.0.1")[1], "kept": listen(front, 0, "127.0.0.1")[1]}
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(serve())
