"""One broadcast to a million: what the ledger takes on disk for each, and whether the workers' memory stays flat."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.city import Run, Stage, Wish
from bench.figures import Row
from bench.processes import resident_mb
from bench.singles import to_everyone

DISK_REACH_BYTES = 30.0
MEMORY_REACH_MB = 250.0
FLAT_MB = 12.0  # from the middle third to the last third of the run
SAMPLE_S = 0.25
COLLECTIONS = ("pages", "ranges", "broadcasts")

Samples = dict[int, list[float]]  # worker -> MB over time


async def million(stage: Stage) -> list[Row]:
    """Send once to the whole big city, WeChat only, then look."""
    people = stage.sizes.city
    settings = await stage.city(people)
    async with stage.town(settings, Wish()) as run:
        async with _sampled(run) as samples:
            sent = await to_everyone(run, people)
        peaks = [resident_mb(worker.pid or 0)[1] for worker in run.town.workers]
        disk = await _disk(run)
    bytes_each = sum(disk.values()) / people
    peak = max(peaks)
    slopes = [_slope(values) for values in samples.values()]
    shared = {"recipients": people, "seconds": sent.seconds, "per_s": sent.per_s}
    return [
        Row(
            name="disk",
            figure="ledger on disk per recipient and channel",
            reach=f"<= {DISK_REACH_BYTES:.0f} B",
            measured=bytes_each,
            unit="B",
            is_reached=bytes_each <= DISK_REACH_BYTES,
            detail={**shared, "bytes": disk, "conditions": "files and indexes after a checkpoint, nothing compacted"},
        ),
        Row(
            name="memory",
            figure=f"peak memory of a worker while sending to {people:,}",
            reach=f"<= {MEMORY_REACH_MB:.0f} MB, flat",
            measured=peak,
            unit="MB",
            is_reached=peak <= MEMORY_REACH_MB and max(slopes) <= FLAT_MB,
            detail={
                **shared,
                "peaks_mb": peaks,
                "growth_middle_to_last_third_mb": slopes,
                "flat_means_mb": FLAT_MB,
                "samples_mb": {n: [round(v, 1) for v in values[::20]] for n, values in samples.items()},
                "cpu_s": sent.cpu_s,
            },
        ),
    ]


@asynccontextmanager
async def _sampled(run: Run) -> AsyncIterator[Samples]:
    """Resident memory of every worker, several times a second."""
    samples: Samples = {n: [] for n in range(len(run.town.workers))}

    async def sample() -> None:
        while True:
            for n, worker in enumerate(run.town.workers):
                samples[n].append(resident_mb(worker.pid or 0)[0])
            await asyncio.sleep(SAMPLE_S)

    task = asyncio.create_task(sample())
    try:
        yield samples
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _slope(values: list[float]) -> float:
    third = max(1, len(values) // 3)
    middle, last = values[third : 2 * third] or values, values[2 * third :] or values
    return sum(last) / len(last) - sum(middle) / len(middle)


async def _disk(run: Run) -> dict[str, int]:
    """Bytes of the ledger's files after a checkpoint."""
    db = run.assembly.db
    await db.client.admin.command("fsync")
    sizes: dict[str, int] = {}
    for name in COLLECTIONS:
        stats = await db.command("collStats", name)
        sizes[name], sizes[f"{name} indexes"] = stats["storageSize"], stats["totalIndexSize"]
    return sizes
