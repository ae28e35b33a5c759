"""argon2id off the loop: at most two at a time, in threads, so that a flood of log-ins stalls nobody else."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from server.domain.errors import TooManyError

MEMORY_KIB = 19 * 1024  # OWASP: 19 MiB, two passes, one lane
AT_ONCE = 2
MAX_WAITING = 256  # about four seconds of work; who comes later is told to come back


class Argon2:
    """Hashes and verifies passwords. Both take the same time, about 25 ms of one core."""

    def __init__(self, memory_kib: int = MEMORY_KIB) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=memory_kib, parallelism=1)
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The encoded hash with its parameters and salt."""
        async with self._place():
            return await asyncio.to_thread(self._hasher.hash, _bytes(password))

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether this is the password; without a hash to compare, False after the same work."""
        async with self._place():
            return await asyncio.to_thread(self._verify, hashed, _bytes(password))

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._waiting >= MAX_WAITING:
            raise TooManyError(
                "login_busy", zh="登录人数过多，请稍后再试", en="too many log-ins at once; try again soon"
            )
        self._waiting += 1
        try:
            async with self._turn:
                yield
        finally:
            self._waiting -= 1

    def _verify(self, hashed: str | None, password: bytes) -> bool:
        if hashed is None:
            self._hasher.hash(password)
            return False
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False


def _bytes(password: str) -> bytes:
    """The same keys give the same bytes on every machine; what no keyboard gives (a lone surrogate) does no harm."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
