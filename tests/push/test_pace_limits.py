"""The pace of an account: what is kept for red and orange, with Redis and without it, and how an account comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from channels.base import Channel, Fault, Kind, Outcome, Settle, Verdict, Window
from push.pace import TRIAL, Account, Pace
from server.domain.broadcasts import Lane
from server.storage.queue import Queue, connect

REFUSED = Outcome(Verdict.RETRY, "503", Fault(Kind.RETRY))


class Silent:
    """A channel that nobody sends over here."""

    channel, provider, per_request = "sms", "sms_aliyun", 1

    async def ready(self) -> Fault | None:
        """Always."""
        return None

    def send(self, window: Window, settle: Settle) -> None:
        """Never called."""
        raise AssertionError(window, settle)


class Clock:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now_s


def account(rate_per_s: float) -> Account:
    silent: Channel = Silent()
    return Account(silent, f"sms/{rate_per_s}", rate_per_s, room=100)


def pace(queue: Queue, clock: Clock) -> Pace:
    return Pace(queue, clock, lambda: datetime(2026, 7, 18, tzinfo=UTC), 4)


@pytest.fixture
async def deaf() -> AsyncIterator[Queue]:
    """A Redis that takes connections and never answers."""
    over = asyncio.Event()

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}") as redis:
        yield Queue(redis)
    over.set()
    server.close()


@pytest.mark.parametrize("rate_per_s", [0.5, 1.0, 2.4, 1_000.0])
async def test_every_rate_lets_bulk_through_and_keeps_a_share_for_the_urgent(redis: Redis, rate_per_s: float):
    one, clock = account(rate_per_s), Clock()
    pacer = pace(Queue(redis), clock)
    taken = await pacer.take(one, 10_000, is_urgent=False, until=clock.now_s)
    assert taken >= 1
    if rate_per_s == 1_000.0:
        assert taken == 400
        assert await pacer.take(one, 10_000, is_urgent=True, until=clock.now_s) >= 100


@pytest.mark.parametrize("rate_per_s", [0.5, 1.0, 7.0, 4_000.0])
async def test_without_redis_too(deaf: Queue, rate_per_s: float):
    one, clock = account(rate_per_s), Clock()
    pacer = pace(deaf, clock)
    assert await pacer.take(one, 10_000, is_urgent=False, until=clock.now_s) == (400 if rate_per_s == 4_000.0 else 1)
    if rate_per_s == 4_000.0:
        assert await pacer.take(one, 10_000, is_urgent=True, until=clock.now_s) == 100


async def test_a_redis_that_hangs_holds_nobody_up_for_long(deaf: Queue):
    loop = asyncio.get_running_loop()
    began = loop.time()
    hints = [(f"page{n}", "sms", Lane.RED) for n in range(20_000)]
    await deaf.push_pages(hints)
    assert await deaf.take("a", 5, rate_per_s=10.0, floor=0.0) is None
    assert await deaf.pop("sms", [Lane.RED], count=1) is None
    assert loop.time() - began < 10.0  # twenty lists of hints alone would take a minute, three seconds each


def test_after_a_pause_small_windows_try_until_the_provider_answers():
    one, clock = account(1_000.0), Clock()
    pacer = Pace(Queue(connect("redis://127.0.0.1:1")), clock, lambda: datetime(2026, 7, 18, tzinfo=UTC), 4)
    before = one.window
    for _ in range(50):
        pacer.note(one, REFUSED)
    assert not pacer.is_open(one)
    clock.now_s += 10
    assert pacer.is_open(one)
    assert one.window == TRIAL < before
    pacer.note(one, Outcome(Verdict.ACCEPTED))
    assert one.window == before
