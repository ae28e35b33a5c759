"""Everything the product holds about one person: the list that export, join and erasure go through. A line a feature.

A collection that stands neither in a holding nor in `EXCEPTIONS` fails a test: whoever adds one decides which it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.assemble import Assembly, receipts
from server.assemble_booking import booking_holdings
from server.assemble_bulletins import follow_holdings
from server.assemble_inbox import inbox
from server.assemble_log_in import log_in_holdings
from server.assemble_profile import profile_holdings
from server.assemble_public import public
from server.assemble_weather import weather_holding
from server.services.account_holdings import (
    AccountHolding,
    StoreHolding,
)
from server.services.application_holdings import ApplicationHolding
from server.services.calendars import CalendarHolding
from server.services.holdings import Holding
from server.storage.address_book import AddressBook
from server.storage.attachments import AttachmentStore
from server.storage.calendars import CalendarStore
from server.storage.catalogues import load_facts
from server.storage.duty import DutyPhones
from server.storage.fact_objections import FactObjectionStore
from server.storage.facts import FactStore
from server.storage.joins import JoinStore
from server.storage.offers import OfferStore
from server.storage.ratings import RatingStore
from server.storage.real_names import RealNameStore
from server.storage.relations import RelationStore

NOT_ABOUT_CITIZENS = "no citizen stands in it"
EXCEPTIONS: Mapping[str, str] = {
    "alerts": "that of an exercise lists who took part, by internal id; ids tell nothing",
    "attempts": "blind indexes that nobody can turn back, for two days",
    "audit": "pseudonyms: public ids only; it may not be changed, and outlives an erasure by law",
    "audit_checkpoints": NOT_ABOUT_CITIZENS,
    "batches": "keys of outbox entries, for the seconds in which they become pages",
    "broadcasts": "an audience that lists people by id is frozen: who was warned is not rewritten; ids tell nothing",
    "bulletins": NOT_ABOUT_CITIZENS,
    "callbacks": "providers' receipts as they came, for three days",
    "closures": NOT_ABOUT_CITIZENS,
    "deliveries": NOT_ABOUT_CITIZENS,
    "erasures": "that somebody was erased and when: an internal id that tells nothing, for three years",
    "events": NOT_ABOUT_CITIZENS,
    "fact_imports": NOT_ABOUT_CITIZENS,
    "fact_refusals": NOT_ABOUT_CITIZENS,
    "idempotency": "answers under a key that only their asker knows, sealed, for a day",
    "intake": NOT_ABOUT_CITIZENS,
    "item_versions": NOT_ABOUT_CITIZENS,
    "items": NOT_ABOUT_CITIZENS,
    "known_origins": "officers' origins, as blind indexes",
    "offer_days": NOT_ABOUT_CITIZENS,
    "one_time_codes": "blind indexes and HMACs, for as long as a bound looks back",
    "pages": "the ledger of who was warned: bare ids for 30 days, then sums; it is evidence and is not rewritten",
    "partners": NOT_ABOUT_CITIZENS,
    "person_keys": "the key of each person: it goes when the account does",
    "ranges": NOT_ABOUT_CITIZENS,
    "rates": NOT_ABOUT_CITIZENS,
    "resources": NOT_ABOUT_CITIZENS,
    "rules": NOT_ABOUT_CITIZENS,
    "runs": NOT_ABOUT_CITIZENS,
    "sessions": "of officers",
    "standing_orders": NOT_ABOUT_CITIZENS,
    "forecasts": NOT_ABOUT_CITIZENS,
    "typhoons": NOT_ABOUT_CITIZENS,
    "weather_feeds": NOT_ABOUT_CITIZENS,
    "weather_files": NOT_ABOUT_CITIZENS,
    "used_codes": "hashes of WeChat's codes, for ten minutes",
}


def holdings(assembly: Assembly) -> Sequence[Holding]:
    """In the order in which they are moved and erased.

    The account comes late, for its key opens what the others hold; the joins after it: they tell whose keys go with it.
    """
    db, vault, people = assembly.db, assembly.vault, assembly.person_vault
    book, joins = AddressBook(db, vault), JoinStore(db)
    return (
        weather_holding(assembly),  # names places: it sees which of them become one
        *follow_holdings(assembly),
        *profile_holdings(assembly),
        # After what else stands in the same two documents: places, grants, wishes.
        StoreHolding("addresses", ("addresses", "citizens"), book),
        ApplicationHolding(assembly.applications, AttachmentStore(db, people), RatingStore(db, people, vault)),
        StoreHolding("relations", ("relations",), RelationStore(db, people)),
        *log_in_holdings(assembly),
        *booking_holdings(assembly),
        *inbox(assembly, public(assembly).feeds, receipts(assembly)).holdings,
        CalendarHolding(CalendarStore(db)),
        StoreHolding("duty", ("officers", "officer_codes"), DutyPhones(db, vault)),
        StoreHolding("fact_objections", ("fact_objections",), FactObjectionStore(db, people)),
        StoreHolding("facts", ("facts", "fact_statements", "fact_conflicts"), FactStore(db, load_facts())),
        StoreHolding("offers", ("offers",), OfferStore(db)),
        assembly.consents,
        assembly.uses,
        AccountHolding(assembly.accounts, RealNameStore(db, vault, people), people, joins),
        StoreHolding("joins", ("joins",), joins),
    )
