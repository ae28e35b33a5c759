"""Whether a place is one that an audience is about: the one rule for who is warned and for what an inbox shows.

A place counts by its division, by its point where it has one, and else by its district. Pure; shapes are WGS-84.
"""

from __future__ import annotations

from dataclasses import dataclass

import shapely
from shapely.geometry.base import BaseGeometry

from server.domain.broadcasts import Audience
from server.domain.divisions import circle, prefix, ring


@dataclass(frozen=True, slots=True)
class Coverage:
    """An audience made ready to be asked about many places. Build it with `coverage_of`."""

    prefixes: tuple[str, ...]  # of the divisions that are named
    shape: BaseGeometry | None  # in (longitude, latitude), prepared
    loose: tuple[str, ...]  # prefixes of the districts whose people without a point are included

    def covers(self, division: str, point: tuple[float, float] | None) -> bool:
        """Whether this place belongs: its division without padding, and its (latitude, longitude) if it has one."""
        if division.startswith(self.prefixes):
            return True
        if self.shape is None:
            return False
        if point is None:
            return division.startswith(self.loose)
        return bool(shapely.contains_xy(self.shape, point[1], point[0]))


def coverage_of(audience: Audience) -> Coverage:
    """The coverage of an audience; whom it names one by one is not asked here."""
    return Coverage(
        prefixes=tuple(prefix(code) for code in audience.divisions),
        shape=surface(audience),
        loose=tuple(prefix(code) for code in audience.loose_districts),
    )


def surface(audience: Audience) -> BaseGeometry | None:
    """Polygons and circles as one prepared geometry in (longitude, latitude); None if there are none."""
    parts = [*map(ring, audience.polygons), *(circle(*each) for each in audience.circles)]
    if not parts:
        return None
    shape = shapely.union_all(parts)
    shapely.prepare(shape)
    return shape
