"""Receipts out: what each provider posts to the city after it took a notice.

Receipts wait in buckets of 10 ms until they are due, then in a queue per provider, from which a bounded number of
keep-alive connections takes them: WeChat one event a post, the SMS providers up to 100 a post. A post that fails is
repeated with growing pauses and given up after a few tries, as the vendors do; both are counted.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from channels.sandbox.book import Owed
from channels.sandbox.client import Poster, PostFailedError

_BUCKET_S = 0.010
_ANSWER_TIMEOUT_S = 5.0
_MAX_PENDING = 2_000_000


@dataclass(frozen=True, slots=True)
class Post:
    """One HTTP post: the path below the callback address, the body, its type."""

    path: str
    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Style:
    """How one provider posts."""

    encode: Callable[[Sequence[Owed]], Post]
    is_taken: Callable[[bytes], bool]
    per_post: int
    connections: int
    tries: int
    first_pause_s: float = 0.5


class Outbox:
    """The receipts of one provider. `callback` is where they go, without a final slash; it may change at any time."""

    def __init__(self, style: Style, counts: Counter[str], loop: asyncio.AbstractEventLoop) -> None:
        self.callback = ""
        self._style = style
        self._counts = counts
        self._loop = loop
        self._pause_s = 0.0  # between two posts of one connection
        self._is_flushing = False
        self._buckets: dict[int, list[Owed]] = {}
        self._ready: deque[Owed] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self.pending = 0

    def pace(self, posts_per_s: float) -> None:
        """Post no faster than this, all connections together; a flush does not care."""
        self._pause_s = self._style.connections / posts_per_s

    def owe(self, delay_s: float, owed: Owed) -> None:
        """Send this receipt after `delay_s`."""
        if self.pending >= _MAX_PENDING:
            self._counts["receipts dropped"] += 1
            return
        self.pending += 1
        key = int((self._loop.time() + delay_s) / _BUCKET_S) + 1
        bucket = self._buckets.get(key)
        if bucket is None:
            self._buckets[key] = [owed]
            self._loop.call_at(key * _BUCKET_S, self._ripen, key)
        else:
            bucket.append(owed)

    def _ripen(self, key: int) -> None:
        self._ready.extend(self._buckets.pop(key, ()))
        self._wake.set()

    async def run(self) -> None:
        """Post until cancelled."""
        posters = [Poster(self._loop) for _ in range(self._style.connections)]
        try:
            async with asyncio.TaskGroup() as group:
                for poster in posters:
                    group.create_task(self._work(poster))
        finally:
            for poster in posters:
                poster.close()

    async def flush(self, timeout_s: float) -> bool:
        """Send everything that waits now; False if something is still pending after `timeout_s`."""
        for key in sorted(self._buckets):
            self._ripen(key)
        self._is_flushing = True
        try:
            async with asyncio.timeout(timeout_s):
                if self.pending:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            return False
        finally:
            self._is_flushing = False
        return True

    async def _work(self, poster: Poster) -> None:
        while True:
            while not self._ready:
                self._wake.clear()
                await self._wake.wait()
            batch = [self._ready.popleft() for _ in range(min(self._style.per_post, len(self._ready)))]
            is_taken = await self._deliver(poster, batch)
            self.pending -= len(batch)
            self._counts["receipts sent" if is_taken else "receipts given up"] += len(batch)
            if not self.pending:
                self._idle.set()
            if not self._is_flushing:
                await asyncio.sleep(self._pause_s)

    async def _deliver(self, poster: Poster, batch: Sequence[Owed]) -> bool:
        pause_s = self._style.first_pause_s
        for left in reversed(range(self._style.tries)):
            post = self._style.encode(batch)  # anew for every try: the vendor signs each with a new time and nonce
            try:
                status, body = await poster.post(
                    self.callback + post.path, post.body, post.content_type, _ANSWER_TIMEOUT_S
                )
            except PostFailedError:
                status, body = 0, b""
            if status == 200 and self._style.is_taken(body):
                return True
            self._counts[f"receipt posts failed {status or 'no answer'}"] += 1
            if left:
                await asyncio.sleep(pause_s)
                pause_s *= 2
        return False
