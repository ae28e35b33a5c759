"""A catalogue of any size for the scale test: items like those of `data/catalogue`, named after the city's divisions.

Real catalogues grow by implementing units: each street offers the same service under a code of its own. So the invented
items are a real one at one division, with its own id, code and name. Seeded: the same call makes the same items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random

from server.domain.catalogue import Item, Mode
from server.domain.divisions import Division, Divisions
from server.domain.resources import Named

FIRST = 900_000  # numbers of invented items begin here


def more(items: Sequence[Item], divisions: Divisions, count: int, seed: int) -> Iterator[Item]:
    """`count` invented items beside these. ValueError if the city has not enough divisions for so many."""
    dice = Random(seed)  # noqa: S311 - names for a test
    city = items[0].division
    below = [division for district in divisions.children(city) for division in divisions.children(district)]
    places = [divisions.get(code) for code in (*divisions.children(city), *below)]
    if count > len(items) * len(places) or count > 99_999:
        raise ValueError(f"{len(items)} items at {len(places)} divisions are fewer than {count}")
    pairs = dice.sample(range(len(items) * len(places)), count)
    return islice((_at(items[p // len(places)], places[p % len(places)], n) for n, p in enumerate(pairs)), count)


def _at(item: Item, place: Division, number: int) -> Item:
    name = Named(zh=f"{item.name.zh}（{place.name}）"[:60], en=item.name.en)
    modes = tuple(sorted({*item.modes, *((Mode.PROACTIVE,) if number % 2 else (Mode.NEARBY,))}))
    return item.model_copy(
        update={
            "id": f"{item.id[:40].strip('-')}-{place.code}-{number}",
            "code": f"{item.code.rpartition('-')[0]}-{FIRST + number:06d}",
            "name": name,
            "modes": modes,
            "words": tuple(item.words[:3]),
        }
    )
