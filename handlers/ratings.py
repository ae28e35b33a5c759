"""好差评 over HTTP: a citizen's rating, the supervisors' tickets, the figures for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from handlers.base import ApiHandler
from server.domain.ratings import MAX_COMMENT, Rating, Said, TicketAction, TicketState
from server.services.ratings import Ratings

_SAID = {
    "stars": 2,
    "indicators": {"efficiency": 1, "guide": 3},
    "tags": ["over_statutory_time"],
    "comment": "等了两个月",
}
_RATING = {"id": "9f86d081884c7d659a2feaa0c55ad015", **_SAID, "rated_on": "2026-12-01", "state": "open",
           "due_on": "2026-12-22"}  # fmt: skip
_TICKET = {**_RATING, "is_overdue": False, "unit": "sz-civil-affairs", "item": "elder-allowance", "steps": []}
_TALLY = {"unit": "sz-civil-affairs", "ratings": 12, "mean": 4.5, "levels": {"5": 10, "4": 0, "3": 0, "2": 2, "1": 0},
          "tags": {"over_statutory_time": 1}, "bad": 2, "fixed": 1, "late": 0, "on_time": 1,
          "on_time_share": 1.0}  # fmt: skip


def _example(value: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": value})


class RatingForm(BaseModel):
    """What is said of a finished case."""

    model_config = _example(_SAID)

    stars: int = Field(ge=1, le=5, description="5 very satisfied ... 1 very dissatisfied")
    indicators: Mapping[str, int] = Field(default_factory=dict, max_length=10)
    tags: tuple[str, ...] = Field(default=(), max_length=10)
    comment: str = Field(default="", max_length=MAX_COMMENT)

    def said(self) -> Said:
        """As the counter takes it."""
        return Said(self.stars, self.indicators, self.tags, self.comment)


class RatingView(BaseModel):
    """What was said, as the citizen reads it again."""

    model_config = _example(_RATING)

    id: str
    stars: int
    indicators: Mapping[str, int]
    tags: tuple[str, ...]
    comment: str
    rated_on: date
    state: TicketState = Field(description="of a bad rating: where it stands")
    due_on: date | None

    @classmethod
    def fields(cls, rating: Rating) -> dict[str, Any]:
        """What both views have."""
        return {
            "id": rating.id,
            "stars": rating.stars,
            "indicators": dict(rating.indicators),
            "tags": tuple(rating.tags),
            "comment": rating.comment,
            "rated_on": rating.rated_on,
            "state": rating.state,
            "due_on": rating.due_on,
        }


class RatingTicketView(RatingView):
    """A bad rating as a supervisor sees it: no name, no number of a case."""

    model_config = _example(_TICKET)

    unit: str
    item: str
    is_overdue: bool = Field(description="past its deadline, and not over")
    steps: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, rating: Rating, *, is_overdue: bool) -> RatingTicketView:
        """With what was done so far."""
        steps = tuple({"action": s.action.value, "note": s.note, "on": s.on.isoformat()} for s in rating.steps)
        return cls(**RatingView.fields(rating), unit=rating.unit, item=rating.item, is_overdue=is_overdue, steps=steps)


class TicketsQuery(BaseModel):
    """Which tickets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: TicketState | None = Field(
        default=None, description="without one: all with which something is still to be done", examples=["open"]
    )


class TicketsView(BaseModel):
    """Some of them, overdue ones first, then by deadline."""

    model_config = _example({"tickets": [_TICKET]})

    tickets: tuple[RatingTicketView, ...]


class TicketForm(BaseModel):
    """What is done with one."""

    model_config = _example({"action": "answer", "note": "已补发并致歉"})

    action: TicketAction
    note: str = Field(min_length=2, max_length=1000)


class ContactForm(BaseModel):
    """What a number is asked for."""

    model_config = _example({"purpose": "核实补发情况并回访"})

    purpose: str = Field(min_length=2, max_length=200, description="the person reads it")


class ContactView(BaseModel):
    """Where the person can be called."""

    model_config = _example({"rating": "9f86d081884c7d659a2feaa0c55ad015", "phones": ["+8613800138000"]})

    rating: str
    phones: tuple[str, ...] = Field(description="none: the person has left; write down that nobody was reached")


class TallyView(BaseModel):
    """The figures of one unit."""

    model_config = _example(_TALLY)

    unit: str
    ratings: int
    mean: float = Field(description="of one to five stars")
    levels: Mapping[str, int]
    tags: Mapping[str, int]
    bad: int
    fixed: int = Field(description="bad ratings that were answered")
    late: int = Field(description="bad ratings past their deadline, answered since or not")
    on_time: int = Field(description="bad ratings that were answered by their deadline")
    on_time_share: float | None = Field(description="of those whose time is over or that were answered; null: none")


class FiguresQuery(BaseModel):
    """Whose figures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: str | None = Field(default=None, max_length=60, examples=["sz-civil-affairs"])


class FiguresView(BaseModel):
    """By unit."""

    model_config = _example({"units": [_TALLY]})

    units: tuple[TallyView, ...]


class QuestionsView(BaseModel):
    """What is asked."""

    model_config = _example(
        {"version": 1, "indicators": [{"id": "efficiency", "zh": "办事效率", "en": "Speed"}],
         "tags": [{"id": "quick", "zh": "办得快", "en": "Quick", "is_bad": False}]}
    )  # fmt: skip

    version: int
    indicators: tuple[Mapping[str, Any], ...]
    tags: tuple[Mapping[str, Any], ...]


class _RatingHandler(ApiHandler):
    """What these handlers share."""

    def initialize(self, ratings: Ratings) -> None:
        """`ratings` holds the verbs."""
        self.ratings = ratings

    def view(self, rating: Rating) -> RatingTicketView:
        """A ticket as a supervisor sees it today."""
        return RatingTicketView.of(rating, is_overdue=self.ratings.is_overdue(rating))


class RatingHandler(_RatingHandler):
    """The rating of one case."""

    async def get(self, application: str) -> None:
        """What one said."""
        self.respond(RatingView(**RatingView.fields(await self.ratings.of(self.caller, application))))

    async def post(self, application: str) -> None:
        """Say it, once."""
        rating = await self.ratings.rate(self.caller, application, self.given(RatingForm).said())
        self.respond(RatingView(**RatingView.fields(rating)), 201)


class QuestionsHandler(_RatingHandler):
    """What is asked."""

    def get(self) -> None:
        """The questionnaire in force."""
        asked = self.ratings.questionnaire.model_dump(mode="json")
        self.respond(QuestionsView(**asked))


class FiguresHandler(_RatingHandler):
    """The public figures."""

    async def get(self) -> None:
        """By unit."""
        found = await self.ratings.figures(self.asked(FiguresQuery).unit)
        views = []
        for tally in found:
            count = sum(tally.levels.values())
            judged = tally.on_time + tally.late
            mean = sum(level * n for level, n in tally.levels.items()) / count
            views.append(
                TallyView(
                    unit=tally.unit, ratings=count, mean=round(mean, 2),
                    levels={str(level): n for level, n in tally.levels.items()}, tags=tally.tags, bad=tally.bad,
                    fixed=tally.fixed, late=tally.late, on_time=tally.on_time,
                    on_time_share=round(tally.on_time / judged, 4) if judged else None,
                )
            )  # fmt: skip
        self.respond(FiguresView(units=tuple(views)))


class TicketsHandler(_RatingHandler):
    """Bad ratings."""

    async def get(self) -> None:
        """Those of the own units."""
        found = await self.ratings.tickets(self.officer, self.asked(TicketsQuery).state)
        self.respond(TicketsView(tickets=tuple(map(self.view, found))))


class TicketHandler(_RatingHandler):
    """One bad rating."""

    async def post(self, rating: str) -> None:
        """A step."""
        form = self.given(TicketForm)
        self.respond(self.view(await self.ratings.step(self.officer, rating, form.action, form.note)))


class ContactHandler(_RatingHandler):
    """Whom to call back."""

    async def post(self, rating: str) -> None:
        """The numbers, for a purpose that the person reads."""
        contact = await self.ratings.contact(self.officer, rating, self.given(ContactForm).purpose)
        self.respond(ContactView(rating=contact.rating, phones=tuple(contact.phones)))
