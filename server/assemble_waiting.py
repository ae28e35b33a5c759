"""The part of `assemble` for the waiting list, closures, and visits of several seats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from push.duties import Duty
from server.assemble import Assembly
from server.services.booking import Bookings
from server.services.booking_holds import Means, Timetable
from server.services.chains import Chains
from server.services.closures import Closures
from server.services.holdings import Holding
from server.services.own_bookings import Kin, OwnBookings
from server.services.own_visits import OwnVisits
from server.services.own_waiting import OwnWaiting
from server.services.waiting import Waiting
from server.services.waiting_holdings import VisitsHolding, WaitingHolding
from server.storage.chains import ChainStore
from server.storage.closures import ClosureStore
from server.storage.resources import ResourceStore
from server.storage.seats import SeatStore
from server.storage.waiting import WaitingStore


@dataclass(frozen=True, slots=True)
class Counter:
    """The booking counter, and what it works with."""

    bookings: Bookings
    timetable: Timetable
    means: Means


@dataclass(frozen=True, slots=True)
class WaitingParts:
    """What handlers and duties may ask. `closures` is the hand that closes seats for everybody."""

    waiting: Waiting
    chains: Chains
    closures: Closures


def waiting_of(assembly: Assembly, seats: SeatStore, counter: Counter) -> WaitingParts:
    """The counters of one process."""
    db, means = assembly.db, counter.means
    waiting = Waiting(
        (WaitingStore(db), seats, ResourceStore(db)),
        (counter.bookings, counter.timetable),
        means,
        assembly.waiting_news,
    )
    chains = Chains((ChainStore(db), seats), counter.timetable, means)
    closures = Closures((ClosureStore(db), seats), counter.bookings, waiting, chains, means)
    return WaitingParts(waiting, chains, closures)


def waiting_duties(parts: WaitingParts) -> list[Duty]:
    """What a worker process does for them."""
    return [
        Duty("offer", 1.0, parts.waiting.offer),
        Duty("finish_closures", 5.0, parts.closures.finish),
        Duty("finish_visits", 5.0, parts.chains.finish),
    ]


def waiting_holdings(assembly: Assembly) -> Sequence[Holding]:
    """What they hold about somebody."""
    return [WaitingHolding(WaitingStore(assembly.db)), VisitsHolding(ChainStore(assembly.db))]


def own_waiting(
    assembly: Assembly, parts: WaitingParts, bookings: OwnBookings, kin: Kin
) -> tuple[OwnWaiting, OwnVisits]:
    """What citizens do with them."""
    now = assembly.now
    visits = OwnVisits(parts.chains, bookings, ResourceStore(assembly.db), kin, now)
    return OwnWaiting(parts.waiting, bookings, kin, now), visits
