"""A city's first resources: loaded from the data as often as one likes, and their seats laid out ahead of the window.

What is in the database is the office's: a resource that an officer has changed, or that the data has otherwise since,
is told and left alone. Laying out is the workers' duty, too; here it is done for who wants to see it done now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.resources import Kept, Resource, Wanted
from server.services.schedules import Schedules
from server.storage.resources import ResourceStore

BATCH = 250
PAGE = 500
AT_ONCE = 4  # resources; more of them wait for the same disk
Tell = Callable[[int], None]  # hears how many more are done


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load has done. `different`: ids of those that are not in the database as the data has them."""

    added: int
    unchanged: int
    different: tuple[str, ...]


async def load(store: ResourceStore, resources: Sequence[Resource], at: datetime, tell: Tell) -> Loaded:
    """Add what is new; a second call adds nothing."""
    added, different = 0, []
    for first in range(0, len(resources), BATCH):
        batch = resources[first : first + BATCH]
        there = await store.find([each.id for each in batch])
        added += await store.put_all([each for each in batch if each.id not in there], at)
        different += [each.id for each in batch if each.id in there and there[each.id].resource != each]
        tell(len(batch))
    return Loaded(added, len(resources) - added - len(different), tuple(different))


async def all_of(schedules: Schedules, wanted: Wanted) -> list[Kept]:
    """All resources wanted, by id."""
    found: list[Kept] = []
    while page := await schedules.page(wanted, found[-1].resource.id if found else "", PAGE):
        found += page
    return found


async def lay_out(schedules: Schedules, resources: Sequence[Kept], tell: Tell) -> int:
    """Lay out these, up to the day after their windows; how many seats are new."""
    let_in = asyncio.Semaphore(AT_ONCE)

    async def lay(kept: Kept) -> int:
        async with let_in:
            new = await schedules.lay(kept)
        tell(1)
        return new

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(lay(each)) for each in resources]
    return sum(task.result() for task in tasks)
