"""The part of `assemble` for booking: counter, resources and schedules, free seats, what people may do with them."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from functools import partial

from server.assemble import Assembly
from server.services.booking import Bookings
from server.services.booking_closing import SeatCloser
from server.services.booking_holds import Means
from server.services.booking_search import Search
from server.services.booking_tickets import FIELD, Tickets
from server.services.own_bookings import Kin, OwnBookings
from server.services.relations import Relations
from server.services.schedules import Schedules
from server.storage.catalogues import load_working_days
from server.storage.real_names import RealNameStore
from server.storage.resources import ResourceStore
from server.storage.seats import SeatStore
from server.storage.seats_free import FreeSeats
from server.storage.seats_laid import LaidSeats


@dataclass(frozen=True, slots=True)
class BookingParts:
    """What handlers and duties may ask."""

    bookings: Bookings
    schedules: Schedules
    free: FreeSeats
    search: Search
    tickets: Tickets
    seats: SeatStore


def booking(assembly: Assembly) -> BookingParts:
    """The counters of one process."""
    db, now = assembly.db, assembly.now
    seats, resources = SeatStore(db, partial(secrets.randbits, 63)), ResourceStore(db)
    calendar = load_working_days()
    closer = SeatCloser(seats, now)
    schedules = Schedules((resources, seats, LaidSeats(db)), calendar, closer, now, time.monotonic)
    means = Means(now, secrets.SystemRandom(), partial(secrets.token_urlsafe, 16))
    free = FreeSeats(db, now)
    return BookingParts(
        bookings=Bookings(seats, schedules, means),
        schedules=schedules,
        free=free,
        search=Search(resources, free, calendar, now),
        tickets=Tickets(partial(assembly.vault.index, field=FIELD), now),
        seats=seats,
    )


def own_bookings(assembly: Assembly, parts: BookingParts, relations: Relations) -> OwnBookings:
    """What citizens do with bookings; `relations` knows for whom they act."""
    names = RealNameStore(assembly.db, assembly.vault, assembly.person_vault)
    kin = Kin(relations, assembly.accounts, names)
    return OwnBookings(parts.bookings, ResourceStore(assembly.db), kin, assembly.now)
