"""Bookings in people's own calendars: a file of one booking, and a private feed of all of them.

Promises. Whoever has a feed's address may read it and nobody else; a new address ends the old one at once. A feed shows
what the counter knows when it is read. Both are as long as they need to be: see `server.domain.calendar`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from server.domain import booking_refusals as refusals
from server.domain.booking import Visit
from server.domain.calendar import KEPT, appointment_of, belongs_in_feed, method_of, write_feed, write_file
from server.domain.china import china_day
from server.domain.errors import NotFoundError
from server.domain.resources import Resource
from server.services.booking import Bookings
from server.storage.calendars import CalendarStore
from server.storage.mongo import Session
from server.storage.resources import ResourceStore


class File(NamedTuple):
    """A calendar as it is handed out, and the METHOD it has."""

    body: bytes
    method: str


@dataclass(frozen=True, slots=True)
class Made:
    """A feed that has just got its address: `secret` is shown now and never again."""

    secret: str
    made_at: datetime


class Calendars:
    """The verbs. `new_secret` gives 256 random bits as text for an address."""

    def __init__(
        self,
        store: CalendarStore,
        bookings: Bookings,
        resources: ResourceStore,
        now: Callable[[], datetime],
        new_secret: Callable[[], str],
    ) -> None:
        self._store = store
        self._bookings = bookings
        self._resources = resources
        self._now = now
        self._new_secret = new_secret

    async def file(self, code: str, reader: int, language: str) -> File:
        """One booking; NotFoundError `booking_unknown`, ConflictError `booking_state` for a mere hold."""
        visit = await self._bookings.get(code, reader)
        resources = await self._resources_of([visit])
        appointment = appointment_of(visit, resources.get(visit.seat.resource), reader)
        if appointment is None:
            raise refusals.booking_state()
        return File(write_file(appointment, language, self._now()), method_of(appointment))

    async def feed(self, secret: str, language: str) -> File:
        """All bookings for or by whoever has this address; NotFoundError `calendar_unknown`."""
        citizen = await self._store.find_citizen(secret)
        if citizen is None:
            raise _unknown()
        now = self._now()
        history = await self._bookings.history(citizen, china_day(now - KEPT))
        visits = [visit for visit in history if belongs_in_feed(visit, now)]
        resources = await self._resources_of(visits)
        shown = (appointment_of(visit, resources.get(visit.seat.resource), citizen) for visit in visits)
        body = await asyncio.to_thread(write_feed, [each for each in shown if each], language, now)  # up to 40 ms
        return File(body, "PUBLISH")

    async def made_at(self, citizen: int) -> datetime | None:
        """Since when a person's feed has its address; None: there is no feed."""
        return await self._store.find_made(citizen)

    async def make(self, citizen: int) -> Made:
        """A feed with a new address; an old one leads nowhere any more."""
        made = Made(self._new_secret(), self._now())
        await self._store.put(citizen, made.secret, made.made_at)
        return made

    async def remove(self, citizen: int) -> None:
        """No feed any more. May be repeated."""
        await self._store.remove(citizen)

    async def _resources_of(self, visits: Sequence[Visit]) -> Mapping[str, Resource]:
        kept = await self._resources.find({visit.seat.resource for visit in visits})
        return {name: each.resource for name, each in kept.items()}


class CalendarHolding:
    """What the product holds about a person's feed: see `holdings`."""

    name = "calendar"
    collections = ("calendars",)

    def __init__(self, store: CalendarStore) -> None:
        self._store = store

    async def export(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """That there is one, and since when."""
        made_at = await self._store.find_made(citizen)
        return [{"made_at": made_at.isoformat()}] if made_at else []

    async def move(self, source: int, target: int, session: Session) -> None:
        """The address goes along, unless the other account has one."""
        await self._store.move(source, target, session)

    async def erase(self, citizen: int) -> None:
        """The address leads nowhere any more."""
        await self._store.remove(citizen)


def _unknown() -> NotFoundError:
    return NotFoundError(
        "calendar_unknown",
        zh="没有这个日历，或它的地址已更换；请在小程序中重新订阅",
        en="there is no such calendar, or it has another address now: subscribe again in Huimin",
    )
