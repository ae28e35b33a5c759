"""好差评: citizens rate finished cases; bad ratings are worked off; everybody reads the figures.

Promises. One rating per case. Whoever handled the case never sees who rated it, nor the rating: tickets go to the
unit's supervisors. A bad rating has a deadline, is answered, and the person is called back; an appeal is decided by
another human being. What officers do with ratings is in the log.
"""

from __future__ import annotations

from collections.abc import Sequence

from server.domain.access import Deed, may, refuse
from server.domain.audit import Event
from server.domain.china import china_day
from server.domain.citizens import Caller
from server.domain.deadlines import Runs
from server.domain.errors import ConflictError, InvalidInputError, NotFoundError
from server.domain.officers import Officer
from server.domain.ratings import (
    RATE_WITHIN,
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
from server.storage.ratings import RatingStore, Tally


class Ratings:
    """The verbs."""

    def __init__(self, ground: Ground, counter: Applications, store: RatingStore, questionnaire: Questionnaire) -> None:
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
            handlers=frozenset(line.who for line in found.timeline if line.party is not Party.APPLICANT and line.who),
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

    async def tickets(self, officer: Officer, state: TicketState) -> list[Rating]:
        """The bad ratings of the officer's units, nearest deadline first; not those of cases they handled."""
        refuse(officer, Deed.RATING_READ, (officer.division,))
        found = await self._store.tickets(officer.institutions, state)
        return [
            each for each in found
            if officer.id not in each.handlers and may(officer, Deed.RATING_READ, (each.division,))
        ]  # fmt: skip

    async def step(self, officer: Officer, rating: str, action: TicketAction, note: str) -> Rating:
        """Answer, call back, appeal, decide. NotFoundError `rating_unknown_ticket`; the errors of `stepped`."""
        refuse(officer, Deed.RATING_STEP, (officer.division,))
        if not note.strip():
            raise InvalidInputError("note_missing", zh="请填写处理说明", en="say what was done", field="note")
        found = await self._store.find(rating)
        if found is None or not self._reaches(officer, found[0]):
            raise NotFoundError("rating_unknown_ticket", zh="没有这个差评工单", en="there is no such ticket")
        step = TicketStep(action, officer.id, officer.person, note.strip(), china_day(self._ground.now()))
        after = stepped(found[0], step)
        if not await self._store.swap(after, found[1]):
            raise ConflictError(
                "ticket_changed", zh="工单已被他人处理，请刷新", en="somebody was quicker: load it again"
            )
        details = {"action": action.value, "state": after.state.value}
        await self._ground.audit.record(Event(officer.id, Deed.RATING_STEP, f"rating/{rating}", details=details))
        return after

    async def figures(self, unit: str | None) -> Sequence[Tally]:
        """What everybody may read, by unit."""
        return await self._store.tally(china_day(self._ground.now()), unit)

    def _reaches(self, officer: Officer, rating: Rating) -> bool:
        is_theirs = rating.unit in officer.institutions and may(officer, Deed.RATING_STEP, (rating.division,))
        return rating.is_bad and is_theirs and officer.id not in rating.handlers
