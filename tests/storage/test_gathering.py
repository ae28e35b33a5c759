"""Gathering: who waits while a batch is out shares the next one, and a caller that goes takes nobody with it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from server.storage.gathering import Gathering


class Doubling:
    """Doubles numbers; odd ones are refused. Remembers its batches; each is answered when the test lets it."""

    def __init__(self, *, is_let: bool = True) -> None:
        self.batches: list[list[int]] = []
        self.let = asyncio.Event()
        if is_let:
            self.let.set()

    async def run(self, items: list[int]) -> Sequence[int | Exception]:
        """One batch."""
        self.batches.append(items)
        await asyncio.sleep(0)
        await self.let.wait()
        return [ValueError(item) if item % 2 else 2 * item for item in items]


async def test_callers_share_batches_in_order_and_each_gets_its_own_answer():
    doubling = Doubling()
    gathering: Gathering[int, int] = Gathering(doubling.run, most=10)
    told = await asyncio.gather(*(gathering.ask(n) for n in range(25)), return_exceptions=True)
    assert [each if isinstance(each, int) else str(each) for each in told] == [
        str(n) if n % 2 else 2 * n for n in range(25)
    ]
    assert [len(batch) for batch in doubling.batches] == [1, 10, 10, 4]
    assert [n for batch in doubling.batches for n in batch] == list(range(25))


async def test_a_caller_that_goes_does_not_stop_the_line():
    doubling = Doubling(is_let=False)
    gathering: Gathering[int, int] = Gathering(doubling.run)
    tasks = [asyncio.ensure_future(gathering.ask(n)) for n in (0, 2, 4, 6)]
    while not doubling.batches:
        await asyncio.sleep(0)
    tasks[1].cancel()  # waits to be the next driver
    tasks[2].cancel()
    doubling.let.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert told[3] == 12
    assert await gathering.ask(8) == 16


async def test_a_failed_batch_fails_its_callers_only():
    async def run(items: list[int]) -> Sequence[int]:
        await asyncio.sleep(0)
        if 1 in items:
            raise KeyError(1)
        return items

    gathering: Gathering[int, int] = Gathering(run)
    first = asyncio.ensure_future(gathering.ask(1))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(gathering.ask(2))
    with pytest.raises(KeyError):
        await first
    assert await second == 2
