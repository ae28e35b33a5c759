"""argon2id off the loop: at most two at a time, in threads, so that a flood of log-ins stalls nobody else.

Promise: who logs in from where that officer has logged in before waits in another queue than strangers do. A flood
fills theirs, and the chief still gets in.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from server.domain.errors import TooManyError

MEMORY_KIB = 19 * 1024  # OWASP: 19 MiB, two passes, one lane
MAX_WAITING = 256  # in one queue, about seven seconds of work; who comes later is told to come back


class _Queue:
    """One at a time, first come, first served."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it."""
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


class Argon2:
    """Hashes and verifies passwords. Both take the same time, about 25 ms of one core."""

    def __init__(self, memory_kib: int = MEMORY_KIB) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=memory_kib, parallelism=1)
        self._known = _Queue()
        self._strangers = _Queue()

    async def hash(self, password: str) -> str:
        """The encoded hash with its parameters and salt."""
        async with self._known.place():  # only the holder of a one-time link gets here
            return await asyncio.to_thread(self._hasher.hash, _bytes(password))

    async def verify(self, hashed: str | None, password: str, *, is_known: bool = False) -> bool:
        """Whether this is the password; without a hash to compare, False after the same work.

        `is_known`: name and origin have been seen together before. TooManyError `login_busy` if the queue is full.
        """
        async with (self._known if is_known else self._strangers).place():
            return await asyncio.to_thread(self._verify, hashed, _bytes(password))

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
