"""The part of `assemble` about the catalogue: the readers' counter of an API process, and the editors' counter."""

from __future__ import annotations

from dataclasses import dataclass

from server.assemble import Assembly
from server.domain.catalogue_targets import Plan
from server.services.catalogue import Catalogue
from server.services.catalogue_editing import CatalogueEditing
from server.storage.catalogue import CatalogueStore
from server.storage.catalogue_files import load_ground, load_rules


@dataclass(frozen=True, slots=True)
class CatalogueParts:
    """What handlers and commands may ask."""

    catalogue: Catalogue
    editing: CatalogueEditing
    plan: Plan


def catalogue(assembly: Assembly) -> CatalogueParts:
    """Both counters; the readers' knows nothing before its first `refresh`."""
    ground, plan = load_ground(assembly.settings.city)
    store = CatalogueStore(assembly.db)
    rules = load_rules(assembly.settings.city, assembly.divisions, ground)
    return CatalogueParts(
        catalogue=Catalogue(store, ground, assembly.divisions),
        editing=CatalogueEditing(store, rules, assembly.audit, assembly.now),
        plan=plan,
    )
