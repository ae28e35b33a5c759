"""Receipts merged over all waiting requests, against one update per receipt; every write w:majority and journaled."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from bench.city import Run, Stage, Wish
from bench.figures import Row, spread
from bench.singles import to_everyone
from channels.base import Callback, CallbackRequest, Receipt, ReceiptVerdict
from server.domain import ranks
from server.domain.broadcasts import range_of
from server.domain.pages import ids_from_bytes
from server.services.receipts import Receipts
from server.storage.callbacks import Callbacks

REACH = 30.0
AT_ONCE = 2_000  # callbacks that wait at the same time, one receipt each
SLOW_SHARE = 10  # the rival gets a tenth as many


class PlainReader:
    """Reads a body that is nothing but an openid: both sides are spared the provider's cryptography."""

    provider = "plain"

    def read(self, request: CallbackRequest, now: datetime) -> Callback:
        """One delivered receipt."""
        openid = request.body.decode()
        return Callback(b"success", "text/plain", [Receipt(openid, ReceiptVerdict.DELIVERED, "success", "", now)])


async def receipts(stage: Stage) -> list[Row]:
    """Receipts a second, each a small callback of its own, the same number waiting at a time on both sides."""
    sizes = stage.sizes
    settings = await stage.city(sizes.people)
    merged, single = [], []
    async with stage.town(settings, Wish()) as run:
        await to_everyone(run, sizes.people)
        addresses = iter(await _openids(run, sizes.receipts * 2 * sizes.repeats))
        broadcast, ranges = (await run.assembly.broadcast_store.recent(datetime(2020, 1, 1, tzinfo=UTC)))[0]
        service = _service(run)

        async def take(openid: str) -> None:
            await service.take("plain", CallbackRequest("POST", {}, {}, openid.encode()))

        async def update(openid: str) -> None:
            await _update_one(run, broadcast, ranges, openid)

        for turn in range(sizes.repeats):
            merged.append(await _rate(take, list(itertools.islice(addresses, sizes.receipts))))
            single.append(await _rate(update, list(itertools.islice(addresses, sizes.receipts // SLOW_SHARE))))
            stage.tell("rounds", turn + 1, sizes.repeats)
        rounds, applied = service.counters.rounds, service.counters.applied
    fast, slow = spread(merged), spread(single)
    ratio = fast.median / slow.median
    return [
        Row(
            name="receipts",
            figure="receipts applied, merged, against one update per receipt",
            reach=f">= {REACH:.0f}x",
            measured=ratio,
            unit="x",
            is_reached=ratio >= REACH,
            detail={
                "merged_per_s": fast,
                "one_by_one_per_s": slow,
                "waiting_at_once": AT_ONCE,
                "receipts_a_round": applied / rounds,
                "conditions": "one process, no HTTP and no cryptography of the provider on either side",
            },
        )
    ]


def _service(run: Run) -> Receipts:
    parts = run.assembly
    stores = (parts.broadcast_store, parts.pages, parts.citizens, Callbacks(parts.db))
    return Receipts({"plain": ("wechat", PlainReader())}, stores, parts.queue, parts.now)


async def _rate(one: Callable[[str], Awaitable[None]], addresses: Sequence[str]) -> float:
    """Receipts a second with AT_ONCE of them waiting at any time."""
    left = iter(addresses)

    async def caller() -> None:
        for address in left:
            await one(address)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(caller())
    return len(addresses) / (time.perf_counter() - began)


async def _update_one(run: Run, broadcast: str, ranges: int, openid: str) -> None:
    """The rival: whose address, which page, one update."""
    parts = run.assembly
    citizen = (await parts.citizens.find_by_address("wechat", [openid]))[openid]
    query = {
        "broadcast": broadcast,
        "number": range_of(citizen, ranges),
        "channel": "wechat",
        "lo": {"$lte": citizen},
        "hi": {"$gte": citizen},
    }
    page = await parts.db["pages"].find_one(query, {"to": 1})
    if page is None:
        raise LookupError("no page holds this citizen")
    position = ids_from_bytes(page["to"]).index(citizen)
    await parts.db["pages"].update_one({"_id": page["_id"]}, {"$max": {f"s.{position}": ranks.DELIVERED}})


async def _openids(run: Run, limit: int) -> list[str]:
    """Addresses of people who were sent something; taken again from the start if there are too few."""
    ids = await run.assembly.citizens.sample_ids(limit)
    found: list[str] = []
    for start in range(0, len(ids), 1_000):
        reach = await run.assembly.citizens.reach("wechat", ids[start : start + 1_000])
        found += [person.addresses[0].value for person in reach.values()]
    return [found[n % len(found)] for n in range(limit)]
