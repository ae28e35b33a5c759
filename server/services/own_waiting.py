"""What citizens do with the waiting list: for themselves, and for whom they may act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from server.domain.relations import Scope
from server.domain.schedules import Quota
from server.services.own_bookings import Kin, OwnBookings, Shown
from server.services.waiting import Standing, Waiting
from server.services.waiting import Wish as Wanted


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. `subject`: public id of a relative; None = the caller. `resource`: only this one."""

    group: str
    resource: str | None
    quota: Quota
    first_day: date
    last_day: date
    key: str
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Waits:
    """An entry as its people see it. `offer`: what is kept for it now. `subject` is a public id."""

    standing: Standing
    offer: Shown | None
    subject: str
    is_own: bool
    at: datetime


class OwnWaiting:
    """The verbs. `caller` is the internal id of the citizen who asks; an entry of others is `waiting_unknown`."""

    def __init__(self, waiting: Waiting, bookings: OwnBookings, kin: Kin, now: Callable[[], datetime]) -> None:
        self._waiting = waiting
        self._bookings = bookings
        self._kin = kin
        self._now = now

    async def join(self, caller: int, wish: Wish) -> Waits:
        """Wait. ForbiddenError `relation_missing`, `elder_only`; what `Waiting.join` says."""
        citizen = await self._kin.relations.subject_of(caller, wish.subject, Scope.BOOK)
        if wish.quota is Quota.ELDER:
            await self._bookings.refuse_younger(citizen)
        wanted = Wanted(
            citizen, caller, wish.key, wish.group, wish.resource, wish.quota.value, wish.first_day, wish.last_day
        )
        return await self._shown(caller, await self._waiting.join(wanted))

    async def get(self, caller: int, entry: str) -> Waits:
        """One of them."""
        return await self._shown(caller, await self._waiting.get(entry, caller))

    async def all(self, caller: int) -> Sequence[Waits]:
        """Own ones and those for others, newest first."""
        return [await self._shown(caller, standing) for standing in await self._waiting.all_of(caller)]

    async def accept(self, caller: int, entry: str) -> Shown:
        """Book what is offered. ConflictError `offer_over`."""
        return (await self._bookings.show_all(caller, [await self._waiting.accept(entry, caller)]))[0]

    async def decline(self, caller: int, entry: str) -> Waits:
        """Not this one. ConflictError `offer_over`."""
        return await self._shown(caller, await self._waiting.decline(entry, caller))

    async def leave(self, caller: int, entry: str) -> None:
        """Wait no more."""
        await self._waiting.leave(entry, caller)

    async def _shown(self, caller: int, standing: Standing) -> Waits:
        offer = await self._bookings.show_all(caller, [standing.offer]) if standing.offer else [None]
        citizen = standing.entry.citizen
        public = (await self._kin.accounts.get(citizen)).public
        return Waits(standing, offer[0], public, citizen == caller, self._now())
