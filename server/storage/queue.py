"""Redis: hints that make the engine fast. Nothing in here is the truth; FLUSHALL costs seconds, not notices.

A list per lane and channel; the lists of one channel share a hash tag, so that one BLMPOP over its lanes, highest
first, works on a cluster too. A token bucket per provider account, filled by the server's own clock. A set of ranges
whose sums are stale. Every call fails soft: the reconciler and local buckets take over when Redis is away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.domain.broadcasts import Lane

PLAN = "plan"  # the pseudo channel whose entries are range ids
BUCKET_TTL_MS = 60_000
ANSWER_S = 1.0  # a hint is not worth waiting longer; a busy loop alone may take a good part of it
REST_S = 0.5  # after no answer
PUSH_AT_ONCE = 1_000

TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local rate, burst, want, floor = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = tonumber(bucket[1]) or burst
local at = tonumber(bucket[2]) or now
tokens = math.min(burst, tokens + math.max(0, now - at) * rate / 1000)
local granted = math.max(0, math.min(want, math.floor(tokens - floor)))
tokens = tokens - granted
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', tostring(now))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return granted
"""


def connect(url: str) -> Redis:
    """A client whose calls end: three seconds for an answer at most, above what a blocking pop asks for."""
    return Redis.from_url(
        url, decode_responses=True, socket_timeout=3.0, socket_connect_timeout=1.0, max_connections=128, protocol=2
    )


class Queue:
    """Hints by lane and channel. All methods answer something harmless when Redis is away.

    Away is also who does not answer in time; then nobody asks for a second, or a Redis that hangs would hold up every
    page for longer than its lease. The client must decode replies and read for longer than `block_s`: see `connect`.
    """

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._take = redis.register_script(TAKE)
        self._clock = clock
        self._away_until = 0.0

    async def push(self, channel: str, lane: Lane, ids: Sequence[str], *, is_first: bool = False) -> bool:
        """Announce pages (or ranges, on PLAN); `is_first` puts them ahead of what waits. False: Redis is away."""
        if not ids:
            return True
        put = self._redis.lpush if is_first else self._redis.rpush
        return await self._ask(lambda: put(_key(channel, lane), *ids)) is not None

    async def push_pages(self, hints: Sequence[tuple[str, str, Lane]], *, is_first: bool = False) -> None:
        """Announce many pages, (id, channel, lane) each, with one call per list and thousand."""
        by_list: dict[tuple[str, Lane], list[str]] = {}
        for id_, channel, lane in hints:
            by_list.setdefault((channel, lane), []).append(id_)
        for (channel, lane), ids in by_list.items():
            for start in range(0, len(ids), PUSH_AT_ONCE):
                await self.push(channel, lane, ids[start : start + PUSH_AT_ONCE], is_first=is_first)

    async def pop(self, channel: str, lanes: Sequence[Lane], *, count: int, block_s: float = 1.0) -> list[str] | None:
        """Up to `count` entries of the highest lane that has any; [] after `block_s`; None: Redis is away."""
        keys = [_key(channel, lane) for lane in lanes]
        found = await self._ask(
            lambda: self._redis.blmpop(block_s, len(keys), *keys, direction="LEFT", count=count), block_s, or_nil=[]
        )
        return None if found is None else [str(i) for i in found[1]] if found else []

    async def length(self, channel: str, lane: Lane) -> int:
        """How many hints wait; 0 when Redis is away."""
        return int(await self._ask(lambda: self._redis.llen(_key(channel, lane))) or 0)

    async def mark_stale(self, ranges: Sequence[str]) -> None:
        """The sums of these ranges have to be recomputed; lost when Redis is away, until the full pass at the end."""
        await self._ask(lambda: self._redis.sadd("stale", *ranges))

    async def pop_stale(self, count: int) -> list[str]:
        """Some ranges whose sums are stale."""
        return [str(i) for i in await self._ask(lambda: self._redis.spop("stale", count)) or []]

    async def take(self, account: str, want: int, *, rate_per_s: float, floor: float) -> int | None:
        """Take up to `want` tokens from the account's bucket, leaving `floor` of them; None: Redis is away."""
        args = [rate_per_s, burst(rate_per_s), want, floor, BUCKET_TTL_MS]
        granted = await self._ask(lambda: self._take(keys=[f"pace:{account}"], args=args))
        return None if granted is None else int(granted)

    async def _ask(self, call: Callable[[], Awaitable[Any]], block_s: float = 0.0, *, or_nil: Any = 0) -> Any:
        """The reply, `or_nil` for an empty one; None if Redis is away or was so a moment ago."""
        if self._clock() < self._away_until:
            return None
        try:
            async with asyncio.timeout(block_s + ANSWER_S):
                reply = await call()
        except (RedisError, OSError):  # TimeoutError is an OSError
            self._away_until = self._clock() + REST_S
            return None
        return or_nil if reply is None else reply


def burst(rate_per_s: float) -> float:
    """How many tokens an account's bucket holds at most: half a second's, or one above a reserved fifth."""
    return max(1.25, rate_per_s / 2)


def _key(channel: str, lane: Lane) -> str:
    return f"q:{{{channel}}}:{lane.value}"
