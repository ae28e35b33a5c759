"""The part of `assemble` about public notices: the office, the readers' counter, what people follow."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial

from push.duties import Duty
from server.assemble import Assembly
from server.domain.notices import frame_of
from server.services.bulletin_office import BulletinOffice, Ground
from server.services.bulletins import Bulletins
from server.services.follows import Follows, FollowsHolding
from server.services.holdings import Holding
from server.storage.bulletins import BulletinStore
from server.storage.catalogues import load_bulletin_topics
from server.storage.follows import FollowStore

FINISH_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class BulletinParts:
    """What handlers may ask."""

    office: BulletinOffice
    bulletins: Bulletins
    follows: Follows


def bulletins(assembly: Assembly) -> BulletinParts:
    """All counters."""
    topics, divisions = load_bulletin_topics(), assembly.divisions
    store = BulletinStore(assembly.db, divisions)
    ground = Ground(topics, divisions, frame_of(assembly.templates))
    return BulletinParts(
        office=BulletinOffice(
            store,
            assembly.broadcasts,
            ground,
            assembly.audit,
            now=assembly.now,
            new_id=partial(secrets.token_hex, 16),
        ),
        bulletins=Bulletins(store, topics, divisions, assembly.now),
        follows=Follows(FollowStore(assembly.db), topics, divisions),
    )


def bulletin_duties(assembly: Assembly) -> list[Duty]:
    """What a worker does for them."""
    return [Duty("finish_bulletins", FINISH_EVERY_S, bulletins(assembly).office.finish_interrupted)]


def follow_holdings(assembly: Assembly) -> list[Holding]:
    """What is held about somebody."""
    return [FollowsHolding(FollowStore(assembly.db), bulletins(assembly).follows)]
