"""One step of an application, whoever takes it: judged, written with its notices, in the log before it is answered.

Which order survives kill -9? State, clock, line, notices and what the log is to say are one write. The log follows;
until it has the event the application keeps it, and `finish` records it later: under its key a second time is no second
entry. Claiming and handing on go the same way. Two who act at once are judged one after the other: the second one sees
what the first has done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from server.domain.application_news import TOLD_LASTS, Change, News
from server.domain.application_reminders import reminders_of
from server.domain.applications import (
    NOBODY,
    Application,
    By,
    Items,
    Terms,
    carded,
    changed,
    done_before,
    events_of,
    facts,
    number_of,
    refusal_of,
    stepped,
    unknown,
)
from server.domain.audit import SYSTEM, Event
from server.domain.broadcasts import Lane
from server.domain.china import china_day
from server.domain.deadlines import Calendar, Card
from server.domain.errors import ConflictError, StepRefusedError, UnavailableError
from server.domain.outbox import Entry
from server.domain.rating_news import invited
from server.domain.relations import Scope
from server.domain.workflow import FIRST, LAPSE, Act, Days, Moved, Party, Refused, Workflow, next_standing
from server.services.audit import Audit
from server.storage.applications import ApplicationStore

TEMPLATE = News.MOVED.value
TURNS = 10
SETTLED = timedelta(seconds=10)
AT_ONCE = 200
CODE_SIGNS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # none that is taken for another
CODE_LENGTH = 10

log = structlog.get_logger()


class Acting(Protocol):
    """Who may act for whom: `Relations`."""

    async def subject_of(self, actor: int, subject_public: str | None, scope: Scope) -> int:
        """The internal id of who is meant; ForbiddenError `relation_missing`."""
        ...

    async def may(self, actor: int, subject: int, scope: Scope) -> bool:
        """Whether the actor may do this for that account now."""
        ...


@dataclass(frozen=True, slots=True)
class Ground:
    """What all counters of applications stand on. `random` gives so many random bytes."""

    store: ApplicationStore
    items: Items
    workflows: Mapping[str, Workflow]
    calendar: Calendar
    acting: Acting
    audit: Audit
    now: Callable[[], datetime]
    random: Callable[[int], bytes]

    def at(self) -> datetime:
        """Now, as the database can keep it."""
        now = self.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)


class ApplicationSteps:
    """Takes steps."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def state_words(self, application: Application) -> tuple[str, str]:
        """Where it stands, as a citizen reads it."""
        return self._ground.workflows[application.workflow].by_name[application.standing.state].words

    async def terms(self, application: Application) -> Terms:
        """Its item, in the version that was applied for."""
        return await self._ground.items.terms(application.item, application.item_version)

    async def take(self, application: Application, act: Act, by: By, *, version: int | None = None) -> Application:
        """One step; the same key again changes nothing. `version`: what the caller saw, which has to be the newest.

        StepRefusedError `step_not_allowed`, `application_incomplete`, `reason_missing`, `task_not_open`; ConflictError
        `application_changed`.
        """
        terms = await self.terms(application)
        for _ in range(TURNS):
            if done_before(application, act.action, by.key):
                return application
            if version is not None and application.version != version:
                raise changed()
            after = self.judged(application, act, by, terms)
            if await self._ground.store.swap(application, after, self.notices_of(application, after)):
                await self.record(after)
                return after
            application = await self.get(application.id)
        raise UnavailableError("application_busy", zh="办件正忙，请稍后再试", en="too many at once: try again")

    def judged(self, application: Application, act: Act, by: By, terms: Terms) -> Application:
        """The application after the step, as it would be written now; the errors of `take`."""
        ground, workflow = self._ground, terms.workflow
        known = facts(terms, application, terms.faults(application.form))
        wanted = replace(act, facts=known, has_reason=bool(by.note))
        now = ground.at()
        days = Days(terms.item.promised_days, ground.calendar)
        moved = next_standing(workflow, application.standing, wanted, by.party, now, days)
        if isinstance(moved, Refused):
            raise refusal_of(moved, workflow)
        return self._numbered(stepped(application, workflow, moved, wanted, by, now), moved, now)

    def notices_of(self, before: Application, after: Application) -> Change:
        """What a step tells at once, what it will remind of, and what it takes back."""
        ground = self._ground
        told = told_of(before, after)
        reminders = reminders_of(before, after, ground.workflows[after.workflow], ground.calendar)
        return replace(reminders, entries=told + reminders.entries + invited(before, after))

    async def get(self, application: str) -> Application:
        """One of them; NotFoundError `application_unknown`."""
        found = await self._ground.store.find(application)
        if found is None:
            raise unknown()
        return found

    async def record(self, application: Application) -> None:
        """The last line enters the log."""
        await self.log(application.id, events_of(application.id, application.timeline[-1:]))

    async def log(self, application: str, events: Sequence[Event]) -> None:
        """What was written together with these enters the log."""
        await self._ground.audit.record(*events)
        await self._ground.store.mark_logged(application, [event.key for event in events])

    async def finish(self) -> int:
        """Record what somebody did not live to; how many there were. To be called every few seconds, by anybody."""
        found = await self._ground.store.find_unlogged(self._ground.now() - SETTLED, AT_ONCE)
        for application, events in found:
            await self.log(application, events)
        return len(found)

    async def close_lapsed(self) -> int:
        """End what its citizen has not completed in time, as its workflow says; how many. To be called by anybody.

        What was completed at the last moment is left alone, and what was asked for anew.
        """
        count = 0
        for application in await self._ground.store.find_closing(self._ground.now(), AT_ONCE):
            with suppress(StepRefusedError, ConflictError):  # somebody was quicker
                await self.take(application, Act(LAPSE), By(Party.SYSTEM), version=application.version)
                log.info("application_lapsed", application=application.id)
                count += 1
        return count

    async def show_cards(self) -> int:
        """Yellow before the deadline, red after it; a red one goes to the supervisor. How many changed."""
        now = self._ground.at()
        found = await self._ground.store.find_carded(now, AT_ONCE)
        for application in found:
            after = carded(application, now)
            events = _card_events(after)
            if await self._ground.store.swap(application, after, events=events):
                log.info("application_card", application=application.id, card=after.card.value)
                await self.log(application.id, events)
        return len(found)

    def _numbered(self, application: Application, moved: Moved, now: datetime) -> Application:
        """The number and the tracking code come with the first step out of the draft."""
        if application.number or moved.standing.state == FIRST:
            return application
        random = int.from_bytes(self._ground.random(8), "big")
        number = number_of(application.division, f"{china_day(now):%Y%m%d}", random % 10**8)
        code = "".join(CODE_SIGNS[byte % len(CODE_SIGNS)] for byte in self._ground.random(CODE_LENGTH))
        return replace(application, number=number, code=code)


def told_of(before: Application, after: Application) -> tuple[Entry, ...]:
    """What the fresh lines tell: the applicant, and who acts for them."""
    fresh = [line for line in after.timeline[len(before.timeline) :] if line.is_told]
    return tuple(
        Entry(
            key=f"application/{after.id}/{line.seq}/{n}",
            template=TEMPLATE,
            citizen=citizen,
            about=about_of(after.id, line.seq),
            lane=Lane.TRANSACTIONAL,
            due_at=line.at,
            expires_at=line.at + TOLD_LASTS,
        )
        for line in fresh
        for n, citizen in enumerate(dict.fromkeys((after.citizen, after.actor)))
        if citizen != NOBODY
    )


def about_of(application: str, seq: int) -> str:
    """What a notice is about: a line of a timeline."""
    return f"{application}.{seq}"


def _card_events(application: Application) -> list[Event]:
    """That it is near its deadline, or past it, and whose work it is."""
    if application.card is Card.NONE:
        return []
    object_ = f"application/{application.id}"
    key = f"{object_}/{application.card.value}/{application.standing.clock.due_on}"
    details = {"card": application.card.value, "unit": application.unit, "owner": application.owner}
    return [Event(SYSTEM, "application.card", object_, details=details, key=key)]
