"""Where an item can be done, and in which moments of life it matters: windows 窗口 and moments 一件事.

Both are data of the city (`data/catalogue`). A window belongs to networks (all community centres, all police stations),
and an item names networks, so a new centre serves all its items at once. What is booked for a visit stands with the
networks too: a desk says which group is booked at its windows. Distances are on the sphere, in metres, WGS-84.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import asin, cos, radians, sin, sqrt
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from server.domain.divisions import is_within
from server.domain.officers import DIVISION
from server.domain.resources import Kind, Named, Slug, Spot

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


class Desk(_Model):
    """What one books to have an item done. `services`: items -> what is booked for them there ("": anything).

    `group` is the group of booking at a window, with {district} and {street} of the window in it. Without networks the
    desk stands at no window: it leads to the bookable places of its kind.
    """

    id: Slug
    kind: Kind
    networks: tuple[Slug, ...] = Field(default=(), max_length=20)
    group: str = Field(default="", pattern=r"^(([a-z0-9-]|\{district\}|\{street\})+)?$", max_length=80)
    only_named: bool = Field(default=False, description="True: only for the items of `services`")
    services: Mapping[Slug, Slug | Literal[""]] = {}

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if bool(self.networks) != bool(self.group):
            raise ValueError("write networks and a group, or neither")
        return self

    def group_at(self, window: Window) -> str:
        """The group that is booked at this window."""
        return self.group.format(district=window.division[:6], street=window.division[:9])


class Visit(_Model):
    """What to book: resources of this kind and group, for this service; "" is any."""

    kind: Kind
    group: str = ""
    service: str = ""


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
    """A window and how far it is, in metres; None without a point. `visit`: what is booked there for the item."""

    window: Window
    metres: int | None
    visit: Visit | None = None


class Ground(_Model):
    """The city's own data beside the items."""

    windows: tuple[Window, ...] = ()
    moments: tuple[Moment, ...] = ()
    themes: tuple[Theme, ...] = ()
    synonyms: tuple[tuple[str, ...], ...] = ()
    desks: tuple[Desk, ...] = ()

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


def visit_at(desks: Iterable[Desk], item: str, networks: Iterable[str], window: Window) -> Visit | None:
    """What is booked to have an item of these networks done at a window: at the desk that names it, else the first."""
    here = set(networks) & set(window.networks)
    standing = [desk for desk in desks if here & set(desk.networks)]
    named = [desk for desk in standing if item in desk.services]
    for desk in (*named, *(desk for desk in standing if not desk.only_named)):
        return Visit(kind=desk.kind, group=desk.group_at(window), service=desk.services.get(item, ""))
    return None


def visits_elsewhere(desks: Iterable[Desk], item: str) -> tuple[Visit, ...]:
    """What is booked for an item at no window: a hospital's hours, a team that comes to the house."""
    found = [desk for desk in desks if not desk.networks and item in desk.services]
    return tuple(Visit(kind=desk.kind, service=desk.services[item]) for desk in found)


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
