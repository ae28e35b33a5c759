"""WGS-84 and GCJ-02: the two datums that meet at the edge of this product.

Everything inside is WGS-84. WeChat and Chinese map services give GCJ-02, which lies some 300 to 700 metres away, so a
point is converted once, where it comes in. The forward formula is the one that is publicly known; the way back is its
fixed point, exact to well under a metre. Outside of mainland China's box the two datums are the same.
"""

from __future__ import annotations

from math import cos, pi, radians, sin, sqrt

_SEMI_MAJOR_M = 6378245.0  # Krasovsky 1940
_ECCENTRICITY_SQUARED = 0.00669342162296594323
_ROUNDS = 6  # each round divides the error by some 10^4


def wgs84_to_gcj02(lon: float, lat: float) -> tuple[float, float]:
    """The GCJ-02 (lon, lat) in degrees of a WGS-84 point.

    >>> wgs84_to_gcj02(114.0579, 22.5431)
    (114.063..., 22.540...)
    """
    if not _is_shifted(lon, lat):
        return lon, lat
    d_lon, d_lat = _shift(lon, lat)
    return lon + d_lon, lat + d_lat


def gcj02_to_wgs84(lon: float, lat: float) -> tuple[float, float]:
    """The WGS-84 (lon, lat) in degrees of a GCJ-02 point, as WeChat gives it."""
    if not _is_shifted(lon, lat):
        return lon, lat
    x, y = lon, lat
    for _ in range(_ROUNDS):
        d_lon, d_lat = _shift(x, y)
        x, y = lon - d_lon, lat - d_lat
    return x, y


def _is_shifted(lon: float, lat: float) -> bool:
    return 72.004 <= lon <= 137.8347 and 0.8293 <= lat <= 55.8271


def _shift(lon: float, lat: float) -> tuple[float, float]:
    """By how many degrees GCJ-02 moves the WGS-84 point (lon, lat)."""
    x, y = lon - 105.0, lat - 35.0
    common = (20 * sin(6 * x * pi) + 20 * sin(2 * x * pi)) * 2 / 3
    north_m = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x)) + common
    north_m += (20 * sin(y * pi) + 40 * sin(y / 3 * pi)) * 2 / 3
    north_m += (160 * sin(y / 12 * pi) + 320 * sin(y * pi / 30)) * 2 / 3
    east_m = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x)) + common
    east_m += (20 * sin(x * pi) + 40 * sin(x / 3 * pi)) * 2 / 3
    east_m += (150 * sin(x / 12 * pi) + 300 * sin(x / 30 * pi)) * 2 / 3
    phi = radians(lat)
    magic = 1 - _ECCENTRICITY_SQUARED * sin(phi) ** 2
    metres_per_radian_north = _SEMI_MAJOR_M * (1 - _ECCENTRICITY_SQUARED) / (magic * sqrt(magic))
    metres_per_radian_east = _SEMI_MAJOR_M / sqrt(magic) * cos(phi)
    return east_m / metres_per_radian_east * 180 / pi, north_m / metres_per_radian_north * 180 / pi
