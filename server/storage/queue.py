"""Redis: hints that make the engine fast. Nothing in here is the truth; FLUSHALL costs seconds, not notices.

A list per lane and channel; the lists of one channel share a hash tag, so that one BLMPOP over its lanes, highest
first, works on a cluster too. A token bucket per provider account, filled by the server's own clock. A set of ranges
whose sums are stale. Every call fails soft: the reconciler and local buckets take over when Redis is away.
"""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.domain.broadcasts import Lane

PLAN = "plan"  # the pseudo channel whose entries are range ids
BUCKET_TTL_MS = 60_000

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
    """A client whose calls end: two seconds for an answer, on top of what a blocking pop asks for."""
    return Redis.from_url(
        url, decode_responses=True, socket_timeout=3.0, socket_connect_timeout=1.0, max_connections=64, protocol=2
    )


class Queue:
    """Hints by lane and channel. All methods answer something harmless when Redis is away.

    The client must decode replies and use a read time-out above `block_s`: see `connect`.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._take = redis.register_script(TAKE)

    async def push(self, channel: str, lane: Lane, ids: Sequence[str], *, is_first: bool = False) -> bool:
        """Announce pages (or ranges, on PLAN); `is_first` puts them ahead of what waits. False: Redis is away."""
        if not ids:
            return True
        key = _key(channel, lane)
        try:
            await (self._redis.lpush(key, *ids) if is_first else self._redis.rpush(key, *ids))
        except (RedisError, OSError):
            return False
        return True

    async def pop(self, channel: str, lanes: Sequence[Lane], *, count: int, block_s: float = 1.0) -> list[str] | None:
        """Up to `count` entries of the highest lane that has any; [] after `block_s`; None: Redis is away."""
        keys = [_key(channel, lane) for lane in lanes]
        try:
            found = await self._redis.blmpop(block_s, len(keys), *keys, direction="LEFT", count=count)
        except (RedisError, OSError):
            return None
        return [str(i) for i in found[1]] if found else []

    async def length(self, channel: str, lane: Lane) -> int:
        """How many hints wait; 0 when Redis is away."""
        try:
            return int(await self._redis.llen(_key(channel, lane)))
        except (RedisError, OSError):
            return 0

    async def mark_stale(self, ranges: Sequence[str]) -> None:
        """The sums of these ranges have to be recomputed."""
        try:
            await self._redis.sadd("stale", *ranges)
        except (RedisError, OSError):
            return  # the full pass at the end of the broadcast recomputes them all

    async def pop_stale(self, count: int) -> list[str]:
        """Some ranges whose sums are stale."""
        try:
            return [str(i) for i in await self._redis.spop("stale", count) or []]
        except (RedisError, OSError):
            return []

    async def take(self, account: str, want: int, *, rate_per_s: float, floor: float) -> int | None:
        """Take up to `want` tokens from the account's bucket, leaving `floor` of them; None: Redis is away."""
        burst = rate_per_s / 2 + 1  # one more than half a second: a slow account must be able to grant at all
        try:
            return int(await self._take(keys=[f"pace:{account}"], args=[rate_per_s, burst, want, floor, BUCKET_TTL_MS]))
        except (RedisError, OSError):
            return None


def _key(channel: str, lane: Lane) -> str:
    return f"q:{{{channel}}}:{lane.value}"
