"""The invented people of `demo` and `run`: they move in, with points for half of them, and the counters are built."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from server.assemble import Assembly
from server.services.population import Recipe, people

DISTRICT = "440305"  # Nanshan
BATCH = 2_000
POINT_SHARE = 0.5


async def settle(assembly: Assembly, count: int, seed: int, tell: Callable[[int], None]) -> None:
    """Invent `count` people of the district. `tell` hears how many have moved in with each step."""
    divisions = assembly.divisions
    communities = [c for street in divisions.children(DISTRICT) for c in divisions.children(street)]
    crowd = people(count, Recipe(communities, seed, point_share=POINT_SHARE), divisions)
    while batch := list(islice(crowd, BATCH)):
        await assembly.citizens.add(batch)
        tell(len(batch))
    await assembly.counters.rebuild(assembly.now(), lambda _done, _of: None)
