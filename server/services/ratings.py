"""好差评: citizens rate finished cases; bad ratings are worked off; everybody reads the figures.

Promises. One rating per case. Whoever handled the case never sees who rated it, nor the rating: tickets go to the
unit's supervisors. A bad rating has a deadline, is answered, and the person is called back: whoever asks for the number
says what for, and the person reads that. An appeal is decided by another human being. What officers do with ratings is
in the log, wherever a process dies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from server.domain.access import Deed, may, refuse
from server.domain.applications import Application
from server.domain.audit import Event
from server.domain.china import china_day
from server.domain.citizens import Caller
from server.domain.deadlines import Runs
from server.domain.errors import ConflictError, InvalidInputError, NotFoundError
from server.domain.officers import Officer
from server.domain.ratings import (
    RATE_WITHIN,
    UNFINISHED,
    Questionnaire,
    Rating,
    Said,
    TicketAction,
    TicketState,
    TicketStep,
    refuse_unknown,
    stepped,
    ticket_of,
)
from server.domain.workflow import Party
from server.services.application_steps import Ground
from server.services.applications import Applications
from server.services.deciding import Colleagues
from server.services.reports import PURPOSE_LENGTH
from server.services.uses import Uses, user_of
from server.storage.ratings import RatingStore, Tally

AT_ONCE = 200
CONTACT_FIELDS = ("phone",)


class Phones(Protocol):
    """Where people can be called: `Citizens`."""

    async def addresses_of(self, citizen: int, channel: str) -> list[str]:
        """Their addresses on a channel."""
        ...


@dataclass(frozen=True, slots=True)
class Contact:
    """Where who rated can be called. The name is not needed for that, and not told."""

    rating: str
    phones: Sequence[str]


@dataclass(frozen=True, slots=True)
class CallBacks:
    """What calling back needs besides: numbers, the list of uses, and which account is which human being's."""

    phones: Phones
    uses: Uses
    colleagues: Colleagues


class Ratings:
    """The verbs."""

    def __init__(
        self, ground: Ground, counter: Applications, store: RatingStore, questionnaire: Questionnaire,
        call_backs: CallBacks,
    ) -> None:  # fmt: skip
        self._call_backs = call_backs
        self._ground = ground
        self._counter = counter
        self._store = store
        self.questionnaire = questionnaire

    async def rate(self, caller: Caller, application: str, said: Said) -> Rating:
        """Rate a finished case, once. ConflictError `rating_early`, `rating_late`, `rating_exists`."""
        refuse_unknown(said, self.questionnaire)
        found = await self._counter.own(caller, application)
        now = self._ground.now()
        if found.standing.clock.runs is not Runs.DONE or found.ended_at is None or not found.number:
            raise ConflictError("rating_early", zh="办结后才能评价", en="it can be rated once it is finished")
        if now > found.ended_at + RATE_WITHIN:
            raise ConflictError("rating_late", zh="评价期已过", en=f"it could be rated for {RATE_WITHIN.days} days")
        rating = Rating(
            id=self._ground.random(16).hex(),
            unit=found.unit,
            division=found.division,
            item=found.item,
            stars=said.stars,
            indicators=said.indicators,
            tags=tuple(dict.fromkeys(said.tags)),
            comment=said.comment.strip(),
            questionnaire=self.questionnaire.version,
            rated_on=china_day(now),
            handlers=await self._handlers(found),
        )
        rating = ticket_of(rating, self._ground.calendar)
        if not await self._store.insert(rating, application, found.citizen):
            raise ConflictError("rating_exists", zh="此办件已评价", en="this case was rated already")
        return rating

    async def of(self, caller: Caller, application: str) -> Rating:
        """What the caller said of a case; NotFoundError `rating_unknown_case`."""
        await self._counter.get(caller, application)
        found = await self._store.find_case(application)
        if found is None:
            raise NotFoundError("rating_unknown_case", zh="尚未评价", en="it has not been rated")
        return found

    async def tickets(self, officer: Officer, state: TicketState | None = None) -> list[Rating]:
        """The bad ratings of the officer's units, overdue ones first; not those of cases they handled.

        Without a state: all with which something is still to be done.
        """
        refuse(officer, Deed.RATING_READ, (officer.division,))
        found = await self._store.tickets(officer.institutions, [state] if state else UNFINISHED, _names(officer))
        return [each for each in found if may(officer, Deed.RATING_READ, (each.division,))]

    def is_overdue(self, rating: Rating) -> bool:
        """Whether its deadline is over, and it is not."""
        return rating.is_overdue(china_day(self._ground.now()))

    async def contact(self, officer: Officer, rating: str, purpose: str) -> Contact:
        """Where who rated can be called, for a call-back; they read who asked and what for before it is shown.

        NotFoundError `rating_unknown_ticket`; ConflictError `ticket_step` for one that is over; InvalidInputError
        `purpose_missing`.
        """
        refuse(officer, Deed.RATING_CONTACT, (officer.division,))
        if not PURPOSE_LENGTH[0] <= len(purpose.strip()) <= PURPOSE_LENGTH[1]:
            raise InvalidInputError(
                "purpose_missing", zh="请说明用途（4至200字）", en="say what for (4 to 200 characters)", field="purpose"
            )
        found, _ = await self._ticket(officer, rating)
        if found.state not in UNFINISHED:
            raise ConflictError("ticket_step", zh="工单已办结", en="this ticket is over")
        citizen = await self._store.rater_of(rating)
        details = {"purpose": purpose.strip()}
        await self._ground.audit.record(Event(officer.id, Deed.RATING_CONTACT, _object(rating), details=details))
        if not citizen:
            return Contact(rating, ())
        said = f"差评回访：{purpose.strip()}"
        await self._call_backs.uses.note([citizen], user_of(officer), said, CONTACT_FIELDS, about=rating)
        return Contact(rating, await self._call_backs.phones.addresses_of(citizen, "sms"))

    async def step(self, officer: Officer, rating: str, action: TicketAction, note: str) -> Rating:
        """Answer, call back, appeal, decide. NotFoundError `rating_unknown_ticket`; the errors of `stepped`."""
        refuse(officer, Deed.RATING_STEP, (officer.division,))
        if not note.strip():
            raise InvalidInputError("note_missing", zh="请填写处理说明", en="say what was done", field="note")
        before, version = await self._ticket(officer, rating)
        step = TicketStep(action, officer.id, officer.person, note.strip(), china_day(self._ground.now()))
        after = stepped(before, step)
        if not await self._store.swap(after, version):
            raise ConflictError(
                "ticket_changed", zh="工单已被他人处理，请刷新", en="somebody was quicker: load it again"
            )
        await self._log(after)
        return after

    async def finish(self) -> int:
        """Record the steps that somebody did not live to; how many tickets. To be called every few seconds."""
        found = await self._store.find_unlogged(AT_ONCE)
        for rating in found:
            await self._log(rating)
        return len(found)

    async def _log(self, rating: Rating) -> None:
        """All steps enter the log; under their keys a second time is no second entry."""
        events = [
            Event(
                step.officer, Deed.RATING_STEP, _object(rating.id), details={"action": step.action.value},
                key=f"{_object(rating.id)}/{n}",
            )
            for n, step in enumerate(rating.steps, start=1)
        ]  # fmt: skip
        await self._ground.audit.record(*events)
        await self._store.mark_logged(rating.id, len(events))

    async def figures(self, unit: str | None) -> Sequence[Tally]:
        """What everybody may read, by unit."""
        return await self._store.tally(china_day(self._ground.now()), unit)

    async def _ticket(self, officer: Officer, rating: str) -> tuple[Rating, int]:
        """One within reach, with its version."""
        found = await self._store.find(rating)
        if found is None or not self._reaches(officer, found[0]):
            raise NotFoundError("rating_unknown_ticket", zh="没有这个差评工单", en="there is no such ticket")
        return found

    async def _handlers(self, application: Application) -> frozenset[str]:
        """Who must not see the rating: a human being may have a second account, with another role."""
        accounts = {line.who for line in application.timeline if line.party is not Party.APPLICANT and line.who}
        found = [await self._call_backs.colleagues.find(account) for account in sorted(accounts)]
        return frozenset(accounts | {each.officer.person for each in found if each})

    def _reaches(self, officer: Officer, rating: Rating) -> bool:
        is_theirs = rating.unit in officer.institutions and may(officer, Deed.RATING_STEP, (rating.division,))
        return rating.is_bad and is_theirs and rating.handlers.isdisjoint(_names(officer))


def _names(officer: Officer) -> tuple[str, str]:
    return officer.id, officer.person


def _object(rating: str) -> str:
    return f"rating/{rating}"
