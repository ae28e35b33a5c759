"""Whatever becomes of bookings while two desks look at them at odd times: in the end exactly what is true waits."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from server.domain.booking import visits_of
from server.domain.booking_news import change_of
from server.domain.errors import HuiminError
from server.storage.clock import DatabaseClock
from server.storage.followers import Followers
from server.storage.mongo import Database
from tests.services.test_booking_news import Newsroom, opened

PEOPLE = range(201, 209)
STEPS = 60


class NeverLeased(Followers):
    """Everybody always has the turn: what a lapsed lease allows."""

    async def begin(self, name: str, lease_s: float):
        """The turn, whoever else has it."""
        await self._followers.update_one({"_id": name}, {"$unset": {"until": ""}})
        return await super().begin(name, lease_s)


async def live(room: Newsroom, random: Random) -> None:
    """One person after another does something."""
    codes: list[str] = []
    for _ in range(STEPS):
        try:
            match random.choice(["book", "book", "move", "cancel", "close"] if codes else ["book"]):
                case "book":
                    who = random.choice(PEOPLE)
                    codes.append(await room.book(who, random.randrange(3), holder=random.choice([who, 201])))
                case "move":
                    await room.counter.move(random.choice(codes), None, random.choice(room.slots).id, "online")
                case "cancel":
                    await room.counter.cancel(random.choice(codes), None)
                case "close" if random.random() < 0.3:
                    slot = random.choice(room.slots).id
                    await room.counter.close(slot, "停诊")
                    await room.counter.reopen(slot)
        except HuiminError:
            await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(4))
async def test_in_the_end_exactly_what_is_true_waits(db: Database, seed: int):
    room, random = await opened(db), Random(seed)  # noqa: S311 - a course of events, not a secret
    desks = [room.another(followers=NeverLeased(db, f"desk-{n}"), take=random.choice([3, 1000])) for n in range(2)]
    is_over = asyncio.Event()

    async def watch(n: int) -> None:
        while not is_over.is_set():
            await desks[n].follow()
            await asyncio.sleep(random.random() / 50)

    async with asyncio.TaskGroup() as group:
        for n in range(len(desks)):
            group.create_task(watch(n))
        await live(room, random)
        is_over.set()
    await room.another(followers=NeverLeased(db, "last")).follow()

    clock = DatabaseClock(db, lambda: 0.0)
    await clock.measure()
    seats = await room.town.seats()
    changes = [change_of(visit, clock.now()) for seat in seats for visit in visits_of(seat)]
    moot = {key for change in changes for key in change.moot}
    true = {entry.key: (entry.citizen, entry.template) for change in changes for entry in change.entries}
    found = await room.outbox()
    assert {k: (d["citizen"], d["template"]) for k, d in found.items() if d["state"] == "waiting"} == true
    assert {k for k, d in found.items() if d["state"] == "withdrawn"} <= moot
    assert true
