"""What waits while one batch is out goes together in the next one: callers share its reads, round trip and journal.

No timer and no minimum: alone, a caller goes at once. First come, first served; one batch is out at a time, so a
process never holds more than a few of the driver's connections however many callers wait. Whoever drives a batch has
an item in it; then the oldest of those who wait drives the next one. If it is cancelled in the middle, the others are
told what a lost connection would tell them: StoppedError.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Generic, TypeVar

from pymongo.errors import AutoReconnect

MAX_BATCH = 500
Item = TypeVar("Item")
Answer = TypeVar("Answer")


class StoppedError(AutoReconnect):
    """Whoever drove the batch was cancelled: nobody knows what became of it. A read may be asked again."""


class _Told(Enum):
    DRIVE = "drive"


class _Place(Generic[Item, Answer]):
    """One caller's place in the line; told its answer, or to drive."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.future: asyncio.Future[Answer | _Told] = asyncio.get_running_loop().create_future()

    def settle(self, answer: Answer | Exception) -> None:
        """Tell the answer; a caller that is gone is not told."""
        if self.future.done():
            return
        if isinstance(answer, Exception):
            self.future.set_exception(answer)
            self.future.exception()  # nobody has to look at it
        else:
            self.future.set_result(answer)


class Gathering(Generic[Item, Answer]):
    """Merges callers. `run` gets a batch and answers each of its items, in order; an answer may be an exception."""

    def __init__(
        self, run: Callable[[list[Item]], Awaitable[Sequence[Answer | Exception]]], *, most: int = MAX_BATCH
    ) -> None:
        self._run = run
        self._most = most
        self._waiting: list[_Place[Item, Answer]] = []
        self._is_driven = False

    async def ask(self, item: Item) -> Answer:
        """The answer to this item; raises it if it is an exception, or what the whole batch failed with."""
        place: _Place[Item, Answer] = _Place(item)
        self._waiting.append(place)
        if self._is_driven:
            try:
                told = await place.future
            except asyncio.CancelledError:
                if place.future.done() and not place.future.cancelled():  # was about to drive
                    self._pass_on()
                raise
            if not isinstance(told, _Told):
                return told
            place.future = asyncio.get_running_loop().create_future()
        self._is_driven = True
        try:
            await self._run_waiting()
        finally:
            self._pass_on()
        told = await place.future
        assert not isinstance(told, _Told)
        return told

    def _pass_on(self) -> None:
        """Let the oldest of those who still wait drive."""
        self._waiting = [place for place in self._waiting if not place.future.done()]
        self._is_driven = bool(self._waiting)
        if self._waiting:
            self._waiting[0].future.set_result(_Told.DRIVE)

    async def _run_waiting(self) -> None:
        """One batch of what waits, oldest first; the driver is the oldest."""
        batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        try:
            answers = await self._run([place.item for place in batch])
        except BaseException as error:
            for place in batch:
                place.settle(error if isinstance(error, Exception) else StoppedError("stopped"))
            if not isinstance(error, Exception):
                raise
        else:
            for place, answer in zip(batch, answers, strict=True):
                place.settle(answer)
