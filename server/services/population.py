"""Invented citizens for the demo, the tests and the bench: the same seed gives the same city."""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from shapely.geometry import Point

from server.domain.broadcasts import CHANNELS
from server.domain.divisions import Divisions
from server.storage.citizens import NewCitizen, Place

OPENID = string.ascii_letters + string.digits + "-_"
SHARE = {"wechat": 0.9, "push": 0.6, "sms": 0.95}
ENGLISH = 0.03
SPOTS = 200  # where people with a point live, in each district


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the city is like. `divisions` are the communities people live in."""

    divisions: Sequence[str]
    seed: int = 1
    has_all_channels: bool = False
    point_share: float = 0.0  # of the people whose home is known to the point, not only by division
    first: int = 0  # the number of the first citizen: cities made in parts must not give a phone twice


def people(count: int, recipe: Recipe, divisions: Divisions) -> Iterator[NewCitizen]:
    """`count` citizens, each with a home in one of the communities."""
    random = Random(recipe.seed)  # noqa: S311 - invented people, not secrets
    lineages = {code: (*divisions.ancestors(code), code) for code in recipe.divisions}
    codes = list(recipe.divisions)
    spots = _spots(recipe, divisions, random)
    for number in range(recipe.first, recipe.first + count):
        code = random.choice(codes)
        addresses = {
            channel: (_ADDRESS[channel](random, number),)
            for channel in CHANNELS
            if recipe.has_all_channels or random.random() < SHARE[channel]
        }
        has_point = recipe.point_share > 0 and random.random() < recipe.point_share
        point = _near(random.choice(spots[code[:6]]), random) if has_point and spots[code[:6]] else None
        yield NewCitizen(
            id=random.getrandbits(63),
            places=(Place(code, lineages[code], point),),
            addresses=addresses,
            lang="en" if random.random() < ENGLISH else "zh",
        )


def _spots(recipe: Recipe, divisions: Divisions, random: Random) -> dict[str, list[tuple[float, float]]]:
    """Some points (latitude, longitude) inside the shape of each district that somebody lives in."""
    if not recipe.point_share:
        return {}
    found: dict[str, list[tuple[float, float]]] = {}
    for district in sorted({code[:6] for code in recipe.divisions}):
        shape = divisions.outlines.get(district)
        found[district] = []
        while shape is not None and len(found[district]) < SPOTS:
            west, south, east, north = shape.bounds
            lon, lat = random.uniform(west, east), random.uniform(south, north)
            if shape.covers(Point(lon, lat)):
                found[district].append((lat, lon))
    return found


def _near(spot: tuple[float, float], random: Random) -> tuple[float, float]:
    return round(spot[0] + random.gauss(0, 0.001), 6), round(spot[1] + random.gauss(0, 0.001), 6)  # some 100 m


def _openid(random: Random, _number: int) -> str:
    return "o" + "".join(random.choices(OPENID, k=27))


def _token(random: Random, _number: int) -> str:
    return f"{''.join(random.choices(OPENID, k=22))}:APA91b{''.join(random.choices(OPENID, k=134))}"


def _phone(_random: Random, number: int) -> str:
    return f"+861{39_00000000 + number:010d}"


_ADDRESS = {"wechat": _openid, "push": _token, "sms": _phone}
