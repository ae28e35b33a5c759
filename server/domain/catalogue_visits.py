"""Whether each item leads to something that can be booked: desks of the catalogue against the resources of booking.

Both are data that different people keep, so `catalogue check` compares them: a window whose group is gone, a service
that nobody offers any more, an item with windows of which none can be booked. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from server.domain.catalogue import Item
from server.domain.catalogue_seed import Defect
from server.domain.catalogue_windows import Desk, Ground, Window, visit_at, visits_elsewhere
from server.domain.divisions import is_within
from server.domain.resources import Kind, Resource

Key = tuple[Kind, str, str]  # kind, group, district


@dataclass(frozen=True, slots=True)
class Offered:
    """What can be booked in a city: services by kind, group and district."""

    services: Mapping[Key, frozenset[str]]

    def at(self, kind: Kind, group: str, district: str) -> frozenset[str] | None:
        """The services of a group in a district; None: the group has nothing there."""
        return self.services.get((kind, group, district))

    def of(self, kind: Kind) -> frozenset[str]:
        """Everything of a kind."""
        return frozenset(code for key, codes in self.services.items() if key[0] is kind for code in codes)


def offered(resources: Iterable[Resource], city: str) -> Offered:
    """What these resources offer in a city (its 6-digit code)."""
    found: dict[Key, frozenset[str]] = {}
    for each in resources:
        if is_within(each.division, city):
            key = (each.kind, each.group, each.division[:6])
            found[key] = found.get(key, frozenset()) | {service.code for service in each.services}
    return Offered(found)


def unbookable(items: Iterable[Item], ground: Ground, there: Offered) -> Iterator[Defect]:
    """A line for each window, desk and item that leads to nothing."""
    for window in ground.windows:
        for desk in ground.desks:
            if set(desk.networks) & set(window.networks):
                yield from _at(window, desk, there)
    for desk in ground.desks:
        if not desk.networks:
            yield from _missing(desk, there.of(desk.kind), "")
    for item in items:
        is_at_window = any(visit_at(ground.desks, item.id, item.networks, window) for window in ground.windows)
        if not is_at_window and not visits_elsewhere(ground.desks, item.id):
            what = f"nothing can be booked at {', '.join(item.networks) or 'no window'}: add a desk to desks.yaml"
            yield Defect("", item.id, "networks", what)


def _at(window: Window, desk: Desk, there: Offered) -> Iterator[Defect]:
    group, district = desk.group_at(window), window.division[:6]
    services = there.at(desk.kind, group, district)
    if services is None:
        what = f"the desk {desk.id} books {group}, which has no {desk.kind} in {district}: add it to data/booking"
        yield Defect("windows.yaml", window.id, "networks", what)
    else:
        yield from _missing(desk, services, f" at {window.id}")


def _missing(desk: Desk, services: frozenset[str], where: str) -> Iterator[Defect]:
    """Services that the desk names and nobody offers; "" is anything, so there has to be something."""
    for item, service in desk.services.items():
        if service not in services if service else not services:
            what = f"nobody offers {service or desk.kind}{where}: name another service of data/booking"
            yield Defect("desks.yaml", desk.id, f"services.{item}", what)
