"""The words of `data/booking/*.yaml`: what a city's units write down, once each, about what can be booked there.

A unit names a template; a template has groups (departments, kinds of business); a group has lines (an ordinary clinic,
two experts, four courts) with hours and services that are named, too. So a thing is written once and referred to. What
a file has wrong is a `Defect` with its file and place; nothing is grown (`booking_expansion`) while there is one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from server.domain.booking_rules import BookingRules
from server.domain.divisions import Divisions
from server.domain.officers import DIVISION
from server.domain.resources import Kind, Slug
from server.domain.schedules import Schedule

Level = Literal["district", "street", "community"]
Code = Annotated[str, Field(pattern=DIVISION)]
Words = tuple[str, str]  # Chinese, English


class Defect(NamedTuple):
    """What is wrong, and where: `units.3.template` is the template of the fourth unit of the file."""

    file: str
    path: str
    text: str


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Called(_Written):
    """Something with a name in both languages."""

    zh: str = Field(min_length=1, max_length=60)
    en: str = Field(min_length=1, max_length=120)


class Work(_Called):
    """A service; `materials` are names of the section of that name."""

    code: Slug
    minutes: int = Field(default=0, ge=0, le=480)
    fee_fen: int = Field(default=0, ge=0)
    materials: tuple[str, ...] = Field(default=(), max_length=20)


class Line(_Called):
    """One or several resources of a group. With more than one, hours are dealt out in turn."""

    id: Slug
    hours: tuple[str, ...] = Field(min_length=1)
    services: tuple[str, ...] = ()
    count: int | None = Field(default=None, ge=1, le=50, description="numbered ones: court 1, court 2")
    doctors: int | None = Field(default=None, ge=1, le=20, description="invented people, by the section `doctors`")


class Group(_Called):
    """A department or a kind of business. Its services stand for those of its lines."""

    id: Slug
    lines: str
    services: tuple[str, ...] = ()


class Template(_Written):
    """What units of one sort have."""

    kind: Kind
    rules: str
    groups: tuple[Group, ...] = Field(min_length=1)


class Site(_Called):
    """Where people go. `at`: latitude and longitude, WGS-84."""

    id: Slug
    division: Code
    at: tuple[float, float] | None = None
    address: str = ""
    address_en: str = ""


class Unit(Site):
    """An institution; without sites it is its own. `groups`: only these of its template."""

    template: str
    rules: str | None = None
    groups: tuple[str, ...] | None = None
    sites: tuple[Site, ...] = ()


class ByDivision(_Written):
    """A unit in every district, or street, of these cities; with sites at a lower level, or at the unit's own."""

    id: Slug
    template: str
    cities: tuple[Code, ...] = Field(min_length=1)
    units: Level
    sites: Level | None = None
    zh: str
    en: str
    site_zh: str = ""
    site_en: str = ""

    @model_validator(mode="after")
    def _names_its_sites(self) -> ByDivision:
        if (self.sites is None) != (not self.site_zh or not self.site_en):
            raise ValueError("site_zh and site_en go with sites")
        return self


class Doctors(_Written):
    """What invented doctors are called."""

    family: tuple[Words, ...] = Field(min_length=1)
    given: tuple[Words, ...] = Field(min_length=1)
    titles: tuple[Words, ...] = Field(min_length=1)


class Book(_Written):
    """One file; each section may stand in any."""

    rules: Mapping[str, BookingRules] = {}
    hours: Mapping[str, Schedule] = {}
    materials: Mapping[str, Words] = {}
    services: Mapping[str, tuple[Work, ...]] = {}
    lines: Mapping[str, tuple[Line, ...]] = {}
    templates: Mapping[str, Template] = {}
    doctors: Doctors | None = None
    units: tuple[Unit, ...] = ()
    by_division: tuple[ByDivision, ...] = ()


SHARED = ("rules", "hours", "materials", "services", "lines", "templates")


@dataclass(frozen=True, slots=True)
class Seed:
    """All files together. What is shared is found by name, whichever file it stands in."""

    books: Mapping[str, Book]
    rules: Mapping[str, BookingRules] = field(default_factory=dict)
    hours: Mapping[str, Schedule] = field(default_factory=dict)
    materials: Mapping[str, Words] = field(default_factory=dict)
    services: Mapping[str, tuple[Work, ...]] = field(default_factory=dict)
    lines: Mapping[str, tuple[Line, ...]] = field(default_factory=dict)
    templates: Mapping[str, Template] = field(default_factory=dict)
    doctors: Doctors | None = None


def read(files: Mapping[str, Any], divisions: Divisions) -> tuple[Seed, list[Defect]]:
    """The parsed files {name: content} as one seed, with all that is wrong with them.

    >>> from server.domain.divisions import load
    >>> read({"a.yaml": {"hourz": {}}}, load([], []))[1]
    [Defect(file='a.yaml', path='hourz', text='Extra inputs are not permitted')]
    """
    books: dict[str, Book] = {}
    defects: list[Defect] = []
    for name, content in files.items():
        try:
            # As JSON and strictly: YAML reads 12:00 without quotes as the number 720, which must not pass for a time.
            books[name] = Book.model_validate_json(json.dumps(content or {}, default=str), strict=True)
        except ValidationError as error:
            defects += [Defect(name, ".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
    merged: dict[str, dict[str, Any]] = {section: {} for section in SHARED}
    for name, book in books.items():
        for section in SHARED:
            own = getattr(book, section)
            defects += [Defect(name, f"{section}.{key}", "is there twice") for key in own if key in merged[section]]
            merged[section] |= own
    doctors = next((book.doctors for book in books.values() if book.doctors), None)
    seed = Seed(books, doctors=doctors, **merged)
    return seed, defects or [defect for name in books for defect in _unknown_names(name, seed, divisions)]


def _unknown_names(name: str, seed: Seed, divisions: Divisions) -> Iterator[Defect]:
    """All that a file refers to and that nobody has written."""
    book = seed.books[name]
    for path, section, wanted in (*_of_shared(book), *_of_units(book)):
        for each in wanted:
            if each not in getattr(seed, section):
                yield Defect(name, path, f"no {section} of the name {each}")
    for path, division in _places(book):
        if not divisions.is_known(division):
            yield Defect(name, path, f"there is no division {division}")
    for path, what in (*_lacking(book, seed), *_unknown_groups(book, seed)):
        yield Defect(name, path, what)


def _lacking(book: Book, seed: Seed) -> Iterator[tuple[str, str]]:
    """Groups that nothing could be booked for, and lines of doctors without names."""
    for key, template in book.templates.items():
        for n, group in enumerate(template.groups):
            if not group.services and not all(line.services for line in seed.lines.get(group.lines, ())):
                yield f"templates.{key}.groups.{n}", "neither the group nor its lines have services"
    for key, lines in book.lines.items():
        for n, line in enumerate(lines):
            if line.doctors and seed.doctors is None:
                yield f"lines.{key}.{n}.doctors", "no file has a section doctors"


def _unknown_groups(book: Book, seed: Seed) -> Iterator[tuple[str, str]]:
    for n, unit in enumerate(book.units):
        template = seed.templates.get(unit.template)
        known = {group.id for group in template.groups} if template else set(unit.groups or ())
        for each in unit.groups or ():
            if each not in known:
                yield f"units.{n}.groups", f"its template has no group {each}"


Reference = tuple[str, str, Sequence[str]]  # where, into which section, which names


def _of_shared(book: Book) -> Iterator[Reference]:
    for key, works in book.services.items():
        for n, work in enumerate(works):
            yield f"services.{key}.{n}.materials", "materials", work.materials
    for key, lines in book.lines.items():
        for n, line in enumerate(lines):
            yield f"lines.{key}.{n}.hours", "hours", line.hours
            yield f"lines.{key}.{n}.services", "services", line.services
    for key, template in book.templates.items():
        yield f"templates.{key}.rules", "rules", (template.rules,)
        for n, group in enumerate(template.groups):
            yield f"templates.{key}.groups.{n}.lines", "lines", (group.lines,)
            yield f"templates.{key}.groups.{n}.services", "services", group.services


def _of_units(book: Book) -> Iterator[Reference]:
    for n, unit in enumerate(book.units):
        yield f"units.{n}.template", "templates", (unit.template,)
        yield f"units.{n}.rules", "rules", (unit.rules,) if unit.rules else ()
    for n, each in enumerate(book.by_division):
        yield f"by_division.{n}.template", "templates", (each.template,)


def _places(book: Book) -> Iterator[tuple[str, str]]:
    for n, unit in enumerate(book.units):
        yield f"units.{n}.division", unit.division
        for m, site in enumerate(unit.sites):
            yield f"units.{n}.sites.{m}.division", site.division
    for n, each in enumerate(book.by_division):
        for city in each.cities:
            yield f"by_division.{n}.cities", city
