"""Sums per range: recomputed from its pages when one of them changed, never incremented, so that they cannot drift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from push.parts import Parts
from server.domain.broadcasts import Broadcast, State
from server.domain.pages import sums

AT_ONCE = 64  # ranges recomputed per round


class Totals:
    """Keeps the sums of ranges fresh and notices when a broadcast is finished."""

    def __init__(self, parts: Parts, district_of: Callable[[int], int]) -> None:
        self._parts = parts
        self._district_of = district_of

    async def refresh_stale(self) -> int:
        """Recompute some ranges that are marked; returns how many."""
        stale = await self._parts.queue.pop_stale(AT_ONCE)
        for id_ in stale:
            await self.recompute(id_)
        return len(stale)

    async def recompute(self, range_id: str) -> None:
        """Store the sums of one range: channel -> status -> district index -> people."""
        broadcast, number = range_id.rsplit("/", 1)
        counted: dict[str, dict[str, Counter[str]]] = {}
        for page in await self._parts.pages.of_range(broadcast, int(number)):
            by_status = counted.setdefault(page.channel, {})
            for (status, division), count in sums(page).items():
                by_status.setdefault(status, Counter())[str(self._district_of(division))] += count
        await self._parts.broadcasts.set_sums(range_id, counted, self._parts.now())

    async def finish(self, broadcast: Broadcast) -> bool:
        """If nothing is left to do: one full pass over the sums, then the broadcast is finished."""
        parts = self._parts
        if await parts.broadcasts.is_any_range_open(broadcast.id) or await parts.pages.is_any_open(broadcast.id):
            return False
        async for range_ in parts.broadcasts.ranges(broadcast.id):
            await self.recompute(range_.id)
        return await parts.broadcasts.set_state(broadcast.id, State.FINISHED, only_from=[State.LIVE], now=parts.now())
