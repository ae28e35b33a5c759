"""What processes left when they died is finished by whoever comes next: one that cannot be keeps no other back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from server.domain.errors import HuiminError

T = TypeVar("T")


async def finish_each(left: Iterable[T], finish: Callable[[T], Awaitable[object]], what: str) -> list[T]:
    """Finish one after the other; those that were. ExceptionGroup of what was refused: "<count> <what>"."""
    finished: list[T] = []
    failed: list[HuiminError] = []
    for each in left:
        try:
            await finish(each)
        except HuiminError as error:
            failed.append(error)
        else:
            finished.append(each)
    if failed:
        raise ExceptionGroup(f"{len(failed)} {what}", failed)
    return finished
