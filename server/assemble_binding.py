"""The part of `assemble` for who somebody is and for whom they act: real names, relations, organisations, joins."""

from __future__ import annotations

import os
from dataclasses import dataclass

from server.assemble import Assembly
from server.assemble_facts import facts
from server.assemble_holdings import holdings
from server.services.binding import Codes, Ground, OpenIds
from server.services.joining import Joining, Stores
from server.services.organisations import Organisations
from server.services.real_name import RealNames
from server.services.relations import Relations
from server.storage.address_book import AddressBook
from server.storage.joins import JoinStore
from server.storage.real_names import RealNameStore
from server.storage.relations import RelationStore


@dataclass(frozen=True, slots=True)
class BindingParts:
    """These counters."""

    real_names: RealNames
    relations: Relations
    organisations: Organisations
    joining: Joining


def binding(assembly: Assembly, codes: Codes, wechat: OpenIds) -> BindingParts:
    """The counters of one API process. `codes` checks one-time codes, `wechat` reads `wx.login` codes."""
    db, people = assembly.db, assembly.person_vault
    ground = Ground(
        accounts=assembly.accounts,
        citizens=assembly.citizens,
        names=RealNameStore(db, assembly.vault, people),
        relations=RelationStore(db, people),
        verifier=assembly.verifier,
        codes=codes,
        post=assembly.notices,
        audit=assembly.audit,
        now=assembly.now,
        random=os.urandom,
    )
    stores = Stores(JoinStore(db), AddressBook(db, assembly.vault))
    return BindingParts(
        real_names=RealNames(ground),
        relations=Relations(ground),
        organisations=Organisations(ground),
        joining=Joining(ground, stores, holdings(assembly), wechat, facts(assembly).settle),
    )
