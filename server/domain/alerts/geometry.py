"""Polygons, circles and division codes of a message: their text, their numbers, and what is wrong with them.

Everything is WGS-84. A message says "lat,lon"; shapely wants (lon, lat); this file is where the two meet.
"""

from __future__ import annotations

import re
from itertools import pairwise

from shapely import Point, Polygon
from shapely.validation import explain_validity

Ring = tuple[tuple[float, float], ...]  # (lat, lon)

MAX_POINTS = 5_000  # of one ring; GEOS compares so many within 50 ms
CHINA = (3.0, 54.0, 73.0, 136.0)  # lat from, lat to, lon from, lon to
DIVISION = re.compile(r"\d{6}(?:\d{3}(?:\d{3})?)?", re.ASCII)
_NUMBER = r"[-+]?(?:\d{1,9}(?:\.\d{0,30})?|\.\d{1,30})"
_PAIR = re.compile(rf"({_NUMBER}),({_NUMBER})", re.ASCII)
_CIRCLE = re.compile(rf"\s*({_NUMBER}),({_NUMBER})\s+({_NUMBER})\s*", re.ASCII)


def parse_ring(text: str) -> Ring | None:
    """The points of "lat,lon lat,lon ..."; None if one pair cannot be read (one bad pair refuses the ring)."""
    pairs = [_PAIR.fullmatch(word) for word in text.split()]
    if not all(pairs):
        return None
    return tuple((float(pair[1]), float(pair[2])) for pair in pairs if pair)


def parse_circle(text: str) -> tuple[float, float, float] | None:
    """(lat, lon, radius_km) of "lat,lon radius"; None if it cannot be read."""
    match = _CIRCLE.fullmatch(text)
    return (float(match[1]), float(match[2]), float(match[3])) if match else None


def is_on_earth(lat: float, lon: float) -> bool:
    """Within -90..90 and -180..180."""
    return -90 <= lat <= 90 and -180 <= lon <= 180


def looks_swapped(ring: Ring) -> bool:
    """No point lies in China as written, and all of them do when latitude and longitude change places."""
    return bool(ring) and all(not _in_china(lat, lon) and _in_china(lon, lat) for lat, lon in ring)


def crossing(ring: Ring) -> str | None:
    """Where a closed ring crosses or touches itself ("22.5,114.1"), or None; up to MAX_POINTS are looked at."""
    if len(ring) > MAX_POINTS:
        return None
    reason = explain_validity(Polygon([(lon, lat) for lat, lon in ring]))
    if reason == "Valid Geometry":
        return None
    match = re.search(r"\[(\S+) (\S+)\]", reason)
    return f"{match[2]},{match[1]}" if match else reason


def ring_text(ring: Ring) -> str:
    """A ring as CAP writes it."""
    return " ".join(f"{lat:.9g},{lon:.9g}" for lat, lon in ring)


def shape(ring: Ring) -> Polygon:
    """The shapely polygon of a ring, x = lon, y = lat; crossings are dissolved so that the result can be used."""
    polygon = Polygon([(lon, lat) for lat, lon in ring])
    return polygon if polygon.is_valid else polygon.buffer(0)


def contains(ring: Ring, lat: float, lon: float) -> bool:
    """Whether a point lies in a ring or on its edge."""
    return bool(shape(ring).covers(Point(lon, lat)))


def is_same_division(code: str, other: str) -> bool:
    """One lies within the other. Codes have 6, 9 or 12 digits; trailing zeros of a level say "all of it"."""
    short, long = sorted((_significant(code), _significant(other)), key=len)
    return long.startswith(short)


def repeats(ring: Ring) -> bool:
    """A point that follows itself."""
    return any(a == b for a, b in pairwise(ring))


def _significant(code: str) -> str:
    for cut in (9, 6, 4, 2):
        if len(code) > cut and not code[cut:].strip("0"):
            code = code[:cut]
    return code


def _in_china(lat: float, lon: float) -> bool:
    south, north, west, east = CHINA
    return south <= lat <= north and west <= lon <= east
