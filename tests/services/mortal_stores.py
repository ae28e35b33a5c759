"""Stores that die at a given write, as a killed process would: for the tests of what takes several writes."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any

from server.domain.chains import Chain
from server.domain.waiting import Offer
from server.storage.chains import ChainStore
from server.storage.mongo import Database
from server.storage.seats import Pair, SeatStore, Swap
from server.storage.waiting import WaitingStore

FOREVER = 10**6  # writes: more than any test makes


class KilledError(Exception):
    """The process is gone."""


class Life:
    """So many writes; before the next one it ends."""

    def __init__(self, writes: int) -> None:
        self.left = writes

    def write(self) -> None:
        """A write is about to be made."""
        self.left -= 1
        if self.left < 0:
            raise KilledError


class Mortal:
    """Passes every call on as long as the process lives."""

    def __init__(self, inner: Any, life: Life) -> None:
        self._inner, self._life = inner, life

    def __getattr__(self, name: str) -> Any:
        """The inner one's, counted."""
        method = getattr(self._inner, name)

        async def touched(*args: Any, **kwargs: Any) -> Any:
            self._life.write()
            return await method(*args, **kwargs)

        return touched


class MortalSeats(SeatStore):
    """Seats."""

    def __init__(self, db: Database, life: Life) -> None:
        super().__init__(db, partial(secrets.randbits, 63))
        self.life = life

    async def swap(self, pairs: Sequence[Pair]) -> list[Swap]:
        """Write, perhaps for the last time."""
        if not pairs:
            return []
        self.life.write()
        return await super().swap(pairs)


class MortalChains(ChainStore):
    """Records of visits."""

    def __init__(self, db: Database, life: Life) -> None:
        super().__init__(db)
        self.life = life

    async def insert(self, chain: Chain) -> Chain:
        """Write, perhaps for the last time."""
        self.life.write()
        return await super().insert(chain)

    async def swap(self, old: Chain, new: Chain) -> bool:
        """Write, perhaps for the last time."""
        self.life.write()
        return await super().swap(old, new)

    async def remove(self, chain: Chain) -> None:
        """Write, perhaps for the last time."""
        self.life.write()
        await super().remove(chain)


class MortalEntries(WaitingStore):
    """The waiting list."""

    def __init__(self, db: Database, life: Life) -> None:
        super().__init__(db)
        self.life = life

    async def add_offer(self, entry: str, offer: Offer) -> bool:
        """Write, perhaps for the last time."""
        self.life.write()
        return await super().add_offer(entry, offer)
