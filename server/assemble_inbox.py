"""The part of `assemble` that serves the inbox, what apps say of notices, and "I am safe"."""

from __future__ import annotations

from dataclasses import dataclass

from server.assemble import Assembly
from server.assemble_bulletins import bulletins
from server.services.acknowledgements import Acknowledgements, Cabinet
from server.services.bulletins import Followed
from server.services.feeds import Feeds
from server.services.inbox import Inbox, Shelves
from server.services.inbox_holdings import AcknowledgementHolding, InboxHolding
from server.services.receipts import Receipts
from server.services.reports import Watchers
from server.services.sightings import Sightings
from server.storage.acknowledgements import AcknowledgementStore
from server.storage.drills import Drills
from server.storage.inbox import InboxStore
from server.storage.notices import NoticeStore


@dataclass(frozen=True, slots=True)
class InboxParts:
    """What handlers may ask."""

    inbox: Inbox
    sightings: Sightings
    acknowledgements: Acknowledgements
    holdings: tuple[InboxHolding, AcknowledgementHolding]


def inbox(assembly: Assembly, feeds: Feeds, receipts: Receipts) -> InboxParts:
    """The counters of one API process; `receipts` is the one that providers' callbacks wait in."""
    people = assembly.person_vault
    news, answers = InboxStore(assembly.db), AcknowledgementStore(assembly.db, people)
    followed = Followed(bulletins(assembly).bulletins, news)
    shown = Inbox(Shelves(assembly.citizens, Drills(assembly.db), news), feeds, assembly.subjects, followed)
    return InboxParts(
        inbox=shown,
        sightings=Sightings(receipts, shown),
        acknowledgements=Acknowledgements(
            Cabinet(assembly.citizens, answers, assembly.alert_store),
            assembly.divisions,
            Watchers(assembly.audit, assembly.uses),
            assembly.now,
        ),
        holdings=(
            InboxHolding(news, NoticeStore(assembly.db, people), shown),
            AcknowledgementHolding(answers),
        ),
    )
