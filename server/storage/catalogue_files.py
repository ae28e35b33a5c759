"""Reads `data/catalogue` and hands it to the composer of the domain. A file that cannot be read is a defect."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from server.domain.catalogue_codes import CodeRule, plain_code
from server.domain.catalogue_rules import Known, Rules
from server.domain.catalogue_seed import Defect, Files, Seed, compose, ground_of, plan_of
from server.domain.catalogue_targets import Plan
from server.domain.catalogue_windows import Ground
from server.domain.divisions import Divisions
from server.domain.errors import ConfigurationError
from server.domain.wording import Words
from server.storage.catalogues import DATA, load_consents, load_source_policy, load_workflows

FOLDER = DATA / "catalogue"


def read_seed(city: str, folder: Path = FOLDER, is_code: CodeRule = plain_code) -> Seed:
    """Everything that the folder says about a city (its 6-digit code), with every defect."""
    defects: list[Defect] = []
    shared = _shared(folder, defects)
    items = {path.stem: _read(path, folder, defects) for path in sorted((folder / "items").glob("*.yaml"))}
    if not items:
        defects.append(Defect(str(folder), "", "", "no items/*.yaml: is this the folder of a catalogue?"))
    found = compose(Files(shared, items), city, is_code)
    return Seed(found.items, found.ground, found.plan, (*defects, *found.defects))


def load_ground(city: str, folder: Path = FOLDER) -> tuple[Ground, Plan]:
    """Windows, moments, themes, synonyms, and the plan's figures; ConfigurationError names the first defect."""
    defects: list[Defect] = []
    shared = _shared(folder, defects)
    ground, plan = ground_of(shared, city, defects), plan_of(shared, defects)
    if defects:
        raise ConfigurationError("data_unreadable", zh=f"事项目录数据有误：{defects[0]}", en=str(defects[0]))
    return ground, plan


def load_units(folder: Path = FOLDER) -> Mapping[str, Any]:
    """The units that answer for items, by id; ConfigurationError."""
    return _named(folder, "units.yaml")


def load_source_names(folder: Path = FOLDER) -> Mapping[str, Words]:
    """What people call each department source, by id; ConfigurationError."""
    return {name: Words(*each["name"]) for name, each in _named(folder, "sources.yaml").items()}


def _named(folder: Path, name: str) -> Mapping[str, Any]:
    defects: list[Defect] = []
    found = _read(folder / name, folder, defects)
    if defects or not isinstance(found, dict):
        raise ConfigurationError("data_unreadable", zh=f"{name} 有误", en=f"{name}: {defects}")
    return found


def load_rules(city: str, divisions: Divisions, ground: Ground, folder: Path = FOLDER) -> Rules:
    """What an item has to fit: the ground, and what `data` has beside the catalogue; ConfigurationError."""
    defects: list[Defect] = []
    units = _read(folder / "units.yaml", folder, defects)
    known = Known(
        workflows=frozenset(load_workflows()),
        units={name: str(unit["uscc"][city]) for name, unit in units.items() if city in unit.get("uscc", {})},
        policy=load_source_policy(),
        consents=frozenset(load_consents()),
    )
    return Rules(divisions, ground, plain_code, known)


def _shared(folder: Path, defects: list[Defect]) -> Mapping[str, Any]:
    return {path.stem: _read(path, folder, defects) for path in sorted(folder.glob("*.yaml"))}


def _read(path: Path, folder: Path, defects: list[Defect]) -> Any:
    try:
        # The safe loader in C, eight times as fast: these files are half a megabyte.
        return yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        what = " ".join(str(error).split())[:200]
        defects.append(Defect(str(path.relative_to(folder)), "", "", what))
        return {}
