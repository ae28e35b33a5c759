"""Access tokens of providers, shared by all processes through Redis. Without Redis every process fetches its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from redis.asyncio import Redis
from redis.exceptions import RedisError

POLL_S = 0.05
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end"


class RedisTokens:
    """Implements the channels' TokenStore. `random` names a lock holder. Values are sealed: a token is a credential."""

    def __init__(
        self, redis: Redis, random: Callable[[], str], seal: Callable[[str], str], unseal: Callable[[str], str | None]
    ) -> None:
        self._redis = redis
        self._random = random
        self._seal = seal
        self._unseal = unseal
        self._release = redis.register_script(RELEASE)

    async def get(self, name: str) -> str | None:
        """What was put under `name` and has not lapsed; None also when Redis is away."""
        try:
            value = await self._redis.get(f"token:{name}")
        except (RedisError, OSError):
            return None
        return None if value is None else self._unseal(str(value))

    async def put(self, name: str, value: str, ttl_s: float) -> None:
        """Keep `value` for `ttl_s` seconds."""
        try:
            await self._redis.set(f"token:{name}", self._seal(value), px=max(1, int(ttl_s * 1000)))
        except (RedisError, OSError):
            return  # this process has it; the others will fetch their own

    def lock(self, name: str, ttl_s: float) -> AbstractAsyncContextManager[None]:
        """Wait for the lock, at most `ttl_s`; a holder that died loses it after `ttl_s`."""
        return self._lock(f"lock:{name}", ttl_s)

    @asynccontextmanager
    async def _lock(self, key: str, ttl_s: float) -> AsyncIterator[None]:
        holder = self._random()
        try:
            async with asyncio.timeout(ttl_s):
                while not await self._redis.set(key, holder, nx=True, px=max(1, int(ttl_s * 1000))):
                    await asyncio.sleep(POLL_S)
        except (RedisError, OSError, TimeoutError):
            holder = ""
        try:
            yield
        finally:
            if holder:
                await self._let_go(key, holder)

    async def _let_go(self, key: str, holder: str) -> None:
        try:
            await self._release(keys=[key], args=[holder])
        except (RedisError, OSError):
            return  # it lapses by itself
