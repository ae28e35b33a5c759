"""The words of offers: a subject of the engine in every process. The engine that makes offers: `assemble_proactive`."""

from __future__ import annotations

import os
import time

from server.domain.wording import Wording
from server.services.consents import Consents
from server.services.offer_notices import OfferNotices, Sources
from server.storage.catalogues import load_consents, load_facts
from server.storage.clock import DatabaseClock
from server.storage.consents import ConsentStore
from server.storage.facts import FactStore
from server.storage.mongo import Database
from server.storage.offers import OfferStore
from server.storage.rules import RuleStore


def offer_notices(db: Database, wording: Wording, clock: DatabaseClock) -> OfferNotices:
    """The words, of offers whose rule is not stopped, for who agrees."""
    consents = Consents(ConsentStore(db, os.urandom), load_consents(), clock.now)  # to ask
    known = load_facts()
    sources = Sources(OfferStore(db), RuleStore(db, time.monotonic), known, consents, FactStore(db, known))
    return OfferNotices(sources, wording.templates, clock.now)
