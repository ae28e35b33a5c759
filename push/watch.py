"""Which broadcasts may send: polled four times a second, so that a cancel takes hold before a second has passed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from server.domain.broadcasts import Broadcast, State
from server.storage.broadcasts import Broadcasts
from server.storage.mongo import MongoError

POLL_S = 0.25


class Watch:
    """Knows the state of every broadcast that this process works on, at most `POLL_S` old."""

    def __init__(self, broadcasts: Broadcasts) -> None:
        self._broadcasts = broadcasts
        self._states: dict[str, State] = {}
        self._known: dict[str, Broadcast] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until told to stop. While the database is away the last states stand: nothing can be leased then."""
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
        self._states = await self._broadcasts.states()
        for gone in self._known.keys() - self._states.keys():
            del self._known[gone]

    def state(self, broadcast: str) -> State | None:
        """The last known state; None if it is neither live nor paused, or not known yet."""
        return self._states.get(broadcast)

    async def fresh(self, ids: Sequence[str]) -> dict[str, State]:
        """The states as the database has them now: read after a lease was taken, before anything is sent."""
        states = await self._broadcasts.states(sorted(set(ids)))
        for id_, state in states.items():
            if state in (State.LIVE, State.PAUSED):
                self._states[id_] = state
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
