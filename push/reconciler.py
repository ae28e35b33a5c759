"""The only redelivery: puts back on the queue what MongoDB calls unfinished, due and not leased.

Redis holds hints. If it was wiped, or a worker died with pages in hand, this is what finds the work again: every second
for red and orange, every five for the rest. A hint too many costs one failed claim; a hint too few would cost a
warning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from push.parts import UNREADABLE, Parts
from push.totals import Totals
from server.domain.broadcasts import CHANNELS, Broadcast, Lane, State
from server.storage.mongo import MongoError
from server.storage.page_documents import Hint
from server.storage.queue import PLAN

URGENT = tuple(lane for lane in Lane if lane.is_urgent)
REST = tuple(lane for lane in Lane if not lane.is_urgent)
URGENT_EVERY_S = 1.0
REST_EVERY_S = 5.0
TOTALS_EVERY_S = 0.5
TOTALS_REST = 9.0  # sums may take a tenth of a worker's time, never more
SHORT = 32  # a queue shorter than this may have lost hints

log = structlog.get_logger()


class Reconciler:
    """Runs beside the readers in every worker; several at once do no harm."""

    def __init__(self, parts: Parts, totals: Totals) -> None:
        self._parts = parts
        self._totals = totals

    async def run(self, lanes: Sequence[Lane], every_s: float, stop: asyncio.Event) -> None:
        """Look again and again until told to stop."""
        while not stop.is_set():
            try:
                await self.requeue(lanes)
            except MongoError:
                self._parts.counters.event("reconcile_failed")
            await _rest(stop, every_s)

    async def requeue(self, lanes: Sequence[Lane]) -> int:
        """Put back what was lost; returns how many hints."""
        parts = self._parts
        lapsed = await parts.pages.find_lapsed(lanes)
        parts.counters.event("lease_lapsed", len(lapsed))
        count = await self._announce(lapsed, is_first=True)
        for lane in lanes:
            for channel in CHANNELS:
                if await parts.queue.length(channel, lane) < SHORT:
                    count += await self._announce(await parts.pages.find_waiting(lane, channel), is_first=False)
        for id_, lane in await parts.broadcasts.find_open_ranges(lanes):
            if await parts.queue.length(PLAN, lane) < SHORT:
                count += 1
                await parts.queue.push(PLAN, lane, [id_])
        return count

    async def _announce(self, hints: Sequence[Hint], *, is_first: bool) -> int:
        await self._parts.queue.push_pages(hints, is_first=is_first)
        return len(hints)

    async def keep_totals(self, stop: asyncio.Event) -> None:
        """Recompute stale sums and close finished broadcasts until told to stop."""
        while not stop.is_set():
            started_at = self._parts.clock()
            try:
                await self._totals.refresh_stale()
                await self._finish()
            except MongoError:
                self._parts.counters.event("totals_failed")
            spent_s = self._parts.clock() - started_at
            await _rest(stop, max(TOTALS_EVERY_S, spent_s * TOTALS_REST))

    async def _finish(self) -> None:
        parts = self._parts
        for broadcast in await parts.broadcasts.find_uncut():
            await parts.broadcasts.cut(broadcast)
        for id_, state in (await parts.broadcasts.states()).items():
            try:
                await self._finish_one(await parts.watch.get(id_), state)
            except UNREADABLE as error:  # the others are to be finished all the same
                parts.counters.event("finish_failed")
                log.warning("finish_failed", broadcast=id_, error=type(error).__name__)
        await self._totals.sum_up_stopped()

    async def _finish_one(self, broadcast: Broadcast, state: State) -> None:
        if state is State.LIVE:
            await self._totals.finish(broadcast)
        elif self._parts.now() >= broadcast.expires_at:  # a pause ends with the warning: its pages expire, unsent
            now = self._parts.now()
            await self._parts.broadcasts.set_state(broadcast.id, State.LIVE, only_from=[State.PAUSED], now=now)


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
