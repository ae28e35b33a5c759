"""Release, stop and watch broadcasts: what an officer's decision means for the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from server.domain.broadcasts import Broadcast, State, digest, ranges_for
from server.domain.errors import ConflictError
from server.storage.broadcasts import Broadcasts as Store
from server.storage.citizens import Citizens
from server.storage.pages import Pages
from server.storage.queue import PLAN, Queue

STOPPED = {State.CANCELLED, State.REPLACED}


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a broadcast stands: people by channel, status and district index."""

    state: State
    ranges: int
    ranges_planned: int
    by_channel: Mapping[str, Mapping[str, Mapping[str, int]]]
    version: int = 0  # grows with every change of state, plan or sums; the same in every process

    def statuses(self, channel: str) -> Counter[str]:
        """People by status on one channel."""
        return Counter({status: sum(d.values()) for status, d in self.by_channel.get(channel, {}).items()})

    def audience(self, channel: str) -> int:
        """Everybody that this channel was meant for."""
        return self.statuses(channel).total()


class Broadcasts:
    """The counter for broadcasts. Implements the alert desk's `Publisher`."""

    def __init__(
        self, store: Store, pages: Pages, citizens: Citizens, queue: Queue, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._pages = pages
        self._citizens = citizens
        self._queue = queue
        self._now = now

    async def publish(self, broadcast: Broadcast) -> None:
        """Release: durable when it returns. Idempotent by id, so that an interrupted release can be finished.

        The broadcasts that it replaces stop first: an old text must not leave after the new one.
        """
        for replaced in broadcast.replaces:
            await self.stop(replaced, State.CANCELLED if broadcast.is_all_clear else State.REPLACED)
        size = await self._size(broadcast)
        stored = await self._store.insert(broadcast.model_copy(update={"ranges": ranges_for(size)}))
        if digest(stored) != digest(broadcast):
            raise ConflictError(
                "broadcast_differs",
                zh="同一编号的发布内容不一致，未发布。",
                en="a broadcast with this id but other content exists; nothing was released",
                field="id",
            )
        await self._queue.push(PLAN, broadcast.lane, await self._store.cut(stored))

    async def stop(self, id_: str, state: State) -> None:
        """Cancelled or replaced, for good. What nobody has touched yet is closed at once, in the database."""
        if state not in STOPPED:
            raise ValueError(f"{state} does not stop a broadcast")
        await self._store.set_state(id_, state, only_from=[State.LIVE, State.PAUSED, State.FINISHED], now=self._now())
        await self._store.close_ranges(id_)
        await self._pages.close_untouched(id_, state.value)
        await self._queue.push_pages(await self._pages.hasten(id_))

    async def pause(self, id_: str) -> bool:
        """Stop the run for now; False if it is not live."""
        return await self._store.set_state(id_, State.PAUSED, only_from=[State.LIVE], now=self._now())

    async def resume(self, id_: str) -> bool:
        """Go on with a paused run; False if it is not paused."""
        return await self._store.set_state(id_, State.LIVE, only_from=[State.PAUSED], now=self._now())

    async def revive(self, pages: Sequence[str]) -> int:
        """Put dead pages back to work; returns how many were dead."""
        hints = await self._pages.revive(pages)
        await self._queue.push_pages(hints)
        return len(hints)

    async def progress(self, id_: str) -> Progress:
        """Where it stands, from the sums of its ranges. NotFoundError.

        The version adds up what only grows: when the state changed, how much is planned, how fresh the sums of each
        range are. So any change makes it larger, and every process comes to the same number.
        """
        changed_at = await self._store.find_changed_at(id_)  # before the state: the version may lag, the state may not
        broadcast = await self._store.get(id_)
        by_channel: dict[str, dict[str, Counter[str]]] = {}
        planned, version = 0, _ms_between(broadcast.released_at, changed_at or broadcast.released_at)
        async for range_ in self._store.ranges(id_):
            planned += range_.is_planned
            if range_.summed_at is not None:
                version += _ms_between(broadcast.released_at, range_.summed_at)
            for channel, statuses in range_.sums.items():
                for status, divisions in statuses.items():
                    by_channel.setdefault(channel, {}).setdefault(status, Counter()).update(divisions)
        return Progress(broadcast.state, broadcast.ranges, planned, by_channel, version + planned)

    async def of_citizen(self, citizen: int, since: datetime) -> list[dict[str, Any]]:
        """What was sent to one person since then: broadcast, channel, status, why, when, through which account."""
        places = await self._pages.of_citizen(citizen, await self._store.recent(since))
        return [{"broadcast": p.broadcast, "channel": p.channel, "page": p.id, **p.entry(i)} for p, i in places]

    async def _size(self, broadcast: Broadcast) -> int:
        size = await self._citizens.estimate(broadcast.audience) if not broadcast.is_all_clear else 0
        for replaced in broadcast.replaces:
            size = max(size, (await self._store.get(replaced)).ranges * 8_000)
        return size


def _ms_between(earlier: datetime, later: datetime) -> int:
    return max(0, round((later - earlier).total_seconds() * 1000))
