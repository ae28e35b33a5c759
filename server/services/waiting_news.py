"""What those hear who wait: that a seat is kept for them, and that nothing came of it.

The words of an offer are made from the seat when they are sent or read: an offer that has ended is not told any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from server.domain.booking import Seat, State
from server.domain.booking_news import News, lane_of, standing_of
from server.domain.booking_words import Facts, frames_of, texts_of, waiting_page, what_of, where_of
from server.domain.outbox import Entry as Waits
from server.domain.outbox import Standing, Texts
from server.domain.templates import Registry
from server.domain.waiting import Entry, entry_of
from server.domain.wording import NO_WORDS, Words
from server.services.booking_news import Shelves
from server.services.notices import Notices

OVER = Words("候补已结束", "Nothing came free")


class WaitingNews:
    """A `Subject` of the engine for offers, and the `Teller` of the waiting list."""

    def __init__(
        self,
        shelves: Shelves,
        notices: Notices,
        registry: Registry,
        now: Callable[[], datetime],
    ) -> None:
        self._seats, self._resources, self._outbox = shelves.seats, shelves.resources, shelves.outbox
        self._notices = notices
        self._now = now
        self._frame = frames_of(registry)[News.OFFERED]
        self._standing = (standing_of(News.OFFERED, self._frame.wechat.id),)

    @property
    def standing(self) -> Sequence[Standing]:
        """One template."""
        return self._standing

    async def offered(self, entry: Entry, seat: Seat) -> None:
        """To whom it is for, and to who asked for it."""
        assert seat.booking is not None
        code, now = seat.booking.code, self._now()
        await self._outbox.put(
            [
                Waits(
                    key=f"{code}.{News.OFFERED.value}{mark}",
                    template=News.OFFERED.value,
                    citizen=person,
                    about=code,
                    lane=lane_of(News.OFFERED),
                    due_at=now,
                    expires_at=seat.booking.hold_until,
                )
                for mark, person in _people(entry).items()
                if seat.booking.hold_until > now
            ]
        )

    async def over(self, entry: Entry) -> None:
        """To the same people."""
        body = Words(
            f"您{entry.first_day:%m月%d日}至{entry.last_day:%m月%d日}的候补未能约上。请查询其他日期，或再次候补。",
            f"Your wait for {entry.first_day} to {entry.last_day} ended without a booking. "
            "Search for other days, or join the list again.",
        )
        for mark, person in _people(entry).items():
            await self._notices.tell(person, OVER, body, key=f"{entry.id}.over{mark}", page=waiting_page(entry.id))

    async def render(self, template: str, abouts: Sequence[str]) -> Mapping[str, Texts]:  # noqa: ARG002 - there is one
        """The words about these offers; those that were taken, declined or ran out are left out."""
        now = self._now()
        found = {
            code: visit
            for code, visit in (await self._seats.find_visits(abouts)).items()
            if visit.state is State.HELD and not visit.booking.is_lapsed(now) and entry_of(visit.booking)
        }
        kept = await self._resources.find({visit.seat.resource for visit in found.values()})
        texts = {}
        for code, visit in found.items():
            resource = kept[visit.seat.resource].resource if visit.seat.resource in kept else None
            facts = Facts(
                what=what_of(resource) if resource else NO_WORDS,
                where=where_of(resource) if resource else NO_WORDS,
                begins_at=visit.seat.begins_at,
                page=waiting_page(entry_of(visit.booking)),
                until=visit.booking.hold_until,
            )
            texts[code] = texts_of(News.OFFERED, facts, self._frame)
        return texts


def _people(entry: Entry) -> dict[str, int]:
    """By what their keys end with."""
    return {"": entry.citizen} | ({".h": entry.holder} if entry.holder != entry.citizen else {})
