"""One HTTP request to a provider, what came of it, and the room where requests wait for a connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """How far a request got."""

    ANSWERED = "answered"  # the provider answered: read `status` and `body`
    NOT_STARTED = "not_started"  # `start_by` passed, or there was no room: no byte left
    REFUSED = "refused"  # no connection: no byte left
    BROKEN = "broken"  # bytes left and no whole answer came (time-out, reset, oversized answer)


class Reply(NamedTuple):
    """What came of one request."""

    state: State
    status: int = 0
    body: bytes = b""
    retry_after_s: float | None = None
    why: str = ""  # the library's words, for the log
    etag: str = ""  # of an answer of a feed


Done = Callable[[int, Reply], None]


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """What the requests of one window share. `done(index, reply)` is called once per request, on the event loop.

    `headers` are lines ("Content-Type: application/json"); `start_by` is a time of the loop's clock;
    `deadline_s` bounds one request, from its start to the last byte of its answer.
    """

    url: str
    headers: Sequence[str]
    start_by: float
    deadline_s: float
    done: Done
    is_urgent: bool = False
    is_get: bool = False  # GET: the body is ignored


Waiting = tuple[Call, bytes, int]


class WaitingRoom:
    """Two bounded first-in-first-out queues: urgent before ordinary."""

    def __init__(self, max_waiting: int) -> None:
        self._max = max_waiting
        self._urgent: deque[Waiting] = deque()
        self._ordinary: deque[Waiting] = deque()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._ordinary)

    @property
    def is_full(self) -> bool:
        """Nobody else may wait."""
        return len(self) >= self._max

    def add(self, waiting: Waiting) -> None:
        """Wait behind those of the same urgency."""
        (self._urgent if waiting[0].is_urgent else self._ordinary).append(waiting)

    def next(self, free: int, reserved: int) -> Waiting | None:
        """Who may start when `free` connections are free, of which `reserved` are only for the urgent."""
        if self._urgent and free > 0:
            return self._urgent.popleft()
        if self._ordinary and free > reserved:
            return self._ordinary.popleft()
        return None

    def expired(self, now: float) -> Iterator[Waiting]:
        """Remove and yield whoever can no longer start."""
        for queue in (self._urgent, self._ordinary):
            for _ in range(len(queue)):
                waiting = queue.popleft()
                if now > waiting[0].start_by:
                    yield waiting
                else:
                    queue.append(waiting)
