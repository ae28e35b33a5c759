"""What officers hear of their duty: the subject of these notices, and the two duties that put them into the outbox.

Promises. That a chief was called is a step of the alert; the notice follows from the step under its name, so a process
that dies between the two loses no call and repeats none. What nobody has to do any more is not told: an alert that was
decided, cases that were finished, an officer who has unbound. Who has no telephone bound is counted, and called by a
line of the log as before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import structlog

from server.domain.china import china_day
from server.domain.duty import (
    AT_A_COUNTER,
    CALL_LASTS,
    EVENTS,
    CaseList,
    Digest,
    Escalation,
    News,
    Ticket,
    call_words,
    calls_of,
    digest_entry,
    digest_of,
    standing_of,
)
from server.domain.notices import Notice, frame_of, notice_texts
from server.domain.officers import AccountState, Officer, Role
from server.domain.outbox import Standing, Texts
from server.domain.templates import Registry
from server.domain.working_days import WorkingDays
from server.storage.alerts import AlertStore
from server.storage.duty import CardBoard, DutyPhones
from server.storage.officers import OfficerStore
from server.storage.outbox import Outbox

WATCHED = AT_A_COUNTER | {Role.SUPERVISOR}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shelves:
    """Where this comes from and goes to."""

    alerts: AlertStore
    officers: OfficerStore
    phones: DutyPhones
    board: CardBoard
    outbox: Outbox


@dataclass(frozen=True, slots=True)
class Heard:
    """What one turn of the digests came to: notices that are new, and officers who should hear and cannot."""

    new: int = 0
    unheard: int = 0


class DutyNotices:
    """A `Subject` of the engine."""

    def __init__(
        self, shelves: Shelves, registry: Registry, table: Escalation, calendar: WorkingDays,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._shelves = shelves
        self._table = table
        self._calendar = calendar
        self._now = now
        self._frames = {kind: frame_of(registry, event) for kind, event in EVENTS.items()}
        self._standing = tuple(standing_of(kind, frame.wechat.id) for kind, frame in self._frames.items())
        self._told: set[str] = set()  # keys of today that this process need not put again
        self._told_on = date.min

    @property
    def standing(self) -> Sequence[Standing]:
        """A template for calls, one for digests."""
        return self._standing

    async def render(self, template: str, abouts: Sequence[str]) -> Mapping[str, Texts]:
        """The words for these calls or officers as they are now; what is moot is left out."""
        kind, now = News(template), self._now()
        if kind is News.RELEASE:
            words = dict.fromkeys(await self._alive(abouts), call_words())
        else:
            digests = await self._digests(china_day(now), abouts)
            words = {officer: digest.words() for officer, digest in digests.items()}
        return {
            about: notice_texts(Notice(title, body, "", now), self._frames[kind])
            for about, (title, body) in words.items()
        }

    async def call(self) -> int:
        """Put a notice for each chief who was called and is still needed; how many are new. By anybody, any time."""
        now = self._now()
        waiting = await self._shelves.alerts.find_waiting_red(now)
        calls = [call for desk in waiting for call in calls_of(desk) if now < call.at + CALL_LASTS]
        phones = await self._shelves.phones.of_officers({call.chief for call in calls}) if calls else {}
        return await self._shelves.outbox.put([c.entry(phones[c.chief]) for c in calls if c.chief in phones])

    async def tell_cards(self) -> Heard:
        """On a working day, a digest for each officer who has something to hear of and has not heard today."""
        now = self._now()
        today = china_day(now)
        if not self._calendar.is_working(today) or not self._table.is_on(now):
            return Heard()
        if self._told_on != today:
            self._told, self._told_on = set(), today
        digests = await self._digests(today)
        phones = await self._shelves.phones.of_officers(digests)
        entries = [digest_entry(officer, citizen, today, self._table, now) for officer, citizen in phones.items()]
        fresh = [entry for entry in entries if entry.key not in self._told]
        new, unheard = await self._shelves.outbox.put(fresh), digests.keys() - phones.keys() - self._told
        self._told |= {entry.key for entry in fresh} | unheard
        if unheard:
            log.warning("officers_cannot_be_called", officers=len(unheard), why="cards")
        return Heard(new, len(unheard))

    async def _alive(self, abouts: Sequence[str]) -> list[str]:
        """The calls whose alert still waits and whose chief still has a telephone."""
        waiting = await self._shelves.alerts.find_waiting_red(self._now())
        calls = [call for desk in waiting for call in calls_of(desk) if call.about in abouts]
        phones = await self._shelves.phones.of_officers({call.chief for call in calls})
        return [call.about for call in calls if call.chief in phones]

    async def _digests(self, today: date, officers: Sequence[str] | None = None) -> dict[str, Digest]:
        """What there is to tell, by officer: to all who are at work, or to those of these who have a telephone."""
        staff = await self._staff(officers)
        cases = CaseList(await self._shelves.board.cases() if staff else ())
        tickets = await self._tickets(staff, today)
        found = {o.id: self._digest(o, cases, tickets, today) for o in staff}
        return {officer: digest for officer, digest in found.items() if not digest.is_empty}

    def _digest(self, officer: Officer, cases: CaseList, tickets: Sequence[Ticket], today: date) -> Digest:
        return digest_of(
            officer, cases.of(officer), tickets, self._table, lambda due: self._calendar.between(due, today)
        )

    async def _staff(self, officers: Sequence[str] | None) -> list[Officer]:
        kept = self._shelves.officers
        accounts = await (kept.list_all() if officers is None else kept.find_many(officers))
        return [
            account.officer for account in accounts
            if account.state is AccountState.ACTIVE and account.officer.roles & WATCHED
            and (officers is None or account.can_be_called)
        ]  # fmt: skip

    async def _tickets(self, staff: Sequence[Officer], today: date) -> list[Ticket]:
        units = {unit for officer in staff if Role.SUPERVISOR in officer.roles for unit in officer.institutions}
        due_by = self._calendar.add(today, self._table.ratings_before).day
        return await self._shelves.board.tickets(sorted(units), due_by) if units else []
