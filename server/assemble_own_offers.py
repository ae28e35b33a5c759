"""The part of `assemble` that answers offers: the citizen's counter, outcomes, and the figures of rules."""

from __future__ import annotations

from dataclasses import dataclass

from push.duties import Duty
from server.assemble import Assembly
from server.assemble_applications import ApplicationParts, Nobody, applications
from server.assemble_booking import booking
from server.assemble_proactive import ProactiveParts, proactive
from server.domain.catalogue_targets import Plan
from server.services.applied import AppliedFor
from server.services.offer_forms import FormShelves, OfferForms
from server.services.offer_outcomes import OfferOutcomes, Shelves
from server.services.offers import Counters, Offers, OfferShelves
from server.services.rule_figures import RuleFigures
from server.storage.catalogue import CatalogueStore
from server.storage.catalogues import load_facts, load_workflows
from server.storage.followers import Followers
from server.storage.inbox import InboxStore
from server.storage.offer_days import OfferDays
from server.storage.real_names import RealNameStore


@dataclass(frozen=True, slots=True)
class OfferParts:
    """These counters."""

    offers: Offers
    outcomes: OfferOutcomes
    figures: RuleFigures


def own_offers(
    assembly: Assembly, parts: ProactiveParts, apply: ApplicationParts, plan: Plan | None = None
) -> OfferParts:
    """The counters of one process, on its engine and its counter of applications; `plan`: what the city promised."""
    workflows = load_workflows()
    shelves = OfferShelves(parts.offers, parts.rules, InboxStore(assembly.db), assembly.accounts)
    names = RealNameStore(assembly.db, assembly.vault, assembly.person_vault)
    forms = OfferForms(apply.ground, FormShelves(parts.facts, load_facts(), names, assembly.citizens, assembly.uses))
    counters = Counters(
        apply.applications, apply.sources, parts.notices, parts.telling,
        AppliedFor(assembly.applications, workflows), forms,
    )  # fmt: skip
    outcomes = OfferOutcomes(
        Shelves(
            parts.offers, OfferDays(assembly.db), parts.runs, assembly.applications,
            Followers(assembly.db, parts.owner),
        ),
        workflows, assembly.now,
    )  # fmt: skip
    figures = RuleFigures(parts.office, parts.rules, parts.rehearsals, outcomes, plan or Plan(), assembly.now)
    return OfferParts(Offers(apply.ground, shelves, counters), outcomes, figures)


def offer_duties(assembly: Assembly) -> list[Duty]:
    """What a worker process does."""
    apply = applications(assembly, CatalogueStore(assembly.db), Nobody(), booking(assembly).bookings)
    parts = own_offers(assembly, proactive(assembly), apply)
    return [
        Duty("finish_accepted", 10.0, parts.offers.finish_left),
        Duty("follow_granted", 5.0, parts.outcomes.follow),
        Duty("count_offers", 60.0, parts.outcomes.recount),
    ]
