"""A town in which people wait: resources that can be read, words that are told, and bookings in few words."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import date, time
from functools import partial
from random import Random

from server.domain.booking import Seat, Slot, Visit
from server.domain.booking_rules import BookingRules
from server.domain.resources import Kind, Named, Resource, Service
from server.domain.schedules import Quota, Schedule, Weekday, Weekly
from server.domain.waiting import Entry
from server.services.booking_holds import Means
from server.services.waiting import Standing, Waiting, Wish
from server.storage.mongo import Database
from server.storage.resources import ResourceStore
from server.storage.waiting import WaitingStore
from tests.services.booking_world import DAY, Clock, Town, ask, slot_at
from tests.services.mortal_stores import Life, MortalEntries, MortalSeats

GROUP = "h1-cardio"


def slot(hour: int, minute: int = 0, *, day: date = DAY, resource: str = "cardio-3", group: str = GROUP) -> Slot:
    """Half an hour with a doctor whose group has the name of one."""
    return slot_at(hour, minute, day=day, resource=resource, group=group)


def resource(name: str = "cardio-3", group: str = GROUP, rules: BookingRules | None = None) -> Resource:
    """A doctor."""
    weekly = Weekly(days=tuple(Weekday), begins=time(8), ends=time(12), slot_minutes=30, places={Quota.ONLINE: 1})
    return Resource(
        id=name, unit="h1", unit_name=Named(zh="市人民医院"), group=group, group_name=Named(zh="心内科"),
        kind=Kind.HOSPITAL, name=Named(zh="李医生", en="Dr Li"), division="440305",
        services=(Service(code="visit", name=Named(zh="普通门诊")),),
        rules=rules or BookingRules(), schedule=Schedule(weekly=(weekly,)),
    )  # fmt: skip


class Post:
    """Keeps what is told, once per offer and entry."""

    def __init__(self) -> None:
        self.told: dict[str, int] = {}

    async def offered(self, entry: Entry, seat: Seat) -> None:
        """As `WaitingNews` does."""
        assert seat.booking
        self.told.setdefault(seat.booking.code, entry.citizen)

    async def over(self, entry: Entry) -> None:
        """The same."""
        self.told.setdefault(entry.id, entry.citizen)

    def of(self, citizen: int) -> list[str]:
        """What this person was told of."""
        return [key for key, who in self.told.items() if who == citizen]


class MortalPost(Post):
    """The same post, from a process that is about to die."""

    def __init__(self, post: Post, life: Life) -> None:
        super().__init__()
        self.told, self.life = post.told, life

    async def offered(self, entry: Entry, seat: Seat) -> None:
        """Perhaps for the last time."""
        self.life.write()
        await super().offered(entry, seat)


class WaitingTown(Town):
    """The town with its waiting list."""

    def __init__(self, db: Database, clock: Clock, *slots: Slot, rules: BookingRules) -> None:
        super().__init__(db, clock, *slots, rules=rules)
        self.db = db
        self.rules = rules
        self.entries = WaitingStore(db)
        self.resources = ResourceStore(db)
        self.post = Post()
        self.means = Means(clock, Random(1), partial(secrets.token_urlsafe, 16))  # noqa: S311 - no secret
        self.list = self.another_list()

    def another_list(self, life: Life | None = None) -> Waiting:
        """The list of another process, which may be about to die."""
        stores = (self.entries, self.store, self.resources)
        if life:
            stores = (MortalEntries(self.db, life), MortalSeats(self.db, life), self.resources)
        return Waiting(stores, (self.another(), self), self.means, MortalPost(self.post, life) if life else self.post)

    async def begin(self, **places: int) -> None:
        """Seats and resources."""
        await self.open(**places)
        known = {(each.resource, each.group) for each, _ in self.slots.values()}
        await self.resources.put_all([resource(*pair, self.rules) for pair in sorted(known)], self.clock())

    async def book(self, place: Slot, citizen: int, key: str = "k") -> Visit:
        """Held and confirmed."""
        held = await self.counter.hold(ask(place, citizen, key))
        return await self.counter.confirm(held.booking.code, citizen)

    async def wait(
        self,
        citizen: int,
        key: str = "w",
        *,
        days: Sequence[date] = (DAY,),
        resource: str | None = None,
        group: str = GROUP,
    ) -> Entry:
        """Wait for the group."""
        self.clock.pass_by(milliseconds=1)
        wish = Wish(citizen, citizen, key, group, resource, "online", days[0], days[-1])
        return (await self.list.join(wish)).entry

    async def standing(self, entry: Entry) -> Standing:
        """As its owner sees it."""
        return await self.list.get(entry.id, entry.citizen)

    async def offered(self, entry: Entry) -> str | None:
        """The slot that is offered to it now."""
        offer = (await self.standing(entry)).offer
        return offer.seat.slot if offer else None
