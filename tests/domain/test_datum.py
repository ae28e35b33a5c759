"""GCJ-02 and WGS-84: the known vectors, and there and back again."""

from __future__ import annotations

from math import cos, hypot, radians

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.datum import gcj02_to_wgs84, wgs84_to_gcj02

METRES_PER_DEGREE = 111_195.0


def metres(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Distance of two near (lon, lat) points."""
    return METRES_PER_DEGREE * hypot((a[0] - b[0]) * cos(radians(a[1])), a[1] - b[1])


@pytest.mark.parametrize(
    ("wgs84", "gcj02"),
    [  # the vectors that open-source converters test themselves with: Shanghai, Shenzhen, Beijing
        ((121.5272106, 31.1774276), (121.531541859215, 31.17530398364597)),
        ((113.912316, 22.543847), (113.9171764808363, 22.540796131694766)),
        ((116.377817, 39.911954), (116.38404722455657, 39.91334545536069)),
    ],
)
def test_the_forward_way_gives_the_known_points(wgs84: tuple[float, float], gcj02: tuple[float, float]):
    assert metres(wgs84_to_gcj02(*wgs84), gcj02) < 0.01


@given(st.floats(73.0, 135.0), st.floats(3.0, 54.0))
def test_there_and_back_ends_within_a_metre_all_over_china(lon: float, lat: float):
    assert metres(gcj02_to_wgs84(*wgs84_to_gcj02(lon, lat)), (lon, lat)) < 1.0


@given(st.floats(113.6, 114.8), st.floats(22.3, 23.0))
def test_in_shenzhen_the_datums_are_hundreds_of_metres_apart(lon: float, lat: float):
    assert 300 < metres(wgs84_to_gcj02(lon, lat), (lon, lat)) < 900


@pytest.mark.parametrize("point", [(2.35, 48.85), (151.2, -33.87), (0.0, 0.0), (180.0, 90.0)])
def test_outside_of_china_nothing_moves(point: tuple[float, float]):
    assert wgs84_to_gcj02(*point) == point
    assert gcj02_to_wgs84(*point) == point
