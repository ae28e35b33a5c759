"""HTTP out, on libcurl: the only file that knows pycurl.

Promises:
- **Honest about what left.** A reply's state says whether the request may have reached the provider. libcurl would send
  a POST again by itself when a kept-alive connection dies before the first byte of the answer; a warning would be
  doubled behind our back. The pre-request hook allows each request to begin once and refuses the second time.
- **Nothing starts late.** What has not begun by `start_by` is answered NOT_STARTED, wherever it waits: in our queue, in
  libcurl's, or for a connection.
- **Bounded.** Connections (h1) or streams (h2), the queue, the size of an answer and the time of a request.
- **Urgent first.** Urgent requests leave the queue first, and one connection in eight is only for them.
- **Fast.** Sockets stay registered in an epoll set of our own between requests; the loop sees one readable file for
  all of them, so a tick costs one callback however many sockets are ready; timers of 0 coalesce to one kick.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import pycurl

from server.settings import Account

MAX_REPLY_BYTES = 65_536
MAX_QUEUED = 65_536
CONNECT_TIMEOUT_MS = 3_000
FETCH_TIMEOUT_S = 5.0
STREAMS_PER_CONNECTION = 64
URGENT_SHARE = 8  # one slot in eight is kept for urgent requests
MAX_ROUNDS = 4  # of collecting and starting in one tick, then the loop gets its turn
EXPIRE_EVERY_S = 0.1  # how often the queue is searched for what can no longer start

_NOTHING_LEFT = frozenset(
    {
        pycurl.E_COULDNT_RESOLVE_HOST,
        pycurl.E_COULDNT_CONNECT,
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_URL_MALFORMAT,
    }
)


class State(StrEnum):
    """How far a request got."""

    ANSWERED = "answered"  # the provider answered: read `status` and `body`
    NOT_STARTED = "not_started"  # `start_by` passed, or the queue was full: no byte left
    REFUSED = "refused"  # no connection: no byte left
    BROKEN = "broken"  # bytes left and no whole answer came (time-out, reset, oversized answer)


class Reply(NamedTuple):
    """What came of one request."""

    state: State
    status: int = 0
    body: bytes = b""
    retry_after_s: float | None = None
    why: str = ""  # libcurl's words, for the log


Done = Callable[[int, Reply], None]


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """What the requests of one window share. `done(index, reply)` is called once per request, on the event loop.

    `headers` are lines ("Content-Type: application/json"); `start_by` is a time of the loop's clock.
    """

    url: str
    headers: Sequence[str]
    start_by: float
    deadline_s: float
    done: Done
    is_urgent: bool = False
    is_get: bool = False  # GET: the body is ignored


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one transport. `is_multiplexed` means HTTP/2 over TLS: `concurrency` then counts streams."""

    concurrency: int
    is_multiplexed: bool = False
    ca_file: Path | None = None


class _Slot:
    """A reusable libcurl handle and the request it carries now."""

    __slots__ = ("body", "call", "chunks", "curl", "has_begun", "index", "is_late", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.curl = pycurl.Curl()
        self.chunks: list[bytes] = []
        self.call: Call | None = None
        self.index = 0
        self.has_begun = False
        self.is_late = False

    def may_begin(self, *_: object) -> int:
        """The hook: libcurl asks just before it writes a request, also when it wants to write one again."""
        assert self.call is not None
        if self.has_begun:
            return int(pycurl.PREREQFUNC_ABORT)
        if self.loop.time() > self.call.start_by:
            self.is_late = True
            return int(pycurl.PREREQFUNC_ABORT)
        self.has_begun = True
        return int(pycurl.PREREQFUNC_OK)


class Transport:
    """Many requests to one provider. Make it, use it and close it on one running event loop."""

    def __init__(self, limits: Limits) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._ordinary_limit = limits.concurrency - limits.concurrency // URGENT_SHARE
        self._active: dict[pycurl.Curl, _Slot] = {}
        self._idle = [self._new_slot() for _ in range(limits.concurrency)]
        self._urgent: deque[tuple[Call, bytes, int]] = deque()
        self._ordinary: deque[tuple[Call, bytes, int]] = deque()
        self._replies: deque[tuple[Call, int, Reply]] = deque()
        self._expire_timer: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = float("inf")
        self._wants_kick = False
        self._is_kick_scheduled = False
        self._is_closed = False
        self._watched: dict[int, int] = {}  # socket -> epoll events it is registered for
        self._idle_sockets: set[int] = set()
        self._epoll = select.epoll()
        self._multi = self._new_multi()
        self._loop.add_reader(self._epoll.fileno(), self._on_ready)

    @property
    def active(self) -> int:
        """Requests that hold a connection or stream now."""
        return len(self._active)

    @property
    def queued(self) -> int:
        """Requests that wait for one."""
        return len(self._urgent) + len(self._ordinary)

    def post(self, call: Call, body: bytes, index: int = 0) -> None:
        """POST `body`; returns at once. `call.done(index, reply)` follows, never from inside this method."""
        if self._is_closed or self.queued >= MAX_QUEUED:
            self._reply_soon(call, index, Reply(State.NOT_STARTED, why="closed" if self._is_closed else "queue full"))
        elif self._may_start(is_urgent=call.is_urgent):
            self._start(call, body, index)
            self._kick_soon()
        else:
            (self._urgent if call.is_urgent else self._ordinary).append((call, body, index))
            if self._expire_timer is None:
                self._expire_timer = self._loop.call_later(EXPIRE_EVERY_S, self._expire)

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
        self._loop.remove_reader(self._epoll.fileno())
        for timer in (self._timer, self._expire_timer):
            if timer is not None:
                timer.cancel()
        for call, _, index in (*self._urgent, *self._ordinary):
            self._replies.append((call, index, Reply(State.NOT_STARTED, why="closed")))
        self._urgent.clear()
        self._ordinary.clear()
        for slot in list(self._active.values()):
            state = State.BROKEN if slot.has_begun else State.NOT_STARTED
            self._finish(slot, Reply(state, why="closed"))
        self._multi.close()
        for slot in self._idle:
            slot.curl.close()
        self._epoll.close()
        self._deliver()

    def _new_slot(self) -> _Slot:
        slot = _Slot(self._loop)
        curl = slot.curl
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.WRITEFUNCTION, slot.chunks.append)
        curl.setopt(pycurl.PREREQFUNCTION, slot.may_begin)
        curl.setopt(pycurl.SOCKOPTFUNCTION, self._on_new_socket)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        curl.setopt(pycurl.TCP_NODELAY, 1)
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS)
        curl.setopt(pycurl.MAXFILESIZE, MAX_REPLY_BYTES)
        if self._limits.ca_file is not None:
            curl.setopt(pycurl.CAINFO, os.fspath(self._limits.ca_file))
        if self._limits.is_multiplexed:
            curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
            curl.setopt(pycurl.PIPEWAIT, 1)
        else:
            curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        return slot

    def _new_multi(self) -> pycurl.CurlMulti:
        multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        connections = self._limits.concurrency
        if self._limits.is_multiplexed:
            connections = -(-connections // STREAMS_PER_CONNECTION) + 1
            multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
            multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, connections)
        multi.setopt(pycurl.M_MAXCONNECTS, connections)
        return multi

    def _may_start(self, *, is_urgent: bool) -> bool:
        return len(self._active) < (self._limits.concurrency if is_urgent else self._ordinary_limit)

    def _start(self, call: Call, body: bytes, index: int) -> None:
        slot = self._idle.pop()
        curl = slot.curl
        last = slot.call
        if last is not call:
            if last is None or last.url != call.url:
                curl.setopt(pycurl.URL, call.url)
            if last is None or last.is_get != call.is_get:
                curl.setopt(pycurl.HTTPGET if call.is_get else pycurl.POST, 1)
            if last is None or last.headers is not call.headers:
                curl.setopt(pycurl.HTTPHEADER, [*call.headers, "Expect:"])
            if last is None or last.deadline_s != call.deadline_s:
                curl.setopt(pycurl.TIMEOUT_MS, max(1, int(call.deadline_s * 1000)))
            slot.call = call
        if not call.is_get:
            curl.setopt(pycurl.POSTFIELDS, body)
        slot.index = index
        slot.has_begun = slot.is_late = False
        self._active[curl] = slot
        self._multi.add_handle(curl)

    def _fill(self) -> None:
        """Start what waits and may start."""
        now = self._loop.time()
        for queue, is_urgent in ((self._urgent, True), (self._ordinary, False)):
            while queue and self._may_start(is_urgent=is_urgent):
                call, body, index = queue.popleft()
                if now > call.start_by:
                    self._replies.append((call, index, Reply(State.NOT_STARTED)))
                else:
                    self._start(call, body, index)
                    self._wants_kick = True

    def _expire(self) -> None:
        """Answer whatever waits and can no longer start."""
        self._expire_timer = None
        now = self._loop.time()
        for queue in (self._urgent, self._ordinary):
            waiting = list(queue)
            queue.clear()
            for item in waiting:
                if now > item[0].start_by:
                    self._replies.append((item[0], item[2], Reply(State.NOT_STARTED)))
                else:
                    queue.append(item)
        if self.queued:
            self._expire_timer = self._loop.call_later(EXPIRE_EVERY_S, self._expire)
        self._deliver()

    def _on_new_socket(self, fd: int, _: int) -> int:
        """A socket was opened: whatever was known of this number belongs to a closed one."""
        self._watched.pop(fd, None)
        self._idle_sockets.discard(fd)
        return int(pycurl.SOCKOPT_OK)

    def _on_socket(self, what: int, fd: int, _multi: object, _data: object) -> None:
        """What libcurl wants of a socket. Between two requests it stays registered: that saves two system calls."""
        if what == pycurl.POLL_REMOVE:
            self._idle_sockets.add(fd)
            return
        self._idle_sockets.discard(fd)
        wanted = (select.EPOLLIN if what & pycurl.POLL_IN else 0) | (select.EPOLLOUT if what & pycurl.POLL_OUT else 0)
        if wanted != self._watched.get(fd):
            self._watch(fd, wanted)

    def _watch(self, fd: int, wanted: int) -> None:
        try:
            self._epoll.modify(fd, wanted)
        except FileNotFoundError:
            self._epoll.register(fd, wanted)
        self._watched[fd] = wanted

    def _unwatch(self, fd: int) -> None:
        del self._watched[fd]
        with contextlib.suppress(FileNotFoundError, OSError):
            self._epoll.unregister(fd)

    def _on_timer(self, timeout_ms: int) -> None:
        if timeout_ms == 0:
            self._kick_soon()
            return
        self._due = float("inf") if timeout_ms < 0 else self._loop.time() + timeout_ms / 1000
        if self._due != float("inf") and (self._timer is None or self._timer.when() > self._due):
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due, self._on_due)

    def _on_due(self) -> None:
        self._timer = None
        if self._loop.time() >= self._due:
            self._due = float("inf")
            self._kick_soon()
        elif self._due != float("inf"):
            self._arm()

    def _kick_soon(self) -> None:
        self._wants_kick = True
        if not self._is_kick_scheduled:
            self._is_kick_scheduled = True
            self._loop.call_soon(self._kick)

    def _kick(self) -> None:
        self._is_kick_scheduled = False
        if self._wants_kick and not self._is_closed:
            self._advance()

    def _on_ready(self) -> None:
        """One sweep over every socket that is ready in this tick."""
        action = self._multi.socket_action
        for fd, events in self._epoll.poll(0):
            if fd in self._idle_sockets:
                self._idle_sockets.discard(fd)  # the provider closed it between two requests: libcurl will notice
                self._unwatch(fd)
                continue
            bits = pycurl.CSELECT_IN if events & ~select.EPOLLOUT else 0
            if events & select.EPOLLOUT:
                bits |= pycurl.CSELECT_OUT
            action(fd, bits)
        self._advance()

    def _advance(self) -> None:
        """Collect what is finished, start what waits, let libcurl write it, then tell the callers."""
        for _ in range(MAX_ROUNDS):
            self._collect()
            self._fill()
            if not self._wants_kick:
                break
            self._wants_kick = False
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        else:
            self._kick_soon()
        self._deliver()

    def _collect(self) -> None:
        left = 1
        while left:
            left, good, bad = self._multi.info_read()
            for curl in good:
                slot = self._active[curl]
                status = curl.getinfo(pycurl.RESPONSE_CODE)
                self._finish(slot, Reply(State.ANSWERED, status, b"".join(slot.chunks), _retry_after_s(curl, status)))
            for curl, error, text in bad:
                slot = self._active[curl]
                self._finish(slot, Reply(_state(slot, error), why=f"{error} {text}"))

    def _finish(self, slot: _Slot, reply: Reply) -> None:
        self._multi.remove_handle(slot.curl)
        del self._active[slot.curl]
        slot.chunks.clear()
        self._idle.append(slot)
        assert slot.call is not None
        self._replies.append((slot.call, slot.index, reply))

    def _reply_soon(self, call: Call, index: int, reply: Reply) -> None:
        if not self._replies:
            self._loop.call_soon(self._deliver)
        self._replies.append((call, index, reply))

    def _deliver(self) -> None:
        replies = self._replies
        try:
            while replies:
                call, index, reply = replies.popleft()
                call.done(index, reply)
        finally:
            if replies:  # a callback failed: the loop reports it, the others still get their answers
                self._loop.call_soon(self._deliver)


def transport_for(account: Account) -> Transport:
    """The transport of one provider account: HTTP/2 where the account wants it and the URL is https."""
    is_multiplexed = account.http2 and account.base_url.startswith("https:")
    return Transport(Limits(account.connections, is_multiplexed, account.ca_file))


def _state(slot: _Slot, error: int) -> State:
    """How far a failed request got. It left only if it had begun and was not refused at the door."""
    if slot.is_late and not slot.has_begun:
        return State.NOT_STARTED
    if not slot.has_begun or error in _NOTHING_LEFT:
        return State.REFUSED
    return State.BROKEN


def _retry_after_s(curl: Any, status: int) -> float | None:
    """The Retry-After header in seconds (libcurl reads both of its forms), None without one."""
    if status not in (429, 503):
        return None
    seconds = curl.getinfo(pycurl.RETRY_AFTER)
    return float(seconds) if seconds > 0 else None
