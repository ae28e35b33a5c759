"""The part of `assemble` that comes to the citizen: facts, rules, the engine that makes offers, and their office."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from push.duties import Duty
from server.assemble import Assembly
from server.domain.notices import frames_of
from server.services.applied import AppliedFor
from server.services.offer_notices import OfferNotices, Sources, Telling
from server.services.proactive import Ground, Proactive
from server.services.rehearsal import City, Rehearsals, Stage, Watched
from server.services.rules import Names, RuleOffice, RuleShelves
from server.storage.catalogue import CatalogueStore
from server.storage.catalogue_files import load_units
from server.storage.catalogues import load_consents, load_facts, load_workflows, load_working_days
from server.storage.facts import FactStore
from server.storage.followers import Followers
from server.storage.offers import OfferStore
from server.storage.rules import RuleStore
from server.storage.runs import RunStore


@dataclass(frozen=True, slots=True)
class ProactiveParts:
    """These stores and counters."""

    owner: str  # names this process where leases are taken
    facts: FactStore
    offers: OfferStore
    runs: RunStore
    rules: RuleStore
    office: RuleOffice
    engine: Proactive
    telling: Telling
    notices: OfferNotices
    rehearsals: Rehearsals


def proactive(assembly: Assembly) -> ProactiveParts:
    """The objects of one process."""
    db, now, owner, known = assembly.db, assembly.now, secrets.token_hex(8), load_facts()
    facts, offers, runs = FactStore(db, known), OfferStore(db), RunStore(db, owner)
    rules, telling = RuleStore(db, time.monotonic), Telling(offers, assembly.outbox, now)
    notices = OfferNotices(Sources(offers, rules, known, assembly.consents, facts), assembly.templates, now)
    ground = Ground(
        facts, offers, runs, Followers(db, owner), rules, assembly.consents,
        AppliedFor(assembly.applications, load_workflows()), load_working_days(), now,
    )  # fmt: skip
    engine = Proactive(ground, telling)
    names = Names(known, load_units(), load_consents(), frames_of(assembly.templates))
    shelves = RuleShelves(rules, CatalogueStore(db), offers, runs)
    stage, city = Stage(engine, ground, notices), City(assembly.citizens, assembly.divisions, known)
    return ProactiveParts(
        owner=owner,
        facts=facts,
        offers=offers,
        runs=runs,
        rules=rules,
        office=RuleOffice(shelves, names, telling, assembly.audit, city=assembly.settings.city, now=now),
        engine=engine,
        telling=telling,
        notices=notices,
        rehearsals=Rehearsals(stage, city, Watched(assembly.uses, assembly.audit), time.monotonic),
    )


async def prepare_facts(assembly: Assembly) -> None:
    """The indexes that `data/facts.yaml` asks for: runs walk them by name."""
    await FactStore(assembly.db, load_facts()).prepare()


def proactive_duties(assembly: Assembly) -> list[Duty]:
    """What a worker process does; none of it is urgent."""
    parts = proactive(assembly)

    async def run_rules() -> None:
        await parts.engine.schedule()
        await parts.engine.run_open()

    return [
        Duty("run_rules", 60.0, run_rules),
        Duty("follow_facts", 2.0, parts.engine.follow),
        Duty("finish_offers", 10.0, parts.engine.finish_left),
        Duty("lapse_offers", 60.0, parts.engine.lapse),
        Duty("finish_rules", 1.0, parts.office.finish),
    ]
