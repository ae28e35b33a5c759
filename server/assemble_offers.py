"""The words of offers: a subject of the engine in every process. The engine that makes offers: `assemble_proactive`."""

from __future__ import annotations

import time

from server.domain.wording import Wording
from server.services.offer_notices import OfferNotices
from server.storage.catalogues import load_facts
from server.storage.clock import DatabaseClock
from server.storage.mongo import Database
from server.storage.offers import OfferStore
from server.storage.rules import RuleStore


def offer_notices(db: Database, wording: Wording, clock: DatabaseClock) -> OfferNotices:
    """The words, of offers whose rule is not stopped."""
    return OfferNotices(OfferStore(db), RuleStore(db, time.monotonic), load_facts(), wording.templates, clock.now)
