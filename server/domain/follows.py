"""What people follow: topics of public notices in areas, kept as marks so that one index finds an audience. Pure.

A follow of area A on topic T keeps `T:<each ancestor of A, and A>`, so that a bulletin for a district reaches who
follows a street in it, and `T=<A>`, so that a bulletin for a street reaches who follows its district or the city. Who a
bulletin is for are then only equalities, and the index (follows, _id) streams them in the order of ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from server.domain.divisions import prefix

MAX_FOLLOWS = 40  # their questions at the inbox, four each, stay one ordered merge


class Follow(NamedTuple):
    """One thing followed: a topic and a division without padding."""

    topic: str
    division: str

    @property
    def id(self) -> str:
        """As paths name it."""
        return f"{self.topic}-{self.division}"


def marks_of(follows: Iterable[tuple[Follow, Sequence[str]]]) -> tuple[str, ...]:
    """What is kept of these follows, each with the lineage of its division from the city down; sorted.

    >>> marks_of([(Follow("gas", "440305"), ("440300", "440305"))])
    ('gas:440300', 'gas:440305', 'gas=440305')
    """
    found: set[str] = set()
    for follow, lineage in follows:
        found.update(f"{follow.topic}:{code}" for code in lineage)
        found.add(f"{follow.topic}={follow.division}")
    return tuple(sorted(found))


def follows_in(marks: Iterable[str]) -> list[Follow]:
    """The inverse of `marks_of`, in its order."""
    return [Follow(topic, area) for topic, is_own, area in (mark.partition("=") for mark in marks) if is_own]


def asked_of(topic: str, lineages: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """The marks of those who are to hear of something on this topic in the areas that these lineages end in.

    >>> asked_of("gas", [("440300", "440305")])
    ('gas:440305', 'gas=440300')
    """
    found: set[str] = set()
    for lineage in lineages:
        found.add(f"{topic}:{lineage[-1]}")
        found.update(f"{topic}={code}" for code in lineage[:-1])
    return tuple(sorted(found))


def counted_at(own: Sequence[str], asked: Sequence[str]) -> str:
    """The division under which somebody with these marks counts in an audience that asks for those; "" = in none."""
    wanted = set(asked)
    below = [(topic, area) for topic, colon, area in (mark.partition(":") for mark in asked) if colon]
    for follow in follows_in(own):
        if f"{follow.topic}={follow.division}" in wanted:
            return follow.division
        if any(follow.topic == topic and follow.division.startswith(prefix(area)) for topic, area in below):
            return follow.division
    return ""
