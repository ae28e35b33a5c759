"""Access tokens: fetched once for all processes, kept until shortly before they end.

Promises: at most one process fetches a token at a time; a token that the provider called stale is never used again; a
provider that refuses to give one is asked at most once a second; `ready()` on a fresh token does no I/O.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import orjson

from channels.base import Fault
from channels.replies import read_object

LOCK_TTL_S = 10.0
REST_S = 1.0  # after a refusal
MARGIN = timedelta(seconds=120)
MAX_LIFETIME_S = 86_400.0
FAR_S = 1e11  # Unix time of the year 5138

Clock = Callable[[], datetime]


class TokenStore(Protocol):
    """Where processes share tokens. It never raises: without its database `get` finds nothing and `lock` lets in."""

    async def get(self, name: str) -> str | None:
        """What was put under `name` and has not lapsed."""
        ...

    async def put(self, name: str, value: str, ttl_s: float) -> None:
        """Keep `value` for `ttl_s` seconds."""
        ...

    def lock(self, name: str, ttl_s: float) -> AbstractAsyncContextManager[None]:
        """Wait for the lock, at most `ttl_s`; a holder that died loses it after `ttl_s`."""
        ...


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. After `refresh_at` a new one is fetched before the next use."""

    value: str
    refresh_at: datetime

    @classmethod
    def lasting(cls, value: str, lifetime_s: float, now: datetime) -> Token:
        """A token of `lifetime_s` (a day at most) from `now`: given up two minutes or a tenth of its life early."""
        lifetime = timedelta(seconds=min(lifetime_s, MAX_LIFETIME_S))
        return cls(value, now + lifetime - min(MARGIN, lifetime / 10))


Fetch = Callable[[str], Awaitable[Token | Fault]]  # its argument is the stale token to replace, "" without one


class TokenKeeper:
    """The token of one account. `name` is its key in the store."""

    def __init__(self, name: str, store: TokenStore, fetch: Fetch, clock: Clock) -> None:
        self._name = name
        self._store = store
        self._fetch = fetch
        self._clock = clock
        self._flight = asyncio.Lock()
        self._token: Token | None = None
        self._stale = ""
        self._refused: tuple[datetime, Fault] | None = None

    @property
    def value(self) -> str:
        """The token in use, "" without one."""
        return self._token.value if self._token else ""

    def spoil(self, value: str) -> None:
        """The provider said that `value` is stale. Saying so again, or of an older token, changes nothing."""
        if self._token is not None and self._token.value == value:
            self._stale = value
            self._token = None

    async def ready(self) -> Fault | None:
        """Have a fresh token; the Fault says why there is none."""
        if self._is_fresh():
            return None
        async with self._flight:
            if self._is_fresh() or await self._is_adopted():
                return None
            now = self._clock()
            if self._refused is not None and now - self._refused[0] < timedelta(seconds=REST_S):
                return self._refused[1]
            async with self._store.lock(self._name, LOCK_TTL_S):
                return None if await self._is_adopted() else await self._renew()

    def _is_fresh(self) -> bool:
        return self._token is not None and self._clock() < self._token.refresh_at

    async def _is_adopted(self) -> bool:
        """Take over what another process has fetched."""
        match read_object((await self._store.get(self._name) or "").encode()):
            case {"value": str(value), "refresh_at_s": float(at_s)} if (
                value not in {"", self._stale} and 0 < at_s < FAR_S
            ):
                self._token = Token(value, datetime.fromtimestamp(at_s, UTC))
                return self._is_fresh()
            case _:
                return False

    async def _renew(self) -> Fault | None:
        token = await self._fetch(self._stale)
        if isinstance(token, Fault):
            self._refused = (self._clock(), token)
            return token
        self._token = token
        self._refused = None
        ttl_s = (token.refresh_at - self._clock()).total_seconds()
        entry = {"value": token.value, "refresh_at_s": token.refresh_at.timestamp()}
        await self._store.put(self._name, orjson.dumps(entry).decode(), max(1.0, ttl_s))
        return None
