"""What waits while one batch is out goes together in the next one: callers share its reads, round trip and journal.

No timer and no minimum: alone, a caller goes at once. First come, first served; one batch is out at a time, so a
process never holds more than a few of the driver's connections however many callers wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

MAX_BATCH = 500
Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Gathering(Generic[Item, Answer]):
    """Merges callers. `run` gets a batch and answers each of its items, in order; an answer may be an exception."""

    def __init__(
        self, run: Callable[[list[Item]], Awaitable[Sequence[Answer | Exception]]], *, most: int = MAX_BATCH
    ) -> None:
        self._run = run
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._turn = asyncio.Lock()

    async def ask(self, item: Item) -> Answer:
        """The answer to this item; raises it if it is an exception, or what the whole batch failed with."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        async with self._turn:  # nobody drives for others after its own item is answered
            while not future.done():
                await self._run_waiting()
        return await future

    async def _run_waiting(self) -> None:
        """One batch of what waits, oldest first."""
        batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        try:
            answers = await self._run([item for item, _ in batch])
        except BaseException as error:
            failure = error if isinstance(error, Exception) else ConnectionError("stopped")
            for _, future in batch:
                _settle(future, failure)
            if not isinstance(error, Exception):
                raise
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                _settle(future, answer)


def _settle(future: asyncio.Future[Answer], answer: Answer | Exception) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
        future.exception()  # its caller may be gone: nobody has to look at it
    else:
        future.set_result(answer)
