"""The part of `assemble` for booking: counter, resources and schedules, free seats, what people may do with them."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from functools import partial

from push.duties import Duty
from server.assemble import Assembly
from server.assemble_waiting import Counter, WaitingParts, waiting_duties, waiting_holdings, waiting_of
from server.services.booking import Bookings
from server.services.booking_duties import Absent
from server.services.booking_holdings import BookingsHolding
from server.services.booking_holds import Means
from server.services.booking_office import BookingOffice, Books, Registry
from server.services.booking_planning import BookingPlanning
from server.services.booking_search import Search
from server.services.booking_tickets import FIELD, Tickets
from server.services.holdings import Holding
from server.services.known_slots import KnownSlots
from server.services.own_bookings import Kin, OwnBookings
from server.services.relations import Relations
from server.services.reports import Watchers
from server.services.schedules import Closer, Schedules
from server.services.watching import Readers
from server.storage.catalogues import load_working_days
from server.storage.real_names import RealNameStore
from server.storage.resources import ResourceStore
from server.storage.seats import SeatStore
from server.storage.seats_free import FreeSeats
from server.storage.seats_laid import LaidSeats
from server.storage.seats_people import SeatPeople


@dataclass(frozen=True, slots=True)
class BookingParts:
    """What handlers and duties may ask."""

    bookings: Bookings
    schedules: Schedules
    free: FreeSeats
    search: Search
    tickets: Tickets
    seats: SeatStore
    closer: Closer
    absent: Absent
    waiting: WaitingParts


@dataclass(frozen=True, slots=True)
class OfficeParts:
    """What handlers may ask on behalf of officers."""

    office: BookingOffice
    planning: BookingPlanning


def booking(assembly: Assembly) -> BookingParts:
    """The counters of one process."""
    db, now = assembly.db, assembly.now
    seats, resources = SeatStore(db, partial(secrets.randbits, 63)), ResourceStore(db)
    calendar = load_working_days()
    laid, free = LaidSeats(db), FreeSeats(db, now)
    means = Means(now, secrets.SystemRandom(), partial(secrets.token_urlsafe, 16))
    timetable = KnownSlots(resources, laid, calendar, time.monotonic)
    bookings = Bookings(seats, timetable, means)
    waiting = waiting_of(assembly, seats, Counter(bookings, timetable, means))
    schedules = Schedules((resources, seats, laid), calendar, waiting.closures, now, time.monotonic)
    return BookingParts(
        bookings=bookings,
        schedules=schedules,
        free=free,
        search=Search(resources, free, calendar, now),
        tickets=Tickets(partial(assembly.vault.index, field=FIELD), now),
        seats=seats,
        closer=waiting.closures,
        absent=Absent(bookings, schedules, seats, now),
        waiting=waiting,
    )


def booking_office(assembly: Assembly, parts: BookingParts) -> OfficeParts:
    """What officers do with bookings and resources."""
    registry = Registry(assembly.citizens, RealNameStore(assembly.db, assembly.vault, assembly.person_vault))
    books = Books(parts.bookings, parts.schedules, parts.seats, parts.closer, parts.tickets)
    watchers, readers = Watchers(assembly.audit, assembly.uses), Readers(time.monotonic)
    return OfficeParts(
        office=BookingOffice(books, registry, watchers, readers, assembly.now),
        planning=BookingPlanning(parts.schedules, assembly.audit),
    )


def booking_duties(assembly: Assembly, stop: asyncio.Event) -> list[Duty]:
    """What a worker process does for bookings."""
    parts = booking(assembly)
    return [
        Duty("finish_moves", 5.0, parts.bookings.finish_moves),
        Duty("lay_out", 60.0, partial(parts.schedules.lay_out, stop.is_set)),
        Duty("booking_news", 1.0, assembly.booking_news.follow),
        *waiting_duties(parts.waiting),
        Duty("miss_absent", 60.0, parts.absent.miss),
    ]


def booking_holdings(assembly: Assembly) -> list[Holding]:
    """What booking holds about somebody."""
    seats = SeatPeople(assembly.db, partial(secrets.randbits, 63))
    return [BookingsHolding(seats, assembly.now, _nobody), *waiting_holdings(assembly)]


def _nobody() -> int:
    """A number below those of citizens."""
    return -secrets.randbits(62) - 1


def kin(assembly: Assembly, relations: Relations) -> Kin:
    """Who is who; `relations` knows for whom they act."""
    names = RealNameStore(assembly.db, assembly.vault, assembly.person_vault)
    return Kin(relations, assembly.accounts, names)


def own_bookings(assembly: Assembly, parts: BookingParts, kin: Kin) -> OwnBookings:
    """What citizens do with bookings."""
    return OwnBookings(parts.bookings, parts.schedules, kin, parts.tickets, assembly.now)
