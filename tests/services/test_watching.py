"""Any number of readers, one look at the ledger; the slow skip; whoever looks may vanish."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise

from server.services.watching import Feed, Frame


class Ledger:
    """Counts the looks; each one finds something new."""

    def __init__(self, *, grows: bool = True, took_s: float = 0.0) -> None:
        self.looks = 0
        self.at_once = 0
        self.most_at_once = 0
        self._grows = grows
        self._took_s = took_s

    async def look(self) -> Frame:
        """The next version."""
        self.looks += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await asyncio.sleep(self._took_s)
        finally:
            self.at_once -= 1
        return Frame(self.looks if self._grows else 1, is_over=False, body=b"{}")


def feed_of(look: Callable[[], Awaitable[Frame]]) -> Feed:
    """A feed that looks every 20 ms."""
    return Feed(look, time.monotonic, every_s=0.02)


async def read(feed: Feed, count: int, pause_s: float = 0.0) -> list[int]:
    """The versions that one reader sees in `count` turns."""
    seen = [-1]
    for _ in range(count):
        frame = await feed.newer(seen[-1], 20.0)
        assert frame is not None
        seen.append(frame.version)
        await asyncio.sleep(pause_s)
    return seen[1:]


async def test_one_look_serves_all_readers_and_nobody_sees_a_version_twice_or_out_of_order():
    ledger = Ledger()
    feed = feed_of(ledger.look)
    seen = await asyncio.gather(*(read(feed, 5) for _ in range(500)))
    assert all(versions == sorted(set(versions)) for versions in seen)
    assert ledger.most_at_once == 1
    assert ledger.looks <= 3 * 5


async def test_a_slow_reader_skips_to_the_newest_and_holds_nobody_up():
    ledger = Ledger()
    feed = feed_of(ledger.look)
    slow, fast = await asyncio.gather(read(feed, 4, 0.1), read(feed, 15))
    assert fast[-1] - fast[0] <= 2 * 15
    assert max(b - a for a, b in pairwise(slow)) > 1


async def test_when_the_reader_that_looks_vanishes_the_next_one_looks():
    ledger = Ledger(took_s=0.05)
    feed = feed_of(ledger.look)
    tasks = [asyncio.create_task(read(feed, 1)) for _ in range(50)]
    for _ in range(3):  # the first three leave in the middle of their look
        await asyncio.sleep(0.01)
        next(t for t in tasks if not t.done() and not t.cancelled()).cancel()
        await asyncio.sleep(0)
    found = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert sum(isinstance(each, list) for each in found) == 47


async def test_a_look_that_fails_is_one_readers_problem():
    calls = 0

    async def look() -> Frame:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionError("the database is away")
        return Frame(calls, is_over=False, body=b"")

    feed = feed_of(look)
    found = await asyncio.gather(*(read(feed, 1) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(each, ConnectionError) for each in found) == 1
    assert sum(isinstance(each, list) for each in found) == 19


async def test_nobody_looks_without_readers_and_no_news_is_none():
    ledger = Ledger(grows=False)
    feed = feed_of(ledger.look)
    assert await read(feed, 1) == [1]
    assert await feed.newer(1, 0.1) is None
    looks = ledger.looks
    await asyncio.sleep(0.1)
    assert ledger.looks == looks
