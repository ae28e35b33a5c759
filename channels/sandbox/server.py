"""The sandbox: four providers and a department behind one port of one process, and a virus scanner behind another.

A request is matched to its provider, the fault script has its say, the provider answers, and an answer that tells of an
accept waits until the accept is in the journal. The paths are the vendors' own, so a client only changes its base URL;
below `/_sandbox/` the operator of the sandbox sets faults, grants and limits and reads counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from channels.sandbox import accounts, fcm, receipt_styles, wechat
from channels.sandbox.book import Answer, Book, Provider
from channels.sandbox.clamd import Clamd
from channels.sandbox.faults import Dice, Fate, FaultScript
from channels.sandbox.http import Connection, Reply, Request, Service, response
from channels.sandbox.journal import Journal
from channels.sandbox.phones import Phones
from channels.sandbox.receipts import Outbox
from channels.sandbox.registers import Registers
from channels.sandbox.sms_aliyun import AliyunSms
from channels.sandbox.sms_tencent import TencentSms
from channels.sandbox.templates import Templates
from channels.sandbox.weather import Weather

JOURNAL = "journal.tsv"  # below the home folder


class _Route(NamedTuple):
    provider: Provider
    answer: Callable[[Request], Answer]
    is_send: bool  # faults by share concern sending only; outages and latency concern everything


class Sandbox:
    """All of them. `home` holds the journal and the FCM key; `clock` is Unix time in seconds."""

    def __init__(self, home: Path, templates: Templates, seed: int, clock: Callable[[], float] = time.time) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._clock = clock
        self._journal = Journal(home / JOURNAL, loop)
        self.wechat = wechat.WeChat(Book("wechat", accounts.APPID, self._journal, clock), templates.wechat, seed)
        self.fcm = fcm.Fcm(Book("fcm", accounts.PROJECT, self._journal, clock), accounts.public_key_pem(home))
        self.phones = Phones(clock)
        self.weather = Weather(clock)
        aliyun, tencent = (
            Book("sms_aliyun", accounts.ACCESS_KEY_ID, self._journal, clock),
            Book("sms_tencent", accounts.SDK_APP_ID, self._journal, clock),
        )
        self.aliyun = AliyunSms(aliyun, templates, self.phones)
        self.tencent = TencentSms(tencent, templates, self.phones)
        self.registers = Registers(Book("registers", "registers", self._journal, clock))
        self.clamd = Clamd(Book("clamd", "clamd", self._journal, clock))
        self.providers: Mapping[str, Provider] = {
            "wechat": self.wechat,
            "fcm": self.fcm,
            "sms_aliyun": self.aliyun,
            "sms_tencent": self.tencent,
            "registers": self.registers,
        }
        self.books = {name: provider.book for name, provider in self.providers.items()} | {"clamd": self.clamd.book}
        styles = {
            "wechat": receipt_styles.wechat(clock),
            "sms_aliyun": receipt_styles.aliyun(clock),
            "sms_tencent": receipt_styles.tencent(clock),
        }
        self.outboxes = {name: Outbox(style, self.providers[name].book.counts, loop) for name, style in styles.items()}
        self._routes = self._table()
        self._aliyun = _Route(self.aliyun, self.aliyun.answer, is_send=True)
        self._tencent = _Route(self.tencent, self.tencent.answer, is_send=True)
        self._otherwise: Service = _not_found
        self._late: dict[int, list[Reply]] = {}
        self._peers: set[Connection] = set()

    def _table(self) -> dict[bytes, _Route]:
        table = {
            wechat.SEND.encode(): _Route(self.wechat, self.wechat.send, is_send=True),
            fcm.SEND.encode(): _Route(self.fcm, self.fcm.send, is_send=True),
        }
        table |= {path: _Route(self.registers, answer, is_send=True) for path, answer in self.registers.routes.items()}
        for provider in (self.wechat, self.fcm):
            table |= {path: _Route(provider, answer, is_send=False) for path, answer in provider.routes.items()}
        return table

    # -- life

    async def serve(
        self, ports: tuple[int, int], otherwise: Service, ready: Callable[[int, int], None], stop: asyncio.Event
    ) -> None:
        """Listen on loopback until `stop`, then send the receipts that are still due.

        `ports` are that of HTTP and that of the scanner, which `ready` is told; `otherwise` serves the paths of no
        provider.
        """
        self._otherwise = otherwise
        server = await self._loop.create_server(
            lambda: Connection(self.answer, self._peers), "127.0.0.1", ports[0], backlog=4096
        )
        scanner = await self.clamd.listen(ports[1])
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(outbox.run()) for outbox in self.outboxes.values()]
            ready(server.sockets[0].getsockname()[1], scanner.sockets[0].getsockname()[1])
            await stop.wait()
            server.close()
            scanner.close()
            self.clamd.close()
            await self.flush(5.0)
            for task in tasks:
                task.cancel()
        await self._journal.close()
        for peer in tuple(self._peers):
            peer.close()
        await asyncio.sleep(0)

    def script(self, script: FaultScript) -> None:
        """Put a fault script in force for all providers."""
        for book in self.books.values():
            book.script(script)
        for name, outbox in self.outboxes.items():
            outbox.pace(self.providers[name].book.dice.faults.receipts.posts_per_s)

    def send_receipts_to(self, callback: str) -> None:
        """Send receipts below this address; an empty one stops them."""
        for name, outbox in self.outboxes.items():
            outbox.callback = callback.rstrip("/")
            self.providers[name].book.owe = outbox.owe if callback else None

    async def flush(self, timeout_s: float) -> None:
        """Send all receipts that are waiting now, together for at most `timeout_s`."""
        async with asyncio.TaskGroup() as group:
            for outbox in self.outboxes.values():
                group.create_task(outbox.flush(timeout_s))

    # -- one request

    def answer(self, request: Request, reply: Reply) -> None:
        """Serve one request."""
        route = self._routes.get(request.path) or self._find(request)
        if route is None:
            self._otherwise(request, reply)
            return
        dice = route.provider.book.dice
        if dice.is_calm:
            reply.data, lines = route.answer(request)
            if lines:
                self._journal.add(lines, reply.release)
            else:
                reply.release()
        else:
            self._serve_badly(route, dice, request, reply)

    def _find(self, request: Request) -> _Route | None:
        if request.path == b"/":
            return self._tencent if request.header(b"x-tc-action") else self._aliyun
        if request.path.startswith(b"/v1/projects/") and request.path.endswith(b"/messages:send"):
            return _Route(self.fcm, self.fcm.elsewhere, is_send=False)
        return None

    def _serve_badly(self, route: _Route, dice: Dice, request: Request, reply: Reply) -> None:
        """The same with the fault script's say."""
        provider, counts = route.provider, route.provider.book.counts
        if dice.is_down(self._clock()):
            counts["faults DOWN"] += 1
            reply.reset()
            return
        fate = dice.fate() if route.is_send else Fate.FAIR
        if fate is not Fate.FAIR:
            counts[f"faults {fate.name}"] += 1
        if fate is Fate.RESET:
            reply.reset()
        elif fate is Fate.HANG:
            self._loop.call_later(dice.faults.hang_s, reply.reset)
        else:
            reply.data, lines = _worded(provider, fate, dice) or route.answer(request)
            self._leave(reply, lines, fate, dice)

    def _leave(self, reply: Reply, lines: bytes, fate: Fate, dice: Dice) -> None:
        then: Callable[[], None] = reply.release
        if fate is Fate.RESET_AFTER:
            then = reply.reset
        elif fate is Fate.HANG_AFTER:
            then = partial(_nothing, self._loop.call_later(dice.faults.hang_s, reply.reset))
        elif fate is Fate.ERROR_AFTER:
            reply.data = response(503, b"")
        if dice.has_latency and then == reply.release:
            then = partial(self._release_at, reply, self._loop.time() + dice.latency_s())
        if lines:
            self._journal.add(lines, then)
        else:
            then()

    def _release_at(self, reply: Reply, at_s: float) -> None:
        """Answer at a time of the loop's clock; one timer serves all answers of a millisecond."""
        key = int(at_s * 1000) + 1
        waiting = self._late.get(key)
        if waiting is None:
            self._late[key] = [reply]
            self._loop.call_at(key / 1000, self._release_due, key)
        else:
            waiting.append(reply)

    def _release_due(self, key: int) -> None:
        for reply in self._late.pop(key):
            reply.release()


def _worded(provider: Provider, fate: Fate, dice: Dice) -> Answer | None:
    """A fault in the provider's own words; None if this fate lets the provider answer for itself."""
    match fate:
        case Fate.TOO_MANY:
            return Answer(provider.too_many(dice.faults.retry_after_s))
        case Fate.SERVER_ERROR:
            return Answer(provider.server_error())
        case Fate.BUSY:
            return Answer(provider.busy())
        case Fate.QUOTA:
            return Answer(provider.over_quota())
        case Fate.UNKNOWN_CODE:
            return Answer(provider.unknown())
        case _:
            return None


def _nothing(_kept: object) -> None:
    """Nobody is answered."""


def _not_found(_request: Request, reply: Reply) -> None:
    reply.send(response(404, b""))
