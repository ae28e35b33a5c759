"""What providers and people's own apps say later: merged over requests that wait, durable, then answered.

Providers are verified by the channel's reader. A receipt carries an address: blind index -> citizen -> the page among
the broadcasts of the last three days -> position. A sighting names citizen and broadcast. Ranks only rise, so early,
late, doubled and reordered ones need no special case. While one bulk is being written the next requests gather; there
is no timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from channels.base import (
    Callback,
    CallbackRequest,
    ForgedCallbackError,
    GrantChange,
    Kind,
    Receipt,
    ReceiptReader,
    ReceiptVerdict,
)
from server.domain import ranks
from server.domain.errors import ForbiddenError, NotFoundError
from server.storage.broadcasts import Broadcasts
from server.storage.callbacks import Callbacks
from server.storage.citizens import Citizens
from server.storage.pages import Pages, Spot, hash_reference, receipt
from server.storage.queue import Queue

KEEP = timedelta(days=3)
MAX_MERGED = 5_000  # receipts in one round
RANK = {
    ReceiptVerdict.UNDELIVERED: ranks.UNDELIVERED,
    ReceiptVerdict.DELIVERED: ranks.DELIVERED,
    ReceiptVerdict.READ: ranks.READ,
}


@dataclass(slots=True)
class ReceiptCounters:
    """For the metrics page: what came in and what could not be placed."""

    applied: int = 0
    unplaced: int = 0
    forged: int = 0
    rounds: int = 0
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Sighting:
    """A notice that was displayed (delivered) or opened (read), as the person's own app says. `about` may be ""."""

    citizen: int
    channel: str
    broadcast: str
    about: str
    verdict: ReceiptVerdict


@dataclass(slots=True)
class _Waiting:
    channel: str
    callback: Callback
    done: asyncio.Future[bytes] = field(repr=False)
    sighting: Sighting | None = None


NO_CALLBACK = Callback(b"", "text/plain")


class Receipts:
    """Takes callbacks of all providers. `channel_of` names the channel of each reader."""

    def __init__(
        self,
        readers: Mapping[str, tuple[str, ReceiptReader]],
        stores: tuple[Broadcasts, Pages, Citizens, Callbacks],
        queue: Queue,
        now: Callable[[], datetime],
    ) -> None:
        self._readers = readers
        self._broadcasts, self._pages, self._citizens, self._callbacks = stores
        self._queue = queue
        self._now = now
        self._waiting: list[_Waiting] = []
        self._turn = asyncio.Lock()
        self.counters = ReceiptCounters()

    async def take(self, provider: str, request: CallbackRequest) -> Callback:
        """Verify, apply, and only then return what to answer.

        ForbiddenError `callback_forged`: not the provider's, or used before; nothing changes. NotFoundError: no such
        provider.
        """
        if provider not in self._readers:
            raise NotFoundError("provider_unknown", zh="没有这个通道。", en="no such provider", field="provider")
        channel, reader = self._readers[provider]
        try:
            callback = reader.read(request, self._now())
        except ForgedCallbackError as error:
            self.counters.forged += 1
            raise ForbiddenError(
                "callback_forged", zh="回调未通过验证。", en=f"the callback is not genuine: {error}"
            ) from None
        if callback.receipts or callback.grants or callback.replay_key:
            await self._join(_Waiting(channel, callback, asyncio.get_running_loop().create_future()))
        return callback

    async def see(self, sighting: Sighting) -> None:
        """Raise the rank of that notice; durable when it returns. A notice that the citizen has not is no news."""
        done = asyncio.get_running_loop().create_future()
        await self._join(_Waiting(sighting.channel, NO_CALLBACK, done, sighting))

    async def _join(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        async with self._turn:  # whoever is answered does not work for those who come later
            while not waiting.done.done():
                await self._work()
        await waiting.done

    async def _work(self) -> None:
        """One round of those who wait, oldest first."""
        batch, size = [], 0
        while self._waiting and size < MAX_MERGED:
            batch.append(self._waiting.pop(0))
            size += len(batch[-1].callback.receipts) + 1
        try:
            await self._round(batch)
        except BaseException as error:
            _fail(batch, error)
            if not isinstance(error, Exception):
                raise

    async def _round(self, batch: Sequence[_Waiting]) -> None:
        """One merged round: refuse replays, apply everything, remember the keys, answer."""
        keys = [w.callback.replay_key for w in batch if w.callback.replay_key]
        used = await self._callbacks.find_used(keys) if keys else set()
        seen: set[str] = set()
        fresh: list[_Waiting] = []
        for waiting in batch:
            key = waiting.callback.replay_key
            if key is not None and (key in used or key in seen):
                self.counters.forged += 1
                waiting.done.set_exception(
                    ForbiddenError("callback_forged", zh="回调已使用过。", en="the callback was used before")
                )
                continue
            if key is not None:
                seen.add(key)
            fresh.append(waiting)
        by_channel: dict[str, list[Receipt]] = {}
        grants: list[GrantChange] = []
        for waiting in fresh:
            by_channel.setdefault(waiting.channel, []).extend(waiting.callback.receipts)
            grants.extend(waiting.callback.grants)
        for channel, receipts in by_channel.items():
            if receipts:
                await self._apply(channel, receipts)
        if sightings := [waiting.sighting for waiting in fresh if waiting.sighting]:
            await self._see(sightings)
        if grants:
            await self._grant(grants)
        await self._callbacks.remember(sorted(seen), self._now())
        self.counters.rounds += 1
        for waiting in fresh:
            waiting.done.set_result(waiting.callback.answer)

    async def _apply(self, channel: str, receipts: Sequence[Receipt]) -> None:
        owners = await self._citizens.find_by_address(channel, sorted({r.address for r in receipts}))
        placed = [(owners[r.address], r) for r in receipts if r.address in owners]
        since = self._now() - KEEP
        recent = await self._broadcasts.recent(since)
        spots = await self._pages.find_spots(channel, recent, sorted({c for c, _ in placed}))
        changes: dict[str, dict[str, Any]] = {}
        stale: set[str] = set()
        for citizen, one in placed:
            spot = _choose(spots.get(citizen, ()), one)
            if spot is None:
                self.counters.unplaced += 1
                continue
            receipt(changes.setdefault(spot.page, {}), spot.position, RANK[one.verdict], one.code if one.fault else "")
            stale.add(spot.range_id)
            self.counters.applied += 1
        self.counters.unplaced += len(receipts) - len(placed)
        await self._write(changes, stale)
        await self._retire(channel, placed)

    async def _see(self, sightings: Sequence[Sighting]) -> None:
        homes = await self._broadcasts.homes(sorted({each.broadcast for each in sightings}))
        changes: dict[str, dict[str, Any]] = {}
        stale: set[str] = set()
        for channel in sorted({each.channel for each in sightings}):
            those = [each for each in sightings if each.channel == channel]
            spots = await self._pages.find_named(channel, homes, sorted({each.citizen for each in those}))
            for each in those:
                meant = [spot for spot in spots.get(each.citizen, ()) if _is_meant(spot, each)]
                for spot in meant:
                    receipt(changes.setdefault(spot.page, {}), spot.position, RANK[each.verdict], "")
                    stale.add(spot.range_id)
                self.counters.seen += bool(meant)
        await self._write(changes, stale)

    async def _write(self, changes: Mapping[str, Mapping[str, Any]], stale: set[str]) -> None:
        await self._pages.apply(changes)
        if stale:
            await self._queue.mark_stale(sorted(stale))

    async def _retire(self, channel: str, placed: Sequence[tuple[int, Receipt]]) -> None:
        """A receipt may say that the address is dead for good."""
        by_code: dict[str, list[tuple[int, bytes]]] = {}
        for citizen, one in placed:
            if one.fault is not None and one.fault.kind is Kind.ADDRESS_DEAD:
                by_code.setdefault(one.code, []).append((citizen, self._citizens.index(channel, one.address)))
        for code, dead in by_code.items():
            await self._citizens.retire(channel, dead, code=code, now=self._now())

    async def _grant(self, grants: Sequence[GrantChange]) -> None:
        owners = await self._citizens.find_by_address("wechat", sorted({g.openid for g in grants}))
        await self._citizens.set_grants(
            [(owners[g.openid], g.template_id, g.is_accepted, g.at) for g in grants if g.openid in owners]
        )


def _choose(spots: Sequence[Spot], one: Receipt) -> Spot | None:
    """The notice a receipt speaks of: by its reference, else the only one of which not all are known (yet).

    If several could be meant, none is: a notice must not be called delivered for another one's receipt.
    """
    if not one.reference:
        return spots[0] if spots else None
    wanted = hash_reference(one.reference)
    exact = next((s for s in spots if wanted in s.references), None)
    nameless = [s for s in spots if s.is_incomplete]
    return exact or (nameless[0] if len(nameless) == 1 else None)


def _is_meant(spot: Spot, sighting: Sighting) -> bool:
    """Whether a sighting speaks of this notice: of that broadcast, and of that thing if the notice is about one."""
    return spot.range_id.rpartition("/")[0] == sighting.broadcast and spot.about in ("", sighting.about)


def _fail(batch: Sequence[_Waiting], error: BaseException) -> None:
    for waiting in batch:
        if not waiting.done.done():
            waiting.done.set_exception(error if isinstance(error, Exception) else ConnectionError("stopped"))
            waiting.done.exception()
