"""The part of `assemble` that serves citizens' rights over their data."""

from __future__ import annotations

from dataclasses import dataclass

from server.assemble import Assembly
from server.assemble_holdings import holdings
from server.assemble_manners import idempotency
from server.services.consents import Consents
from server.services.erasure import Erasure, Shelves
from server.services.export import Export
from server.services.one_time_codes import OneTimeCodes
from server.services.uses import Uses
from server.storage.erasures import ErasureStore


@dataclass(frozen=True, slots=True)
class PrivacyParts:
    """What handlers may ask."""

    consents: Consents
    uses: Uses
    export: Export
    erasure: Erasure
    codes: OneTimeCodes


def privacy(assembly: Assembly, codes: OneTimeCodes) -> PrivacyParts:
    """The counters of one API process; `codes` are what who leaves has to show."""
    held = holdings(assembly)
    return PrivacyParts(
        consents=assembly.consents,
        uses=assembly.uses,
        export=Export(held, assembly.audit, assembly.now),
        erasure=erasure(assembly),
        codes=codes,
    )


def erasure(assembly: Assembly) -> Erasure:
    """What erases people: asked by handlers, finished by workers."""
    shelves = Shelves(
        erasures=ErasureStore(assembly.db),
        accounts=assembly.accounts,
        citizens=assembly.citizens,
        outbox=assembly.outbox,
        answers=idempotency(assembly),
        keys=assembly.person_vault,
    )
    return Erasure(shelves, holdings(assembly), assembly.audit, assembly.now)
