"""The part of `assemble` for facts about citizens: feeds, partners' requests, the person's own view, objections."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from server.assemble import Assembly
from server.services.facts import Ground, Importing, Taking
from server.services.own_facts import ObjectionDesk, OwnFacts, Shelves
from server.services.partner_facts import PartnerFacts
from server.storage.catalogue_files import load_source_names
from server.storage.catalogues import load_facts, load_source_policy
from server.storage.fact_imports import FactImportStore
from server.storage.fact_objections import FactObjectionStore
from server.storage.facts import FactStore
from server.storage.partners import PartnerStore
from server.storage.real_names import RealNameStore


@dataclass(frozen=True, slots=True)
class FactParts:
    """These counters."""

    store: FactStore
    settle: Callable[[int], Awaitable[None]]  # what a join of two accounts leaves to be done
    imports: FactImportStore
    importing: Importing
    partner: PartnerFacts
    own: OwnFacts
    desk: ObjectionDesk


def facts(assembly: Assembly) -> FactParts:
    """The counters of one process."""
    db, known = assembly.db, load_facts()
    store, imports = FactStore(db, known), FactImportStore(db)
    ground = Ground(
        facts=store,
        names=RealNameStore(db, assembly.vault, assembly.person_vault),
        citizens=assembly.citizens,
        consents=assembly.consents,
        vault=assembly.vault,
        known=known,
        registered=load_source_policy().names,
        audit=assembly.audit,
        now=assembly.now,
    )
    shelves = Shelves(
        facts=store,
        objections=FactObjectionStore(db, assembly.person_vault),
        citizens=assembly.citizens,
        known=known,
        sources=load_source_names(),
        uses=assembly.uses,
        audit=assembly.audit,
        post=assembly.notices,
        now=assembly.now,
        random=os.urandom,
        city=assembly.settings.city,
    )
    return FactParts(
        store=store,
        settle=Taking(ground).settle,
        imports=imports,
        importing=Importing(ground, imports),
        partner=PartnerFacts(ground, PartnerStore(db, assembly.vault)),
        own=OwnFacts(shelves),
        desk=ObjectionDesk(shelves),
    )
