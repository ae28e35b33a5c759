"""The counter's verbs on bookings: the day's list, call, serve, book for somebody who stands there, excuse, close.

Promises. Every verb asks the policy table with the division and the institution of the resource. What an officer has
decided about somebody is in the audit log; whoever looks somebody up by number is in that person's own list of uses,
before anything is shown. Names on lists are masked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

from server.domain import booking_refusals as refusals
from server.domain.access import Deed, refuse_at
from server.domain.audit import Detail, Event
from server.domain.booking import Ask, Outcome, Seat, State, Visit
from server.domain.booking_day import DayEntry, DayList, day_entry, day_list
from server.domain.booking_rules import Ban
from server.domain.china import china_day
from server.domain.errors import InvalidInputError, NotFoundError
from server.domain.officers import Officer
from server.domain.one_time_codes import parse_phone
from server.domain.real_name import read_id_number
from server.domain.resources import Resource, unfit_service
from server.domain.schedules import Quota
from server.services.booking import Bookings
from server.services.booking_tickets import Ticket, Tickets
from server.services.reports import Watchers
from server.services.schedules import Closer, Schedules
from server.services.uses import user_of
from server.services.watching import Feed, Frame, Readers
from server.storage.citizens import Citizens
from server.storage.real_names import RealNameStore
from server.storage.seats import SeatStore

CLOSABLE = (State.FREE, State.HELD, State.BOOKED, State.CHECKED_IN, State.CALLED, State.AWAITED, State.LEFT)
LONGEST = timedelta(days=400)  # nothing is laid out further ahead
TURNS = 5
REGIONS = ("CN",)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at the counter or on the telephone: exactly one of these says who."""

    id_number: str = ""
    phone: str = ""
    booking: str = ""


@dataclass(frozen=True, slots=True)
class Errand:
    """What an officer books for somebody."""

    slot: str
    quota: Quota
    key: str
    service: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """What is closed: one time, one day, or (neither) all that lies ahead; and what people are told."""

    reason: str
    slot: str = ""
    day: date | None = None

    @property
    def extent(self) -> str:
        """For the log."""
        return self.slot or str(self.day or "all")


@dataclass(frozen=True, slots=True)
class Closed:
    """What a closure did: seats that nobody can take any more, and bookings that it ended."""

    seats: int
    bookings: int


@dataclass(frozen=True, slots=True)
class Books:
    """What stands behind the counter."""

    bookings: Bookings
    schedules: Schedules
    seats: SeatStore
    closer: Closer
    tickets: Tickets


@dataclass(frozen=True, slots=True)
class Registry:
    """Who people are."""

    citizens: Citizens
    names: RealNameStore


class BookingOffice:
    """The verbs. All raise NotFoundError `resource_unknown` or `booking_unknown`, and ForbiddenError."""

    def __init__(
        self, books: Books, registry: Registry, watchers: Watchers, readers: Readers, now: Callable[[], datetime]
    ) -> None:
        self._books = books
        self._registry = registry
        self._watchers = watchers
        self._readers = readers
        self._now = now

    async def day(self, officer: Officer, resource: str, day: date | None) -> DayList:
        """The list of a day (None: today in China)."""
        await self._enter(officer, resource, Deed.BOOKING_READ)
        return await self._list(resource, day or china_day(self._now()), {})

    @asynccontextmanager
    async def reading(self, officer: Officer, resource: str, day: date | None) -> AsyncIterator[Feed]:
        """The list as a feed, for one reader; TooManyError."""
        await self._enter(officer, resource, Deed.BOOKING_READ)
        wanted = day or china_day(self._now())
        with self._readers.reading(f"{wanted}/{resource}", partial(self._looker, resource, wanted)) as feed:
            yield feed

    async def call_next(self, officer: Officer, resource: str) -> DayEntry | None:
        """Call who waits longest today; None: nobody does."""
        await self._enter(officer, resource, Deed.BOOKING_SERVE)
        visit = await self._books.bookings.call_next(resource, china_day(self._now()))
        return await self._entry(visit) if visit else None

    async def poster(self, officer: Officer, resource: str) -> Ticket:
        """The code of the day for people to check themselves in."""
        await self._enter(officer, resource, Deed.BOOKING_SERVE)
        return self._books.tickets.make_place(resource)

    async def scan(self, officer: Officer, ticket: str) -> DayEntry:
        """Check in who shows this ticket; `ticket_invalid`, `ticket_over`, `check_in_early`, `check_in_late`."""
        return await self.check_in(officer, self._books.tickets.read(ticket))

    async def check_in(self, officer: Officer, code: str) -> DayEntry:
        """Check somebody in who has no ticket to show."""
        return await self._step(officer, code, Deed.BOOKING_SERVE, partial(self._books.bookings.check_in, code))

    async def serve(self, officer: Officer, code: str) -> DayEntry:
        """Done."""
        return await self._step(officer, code, Deed.BOOKING_SERVE, partial(self._books.bookings.serve, code))

    async def requeue(self, officer: Officer, code: str) -> DayEntry:
        """Back to the end of the queue."""
        entry = await self._step(officer, code, Deed.BOOKING_SERVE, partial(self._books.bookings.requeue, code))
        await self._log(officer, Deed.BOOKING_SERVE, f"booking/{code}", step="requeue")
        return entry

    async def miss(self, officer: Officer, code: str) -> DayEntry:
        """Not there: a strike."""
        entry = await self._step(officer, code, Deed.BOOKING_SERVE, partial(self._books.bookings.miss, code))
        await self._log(officer, Deed.BOOKING_SERVE, f"booking/{code}", step="miss")
        return entry

    async def book(self, officer: Officer, resource: str, person: Person, errand: Errand) -> DayEntry:
        """Book for somebody who is known, at once. NotFoundError `citizen_unknown`; what `Bookings.hold` says."""
        found = await self._enter(officer, resource, Deed.BOOKING_BOOK)
        slot, _ = (await self._books.schedules.find([errand.slot])).get(errand.slot, (None, None))
        if slot is None or slot.resource != resource:
            raise refusals.slot_unknown()
        if refusal := unfit_service(found, errand.service, slot):
            raise refusal
        citizen = await self._known(officer, person, found.id)
        ask = Ask(errand.slot, errand.quota.value, citizen, citizen, errand.key, errand.service)
        held = await self._books.bookings.hold(ask)
        visit = await self._books.bookings.confirm(held.booking.code, citizen)
        await self._log(officer, Deed.BOOKING_BOOK, f"booking/{visit.booking.code}", step="book", slot=errand.slot)
        return await self._entry(visit)

    async def cancel(self, officer: Officer, code: str, reason: str) -> None:
        """End a booking, without a strike and at any time; the reason is logged."""
        await self._reach(officer, code, Deed.BOOKING_BOOK)
        await self._log(officer, Deed.BOOKING_BOOK, f"booking/{code}", step="cancel", reason=reason)
        await self._books.bookings.cancel(code, None)

    async def excuse(self, officer: Officer, code: str, reason: str) -> None:
        """A missed or cancelled booking is no strike; the reason is kept with it and logged."""
        await self._reach(officer, code, Deed.BOOKING_EXCUSE)
        await self._books.bookings.excuse(code, officer.id, reason)
        await self._log(officer, Deed.BOOKING_EXCUSE, f"booking/{code}", step="excuse", reason=reason)

    async def ban(self, officer: Officer, resource: str, person: Person) -> Ban | None:
        """The ban that is in force for somebody at the unit of this resource, with what it follows from."""
        found = await self._enter(officer, resource, Deed.BOOKING_BOOK)
        citizen = await self._known(officer, person, found.id)
        return await self._books.bookings.ban(citizen, found.unit, found.rules)

    async def lift(self, officer: Officer, resource: str, person: Person, reason: str) -> Ban | None:
        """Excuse all that a ban follows from; the ban that was lifted, None if there was none."""
        found = await self._enter(officer, resource, Deed.BOOKING_EXCUSE)
        citizen = await self._known(officer, person, found.id)
        ban = await self._books.bookings.ban(citizen, found.unit, found.rules)
        if ban is None:
            return None
        await self._books.bookings.lift(ban, officer.id, reason)
        for code in ban.codes:
            await self._log(officer, Deed.BOOKING_EXCUSE, f"booking/{code}", step="lift", reason=reason)
        return ban

    async def close(self, officer: Officer, resource: str, stop: Stop) -> Closed:
        """停诊: nobody can take these seats, and who had one is told. May be repeated."""
        await self._enter(officer, resource, Deed.BOOKING_CLOSE)
        await self._log(
            officer, Deed.BOOKING_CLOSE, f"resource/{resource}", step="close", extent=stop.extent, reason=stop.reason
        )
        for _ in range(TURNS):
            found = [seat for seat in await self._concerned(resource, stop) if seat.state in CLOSABLE]
            if not found:
                break
            await self._books.closer.close_seats(found, stop.reason)
        after = await self._concerned(resource, stop)
        if any(seat.state in CLOSABLE for seat in after):
            raise refusals.booking_busy()
        ended = sum(booking.outcome is Outcome.CLOSED for seat in after for booking in seat.past)
        return Closed(sum(seat.state is State.CLOSED for seat in after), ended)

    async def reopen(self, officer: Officer, resource: str, stop: Stop) -> int:
        """Closed seats can be taken again, at once; how many."""
        await self._enter(officer, resource, Deed.BOOKING_CLOSE)
        slots = {seat.slot for seat in await self._concerned(resource, stop) if seat.state is State.CLOSED}
        opened = 0
        for slot in sorted(slots):
            opened += await self._books.bookings.reopen(slot)
        await self._log(
            officer, Deed.BOOKING_CLOSE, f"resource/{resource}", step="reopen", extent=stop.extent, reason=stop.reason
        )
        return opened

    async def _enter(self, officer: Officer, resource: str, deed: Deed) -> Resource:
        """The resource, if the officer may do this there."""
        found = (await self._books.schedules.get(resource)).resource
        refuse_at(officer, deed, found.division, found.unit)
        return found

    async def _reach(self, officer: Officer, code: str, deed: Deed) -> Visit:
        """The booking, if the officer may do this with it."""
        visit = await self._books.bookings.get(code, None)
        await self._enter(officer, visit.seat.resource, deed)
        return visit

    async def _step(self, officer: Officer, code: str, deed: Deed, step: Callable[[], Awaitable[Visit]]) -> DayEntry:
        await self._reach(officer, code, deed)
        return await self._entry(await step())

    async def _entry(self, visit: Visit) -> DayEntry:
        names = await self._registry.names.find_names([visit.booking.citizen])
        return day_entry(visit.seat, names)

    async def _known(self, officer: Officer, person: Person, about: str) -> int:
        """Who this is; the look-up is in their list of uses first. NotFoundError `citizen_unknown`."""
        if sum(map(bool, (person.id_number, person.phone, person.booking))) != 1:
            raise InvalidInputError(
                "person_ambiguous",
                zh="请填写身份证号、手机号、预约码中的一项",
                en="give exactly one of ID number, telephone and booking",
                field="person",
            )
        citizen: int | None
        if person.booking:
            visit = await self._reach(officer, person.booking, Deed.BOOKING_READ)
            return visit.booking.citizen
        if person.id_number:
            number = read_id_number(person.id_number, china_day(self._now()))
            citizen, field = (
                await self._registry.names.find_owner(self._registry.names.identity(number.text)),
                "id_number",
            )
        else:
            phone = parse_phone(person.phone, REGIONS)
            citizen, field = (await self._registry.citizens.find_by_address("sms", [phone])).get(phone), "phone"
        if citizen is None:
            raise NotFoundError(
                "citizen_unknown",
                zh="未找到此人，请先在应用中登录并完成实名",
                en="nobody of this number is known: they log in and verify their name first",
                field="person",
            )
        await self._watchers.uses.note([citizen], user_of(officer), "窗口预约服务", (field, "bookings"), about=about)
        return citizen

    async def _concerned(self, resource: str, stop: Stop) -> Sequence[Seat]:
        """The seats that a closure is about, from now on."""
        at, today = self._now(), china_day(self._now())
        if stop.slot:
            if stop.slot.split("/")[1:2] != [resource]:
                raise refusals.slot_unknown()
            seats = await self._books.seats.find_slot(stop.slot)
            if not seats:
                raise refusals.slot_unknown()
        elif stop.day:
            if stop.day < today:
                raise InvalidInputError("day_past", zh="日期已过", en="that day is over", field="day")
            seats = await self._books.seats.find_day(resource, stop.day)
        else:
            until = min((await self._books.schedules.get(resource)).laid_until, today + LONGEST)
            days = [today + timedelta(days=n) for n in range((until - today).days + 1)]
            seats = [seat for day in days for seat in await self._books.seats.find_day(resource, day)]
        return [seat for seat in seats if seat.ends_at > at]

    async def _list(self, resource: str, day: date, known: dict[int, str]) -> DayList:
        """`known`: names that were read before, for as long as somebody watches."""
        seats = await self._books.seats.find_day(resource, day)
        people = {seat.booking.citizen for seat in seats if seat.booking}
        known |= await self._registry.names.find_names(people - known.keys())
        return day_list(resource, day, seats, known, self._now())

    def _looker(self, resource: str, day: date) -> Callable[[], Awaitable[Frame]]:
        """A look whose version is the time (ms) at which the list was last found to be another."""
        known: dict[int, str] = {}
        last: list[Frame] = []

        async def look() -> Frame:
            found = await self._list(resource, day, known)
            body = found.model_dump_json(exclude={"at"}).encode()
            if not last or last[0].body != body:
                version = int(found.at.timestamp() * 1000)
                last[:] = [Frame(version, is_over=False, body=body)]
            return last[0]

        return look

    async def _log(self, officer: Officer, deed: Deed, what: str, **details: Detail) -> None:
        await self._watchers.audit.record(Event(officer.id, deed, what, details=details))
