"""A process that holds, confirms, moves and cancels without end, until somebody kills it.

python killed_booking.py MONGO_URL SEED JOURNAL: a line "<verb> <code>" is written after each answer.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from random import Random

import uvloop

from server.domain.errors import HuiminError
from server.storage import mongo
from tests.services.booking_world import Clock, Town, ask, slot_at

SLOTS = [slot_at(hour) for hour in (8, 9, 10)]


async def main(mongo_url: str, seed: str, journal: str) -> None:
    """Book for ever."""
    random = Random(seed)  # noqa: S311 - a course of events, not a secret
    async with mongo.client(mongo_url) as client:
        counter = Town(mongo.database(client, "huimin_test"), Clock(), *SLOTS).another(int(seed))
        with Path(journal).open("w", buffering=1) as book:  # noqa: ASYNC230 - a line a step, to be there after a kill

            async def live(citizen: int) -> None:
                for n in range(1_000_000):
                    try:
                        code = (await counter.hold(ask(random.choice(SLOTS), citizen, f"{n}"))).booking.code
                        await counter.confirm(code, citizen)
                        book.write(f"booked {code}\n")
                        if random.random() < 0.6:
                            await counter.move(code, citizen, random.choice(SLOTS).id, "online")
                            book.write(f"moved {code}\n")
                        if random.random() < 0.6:
                            await counter.cancel(code, None)
                            book.write(f"cancelled {code}\n")
                    except HuiminError:
                        await asyncio.sleep(0)

            async with asyncio.TaskGroup() as crowd:
                for citizen in range(1, 41):
                    crowd.create_task(live(int(seed) * 100 + citizen))
                sys.stdout.write("booking\n")
                sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
