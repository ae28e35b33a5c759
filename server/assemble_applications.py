"""The part of `assemble` that serves applications."""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass

from push.duties import Duty
from server.assemble import Assembly
from server.assemble_booking import booking
from server.assemble_departments import registers_of
from server.assemble_scanner import scanner_of
from server.domain.reasons import Reason
from server.domain.relations import Scope
from server.services.application_drafts import Drafts
from server.services.application_seats import ApplicationSeats, Bookings
from server.services.application_steps import Acting, ApplicationSteps, Ground
from server.services.applications import Applications
from server.services.attachments import Attachments
from server.services.co_applicants import CoApplicants
from server.services.deciding import Deciding
from server.services.item_terms import ItemTerms, Shelf
from server.services.papers import Papers
from server.services.ratings import CallBacks, Ratings
from server.services.sources import Permits, Sources
from server.services.tracking import Tracking
from server.storage.attachments import AttachmentStore
from server.storage.attempts import Attempts
from server.storage.catalogue import CatalogueStore
from server.storage.catalogues import (
    load_questionnaire,
    load_reasons,
    load_source_policy,
    load_workflows,
    load_working_days,
)
from server.storage.officers import OfficerStore
from server.storage.ratings import RatingStore
from server.storage.real_names import RealNameStore


@dataclass(frozen=True, slots=True)
class ApplicationParts:
    """These counters."""

    ground: Ground
    steps: ApplicationSteps
    applications: Applications
    together: CoApplicants
    drafts: Drafts
    tracking: Tracking
    deciding: Deciding
    attachments: Attachments
    sources: Sources
    seats: ApplicationSeats
    ratings: Ratings
    papers: Papers
    reasons: Mapping[str, Reason]


def applications(assembly: Assembly, shelf: Shelf, acting: Acting, bookings: Bookings) -> ApplicationParts:
    """The counters of one process."""
    workflows = load_workflows()
    ground = Ground(
        store=assembly.applications,
        items=ItemTerms(shelf, workflows),
        workflows=workflows,
        calendar=load_working_days(),
        acting=acting,
        audit=assembly.audit,
        now=assembly.now,
        random=os.urandom,
    )
    steps, reasons = ApplicationSteps(ground), load_reasons()
    marks = RatingStore(assembly.db, assembly.person_vault, assembly.vault)
    colleagues = OfficerStore(assembly.db, assembly.vault)
    files = AttachmentStore(assembly.db, assembly.person_vault)
    counter, desk = Applications(ground, steps, files), Deciding(ground, steps, assembly.uses, reasons, colleagues)
    permits = _permits(assembly)
    seed = b64decode(assembly.settings.audit_key.get_secret_value())
    return ApplicationParts(
        ground=ground,
        steps=steps,
        applications=counter,
        together=CoApplicants(ground, counter),
        drafts=Drafts(ground, counter),
        tracking=Tracking(counter, Attempts(assembly.db, assembly.vault), assembly.now),
        deciding=desk,
        attachments=Attachments(ground, counter, desk, files, scanner_of(assembly.settings)),
        ratings=Ratings(
            ground, counter, marks, load_questionnaire(), CallBacks(assembly.citizens, assembly.uses, colleagues)
        ),
        seats=ApplicationSeats(ground, steps, counter, bookings),
        sources=Sources(ground, counter, permits, registers_of(assembly, permits.policy)),
        papers=Papers(ground, counter, seed, assembly.settings.city, assembly.settings.public_url),
        reasons=reasons,
    )


def _permits(assembly: Assembly) -> Permits:
    names = RealNameStore(assembly.db, assembly.vault, assembly.person_vault)
    return Permits(load_source_policy(), assembly.consents, assembly.uses, names)


def application_duties(assembly: Assembly) -> list[Duty]:
    """What a worker process does for applications."""
    parts = applications(assembly, CatalogueStore(assembly.db), Nobody(), booking(assembly).bookings)
    return [
        Duty("application_log", 5.0, parts.steps.finish),
        Duty("rating_log", 5.0, parts.ratings.finish),
        Duty("application_cards", 60.0, parts.steps.show_cards),
        Duty("application_lapses", 60.0, parts.steps.close_lapsed),
        Duty("duty_cards", 60.0, assembly.duty.tell_cards),
        Duty("application_seats", 5.0, parts.seats.sweep),
        Duty("co_applicants", 60.0, parts.together.lapse),
        Duty("application_drafts", 60.0, parts.drafts.sweep),
        Duty("application_files", 600.0, parts.attachments.sweep),
        Duty("application_upgrade", 5.0, assembly.applications.upgrade),
    ]


class Nobody:
    """In a worker nobody asks for anybody."""

    async def subject_of(self, actor: int, subject_public: str | None, scope: Scope) -> int:
        """The actor."""
        assert subject_public is None, scope
        return actor

    async def may(self, actor: int, subject: int, scope: Scope) -> bool:
        """For oneself."""
        return actor == subject and bool(scope)
