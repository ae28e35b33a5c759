"""Whom an audience is about: the one rule, against one that is written down a second time in plain arithmetic."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

from hypothesis import assume, given
from hypothesis import strategies as st

from server.domain.broadcasts import Audience
from server.domain.coverage import coverage_of
from server.domain.divisions import normal

CODES = ["440300", "440305", "440305001", "440305001002", "440304", "440304002", "130102", "440305002", "440000"]
code = st.sampled_from(CODES)
point = st.tuples(st.floats(22.4, 22.7), st.floats(113.8, 114.2))
box = st.tuples(st.floats(22.4, 22.6), st.floats(113.8, 114.1), st.floats(0.01, 0.1), st.floats(0.01, 0.1))


def is_below(division: str, root: str) -> bool:
    """By the meaning of the digits: two for the province, two for the city, two for the district, then three each."""
    levels = [(0, 2), (2, 4), (4, 6), (6, 9), (9, 12)]
    parts = [root[a:b] for a, b in levels]
    wanted = [part for part in parts if part and set(part) != {"0"}]
    return [division[a:b] for a, b in levels][: len(wanted)] == wanted


def ring(where: tuple[float, float, float, float]) -> tuple[tuple[float, float], ...]:
    lat, lon, high, wide = where
    return (lat, lon), (lat, lon + wide), (lat + high, lon + wide), (lat + high, lon), (lat, lon)


def is_in(where: tuple[float, float, float, float], at: tuple[float, float]) -> bool:
    lat, lon, high, wide = where
    return lat < at[0] < lat + high and lon < at[1] < lon + wide


def km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """The great circle."""
    lat_a, lat_b, lon = radians(a[0]), radians(b[0]), radians(b[1] - a[1])
    h = sin((lat_b - lat_a) / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin(lon / 2) ** 2
    return 2 * 6371.0 * asin(sqrt(h))


@given(named=st.lists(code, max_size=3), loose=st.lists(code, max_size=2), boxes=st.lists(box, max_size=3),
       division=code, at=point | st.none())  # fmt: skip
def test_a_place_is_covered_by_its_division_by_its_point_or_without_one_by_its_district(
    named: list[str],
    loose: list[str],
    boxes: list[tuple[float, float, float, float]],
    division: str,
    at: tuple[float, float] | None,
) -> None:
    audience = Audience(divisions=tuple(named), polygons=tuple(map(ring, boxes)), loose_districts=tuple(loose))
    by_division = any(is_below(division, root) for root in named)
    by_point = at is not None and any(is_in(each, at) for each in boxes)
    by_district = at is None and bool(boxes) and any(is_below(division, root) for root in loose)
    assert coverage_of(audience).covers(normal(division), at) is (by_division or by_point or by_district)


@given(centre=point, radius_km=st.floats(0.5, 20), at=point)
def test_a_circle_covers_the_points_nearer_than_its_radius(
    centre: tuple[float, float], radius_km: float, at: tuple[float, float]
) -> None:
    away = km(centre, at) / radius_km
    assume(not 0.98 < away < 1.02)  # a circle is drawn as 64 corners
    coverage = coverage_of(Audience(circles=((*centre, radius_km),)))
    assert coverage.covers("440305", at) is (away < 1)


@given(division=code, at=point | st.none())
def test_an_audience_without_area_covers_no_place(division: str, at: tuple[float, float] | None) -> None:
    assert not coverage_of(Audience(loose_districts=("440300",))).covers(division, at)
