"""Where an item can be done, and in which moments of life it matters: windows 窗口 and moments 一件事.

Both are data of the city (`data/catalogue`). A window belongs to networks (all community centres, all police stations),
and an item names networks, so a new centre serves all its items at once. A window that can be booked names the group
of booking that its resources have. Distances are on the sphere, in metres, WGS-84.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import asin, cos, radians, sin, sqrt

from pydantic import BaseModel, ConfigDict, Field

from server.domain.divisions import is_within
from server.domain.officers import DIVISION
from server.domain.resources import Named, Slug, Spot

EARTH_M = 6_371_000


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Window(_Model):
    """One place with counters."""

    id: Slug
    name: Named
    networks: tuple[Slug, ...] = Field(min_length=1, max_length=20)
    division: str = Field(pattern=DIVISION)
    address: Named
    spot: Spot
    hours: Named | None = None
    booking_group: Slug | None = Field(default=None, description="the group whose resources are booked for a visit")


class Moment(_Model):
    """A bundle 一件事: what belongs together in life. `items` in the order in which they are usually done."""

    id: Slug
    name: Named
    about: Named
    items: tuple[Slug, ...] = Field(min_length=1, max_length=30)


class Theme(_Model):
    """What an item is about, for browsing."""

    id: Slug
    name: Named


@dataclass(frozen=True, slots=True)
class Near:
    """A window and how far it is, in metres; None without a point."""

    window: Window
    metres: int | None


class Ground(_Model):
    """The city's own data beside the items."""

    windows: tuple[Window, ...] = ()
    moments: tuple[Moment, ...] = ()
    themes: tuple[Theme, ...] = ()
    synonyms: tuple[tuple[str, ...], ...] = ()

    @cached_property
    def moments_of(self) -> Mapping[str, tuple[str, ...]]:
        """Item -> the moments that name it."""
        found: dict[str, tuple[str, ...]] = {}
        for moment in self.moments:
            for item in moment.items:
                found[item] = (*found.get(item, ()), moment.id)
        return found

    @cached_property
    def networks(self) -> frozenset[str]:
        """All networks that have a window."""
        return frozenset(network for window in self.windows for network in window.networks)


def nearest(
    windows: Sequence[Window], networks: Iterable[str], *, point: tuple[float, float] | None, division: str | None
) -> list[Near]:
    """Windows of these networks, nearest first. `point`: latitude, longitude; `division`: in it or around it."""
    wanted = set(networks)
    found = [
        Near(window, round(metres(point, window.spot)) if point else None)
        for window in windows
        if wanted & set(window.networks) and (division is None or _meet(window.division, division))
    ]
    return sorted(found, key=lambda near: (near.metres or 0, near.window.id))


def metres(point: tuple[float, float], spot: Spot) -> float:
    """The distance on the sphere.

    >>> round(metres((22.5431, 114.0596), Spot(latitude=22.5431, longitude=114.0696)))
    1027
    """
    lat, lon, other_lat, other_lon = map(radians, (*point, spot.latitude, spot.longitude))
    half = sin((other_lat - lat) / 2) ** 2 + cos(lat) * cos(other_lat) * sin((other_lon - lon) / 2) ** 2
    return 2 * EARTH_M * asin(sqrt(half))


def _meet(one: str, other: str) -> bool:
    return is_within(one, other) or is_within(other, one)
