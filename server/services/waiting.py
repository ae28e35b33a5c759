"""The waiting list at work: seats that come free are offered before everybody may take them.

A duty that may run in any number of processes looks where somebody waits. It keeps nothing in memory and trusts nothing
but the seats: an offer IS a hold under the entry's key, written like any other, only if the seat still is as it was
read. So no seat is offered twice and no entry has two offers (unique indexes say so), and it may die anywhere: the next
round finds the hold, remembers it and tells the person. An offer that is declined or runs out leaves the seat hidden
for another random while, in which it is offered to the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

from server.domain import booking_refusals as refusals
from server.domain.booking import Seat, State, Visit, freed
from server.domain.booking_rules import ban_of
from server.domain.china import china_day
from server.domain.errors import HuiminError, NotFoundError
from server.domain.resources import Resource, Wanted
from server.domain.waiting import (
    Entry,
    Grant,
    Offer,
    Scene,
    Stage,
    grants,
    is_over,
    no_offer,
    offered,
    refused_days,
    waiting_limit,
    waiting_unknown,
)
from server.services.booking import KEY, Bookings
from server.services.booking_holds import Means, Timetable
from server.storage.resources import ResourceStore
from server.storage.seats import SeatStore, Swap
from server.storage.waiting import WaitingStore

MOST_WAITING = 500  # of a group that are looked at in one round
MOST_SEATS = 1_000
TURNS = 5


class Teller(Protocol):
    """Tells those who wait. Durable when it returns, and once, however often it is called."""

    async def offered(self, entry: Entry, seat: Seat) -> None:
        """That this seat is kept for them."""
        ...

    async def over(self, entry: Entry) -> None:
        """That nothing came of it."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks to wait for. `resource`: only this one of the group."""

    citizen: int
    holder: int
    key: str
    group: str
    resource: str | None
    quota: str
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class Standing:
    """An entry as its owner sees it: how many come before it, and what is offered to it now."""

    entry: Entry
    before: int
    offer: Visit | None


class Waiting:
    """The verbs, and the duty."""

    def __init__(
        self,
        stores: tuple[WaitingStore, SeatStore, ResourceStore],
        counter: tuple[Bookings, Timetable],
        means: Means,
        teller: Teller,
    ) -> None:
        self._waiting, self._seats, self._resources = stores
        self._bookings, self._timetable = counter
        self._means = means
        self._teller = teller

    async def join(self, wish: Wish) -> Standing:
        """Wait. The same holder's same key is the same entry.

        `waiting_days`, `waiting_limit`, `resource_unknown`, `booking_banned`, `booking_key`, `booking_key_reused`.
        """
        if not KEY.fullmatch(wish.key):
            raise refusals.key_malformed()
        at = self._means.at()
        if known := await self._waiting.find_keyed(wish.holder, wish.key):
            return await self._same(known, wish)
        resource = await self._resource(wish)
        if refusal := refused_days(wish.first_day, wish.last_day, at) or await self._banned(wish, resource, at):
            raise refusal
        entry = Entry(
            id=self._means.code(),
            citizen=wish.citizen,
            holder=wish.holder,
            key=wish.key,
            group=wish.group,
            unit=resource.unit,
            quota=wish.quota,
            first_day=wish.first_day,
            last_day=wish.last_day,
            asked_at=at,
            resource=wish.resource,
        )
        kept = await self._waiting.insert(entry)
        if kept is None:
            raise waiting_limit()
        return await self._same(kept, wish)

    async def join_replacement(self, entry: Entry) -> Entry:
        """Wait with priority for what the office has closed; a second call changes nothing."""
        return await self._waiting.insert(entry) or entry

    async def get(self, entry: str, by: int) -> Standing:
        """One of the caller's. NotFoundError `waiting_unknown`."""
        return await self._standing(await self._own(entry, by))

    async def all_of(self, person: int) -> list[Standing]:
        """What this person waits for or waited for, for whomever, newest first."""
        return [await self._standing(entry) for entry in await self._waiting.find_of(person)]

    async def accept(self, entry: str, by: int) -> Visit:
        """Take what is offered: it is booked. ConflictError `offer_over`. May be repeated."""
        own = await self._own(entry, by)
        if own.stage is Stage.WAITING and (seat := await self._offer_of(own)) and seat.booking:
            visit = await self._bookings.confirm(seat.booking.code, by)
            await self._waiting.end(own.id, Stage.DONE, self._means.at())
            return visit
        if own.stage is Stage.DONE and own.offers:
            return await self._bookings.get(own.offers[-1].code, by)
        raise no_offer()

    async def decline(self, entry: str, by: int) -> Standing:
        """Not this seat; the next one goes on waiting. ConflictError `offer_over`, also if it is booked already."""
        own = await self._own(entry, by)
        seat = await self._offer_of(own)
        if seat is None or seat.booking is None or seat.state is not State.HELD:
            raise no_offer()
        await self._remember(own, seat)
        await self._bookings.cancel(seat.booking.code, by)
        return await self.get(entry, by)

    async def leave(self, entry: str, by: int) -> None:
        """Wait no more; what is offered goes to the next. May be repeated."""
        own = await self._own(entry, by)
        await self._waiting.end(own.id, Stage.WITHDRAWN, self._means.at())
        seat = await self._offer_of(own)
        if seat and seat.booking and seat.state is State.HELD:
            with suppress(HuiminError):  # ran out this very moment
                await self._bookings.cancel(seat.booking.code, by)

    async def offer(self) -> int:
        """One round over all groups in which somebody waits, to be run every second; how many offers were made."""
        return sum([await self.offer_in(group) for group in await self._waiting.find_groups()])

    async def offer_in(self, group: str) -> int:
        """Offer what can be offered in this group. A round that lost a race looks again: the order holds."""
        made = 0
        barred: set[tuple[str, str]] = set()  # an index forbids this person this slot: they have taken something else
        for _ in range(TURNS):
            entries = await self._ready(await self._waiting.find_waiting(group, MOST_WAITING))
            wanted = await self._grants(group, entries, barred) if entries else []
            pairs = [(grant.seat, self._offered(grant)) for grant in wanted]
            swaps = await self._seats.swap(pairs)
            for grant, (_, seat), swap in zip(wanted, pairs, swaps, strict=True):
                if swap is Swap.DONE:
                    made += await self._announce(grant.entry, seat)
                elif swap is Swap.CLASH:
                    barred.add((grant.entry.id, seat.slot))
            if all(swap is Swap.DONE for swap in swaps):
                break
        return made

    async def _grants(self, group: str, entries: Sequence[Entry], barred: set[tuple[str, str]]) -> list[Grant]:
        at = self._means.at()
        days = sorted({day for entry in entries for day in entry.days if day >= china_day(at)})
        seats = await self._seats.find_coming_open(group, days, MOST_SEATS) if days else []
        if not seats:
            return []
        slots = await self._timetable.find(list({seat.slot for seat in seats}))
        people = {person for entry in entries for person in (entry.citizen, entry.holder)}
        memory = timedelta(days=max((rules.memory_days for _, rules in slots.values()), default=0))
        visits = _by_person(await self._seats.find_history(list(people), (at - memory).date()))
        return grants(entries, seats, Scene(slots, visits, at, barred=barred))

    def _offered(self, grant: Grant) -> Seat:
        code = self._means.code()
        return offered(grant.seat, grant.entry, code, self._means.at(), grant.until, self._means.spread(grant.rules))

    async def _ready(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those of these that have nothing and still want it. What a dead process left half done is done here."""
        found = await self._seats.find_keyed([(each.holder, each.hold_key) for each in entries])
        seats = {seat.booking.key: seat for seat in found if seat.booking}
        codes = [offer.code for each in entries if each.hold_key not in seats for offer in each.offers]
        visits = await self._seats.find_visits(codes) if codes else {}
        taken = {offer.code: each.id for each in entries for offer in each.offers if offer.code in visits}
        ready = []
        for entry in entries:
            seat = seats.get(entry.hold_key)
            if entry.id in taken.values() or (seat and seat.state is not State.HELD):
                await self._waiting.end(entry.id, Stage.DONE, self._means.at())
            elif seat is None or (await self._announce(entry, seat) and await self._take_back(seat)):
                ready.append(entry if seat is None else await self._waiting.find(entry.id) or entry)
        return [entry for entry in ready if entry.stage is Stage.WAITING and not await self._has_ended(entry)]

    async def _announce(self, entry: Entry, seat: Seat) -> bool:
        """Remember an offer and tell of it, both once. An entry that waits no more loses it, and the answer is False.

        Remembered first: what was offered to somebody is not offered to them again, whether they heard of it or not.
        """
        assert seat.booking is not None
        if any(offer.code == seat.booking.code for offer in entry.offers) and seat.booking.is_lapsed(self._means.at()):
            return True
        if not await self._remember(entry, seat):
            await self._seats.swap([(seat, freed(seat, seat.open_at or self._means.at()))])
            return False
        if not seat.booking.is_lapsed(self._means.at()):
            await self._teller.offered(entry, seat)
        return True

    async def _remember(self, entry: Entry, seat: Seat) -> bool:
        assert seat.booking is not None
        offer = Offer(seat.booking.code, seat.id, seat.slot, seat.booking.hold_until)
        return await self._waiting.add_offer(entry.id, offer)

    async def _take_back(self, seat: Seat) -> bool:
        """An offer that has run out is nobody's, and hidden as long as it would have been; False: it still runs."""
        at = self._means.at()
        if seat.booking is None or not seat.booking.is_lapsed(at):
            return False
        return await self._seats.swap([(seat, freed(seat, seat.open_at or at))]) == [Swap.DONE]

    async def _has_ended(self, entry: Entry) -> bool:
        at = self._means.at()
        if not is_over(entry, at):
            return False
        await self._teller.over(entry)
        await self._waiting.end(entry.id, Stage.OVER, at)
        return True

    async def _offer_of(self, entry: Entry) -> Seat | None:
        """The seat that is kept for this entry now, or that it took."""
        at = self._means.at()
        found = await self._seats.find_keyed([(entry.holder, entry.hold_key)])
        return next((seat for seat in found if seat.booking and not seat.booking.is_lapsed(at)), None)

    async def _standing(self, entry: Entry) -> Standing:
        if entry.stage is not Stage.WAITING:
            return Standing(entry, 0, None)
        seat = await self._offer_of(entry)
        offer = Visit(seat, seat.booking) if seat and seat.booking and seat.state is State.HELD else None
        return Standing(entry, await self._waiting.count_before(entry), offer)

    async def _own(self, entry: str, by: int) -> Entry:
        found = await self._waiting.find(entry)
        if found is None or by not in (found.citizen, found.holder):
            raise waiting_unknown()
        return found

    async def _same(self, kept: Entry, wish: Wish) -> Standing:
        there = (kept.citizen, kept.group, kept.resource, kept.quota, kept.first_day, kept.last_day)
        if there != (wish.citizen, wish.group, wish.resource, wish.quota, wish.first_day, wish.last_day):
            raise refusals.key_reused()
        return await self._standing(kept)

    async def _resource(self, wish: Wish) -> Resource:
        """The one that is wanted, or one of the group whose rules stand for all."""
        if wish.resource is None:
            kept = next(iter(await self._resources.page(Wanted(group=wish.group), "", 1)), None)
        else:
            kept = await self._resources.get(wish.resource)
        if kept is None or kept.resource.group != wish.group or not kept.resource.is_open:
            raise NotFoundError("resource_unknown", zh="没有这个预约资源", en="there is no such resource")
        return kept.resource

    async def _banned(self, wish: Wish, resource: Resource, at: datetime) -> HuiminError | None:
        since = (at - timedelta(days=resource.rules.memory_days)).date()
        history = await self._seats.find_history([wish.citizen], since)
        ban = ban_of(wish.citizen, resource.unit, history, resource.rules, at)
        if ban is None:
            return None
        return refusals.banned(ban.until, len(ban.codes), is_missed=ban.penalty.strike is State.MISSED)


def _by_person(visits: Iterable[Visit]) -> Mapping[int, list[Visit]]:
    found: dict[int, list[Visit]] = defaultdict(list)
    for visit in visits:
        for person in {visit.booking.citizen, visit.booking.holder}:
            found[person].append(visit)
    return found
