"""A process that hands in an application with a seat and kills itself at the n-th touch of the databases.

python killed_application.py MONGO_URL APPLICATION VERSION BOOKING TOUCH: nothing is caught, nothing is cleaned up.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import uvloop

from server.services.application_seats import ApplicationSeats, HandingIn
from server.storage import mongo
from tests.services.application_world import Town, caller
from tests.services.booking_world import Clock, slot_at
from tests.services.booking_world import Town as Hall


class Dying:
    """Passes every call on; dies before the n-th, counted over all of them, or after the last."""

    touches = 0

    def __init__(self, inner: Any, last: int) -> None:
        self._inner = inner
        self._last = last

    def __getattr__(self, name: str) -> Any:
        """The inner one's, counted."""
        method = getattr(self._inner, name)

        async def touched(*args: Any, **kwargs: Any) -> Any:
            Dying.touches += 1
            if Dying.touches > self._last:
                os.kill(os.getpid(), signal.SIGKILL)
                await asyncio.sleep(10)
            return await method(*args, **kwargs)

        return touched


async def main(mongo_url: str, application: str, version: str, booking: str, touch: str) -> None:
    """Hand it in, or die."""
    async with mongo.client(mongo_url) as client:
        db = mongo.database(client, "huimin_test")
        town, hall = Town(db), Hall(db, Clock(), slot_at(9))
        town.clock.at = hall.clock.at
        object.__setattr__(town.ground, "store", Dying(town.store, int(touch)))
        seats = ApplicationSeats(town.ground, town.steps, town.counter, Dying(hall.counter, int(touch)))
        await seats.submit(caller(), HandingIn(application, int(version), "k", booking))


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
