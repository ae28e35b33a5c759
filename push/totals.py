"""Sums per range: recomputed from its pages when one of them changed, never incremented, so that they cannot drift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import structlog

from push.parts import UNREADABLE, Parts
from server.domain.broadcasts import Broadcast, State
from server.domain.pages import sums

AT_ONCE = 16  # ranges recomputed per round

log = structlog.get_logger()


class Totals:
    """Keeps the sums of ranges fresh and notices when a broadcast is finished."""

    def __init__(self, parts: Parts, district_of: Callable[[int], int]) -> None:
        self._parts = parts
        self._district_of = district_of

    async def refresh_stale(self) -> int:
        """Recompute some ranges that are marked; returns how many."""
        stale = await self._parts.queue.pop_stale(AT_ONCE)
        for id_ in stale:
            try:
                await self.recompute(id_)
            except UNREADABLE as error:  # the other ranges are to be summed all the same
                self._parts.counters.event("sums_failed")
                log.warning("sums_failed", range=id_, error=type(error).__name__)
        return len(stale)

    async def recompute(self, range_id: str) -> None:
        """Store the sums of one range: channel -> status -> district index -> people."""
        broadcast, number = range_id.rsplit("/", 1)
        read_at = self._parts.now()
        counted: dict[str, dict[str, Counter[str]]] = {}
        for page in await self._parts.pages.of_range(broadcast, int(number)):
            by_status = counted.setdefault(page.channel, {})
            for (status, division), count in sums(page).items():
                by_status.setdefault(status, Counter())[str(self._district_of(division))] += count
        await self._parts.broadcasts.set_sums(range_id, counted, read_at)

    async def finish(self, broadcast: Broadcast) -> bool:
        """If nothing is left to do: one full pass over the sums, then the broadcast is finished.

        A dead page is something left to do, until the broadcast expires and its people with it. A standing broadcast
        may get more pages until then.
        """
        parts = self._parts
        if broadcast.kind == "standing" and parts.now() < broadcast.expires_at:
            return False
        if await parts.broadcasts.is_any_range_open(broadcast.id) or await parts.pages.is_any_open(broadcast.id):
            return False
        if await parts.pages.is_any_dead(broadcast.id):
            if parts.now() >= broadcast.expires_at:
                await parts.pages.hasten(broadcast.id)
            return False
        await self._recompute_all(broadcast.id)
        return await parts.broadcasts.set_state(broadcast.id, State.FINISHED, only_from=[State.LIVE], now=parts.now())

    async def sum_up_stopped(self) -> None:
        """One full pass over the sums of every cancelled or replaced broadcast of which nothing is in hand any more."""
        parts = self._parts
        for id_ in await parts.broadcasts.find_unsummed():
            if not await parts.pages.is_any_open(id_):
                await self._recompute_all(id_)
                await parts.broadcasts.set_summed(id_)

    async def _recompute_all(self, broadcast: str) -> None:
        async for range_ in self._parts.broadcasts.ranges(broadcast):
            await self.recompute(range_.id)
