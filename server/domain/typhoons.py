"""A typhoon: where it was, where it is thought to go, how far its winds reach, and how far it is from somebody. Pure.

Points are WGS-84. Wind is in metres a second, as the bulletins of the Northwest Pacific give it; radii are kilometres
in the four quadrants (NE, SE, SW, NW) of a wind of 30, 50 or 64 knots: levels 7, 10 and 12 of GB/T 28591.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from math import asin, cos, radians, sin, sqrt
from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from server.domain.forecasts import Part
from server.domain.wording import Words

EARTH_KM = 6_371.0
STALE_AFTER = timedelta(hours=9)  # bulletins come every three or six hours
MAX_POINTS = 500

Lat = Annotated[float, Field(ge=-90, le=90)]
Lon = Annotated[float, Field(ge=-180, le=180)]
RadiusKm = Annotated[float, Field(ge=0, le=2_000)]
Point = tuple[float, float]  # latitude and longitude


class Strength(StrEnum):
    """GB/T 19201-2006, from the weakest on."""

    TD = "TD"
    TS = "TS"
    STS = "STS"
    TY = "TY"
    STY = "STY"
    SUPER_TY = "SuperTY"

    @property
    def words(self) -> Words:
        """For people."""
        return _STRENGTHS[self]


_STRENGTHS = {
    Strength.TD: Words("热带低压", "tropical depression"),
    Strength.TS: Words("热带风暴", "tropical storm"),
    Strength.STS: Words("强热带风暴", "severe tropical storm"),
    Strength.TY: Words("台风", "typhoon"),
    Strength.STY: Words("强台风", "severe typhoon"),
    Strength.SUPER_TY: Words("超强台风", "super typhoon"),
}


class Radii(Part):
    """How far winds of one level reach, in km."""

    ne: RadiusKm
    se: RadiusKm
    sw: RadiusKm
    nw: RadiusKm


class TrackPoint(Part):
    """Where its centre was or will be."""

    at: AwareDatetime
    lat: Lat
    lon: Lon
    strength: Strength | None = None
    pressure_hpa: Annotated[float, Field(ge=800, le=1_100)] | None = None
    wind_ms: Annotated[float, Field(ge=0, le=150)] | None = None
    radius_7: Radii | None = None
    radius_10: Radii | None = None
    radius_12: Radii | None = None


class Typhoon(Part):
    """One of them. `observed` and `forecast` are in the order of time; the last observed point is where it is."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")
    name: str = Field(min_length=1, max_length=60)
    is_active: bool
    source: str = Field(max_length=60)
    as_of: AwareDatetime
    observed: tuple[TrackPoint, ...] = Field(min_length=1, max_length=MAX_POINTS)
    forecast: tuple[TrackPoint, ...] = Field(default=(), max_length=MAX_POINTS)

    @property
    def centre(self) -> TrackPoint:
        """Where it was last seen."""
        return self.observed[-1]

    def is_stale(self, now: datetime) -> bool:
        """Whether a newer bulletin should have come."""
        return self.is_active and now - self.as_of > STALE_AFTER

    def distance_km(self, point: Point) -> float:
        """From its centre."""
        return distance_km((self.centre.lat, self.centre.lon), point)


def distance_km(one: Point, other: Point) -> float:
    """Along the surface of the sphere.

    >>> round(distance_km((22.54, 114.06), (23.13, 113.26)))  # Shenzhen to Guangzhou
    105
    """
    (lat, lon), (to_lat, to_lon) = map(_in_radians, (one, other))
    half = sin((to_lat - lat) / 2) ** 2 + cos(lat) * cos(to_lat) * sin((to_lon - lon) / 2) ** 2
    return 2 * EARTH_KM * asin(min(1.0, sqrt(half)))


def nearest(typhoons: Iterable[Typhoon], point: Point, now: datetime) -> tuple[Typhoon, float] | None:
    """The nearest one that is active and of which something was heard lately, and how far it is in km."""
    near = [(each.distance_km(point), each) for each in typhoons if each.is_active and not each.is_stale(now)]
    if not near:
        return None
    distance, typhoon = min(near, key=lambda found: (found[0], found[1].id))
    return typhoon, distance


def geojson(typhoons: Sequence[Typhoon]) -> dict[str, Any]:
    """RFC 7946: of each the way it came, the way it may go, and every point with its winds."""
    return {"type": "FeatureCollection", "features": [feature for each in typhoons for feature in _features(each)]}


def _features(typhoon: Typhoon) -> Iterable[dict[str, Any]]:
    known = {"id": typhoon.id, "name": typhoon.name, "is_active": typhoon.is_active}
    ways = {"observed": typhoon.observed, "forecast": (typhoon.centre, *typhoon.forecast)}
    for part, points in ways.items():
        if len(points) > 1:
            line = [[point.lon, point.lat] for point in points]
            yield _feature({"type": "LineString", "coordinates": line}, known | {"part": part})
    for part, points in {"observed": typhoon.observed, "forecast": typhoon.forecast}.items():
        for point in points:
            told = point.model_dump(mode="json", exclude={"lat", "lon"})
            yield _feature({"type": "Point", "coordinates": [point.lon, point.lat]}, known | {"part": part} | told)


def _feature(geometry: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _in_radians(point: Point) -> Point:
    return radians(point[0]), radians(point[1])
