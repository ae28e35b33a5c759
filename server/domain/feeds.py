"""What the public sees of an alert: released messages, whether they are in force, and whom they cover.

Promises. Whether a message is in force is computed from its chain and from the time of asking, never read from a mark
that some job has to set: what has expired or was followed is not active, even if nobody has noted it yet. A place that
an alert may cover is covered: a division matches what lies above and below it, a point each street of its district.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import shapely
from shapely import Point
from shapely.geometry.base import BaseGeometry

from server.domain.alerts.geometry import DIVISION, Ring, parse_circle, parse_ring, shape
from server.domain.alerts.model import Alert, Area
from server.domain.alerts.rules_area import EXCLUDED
from server.domain.alerts.states import is_within
from server.domain.alerts.vocabulary import Colour
from server.domain.divisions import circle, normal
from server.domain.wording import Kind

_RANKS = {colour: rank for rank, colour in enumerate(Colour)}  # red 0 .. blue 3


class Standing(StrEnum):
    """Where a released message stands. `all_clear` is a Cancel: it says that something is over and is never active."""

    ACTIVE = "active"
    UPDATED = "updated"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    ALL_CLEAR = "all_clear"


@dataclass(frozen=True, slots=True)
class Published:
    """One released public message. `cap` are the released bytes, `alert` is what they say.

    `divisions` are all that its area touches, without padding; `follows` is the message before it in its chain.
    """

    identifier: str
    chain: str
    follows: str | None
    kind: Kind
    colour: Colour
    released_at: datetime
    expires_at: datetime
    divisions: tuple[str, ...]
    cap: bytes
    alert: Alert

    @property
    def rank(self) -> tuple[int, int, str]:
        """The order of lists: worst colour first, then newest; no two are equal."""
        return _RANKS[self.colour], -int(self.released_at.timestamp() * 1000), self.identifier


class Ground(NamedTuple):
    """One area in (lon, lat): its shapes, the holes in it, and the divisions it names, without padding."""

    shapes: BaseGeometry
    holes: BaseGeometry
    codes: tuple[str, ...]


class Place(NamedTuple):
    """A WGS-84 point in degrees and the district it lies in; None outside of the city's map."""

    lat: float
    lon: float
    district: str | None


def standing(message: Published, successor: Kind | None, at: datetime) -> Standing:
    """Where a message stands at a time; `successor` is the kind of the message that followed it, if one did."""
    if message.kind is Kind.CANCEL:
        return Standing.ALL_CLEAR
    if successor is not None:
        return Standing.CANCELLED if successor is Kind.CANCEL else Standing.UPDATED
    return Standing.ACTIVE if message.expires_at > at else Standing.EXPIRED


def covers_division(message: Published, code: str) -> bool:
    """Whether a message concerns a division: it names or meets it, something above it, or something inside it."""
    return any(_overlap(code, named) for named in message.divisions)


def ground_of(message: Published) -> tuple[Ground, ...]:
    """What a message covers, made ready once so that many points can be looked up in it; each area once."""
    areas = dict.fromkeys(area for info in message.alert.infos for area in info.areas)
    return tuple(_ground(area) for area in areas)


def covers_place(ground: Iterable[Ground], place: Place) -> bool:
    """Whether a point lies in the shapes or divisions of an area, and not in a hole of it."""
    point = Point(place.lon, place.lat)
    return any(
        not each.holes.covers(point)
        and (
            each.shapes.covers(point)
            or (place.district is not None and any(_overlap(place.district, code) for code in each.codes))
        )
        for each in ground
    )


def version_of(active: Iterable[Published]) -> str:
    """A name for what is in force: equal on every machine as long as it is the same, and only then."""
    names = "\n".join(sorted(message.identifier for message in active))
    return hashlib.sha256(names.encode()).hexdigest()[:16]


def rings_of(texts: Iterable[str]) -> list[Ring]:
    """The closed rings among some polygon texts; what nobody can read is left out."""
    rings = [parse_ring(text) for text in texts]
    return [ring for ring in rings if ring and len(ring) >= 4 and ring[0] == ring[-1]]


def _ground(area: Area) -> Ground:
    circles = [circle(*found) for text in area.circles if (found := parse_circle(text))]
    shapes = shapely.union_all([*map(shape, rings_of(area.polygons)), *circles])
    excluded = rings_of(code.value for code in area.geocodes if code.value_name == EXCLUDED)
    holes = shapely.union_all([shape(ring) for ring in excluded])
    shapely.prepare([shapes, holes])
    return Ground(shapes, holes, tuple(normal(code) for code in area.divisions if DIVISION.fullmatch(code)))


def _overlap(code: str, other: str) -> bool:
    return is_within(code, other) or is_within(other, code)
