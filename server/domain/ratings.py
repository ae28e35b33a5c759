"""好差评: one rating of a finished case, and what a bad one sets going. Pure.

Five levels, 5 very satisfied to 1 very dissatisfied; the last two are bad ratings. A bad rating is a ticket with a
deadline: the unit answers, somebody who did not handle the case calls the person back, and that ends it; nothing else
does, but that the person was not reached on several days. In time is what was answered by the deadline. A rating that
was a mistake or malicious may be appealed; whoever decides is not who appealed; an excluded one counts nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.domain.deadlines import Calendar
from server.domain.errors import ConfigurationError, ConflictError, ForbiddenError, InvalidInputError

RATE_WITHIN = timedelta(days=90)
TICKET_DAYS = 15  # working days, as Sichuan's cities have it
BAD = 2  # this level and below
MAX_COMMENT = 500
TRIES = 3  # days on which nobody was reached, after which a ticket may be closed without a call-back


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Indicator(_Model):
    """One thing that is rated beside the whole."""

    id: str = Field(pattern=r"^[a-z][a-z_]{1,39}$")
    zh: str
    en: str


class Tag(Indicator):
    """One thing that can be said with a tap."""

    is_bad: bool


class Questionnaire(_Model):
    """What is asked. Build it with `load_questionnaire`."""

    version: int = Field(ge=1)
    indicators: tuple[Indicator, ...]
    tags: tuple[Tag, ...]


class TicketState(StrEnum):
    """Where a bad rating stands. NONE: it is no bad rating."""

    NONE = "none"
    OPEN = "open"
    ANSWERED = "answered"  # put right, or explained
    CLOSED = "closed"  # the person was called back, or could not be
    APPEALED = "appealed"
    EXCLUDED = "excluded"  # a mistake or malicious: counts nowhere


class TicketAction(StrEnum):
    """What is done with it."""

    ANSWER = "answer"
    CALL_BACK = "call_back"
    NOT_REACHED = "not_reached"  # one try
    APPEAL = "appeal"
    EXCLUDE = "exclude"  # the appeal is right
    UPHOLD = "uphold"  # it is not


STEPS: Mapping[tuple[TicketState, TicketAction], TicketState] = MappingProxyType(
    {
        (TicketState.OPEN, TicketAction.ANSWER): TicketState.ANSWERED,
        (TicketState.ANSWERED, TicketAction.CALL_BACK): TicketState.CLOSED,
        (TicketState.ANSWERED, TicketAction.NOT_REACHED): TicketState.ANSWERED,  # and CLOSED with the last try
        (TicketState.OPEN, TicketAction.APPEAL): TicketState.APPEALED,
        (TicketState.ANSWERED, TicketAction.APPEAL): TicketState.APPEALED,
        (TicketState.APPEALED, TicketAction.EXCLUDE): TicketState.EXCLUDED,
        (TicketState.APPEALED, TicketAction.UPHOLD): TicketState.OPEN,
    }
)


UNFINISHED = tuple(dict.fromkeys(state for state, _ in STEPS))


@dataclass(frozen=True, slots=True)
class TicketStep:
    """One step of a ticket."""

    action: TicketAction
    officer: str
    person: str  # the human being: who appeals does not decide
    note: str
    on: date


@dataclass(frozen=True, slots=True)
class Rating:
    """One rating. The day and not the time, so that nobody finds the rater by the hour; no application is named."""

    id: str
    unit: str
    division: str
    item: str
    stars: int
    indicators: Mapping[str, int]
    tags: Sequence[str]
    comment: str
    questionnaire: int
    rated_on: date
    handlers: frozenset[str] = frozenset()  # accounts and human beings that handled the case: they see none of it
    state: TicketState = TicketState.NONE
    due_on: date | None = None
    steps: Sequence[TicketStep] = field(default=())

    @property
    def is_bad(self) -> bool:
        """Whether it is a bad rating (差评)."""
        return self.stars <= BAD

    @property
    def answered_on(self) -> date | None:
        """When it was put right; None while it is not, also after a refused appeal."""
        if self.state not in (TicketState.ANSWERED, TicketState.CLOSED):
            return None
        return max((step.on for step in self.steps if step.action is TicketAction.ANSWER), default=None)

    def is_overdue(self, today: date) -> bool:
        """Whether somebody still has to do something, and the deadline is over."""
        return self.state in UNFINISHED and self.due_on is not None and self.due_on < today


@dataclass(frozen=True, slots=True)
class Said:
    """What a citizen says."""

    stars: int
    indicators: Mapping[str, int]
    tags: Sequence[str]
    comment: str


def refuse_unknown(said: Said, questionnaire: Questionnaire) -> None:
    """InvalidInputError `rating_unknown`: a star, indicator or tag that was not asked for."""
    known = {each.id for each in questionnaire.indicators}
    tags = {each.id for each in questionnaire.tags}
    levels = {said.stars, *said.indicators.values()}
    if not levels <= {1, 2, 3, 4, 5} or not said.indicators.keys() <= known or not set(said.tags) <= tags:
        raise InvalidInputError(
            "rating_unknown", zh="评价项不在问卷中", en="this is not what the questionnaire asks", field="rating"
        )


def ticket_of(rating: Rating, calendar: Calendar) -> Rating:
    """A bad rating gets its deadline; others stay as they are."""
    if not rating.is_bad:
        return rating
    return replace(rating, state=TicketState.OPEN, due_on=calendar.add(rating.rated_on, TICKET_DAYS).day)


def stepped(rating: Rating, step: TicketStep) -> Rating:
    """The ticket after a step. ConflictError `ticket_step`; ForbiddenError `ticket_same_person`."""
    after = STEPS.get((rating.state, step.action))
    if after is None:
        allowed = ", ".join(action for state, action in STEPS if state is rating.state) or "nothing"
        raise ConflictError("ticket_step", zh=f"此时可以：{allowed}", en=f"not now; allowed: {allowed}")
    appealed_by = {each.person for each in rating.steps if each.action is TicketAction.APPEAL}
    if step.action in (TicketAction.EXCLUDE, TicketAction.UPHOLD) and step.person in appealed_by:
        raise ForbiddenError("ticket_same_person", zh="申诉须由他人复核", en="an appeal is decided by another person")
    steps = (*rating.steps, step)
    return replace(rating, state=TicketState.CLOSED if _is_given_up(steps) else after, steps=steps)


def _is_given_up(steps: Sequence[TicketStep]) -> bool:
    """Whether the last answer was followed by tries on enough days: two calls within an hour are one."""
    since = max((n for n, step in enumerate(steps) if step.action is TicketAction.ANSWER), default=0)
    tries = {step.on for step in steps[since:] if step.action is TicketAction.NOT_REACHED}
    return steps[-1].action is TicketAction.NOT_REACHED and len(tries) >= TRIES


def load_questionnaire(data: Any) -> Questionnaire:
    """What `data/ratings.yaml` holds; ConfigurationError `ratings_invalid`."""
    try:
        return Questionnaire.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError("ratings_invalid", zh=f"评价问卷有误：{error}", en=f"ratings: {error}") from None
