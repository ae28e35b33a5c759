"""What an item may name: everything outside itself that it leads to has to be there, or it would fail a citizen later.

An item names its workflow, unit, theme, moments, networks of windows, and sources that replace papers. A source may be
asked only what the city's table of sources allows, and only with a consent that has a text. Whoever publishes items
asks here first: the command line tells a line for each fault, the editors' counter refuses the first. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from server.domain.catalogue import Item
from server.domain.catalogue_codes import CodeRule
from server.domain.catalogue_windows import Ground
from server.domain.divisions import Divisions
from server.domain.errors import ForbiddenError
from server.domain.sources import Policy


@dataclass(frozen=True, slots=True)
class Known:
    """What there is beside the catalogue. `units`: id -> credit code in this city; `consents`: purposes with a text."""

    workflows: frozenset[str]
    units: Mapping[str, str]
    policy: Policy
    consents: frozenset[str]


@dataclass(frozen=True, slots=True)
class Rules:
    """What an item has to fit."""

    divisions: Divisions
    ground: Ground
    is_code: CodeRule
    known: Known


@dataclass(frozen=True, slots=True)
class Unfit:
    """One thing that does not fit: the field, and in both languages why and what to do."""

    field: str
    zh: str
    en: str


class _Asked(NamedTuple):
    """What a source is asked, and what for."""

    name: str
    fields: tuple[str, ...]
    purpose: str


def unfit(item: Item, rules: Rules) -> Iterator[Unfit]:
    """Everything about an item that does not fit the city; nothing: it may be published."""
    if rules.divisions.find(item.division) is None:
        yield Unfit(
            "unit.division", f"没有行政区划{item.division}，请改用已有的区划代码",
            f"there is no division {item.division}: take one of data/divisions",
        )  # fmt: skip
    if fault := rules.is_code(item.code, item.division, item.unit.uscc):
        yield Unfit("code", f"编码有误：{fault}，请按单位和区划重新编码", f"the code: {fault}: write it anew")
    yield from _of_unit(item, rules.known.units)
    ground = rules.ground
    named = {
        "workflow": (rules.known.workflows, (item.workflow,), "data/workflows"),
        "theme": ({theme.id for theme in ground.themes}, (item.theme,), "data/catalogue/themes.yaml"),
        "moments": ({moment.id for moment in ground.moments}, item.moments, "data/catalogue/moments.yaml"),
        "networks": (ground.networks, item.networks, "data/catalogue/windows.yaml"),
    }
    for field, (there, names, place) in named.items():
        for name in names:
            if name not in there:
                yield Unfit(
                    field, f"没有“{name}”，请改用{place}中已有的名称，或先添加",
                    f"there is no {name}: take one of {place}, or add it there first",
                )  # fmt: skip
    yield from _of_sources(item, rules.known)


def _of_unit(item: Item, units: Mapping[str, str]) -> Iterator[Unfit]:
    uscc = units.get(item.unit.id)
    if uscc is None:
        yield Unfit(
            "unit.id", f"没有单位“{item.unit.id}”，请改用data/catalogue/units.yaml中已有的单位，或先添加",
            f"there is no unit {item.unit.id}: take one of data/catalogue/units.yaml, or add it there first",
        )  # fmt: skip
    elif uscc != item.unit.uscc:
        yield Unfit("unit.uscc", f"该单位的统一代码是{uscc}，请更正", f"this unit has the code {uscc}: correct it")


def _of_sources(item: Item, known: Known) -> Iterator[Unfit]:
    """Each source of a material, and each that a field is filled from: that is asked for its materials' purposes."""
    purposes: dict[str, set[str]] = {}
    for number, material in enumerate(item.materials):
        if material.source:
            purposes.setdefault(material.source.name, set()).add(material.source.purpose)
            source = material.source
            asked = _Asked(source.name, source.fields, source.purpose)
            yield from _of_source(f"materials[{number}].source", asked, known)
    for number, each in enumerate(item.form.fields):
        if each.fill:
            name, _, wanted = each.fill.partition(".")
            where = f"form.fields[{number}].fill"
            if name not in purposes:
                yield Unfit(
                    where, f"没有材料使用数据源“{name}”，无法取数；请为某项材料写明该数据源",
                    f"no material names the source {name}, so it is never asked: name it at a material",
                )  # fmt: skip
                continue
            for purpose in sorted(purposes[name]):
                yield from _of_source(where, _Asked(name, (wanted,), purpose), known)


def _of_source(where: str, source: _Asked, known: Known) -> Iterator[Unfit]:
    try:
        rule = known.policy.rule(source.name, source.fields, [source.purpose])
    except ForbiddenError:
        asked = f"{source.name} ({', '.join(source.fields)}; {source.purpose})"
        yield Unfit(
            where, f"不允许核验{asked}，请在data/sources.yaml中开放，或去掉此数据源",
            f"{asked} may not be asked: open it in data/sources.yaml, or take the source away",
        )  # fmt: skip
        return
    if rule.consent not in known.consents:
        yield Unfit(
            where, f"数据源{source.name}需要的同意“{rule.consent}”没有文本，请在data/consents.yaml中添加",
            f"{source.name} needs the consent {rule.consent}, which has no text: add it to data/consents.yaml",
        )  # fmt: skip
