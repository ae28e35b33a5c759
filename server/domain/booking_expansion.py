"""From what units write down to resources: each site of a unit has each line of each group of its template.

Ids follow from the ids that are written and nothing else: `<site>-<group>-<line>`, and a number if there are several.
So a seed that grows leaves the ids, and the invented doctors, of what was there before as they were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from server.domain.booking_seed import ByDivision, Defect, Doctors, Group, Line, Seed, Site, Template, Unit
from server.domain.divisions import Divisions
from server.domain.resources import Named, Resource, Service, Spot

LEVELS = ("city", "district", "street", "community")


def expand(seed: Seed, divisions: Divisions) -> tuple[list[Resource], list[Defect]]:
    """All resources of a seed without defects, in the order of the files; and those that cannot be, as defects."""
    growth = _Growth(seed)
    for file, book in seed.books.items():
        for n, unit in enumerate(book.units):
            growth.add(unit, (file, f"units.{n}"))
        for n, rule in enumerate(book.by_division):
            for unit in units_of(rule, divisions):
                growth.add(unit, (file, f"by_division.{n}"))
    return list(growth.resources.values()), growth.defects


def units_of(rule: ByDivision, divisions: Divisions) -> Iterator[Unit]:
    """The units that a rule makes; where nothing lies at the level of its sites, there is none."""
    for city in rule.cities:
        for code in _at_level(divisions, city, rule.units):
            area = divisions.area(code)
            words = {"zh": area.zh, "en": area.en, "code": code}
            sites = [_site(rule, divisions, each) for each in _at_level(divisions, code, rule.sites or rule.units)]
            if sites:
                yield Unit(
                    id=f"{rule.id}-{code}",
                    template=rule.template,
                    division=code,
                    zh=rule.zh.format_map(words),
                    en=rule.en.format_map(words),
                    sites=tuple(sites) if rule.sites else (),
                )


def _site(rule: ByDivision, divisions: Divisions, code: str) -> Site:
    area = divisions.area(code)
    words = {"zh": area.zh, "en": area.en, "code": code}
    zh, en = rule.site_zh or rule.zh, rule.site_en or rule.en
    return Site(id=f"{rule.id}-{code}", division=code, zh=zh.format_map(words), en=en.format_map(words))


def _at_level(divisions: Divisions, code: str, level: str) -> Sequence[str]:
    """The divisions of this level at or below one."""
    found = [divisions.get(code).code]
    while found and LEVELS.index(divisions.get(found[0]).level) < LEVELS.index(level):
        found = [child for each in found for child in divisions.children(each)]
    return found


@dataclass(slots=True)
class _Growth:
    """What has grown so far."""

    seed: Seed
    resources: dict[str, Resource] = field(default_factory=dict)
    defects: list[Defect] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)  # group -> unit
    people: dict[str, set[str]] = field(default_factory=dict)  # unit -> its doctors
    services: dict[tuple[str, ...], tuple[Service, ...]] = field(default_factory=dict)

    def add(self, unit: Unit, where: tuple[str, str]) -> None:
        template = self.seed.templates[unit.template]
        groups = [group for group in template.groups if unit.groups is None or group.id in unit.groups]
        for group in groups:
            slug = f"{unit.id}-{group.id}"
            if self.owners.setdefault(slug, unit.id) != unit.id:
                self.defects.append(Defect(*where, f"{slug} is a group of {self.owners[slug]}, too"))
            for site in unit.sites or (unit,):
                for line in self.seed.lines[group.lines]:
                    for number in range(1, (line.count or line.doctors or 1) + 1):
                        self._add(_Place(unit, template, group, site, line, number), where)

    def _add(self, place: _Place, where: tuple[str, str]) -> None:
        try:
            resource = self._resource(place)
        except ValidationError as error:
            first = error.errors()[0]
            self.defects.append(Defect(*where, f"{place.id}: {'.'.join(map(str, first['loc']))}: {first['msg']}"))
            return
        if resource.id in self.resources:
            self.defects.append(Defect(*where, f"{resource.id} is there twice"))
        self.resources[resource.id] = resource

    def _resource(self, place: _Place) -> Resource:
        unit, group, site, line = place.unit, place.group, place.site, place.line
        name, note = place.name(), None
        if line.doctors and self.seed.doctors:
            name, note = _doctor(self.seed.doctors, place.id, self.people.setdefault(unit.id, set()))
        hours = line.hours[_draw(f"{place.id} hours", len(line.hours))]
        return Resource(
            id=place.id,
            unit=unit.id,
            unit_name=Named(zh=unit.zh, en=unit.en),
            group=f"{unit.id}-{group.id}",
            group_name=Named(zh=group.zh, en=group.en),
            kind=place.template.kind,
            name=name,
            note=note,
            division=site.division,
            address=Named(zh=site.address, en=site.address_en) if site.address else None,
            spot=Spot(latitude=site.at[0], longitude=site.at[1]) if site.at else None,
            services=self._services(group.services or line.services),
            rules=self.seed.rules[unit.rules or place.template.rules],
            schedule=self.seed.hours[hours],
        )

    def _services(self, names: tuple[str, ...]) -> tuple[Service, ...]:
        if names not in self.services:
            words = self.seed.materials
            self.services[names] = tuple(
                Service(
                    code=work.code,
                    name=Named(zh=work.zh, en=work.en),
                    minutes=work.minutes,
                    fee_fen=work.fee_fen,
                    materials=tuple(Named(zh=words[each][0], en=words[each][1]) for each in work.materials),
                )
                for name in names
                for work in self.seed.services[name]
            )
        return self.services[names]


@dataclass(frozen=True, slots=True)
class _Place:
    """One resource to be."""

    unit: Unit
    template: Template
    group: Group
    site: Site
    line: Line
    number: int

    @property
    def is_numbered(self) -> bool:
        return (self.line.count or self.line.doctors) is not None

    @property
    def id(self) -> str:
        return f"{self.site.id}-{self.group.id}-{self.line.id}" + (f"-{self.number}" if self.is_numbered else "")

    def name(self) -> Named:
        """What the line is called, with its site if the unit has several."""
        zh = self.line.zh + (f"{self.number}号" if self.is_numbered else "")
        en = self.line.en + (f" {self.number}" if self.is_numbered else "")
        if not self.unit.sites:
            return Named(zh=zh, en=en)
        return Named(zh=f"{self.site.zh}{zh}", en=f"{self.site.en}: {en[0].lower()}{en[1:]}")


def _doctor(names: Doctors, resource_id: str, taken: set[str]) -> tuple[Named, Named]:
    """Name and title of an invented doctor, nobody twice in a unit as long as there are names."""
    families, givens = len(names.family), len(names.given)
    start = _draw(resource_id, families * givens)
    for n in range(families * givens):
        family, given = names.family[(start + n) % families], names.given[(start + n) // families % givens]
        if family[0] + given[0] not in taken:
            break
    taken.add(family[0] + given[0])
    title = names.titles[_draw(f"{resource_id} title", len(names.titles))]
    return Named(zh=family[0] + given[0], en=f"{family[1]} {given[1]}"), Named(zh=title[0], en=title[1])


def _draw(text: str, count: int) -> int:
    """A number below `count` that follows from the text, on every machine the same."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % count
