"""Which broadcasts may send: polled four times a second, so that a cancel takes hold before a second has passed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence

from server.domain.broadcasts import Broadcast, State
from server.storage.broadcasts import Broadcasts
from server.storage.mongo import MongoError

POLL_S = 0.25
START_WITHIN_S = 0.9  # of the read that said "live": a cancel must hold within a second


class Watch:
    """Knows the state of every broadcast that this process works on, and how long that may be relied on.

    `clock` is monotonic, in seconds. A read that began before a cancel was durable may still say "live"; what starts
    within START_WITHIN_S of it starts less than a second after the cancel, however slow everything else is.
    """

    def __init__(self, broadcasts: Broadcasts, clock: Callable[[], float]) -> None:
        self._broadcasts = broadcasts
        self._clock = clock
        self._states: dict[str, tuple[State, float]] = {}  # with the time when the read began
        self._known: dict[str, Broadcast] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until told to stop. While the database is away nothing can be leased, and what is in hand stops."""
        while not stop.is_set():
            try:
                await self.refresh()
            except MongoError:
                self._states.clear()  # no news is no permission: pages in hand stop at their next window
            try:
                await asyncio.wait_for(stop.wait(), POLL_S)
            except TimeoutError:
                continue

    async def refresh(self) -> None:
        """Read the states of all broadcasts that are live or paused."""
        began = self._clock()
        self._states = {id_: (state, began) for id_, state in (await self._broadcasts.states()).items()}
        for gone in self._known.keys() - self._states.keys():
            del self._known[gone]

    def state(self, broadcast: str) -> State | None:
        """The last known state; None if it is neither live nor paused, or not known."""
        known = self._states.get(broadcast)
        return known[0] if known else None

    def may_start_until(self, broadcast: str) -> float:
        """Until when, by the clock, a hand-off of this broadcast may start; a time in the past if it may not."""
        state, began = self._states.get(broadcast, (None, 0.0))
        return began + START_WITHIN_S if state is State.LIVE else -math.inf

    async def fresh(self, ids: Sequence[str]) -> dict[str, State]:
        """The states as the database has them now: read after a lease was taken, before anything is sent."""
        began = self._clock()
        states = await self._broadcasts.states(sorted(set(ids)))
        for id_, state in states.items():
            if state in (State.LIVE, State.PAUSED):
                self._states[id_] = (state, began)
            else:
                self._states.pop(id_, None)
        return states

    async def get(self, broadcast: str) -> Broadcast:
        """The broadcast with its frozen texts; read once while it is live."""
        known = self._known.get(broadcast)
        if known is None:
            known = await self._broadcasts.get(broadcast)
            if broadcast in self._states:
                self._known[broadcast] = known
        return known
