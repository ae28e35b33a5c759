"""Reads `data/catalogue` and hands what it says to the composer of the domain. A file that cannot be read is a defect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from server.domain.catalogue_codes import CodeRule, plain_code
from server.domain.catalogue_seed import Defect, Files, Seed, compose
from server.storage.catalogues import DATA

FOLDER = DATA / "catalogue"


def read_seed(city: str, folder: Path = FOLDER, is_code: CodeRule = plain_code) -> Seed:
    """Everything that the folder says about a city (its 6-digit code), with every defect."""
    defects: list[Defect] = []
    shared = {path.stem: _read(path, folder, defects) for path in sorted(folder.glob("*.yaml"))}
    items = {path.stem: _read(path, folder, defects) for path in sorted((folder / "items").glob("*.yaml"))}
    if not items:
        defects.append(Defect(str(folder), "", "", "no items/*.yaml: is this the folder of a catalogue?"))
    found = compose(Files(shared, items), city, is_code)
    return Seed(found.items, found.ground, found.plan, (*defects, *found.defects))


def _read(path: Path, folder: Path, defects: list[Defect]) -> Any:
    try:
        # The C loader is the safe loader, eight times as fast: these files are a megabyte.
        return yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        what = " ".join(str(error).split())[:200]
        defects.append(Defect(str(path.relative_to(folder)), "", "", what))
        return {}
