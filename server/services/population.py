"""Invented citizens for the demo, the tests and the bench: the same seed gives the same city."""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from server.domain.broadcasts import CHANNELS
from server.domain.divisions import Divisions
from server.storage.citizens import NewCitizen, Place

OPENID = string.ascii_letters + string.digits + "-_"
SHARE = {"wechat": 0.9, "push": 0.6, "sms": 0.95}
ENGLISH = 0.03


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the city is like. `divisions` are the communities people live in."""

    divisions: Sequence[str]
    seed: int = 1
    has_all_channels: bool = False
    first: int = 0  # the number of the first citizen: cities made in parts must not give a phone twice


def people(count: int, recipe: Recipe, divisions: Divisions) -> Iterator[NewCitizen]:
    """`count` citizens, each with a home in one of the communities."""
    random = Random(recipe.seed)  # noqa: S311 - invented people, not secrets
    lineages = {code: (*divisions.ancestors(code), code) for code in recipe.divisions}
    codes = list(recipe.divisions)
    for number in range(recipe.first, recipe.first + count):
        code = random.choice(codes)
        addresses = {
            channel: (_ADDRESS[channel](random, number),)
            for channel in CHANNELS
            if recipe.has_all_channels or random.random() < SHARE[channel]
        }
        yield NewCitizen(
            id=random.getrandbits(63),
            places=(Place(code, lineages[code]),),
            addresses=addresses,
            lang="en" if random.random() < ENGLISH else "zh",
        )


def _openid(random: Random, _number: int) -> str:
    return "o" + "".join(random.choices(OPENID, k=27))


def _token(random: Random, _number: int) -> str:
    return f"{''.join(random.choices(OPENID, k=22))}:APA91b{''.join(random.choices(OPENID, k=134))}"


def _phone(_random: Random, number: int) -> str:
    return f"+861{39_00000000 + number:010d}"


_ADDRESS = {"wechat": _openid, "push": _token, "sms": _phone}
