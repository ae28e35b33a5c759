"""What citizens do with bookings: for themselves, and for whom they may act.

Promises. Nobody books for somebody who has not agreed (`Relations`), and who may not act any more sees nothing more of
what was booked; what is held already may still be confirmed, for the minutes that a hold lasts. A booking of somebody
else's and one that does not exist look the same. The quota for elders is for people of 60 and more by their verified
name, whoever books for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from server.domain import booking_refusals as refusals
from server.domain.booking import Ask, State, Visit
from server.domain.booking_rules import BookingRules
from server.domain.china import china_day
from server.domain.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from server.domain.real_name import born_date, is_elder
from server.domain.relations import Scope
from server.domain.resources import Resource, unfit_service
from server.domain.schedules import Quota
from server.services.booking import Bookings
from server.services.booking_tickets import Ticket, Tickets, elsewhere
from server.services.relations import Relations
from server.services.schedules import Schedules
from server.storage.accounts import Accounts
from server.storage.real_names import RealNameStore

REMEMBERED = timedelta(days=400)  # how far back the own list goes


class When(StrEnum):
    """Which part of the own list."""

    UPCOMING = "upcoming"  # soonest first
    PAST = "past"  # latest first; also what was cancelled or closed


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. `subject`: public id of a relative; None = the caller."""

    slot: str
    key: str
    subject: str | None = None
    service: str = ""
    quota: Quota = Quota.ONLINE


@dataclass(frozen=True, slots=True)
class Shown:
    """A booking as its people see it. `resource` is None if it is not there any more; `subject` is a public id."""

    visit: Visit
    resource: Resource | None
    subject: str
    is_own: bool  # whether it is for the caller
    at: datetime  # the house's time: countdowns are reckoned from it

    @property
    def rules(self) -> BookingRules:
        """Those that hold for it."""
        return self.resource.rules if self.resource else BookingRules()


@dataclass(frozen=True, slots=True)
class Kin:
    """Who is who, and for whom they may act."""

    relations: Relations
    accounts: Accounts
    names: RealNameStore


class OwnBookings:
    """The verbs. `caller` is the internal id of the citizen who asks."""

    def __init__(
        self, bookings: Bookings, schedules: Schedules, kin: Kin, tickets: Tickets, now: Callable[[], datetime]
    ) -> None:
        self._bookings = bookings
        self._schedules = schedules
        self._kin = kin
        self._tickets = tickets
        self._now = now

    async def hold(self, caller: int, wish: Wish) -> Shown:
        """A seat for some minutes, to be confirmed.

        ForbiddenError `relation_missing`, `elder_only`; `service_unknown`, `service_longer`; what `Bookings.hold` says.
        """
        citizen = await self._kin.relations.subject_of(caller, wish.subject, Scope.BOOK)
        if wish.quota is Quota.ELDER:
            await self.refuse_younger(citizen)
        if wish.service:
            await self._refuse_unfit(wish)
        ask = Ask(wish.slot, wish.quota.value, citizen, caller, wish.key, wish.service)
        return await self._shown(caller, await self._bookings.hold(ask))

    async def confirm(self, caller: int, code: str) -> Shown:
        """Book it. ConflictError `hold_expired`; NotFoundError `hold_gone` if others have the seat by now."""
        try:
            return await self._shown(caller, await self._bookings.confirm(code, caller))
        except (ConflictError, NotFoundError) as error:
            raise await self._why(caller, code, error) from None

    async def renew(self, caller: int, code: str) -> Shown:
        """Hold it longer. ConflictError `renew_limit`, `hold_expired`; NotFoundError `hold_gone`."""
        try:
            return await self._shown(caller, await self._bookings.renew(code, caller))
        except (ConflictError, NotFoundError) as error:
            raise await self._why(caller, code, error) from None

    async def move(self, caller: int, code: str, slot: str, quota: Quota) -> Shown:
        """Another time, without losing the old one if that cannot be."""
        visit = await self._reach(caller, code)
        if visit.state is State.HELD:
            raise refusals.booking_state()
        if quota is Quota.ELDER:
            await self.refuse_younger(visit.booking.citizen)
        return await self._shown(caller, await self._bookings.move(code, caller, slot, quota.value))

    async def cancel(self, caller: int, code: str) -> Shown:
        """Give it back. ConflictError `cut_off`."""
        await self._reach(caller, code)
        return await self._shown(caller, await self._bookings.cancel(code, caller))

    async def get(self, caller: int, code: str) -> Shown:
        """One of them; NotFoundError `booking_unknown`. A hold that ran out is none."""
        visit = await self._reach(caller, code)
        if visit.state is State.HELD and visit.booking.is_lapsed(self._now()):
            raise refusals.booking_unknown()
        return await self._shown(caller, visit)

    async def ticket(self, caller: int, code: str) -> Ticket:
        """What to show at the counter; ConflictError `booking_over`, `booking_state`."""
        visit = await self._reach(caller, code)
        if not visit.is_live:
            raise refusals.booking_over()
        if visit.state not in (State.BOOKED, State.CHECKED_IN):
            raise refusals.booking_state()
        return self._tickets.make(code)

    async def check_in(self, caller: int, code: str, place: str) -> Shown:
        """Check oneself in by the code that hangs there. `ticket_invalid`, `ticket_over`, `ticket_elsewhere`.

        ConflictError `check_in_early`, `check_in_late`.
        """
        visit = await self._reach(caller, code)
        if self._tickets.read_place(place) != visit.seat.resource:
            raise elsewhere()
        return await self._shown(caller, await self._bookings.check_in(code, caller))

    async def page(self, caller: int, when: When, after: str, limit: int) -> tuple[list[Shown], str]:
        """Own bookings and those made for others, and the mark of what follows ("": nothing).

        InvalidInputError `mark_invalid`.
        """
        at = self._now()
        history = await self._bookings.history(caller, china_day(at - REMEMBERED))
        people = {visit.booking.citizen for visit in history}
        near = {citizen for citizen in people if await self._kin.relations.may(caller, citizen, Scope.BOOK)}
        wanted = [v for v in history if v.booking.citizen in near]
        found = [v for v in wanted if _is_upcoming(v, at) == (when is When.UPCOMING)]
        found.sort(key=lambda v: (v.seat.begins_at, v.booking.code), reverse=when is When.PAST)
        first = 0
        if after:
            first = next((n for n, v in enumerate(found, 1) if v.booking.code == after), 0)
            if not first:
                raise InvalidInputError(
                    "mark_invalid", zh="续页标记无效", en="this mark is not one of ours", field="after"
                )
        part = found[first : first + limit]
        shown = await self.show_all(caller, part)
        return shown, part[-1].booking.code if len(found) > first + limit else ""

    async def _refuse_unfit(self, wish: Wish) -> None:
        """Refuse a service that this resource does not have, or that does not fit into this slot."""
        slot, _ = (await self._schedules.find([wish.slot])).get(wish.slot, (None, None))
        if slot is None:
            raise refusals.slot_unknown()
        resource = (await self._schedules.get(slot.resource)).resource
        if refusal := unfit_service(resource, wish.service, slot):
            raise refusal

    async def _reach(self, caller: int, code: str) -> Visit:
        """A booking of the caller's, or of somebody for whom the caller made it and still may act."""
        visit = await self._bookings.get(code, caller)
        if not await self._kin.relations.may(caller, visit.booking.citizen, Scope.BOOK):
            raise refusals.booking_unknown()
        return visit

    async def refuse_younger(self, citizen: int) -> None:
        """ForbiddenError `elder_only` for whom is not known to be 60 or more."""
        found = await self._kin.names.find(citizen)
        if (
            found is None
            or not found.number[:17].isdigit()
            or not is_elder(born_date(found.number), china_day(self._now()))
        ):
            raise ForbiddenError(
                "elder_only",
                zh="该号源仅供已实名的60岁及以上老年人",
                en="these seats are for verified people of 60 and more: choose the others",
                field="quota",
            )

    async def _why(self, caller: int, code: str, error: ConflictError | NotFoundError) -> ConflictError | NotFoundError:
        """What to tell about a hold that is no more: the same whether it was somebody else's or never was."""
        if error.code not in ("hold_expired", "booking_unknown"):
            return error
        try:
            await self._bookings.get(code, caller)
        except NotFoundError:
            return refusals.hold_gone()
        return error

    async def _shown(self, caller: int, visit: Visit) -> Shown:
        return (await self.show_all(caller, [visit]))[0]

    async def show_all(self, caller: int, visits: Sequence[Visit]) -> list[Shown]:
        """As this citizen may see them."""
        at = self._now()
        resources = await self._schedules.find_resources({v.seat.resource for v in visits})
        publics = {citizen: await self._public(citizen) for citizen in {v.booking.citizen for v in visits}}
        return [
            Shown(
                visit=v,
                resource=resources.get(v.seat.resource),
                subject=publics[v.booking.citizen],
                is_own=v.booking.citizen == caller,
                at=at,
            )
            for v in visits
        ]

    async def _public(self, citizen: int) -> str:
        """The public id; "" for a relative who was erased."""
        try:
            return (await self._kin.accounts.get(citizen)).public
        except NotFoundError:
            return ""


def _is_upcoming(visit: Visit, at: datetime) -> bool:
    is_open = visit.state in (State.HELD, State.BOOKED, State.AWAITED, State.LEFT, State.CHECKED_IN, State.CALLED)
    return is_open and visit.seat.ends_at > at
