"""What people hear of their bookings: the subject of these notices, and the duty that puts them into the outbox.

Promises. The duty follows the seats by the times of their writes, so no confirmation and no reminder is lost wherever a
process dies: what was not marked as seen is looked at again, and a notice has one key however often it is put. Several
processes may run it. What a notice says is made from the booking when it is sent or read, so a booking that was moved
shows its new time, and one that is over reminds nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from server.domain.booking import Seat, visits_of
from server.domain.booking_news import News, change_of, is_told, standing_of
from server.domain.booking_words import facts_of, frames_of, texts_of
from server.domain.outbox import Standing, Texts
from server.domain.templates import Registry
from server.storage.followers import Followers
from server.storage.outbox import Outbox
from server.storage.person_keys import PersonVault
from server.storage.resources import ResourceStore
from server.storage.seats import SeatStore

NAME = "booking_news"
OVERLAP = timedelta(seconds=10)  # a write may show later than its time says: replicas, a primary with another clock
LEASE_S = 5.0
TAKE = 200  # seats at once: a worker that has warnings to send is held up for some five milliseconds

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shelves:
    """The stores that news comes from and goes to."""

    seats: SeatStore
    resources: ResourceStore
    outbox: Outbox
    followers: Followers
    people: PersonVault


class Told(NamedTuple):
    """What one turn came to: notices that are new, and notices that were taken back."""

    new: int = 0
    withdrawn: int = 0


class BookingNews:
    """A `Subject` of the engine, and a duty of workers. What is offered to those who wait is another's subject."""

    def __init__(self, shelves: Shelves, registry: Registry, now: Callable[[], datetime], take: int = TAKE) -> None:
        self._shelves = shelves
        self._take = take
        self._now = now
        self._frames = frames_of(registry)
        kinds = [kind for kind in News if kind is not News.OFFERED]
        self._standing = tuple(standing_of(kind, self._frames[kind].wechat.id) for kind in kinds)
        self._seen: dict[str, int] = {}  # seat -> the version that this process has seen to, of the last overlap

    @property
    def standing(self) -> Sequence[Standing]:
        """A template for each kind of news."""
        return self._standing

    async def render(self, template: str, abouts: Sequence[str]) -> Mapping[str, Texts]:
        """The words about these bookings as they are now; who has nothing to be told any more is left out."""
        kind, now = News(template), self._now()
        visits = {
            code: visit
            for code, visit in (await self._shelves.seats.find_visits(abouts)).items()
            if is_told(kind, visit, now)
        }
        kept = await self._shelves.resources.find({visit.seat.resource for visit in visits.values()})
        resources = {name: each.resource for name, each in kept.items()}
        return {
            code: texts_of(kind, facts_of(visit, resources.get(visit.seat.resource)), self._frames[kind])
            for code, visit in visits.items()
        }

    async def follow(self) -> Told:
        """See to every booking that has changed since the last turn; to be run every second, by anybody."""
        turn = await self._shelves.followers.begin(NAME, LEASE_S)
        if turn is None:
            return Told()
        told, since, limit, seen = Told(), turn.seen_until, self._take, dict[str, int]()
        while True:
            found = await self._shelves.seats.find_changed(since, limit, had=True)
            fresh = [(at, seat) for at, seat in found if self._seen.get(seat.id) != seat.version]
            new = await self._tell(fresh)
            told = Told(told.new + new.new, told.withdrawn + new.withdrawn)
            seen |= {seat.id: seat.version for _, seat in found}
            if len(found) < limit:
                break
            last_at = found[-1][0]
            await self._shelves.followers.advance(NAME, last_at - OVERLAP)
            limit = self._take if last_at > since else 2 * limit  # more than these were written in one millisecond
            since = last_at
        await self._shelves.followers.advance(NAME, turn.began_at - OVERLAP)
        self._seen = seen
        if any(told):
            log.debug("booking_news", new=told.new, withdrawn=told.withdrawn)
        return told

    async def _tell(self, found: Sequence[tuple[datetime, Seat]]) -> Told:
        """Put what is to be told of these seats' bookings, then take back what is not true any more."""
        changes = [change_of(visit, at) for at, seat in found for visit in visits_of(seat)]
        entries = [entry for change in changes for entry in change.entries]
        gone = await self._shelves.people.find_shredded({entry.citizen for entry in entries}) if entries else ()
        new = await self._shelves.outbox.put([entry for entry in entries if entry.citizen not in gone])
        moot = [key for change in changes for key in change.moot]
        return Told(new, await self._shelves.outbox.withdraw_many(moot, self._now()))
