"""Watching a broadcast: one look at the ledger serves every reader of this process, however many there are.

Promises. Readers get the newest standing, whole, and never a queue of old ones: whoever is slow skips, and costs no
memory. There is no background task: the reader that comes first looks for all and hands over when it leaves; without
readers nobody looks. Thousands of readers are woken in small groups, so that nothing else in the process waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from server.domain.divisions import Divisions
from server.domain.errors import TooManyError
from server.domain.progress import BroadcastStanding, Mark, Seen, done, remember, standing
from server.services.broadcasts import Broadcasts

LOOK_EVERY_S = 1.0
LOOK_REST = 9.0  # a look may take a tenth of the time, never more
WAKE_AT_ONCE, WAKE_EVERY_S = 50, 0.005
MAX_READERS = 5_000  # of one process


@dataclass(frozen=True, slots=True)
class Frame:
    """One standing, ready to be written: encoded once, whatever the number of readers."""

    version: int
    is_over: bool
    body: bytes


class Feed:
    """One broadcast, as this process watches it. `look` reads the ledger; `clock` is monotonic, in seconds."""

    def __init__(
        self, look: Callable[[], Awaitable[Frame]], clock: Callable[[], float], every_s: float = LOOK_EVERY_S
    ) -> None:
        self._look = look
        self._clock = clock
        self._every_s = every_s
        self._newest: Frame | None = None
        self._due_at = clock()
        self._is_looking = False
        self._waiting: set[asyncio.Future[None]] = set()
        self.readers = 0

    async def newer(self, than: int, timeout_s: float) -> Frame | None:
        """The newest frame, once its version is above `than`; None if that does not happen in time.

        NotFoundError, MongoError: of the reader that looks; the next one tries again.
        """
        until = self._clock() + timeout_s
        while self._newest is None or self._newest.version <= than:
            left_s = until - self._clock()
            if left_s <= 0:
                return None
            await (self._wait(left_s) if self._is_looking else self._look_for_all(left_s))
        return self._newest

    async def _look_for_all(self, left_s: float) -> None:
        """Look once, when it is due. Whatever ends this, the next reader takes over."""
        self._is_looking = True
        is_news = False
        try:
            await asyncio.sleep(max(0.0, min(left_s, self._due_at - self._clock())))
            began = self._clock()
            if began < self._due_at:
                return
            frame = await self._look()
            is_news = self._newest is None or frame.version > self._newest.version
            if is_news:  # never back: two looks may overtake each other in the database
                self._newest = frame
            self._due_at = self._clock() + max(self._every_s, (self._clock() - began) * LOOK_REST)
        finally:
            self._is_looking = False
            self._wake(everybody=is_news)

    async def _wait(self, left_s: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._waiting.add(woken)
        try:
            await asyncio.wait_for(woken, left_s)
        except TimeoutError:
            return
        except asyncio.CancelledError:
            if not self._is_looking:  # it may have been our turn to look
                self._wake(everybody=False)
            raise
        finally:
            self._waiting.discard(woken)

    def _wake(self, *, everybody: bool) -> None:
        """Let all waiting readers go, a few at a time, or one that looks next."""
        waiting = [future for future in self._waiting if not future.done()]
        loop = asyncio.get_running_loop()
        for nth, future in enumerate(waiting if everybody else waiting[:1]):
            loop.call_later(nth // WAKE_AT_ONCE * WAKE_EVERY_S, _let_go, future)


class Readers:
    """Who reads what in this process: one feed a thing, while somebody reads it."""

    def __init__(self, clock: Callable[[], float], every_s: float = LOOK_EVERY_S) -> None:
        self._clock = clock
        self._every_s = every_s
        self._feeds: dict[str, Feed] = {}

    @property
    def count(self) -> int:
        """How many read now."""
        return sum(feed.readers for feed in self._feeds.values())

    @contextmanager
    def reading(self, name: str, looker: Callable[[], Callable[[], Awaitable[Frame]]]) -> Iterator[Feed]:
        """The feed of a thing for one more reader, made by `looker`; TooManyError if there are enough of them."""
        if self.count >= MAX_READERS:
            raise TooManyError("readers_too_many", zh="观看人数过多，请稍后再试", en="too many readers; try later")
        feed = self._feeds.get(name)
        if feed is None:
            feed = self._feeds[name] = Feed(looker(), self._clock, self._every_s)
        feed.readers += 1
        try:
            yield feed
        finally:
            feed.readers -= 1
            if not feed.readers:
                self._feeds.pop(name, None)


class Watching:
    """All broadcasts that are watched in this process."""

    def __init__(
        self,
        broadcasts: Broadcasts,
        divisions: Divisions,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._broadcasts = broadcasts
        self._divisions = divisions
        self._now = now
        self._clock = clock
        self._readers = Readers(clock, every_s)

    @property
    def readers(self) -> int:
        """How many read now."""
        return self._readers.count

    async def standing(self, broadcast: str) -> BroadcastStanding:
        """Where it stands now; NotFoundError. One look tells no rate."""
        return standing(await self._see(broadcast), (), self._now(), self._code_of)

    @contextmanager
    def reading(self, broadcast: str) -> Iterator[Feed]:
        """The feed of a broadcast for one more reader; TooManyError if this process has enough of them."""
        with self._readers.reading(broadcast, partial(self._looker, broadcast)) as feed:
            yield feed

    def _looker(self, broadcast: str) -> Callable[[], Awaitable[Frame]]:
        """A look that remembers the ones before, for the rate."""
        marks: list[Mark] = []

        async def look() -> Frame:
            seen = await self._see(broadcast)
            marks[:] = remember(marks, Mark(self._clock(), done(seen.counts)))
            found = standing(seen, marks, self._now(), self._code_of)
            return Frame(found.version, found.is_over, found.model_dump_json().encode())

        return look

    async def _see(self, broadcast: str) -> Seen:
        found = await self._broadcasts.progress(broadcast)
        return Seen(broadcast, found.version, found.state, found.ranges, found.ranges_planned, found.by_channel)

    def _code_of(self, index: str) -> str:
        return self._divisions.code_at(int(index))


def _let_go(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
