"""HTTP out, on libcurl: the only file that knows pycurl.

Promises:
- **Honest about what left.** A reply's state says whether the request may have reached the provider. libcurl would send
  a POST again by itself when a kept-alive connection dies before the first byte of the answer; a warning would be
  doubled behind our back. The pre-request hook allows each request to begin once and refuses the second time.
- **Nothing starts late.** What has not begun by `start_by` is answered NOT_STARTED, wherever it waits: in our queue, in
  libcurl's, or for a connection.
- **Bounded.** Connections (h1) or streams (h2), the queue, the size of an answer and the time of a request.
- **Urgent first.** Urgent requests leave the queue first, and one connection in eight is only for them.
- **Fast.** One sweep a tick over all sockets that are ready (`sockets.py`); timers of 0 coalesce to one kick. libcurl
  looks through every connection of a multi handle to find a free one: many small multis keep that short.
- **No request is wasted on a closed connection.** libcurl does not look at one it used within the last second. We do:
  the hook refuses a connection that was closed since, and the request, still whole, takes another.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import pycurl

from channels.call import Call, Reply, State, WaitingRoom
from channels.sockets import Endpoint, Lent, Sockets
from channels.unpacking import Unpacking
from server.settings import Account

MAX_REPLY_BYTES = 262_144  # 200 SMS statuses with an echoed reference each need 60 to 150 kB
MAX_WAITING = 65_536
CONNECT_TIMEOUT_MS = 3_000
FETCH_TIMEOUT_S = 5.0
SHARD_SIZE = 64  # requests at a time on one multi handle: its connections (h1) or streams (h2, on one connection)
URGENT_SHARE = 8  # one connection in eight is kept for urgent requests
MAX_ROUNDS = 4  # of collecting and starting in one tick, then the loop gets its turn
EXPIRE_EVERY_S = 0.1  # how often the queue is searched for what can no longer start


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one transport. `is_multiplexed` means HTTP/2 over TLS: `concurrency` then counts streams.

    `may_reach` is asked with the very IP address that a connection is about to be made to, after the name was resolved,
    so a name that points elsewhere a second time (DNS rebinding) gains nothing.
    """

    concurrency: int
    is_multiplexed: bool = False
    ca_file: Path | None = None
    may_reach: Callable[[str], bool] | None = None
    max_reply_bytes: int = MAX_REPLY_BYTES
    is_feed: bool = False  # what is read again and again: answers are asked for packed, and their ETag is kept


class _Shard:
    """One multi handle, how many requests it carries and when it wants to be called (a time of the loop's clock)."""

    __slots__ = ("active", "due", "multi")

    def __init__(self) -> None:
        self.multi = pycurl.CurlMulti()
        self.active = 0
        self.due = math.inf


class _Refusal(Enum):
    """Why the hook did not let a request begin."""

    LATE = 1  # its `start_by` has passed
    DEAD_CONNECTION = 2  # the provider closed the connection while it was idle


class _Slot:
    """A reusable libcurl handle and the request it carries now."""

    __slots__ = ("call", "chunks", "curl", "dead", "has_begun", "index", "loop", "refusal", "shard", "unpacking")

    def __init__(self, loop: asyncio.AbstractEventLoop, shard: _Shard, dead: set[Endpoint]) -> None:
        self.loop = loop
        self.shard = shard
        self.dead = dead
        self.curl = pycurl.Curl()
        self.chunks: list[bytes] = []
        self.call: Call | None = None
        self.index = 0
        self.has_begun = False
        self.refusal: _Refusal | None = None
        self.unpacking: Unpacking | None = None

    def may_begin(self, _peer: str, local_ip: str, _peer_port: int, local_port: int) -> int:
        """The hook: libcurl asks just before it writes a request, also when it wants to write one again."""
        assert self.call is not None
        if self.has_begun:
            return int(pycurl.PREREQFUNC_ABORT)
        if self.loop.time() > self.call.start_by:
            self.refusal = _Refusal.LATE
            return int(pycurl.PREREQFUNC_ABORT)
        if self.dead and (local_ip, local_port) in self.dead:
            self.dead.discard((local_ip, local_port))
            self.refusal = _Refusal.DEAD_CONNECTION
            return int(pycurl.PREREQFUNC_ABORT)
        self.has_begun = True
        return int(pycurl.PREREQFUNC_OK)

    def load(self, call: Call, body: bytes, index: int) -> None:
        """Take a request; options that the last one had too are not set again."""
        curl, last = self.curl, self.call
        if last is not call:
            if last is None or last.url != call.url:
                curl.setopt(pycurl.URL, call.url)
            if last is None or last.is_get != call.is_get:
                curl.setopt(pycurl.HTTPGET if call.is_get else pycurl.POST, 1)
            if last is None or last.headers is not call.headers:
                curl.setopt(pycurl.HTTPHEADER, [*call.headers, "Expect:"])
            if last is None or last.deadline_s != call.deadline_s:
                curl.setopt(pycurl.TIMEOUT_MS, max(1, int(call.deadline_s * 1000)))
            self.call = call
        if not call.is_get:
            curl.setopt(pycurl.POSTFIELDS, body)
        self.index = index
        self.has_begun = False
        self.refusal = None
        if self.unpacking is not None:
            self.unpacking.begin()

    @property
    def state_of_failure(self) -> State:
        """How far a failed request got. libcurl's error does not tell: it may be of a second try that we refused."""
        if self.has_begun:
            return State.BROKEN
        return State.NOT_STARTED if self.refusal is _Refusal.LATE else State.REFUSED


class Transport:
    """Many requests to one provider. Make it, use it and close it on one running event loop."""

    def __init__(self, limits: Limits) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._reserved = -(-limits.concurrency // URGENT_SHARE) if limits.concurrency > 1 else 0
        self._waiting = WaitingRoom(MAX_WAITING)
        self._active: dict[pycurl.Curl, _Slot] = {}
        self._replies: deque[tuple[Call, int, Reply]] = deque()
        self._expire_timer: asyncio.TimerHandle | None = None
        self._timer: asyncio.Handle | None = None
        self._timer_due = math.inf
        self._hungry: set[_Shard] = set()  # libcurl wants to be called for these at once
        self._touched: set[_Shard] = set()  # something may be finished in these
        self._is_advance_scheduled = False
        self._is_advancing = False
        self._is_closed = False
        self._dead: set[Endpoint] = set()  # connections that were closed while idle and are still in libcurl's pool
        self._sockets: Sockets[_Shard] = Sockets()
        self._shards = [self._new_shard() for _ in range(-(-limits.concurrency // SHARD_SIZE))]
        self._slots: list[_Slot] = []  # made when first needed
        self._idle: list[_Slot] = []
        self._loop.add_reader(self._sockets.fileno(), self._on_ready)

    @property
    def active(self) -> int:
        """Requests that hold a connection or stream now."""
        return len(self._active)

    @property
    def waiting(self) -> int:
        """Requests that wait for one."""
        return len(self._waiting)

    def post(self, call: Call, body: bytes, index: int = 0) -> None:
        """POST `body`; returns at once. `call.done(index, reply)` follows, never from inside this method."""
        if self._is_closed or self._waiting.is_full:
            self._replies.append((call, index, Reply(State.NOT_STARTED, why="closed or full")))
            self._loop.call_soon(self._deliver)
            return
        self._waiting.add((call, body, index))
        if self._expire_timer is None:
            self._expire_timer = self._loop.call_later(EXPIRE_EVERY_S, self._expire)
        self._advance_soon()

    async def fetch(
        self, url: str, headers: Sequence[str] = (), body: bytes | None = None, timeout_s: float = FETCH_TIMEOUT_S
    ) -> Reply:
        """POST `body` (None: GET) and wait: for tokens and other rare calls. Counts as urgent."""
        answer: asyncio.Future[Reply] = self._loop.create_future()

        def done(_: int, reply: Reply) -> None:
            if not answer.done():
                answer.set_result(reply)

        start_by = self._loop.time() + timeout_s
        call = Call(url, headers, start_by, timeout_s, done, is_urgent=True, is_get=body is None)
        self.post(call, body or b"")
        return await answer

    def close(self) -> None:
        """Answer everything that is still open (NOT_STARTED, or BROKEN once begun) and give all sockets back."""
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._sockets.fileno())
        for timer in (self._timer, self._expire_timer):
            if timer is not None:
                timer.cancel()
        for call, _, index in self._waiting.expired(math.inf):
            self._replies.append((call, index, Reply(State.NOT_STARTED, why="closed")))
        for slot in list(self._active.values()):
            self._finish(slot, Reply(State.BROKEN if slot.has_begun else State.NOT_STARTED, why="closed"))
        for shard in self._shards:
            shard.multi.close()
        for slot in self._slots:
            slot.curl.close()
        self._sockets.close()
        self._deliver()

    def _new_shard(self) -> _Shard:
        shard = _Shard()
        self._set_up(shard)
        return shard

    def _set_up(self, shard: _Shard) -> None:
        shard.multi.setopt(pycurl.M_SOCKETFUNCTION, partial(self._on_socket, shard))
        shard.multi.setopt(pycurl.M_TIMERFUNCTION, partial(self._on_timer, shard))
        shard.multi.setopt(pycurl.M_MAXCONNECTS, SHARD_SIZE)
        if self._limits.is_multiplexed:
            shard.multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
            shard.multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, 1)

    def _new_slot(self) -> _Slot:
        slot = _Slot(self._loop, self._shards[len(self._slots) // SHARD_SIZE], self._dead)
        self._slots.append(slot)
        curl = slot.curl
        curl.setopt(pycurl.WRITEFUNCTION, slot.chunks.append)
        curl.setopt(pycurl.PREREQFUNCTION, slot.may_begin)
        curl.setopt(pycurl.SOCKOPTFUNCTION, self._on_new_socket)
        curl.setopt(pycurl.USERAGENT, "huimin")
        curl.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)  # at least
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        curl.setopt(pycurl.TCP_NODELAY, 1)
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS)
        curl.setopt(pycurl.MAXFILESIZE, self._limits.max_reply_bytes)
        if self._limits.may_reach is not None:
            curl.setopt(pycurl.OPENSOCKETFUNCTION, partial(_open_socket, self._limits.may_reach))
        if self._limits.is_feed:
            slot.unpacking = Unpacking(slot.chunks, self._limits.max_reply_bytes)
            curl.setopt(pycurl.HEADERFUNCTION, slot.unpacking.hear)
            curl.setopt(pycurl.WRITEFUNCTION, slot.unpacking.take)
            curl.setopt(pycurl.ACCEPT_ENCODING, "gzip")
        if self._limits.ca_file is not None:
            curl.setopt(pycurl.CAINFO, os.fspath(self._limits.ca_file))
        if self._limits.is_multiplexed:
            curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
            curl.setopt(pycurl.PIPEWAIT, 1)
        else:
            curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        return slot

    def _on_new_socket(self, fd: int, _: int) -> int:
        self._sockets.opened(fd)
        return int(pycurl.SOCKOPT_OK)

    def _on_socket(self, shard: _Shard, what: int, fd: int, _multi: object, _data: object) -> None:
        if what == pycurl.POLL_REMOVE:
            self._sockets.rest(fd)
        else:
            self._sockets.watch(fd, shard, reads=bool(what & pycurl.POLL_IN), writes=bool(what & pycurl.POLL_OUT))

    def _on_timer(self, shard: _Shard, timeout_ms: int) -> None:
        if timeout_ms == 0:
            self._hungry.add(shard)
            self._advance_soon()
            return
        shard.due = math.inf if timeout_ms < 0 else self._loop.time() + timeout_ms / 1000
        if shard.due < self._timer_due:
            self._arm(shard.due)

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_at(due, self._on_due)

    def _on_due(self) -> None:
        """Call the shards whose time has come; a timer may be early, for it is only ever moved forward."""
        self._timer = None
        self._timer_due = math.inf
        now = self._loop.time()
        for shard in self._shards:
            if shard.due <= now:
                shard.due = math.inf
                self._hungry.add(shard)
        soonest = min(shard.due for shard in self._shards)
        if soonest != math.inf:
            self._arm(soonest)
        if self._hungry:
            self._advance()

    def _on_ready(self) -> None:
        """One sweep over every socket that is ready in this tick."""
        self._bury(self._sockets.ended())
        for fd, shard, can_read, can_write in self._sockets.ready():
            bits = (pycurl.CSELECT_IN if can_read else 0) | (pycurl.CSELECT_OUT if can_write else 0)
            shard.multi.socket_action(fd, bits)
            self._touched.add(shard)
        self._advance()

    def _bury(self, ended: Sequence[tuple[_Shard, Endpoint]]) -> None:
        """The provider closed connections between two requests: they must not get another."""
        for shard in {shard for shard, _ in ended if not shard.active}:  # with HTTP/2 always, for one is all it has
            shard.multi.close()
            shard.multi = pycurl.CurlMulti()
            shard.due = math.inf
            self._set_up(shard)
        self._dead.update(endpoint for shard, endpoint in ended if shard.active)

    def _advance_soon(self) -> None:
        if not (self._is_advance_scheduled or self._is_advancing):
            self._is_advance_scheduled = True
            self._loop.call_soon(self._scheduled_advance)

    def _scheduled_advance(self) -> None:
        self._is_advance_scheduled = False
        if not self._is_closed:
            self._on_ready()  # look at the sockets first: one that was closed must not get a request

    def _advance(self) -> None:
        """Collect what is finished, start what waits, let libcurl write it, then tell the callers."""
        self._is_advancing = True
        for _ in range(MAX_ROUNDS):
            self._collect()
            self._fill()
            if not self._hungry:
                break
            hungry, self._hungry = self._hungry, set()
            for shard in hungry:
                shard.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
            self._touched |= hungry
        self._is_advancing = False
        if self._hungry or self._touched:
            self._advance_soon()
        self._deliver()

    def _fill(self) -> None:
        """Start what waits and may start."""
        now = self._loop.time()
        while (waiting := self._waiting.next(self._limits.concurrency - len(self._active), self._reserved)) is not None:
            call, body, index = waiting
            if now > call.start_by:
                self._replies.append((call, index, Reply(State.NOT_STARTED)))
                continue
            slot = self._idle.pop() if self._idle else self._new_slot()
            slot.load(call, body, index)
            self._start(slot)

    def _start(self, slot: _Slot) -> None:
        self._active[slot.curl] = slot
        slot.shard.active += 1
        slot.shard.multi.add_handle(slot.curl)
        self._hungry.add(slot.shard)

    def _expire(self) -> None:
        """Answer whatever waits and can no longer start."""
        self._expire_timer = None
        expired = self._waiting.expired(self._loop.time())
        self._replies.extend((call, index, Reply(State.NOT_STARTED)) for call, _, index in expired)
        if len(self._waiting):
            self._expire_timer = self._loop.call_later(EXPIRE_EVERY_S, self._expire)
        self._deliver()

    def _collect(self) -> None:
        while self._touched:
            shard = self._touched.pop()
            left, good, bad = shard.multi.info_read()
            if left:
                self._touched.add(shard)
            for curl in good:
                slot = self._active[curl]
                status, body = curl.getinfo(pycurl.RESPONSE_CODE), b"".join(slot.chunks)
                etag = slot.unpacking.etag if slot.unpacking else ""
                self._finish(slot, Reply(State.ANSWERED, status, body, _retry_after_s(curl, status), etag=etag))
            for curl, error, text in bad:
                slot = self._active[curl]
                if slot.refusal is _Refusal.DEAD_CONNECTION:
                    self._remove(slot)
                    slot.refusal = None
                    self._start(slot)
                else:
                    self._finish(slot, Reply(slot.state_of_failure, why=f"{error} {text}"))

    def _finish(self, slot: _Slot, reply: Reply) -> None:
        self._remove(slot)
        slot.chunks.clear()
        self._idle.append(slot)
        assert slot.call is not None
        self._replies.append((slot.call, slot.index, reply))

    def _remove(self, slot: _Slot) -> None:
        slot.shard.multi.remove_handle(slot.curl)
        slot.shard.active -= 1
        del self._active[slot.curl]

    def _deliver(self) -> None:
        replies = self._replies
        try:
            while replies:
                call, index, reply = replies.popleft()
                call.done(index, reply)
        finally:
            if replies:  # a callback failed: the loop reports it, the others still get their answers
                self._loop.call_soon(self._deliver)


def _open_socket(may_reach: Callable[[str], bool], _purpose: int, address: Any) -> Any:
    """A socket for the address that libcurl has chosen, or a refusal before any packet has left."""
    family, kind, protocol, where = address
    if family not in (socket.AF_INET, socket.AF_INET6) or not may_reach(where[0]):
        return pycurl.SOCKET_BAD
    return Lent(socket.socket(family, kind, protocol).detach())


def transport_for(account: Account) -> Transport:
    """The transport of one provider account: HTTP/2 where the account wants it and the URL is https."""
    is_multiplexed = account.http2 and account.base_url.startswith("https:")
    return Transport(Limits(account.connections, is_multiplexed, account.ca_file))


def _retry_after_s(curl: Any, status: int) -> float | None:
    """The Retry-After header in seconds (libcurl reads both of its forms), None without one."""
    if status not in (429, 503):
        return None
    seconds = curl.getinfo(pycurl.RETRY_AFTER)
    return float(seconds) if seconds > 0 else None
