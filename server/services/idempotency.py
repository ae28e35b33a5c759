"""Doing a named request once: take the key, work, keep the answer or give the key back.

A process that is killed in between leaves the key to the same request after a minute, which is then worked on anew:
what must not happen twice hands the key down to its service, and is idempotent by it there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from server.domain.idempotency import Answer, in_flight, mismatch
from server.storage.idempotency import IdempotencyStore
from server.storage.mongo import MongoError

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Hold:
    """A key that is ours while we work."""

    name: str
    owner: str


class Idempotency:
    """The keys of all callers. `token` gives words that nobody else has."""

    def __init__(self, store: IdempotencyStore, token: Callable[[], str]) -> None:
        self._store = store
        self._token = token

    async def begin(self, caller: str, key: str, print_: bytes) -> Hold | Answer:
        """The key, or what the same request was answered.

        ConflictError `idempotency_in_flight`; InvalidInputError `idempotency_mismatch` if it names another request.
        """
        hold = Hold(self._store.name(caller, key), self._token())
        found = await self._store.claim(hold.name, print_, hold.owner)
        if found.owner == hold.owner:
            return hold
        if not found.is_same:
            raise mismatch()
        if found.answer is None:
            raise in_flight()
        return found.answer

    async def keep(self, hold: Hold, answer: Answer) -> None:
        """From now on this is the answer."""
        if not await self._store.mark_answered(hold.name, hold.owner, answer):
            log.warning("idempotency_overtaken", name=hold.name)

    async def free(self, hold: Hold) -> None:
        """Nothing came of it. If the database cannot be told, the lease ends by itself."""
        try:
            await self._store.free(hold.name, hold.owner)
        except MongoError:
            log.warning("idempotency_not_freed", name=hold.name)

    async def forget(self, caller: str) -> None:
        """All answers to a caller (`citizen/<id>`): they are being erased."""
        await self._store.forget(caller)
