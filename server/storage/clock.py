"""The database's clock: the one clock that all processes share.

Leases, due times and expiry are compared by the database, so a worker whose own clock is ten minutes off must not write
its own time into them. The offset is measured again every few seconds against the monotonic clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pymongo.errors import PyMongoError

from server.storage.mongo import Database

MEASURE_EVERY_S = 5.0


class DatabaseClock:
    """`now()` is the primary's wall clock, aware UTC, to within half a round trip."""

    def __init__(self, db: Database, monotonic: Callable[[], float]) -> None:
        self._db = db
        self._monotonic = monotonic
        self._at = datetime(1970, 1, 1, tzinfo=UTC)
        self._measured_at = 0.0

    def now(self) -> datetime:
        """The database's time now."""
        return self._at + timedelta(seconds=self._monotonic() - self._measured_at)

    async def measure(self) -> None:
        """Read the primary's clock."""
        before = self._monotonic()
        hello = await self._db.command("hello")
        after = self._monotonic()
        local: datetime = hello["localTime"]
        self._at = local if local.tzinfo else local.replace(tzinfo=UTC)
        self._measured_at = (before + after) / 2

    async def run(self, stop: asyncio.Event) -> None:
        """Measure until told to stop; while the database is away the last offset stands."""
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), MEASURE_EVERY_S)
            except TimeoutError:
                try:
                    await self.measure()
                except PyMongoError:
                    continue
