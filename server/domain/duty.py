"""What officers are told on their own telephones: a red alert that waits for them, and cards of applications. Pure.

Who hears of what follows from the officer, the thing and `data/escalation.yaml` alone. The words carry no more than
numbers: a lock screen shows them to whoever looks. Every notice has one key, so it is told once however many processes
come to it: a call is named by the step of the alert that made it, a digest by officer and day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from server.domain.access import Deed, may
from server.domain.alerts.desk import DeskAlert
from server.domain.alerts.states import Action
from server.domain.broadcasts import Lane, Policy
from server.domain.china import CHINA
from server.domain.deadlines import Card
from server.domain.errors import ConfigurationError
from server.domain.officers import Officer, Role
from server.domain.outbox import Entry, Standing
from server.domain.wording import Words

TOPIC = "duty"
CALL_LASTS = timedelta(hours=1)
CODE_DIGITS = 8
CODE_LASTS = timedelta(minutes=5)
AT_A_COUNTER = frozenset({Role.CLERK, Role.APPROVER})


class News(StrEnum):
    """What officers can be told; the values are the names of templates."""

    RELEASE = "duty.release"
    CARD = "duty.card"


EVENTS: Mapping[News, str] = {News.RELEASE: "duty_release", News.CARD: "duty_card"}  # rows of data/templates.yaml


def standing_of(kind: News, wechat_template: str) -> Standing:
    """Its template. A call goes everywhere at once and rings at night: who bound a telephone did so for this."""
    if kind is News.CARD:
        return Standing(kind.value, Lane.REMINDER, TOPIC, wechat_template)
    return Standing(
        kind.value, Lane.TRANSACTIONAL, TOPIC, wechat_template, policy=Policy.ALL, always_rings=True
    )  # fmt: skip


# -- a red alert waits


@dataclass(frozen=True, slots=True)
class Call:
    """A chief was called: by the `seq`-th step of an alert that still waits."""

    alert: str
    seq: int
    chief: str
    at: datetime

    @property
    def about(self) -> str:
        """What names it."""
        return f"{self.alert}/{self.seq}"

    def entry(self, citizen: int) -> Entry:
        """The notice, to the chief's own account."""
        kind = News.RELEASE
        return Entry(
            key=f"{kind.value}/{self.about}",
            template=kind.value,
            citizen=citizen,
            about=self.about,
            lane=Lane.TRANSACTIONAL,
            due_at=self.at,
            expires_at=self.at + CALL_LASTS,
        )


def calls_of(desk: DeskAlert) -> Iterator[Call]:
    """All calls since it was handed in; what was called before it was given back is over."""
    for step in desk.steps:
        if step.action == Action.PAGE and desk.submitted_at and step.at >= desk.submitted_at:
            yield Call(desk.identifier, step.seq, step.reason, step.at)


def call_words() -> tuple[Words, Words]:
    """Title and body."""
    return (
        Words("红色预警待签发", "A red alert waits for you"),
        Words("请立即登录值班台审核签发", "Log in to the desk and decide now"),
    )


# -- cards of applications


class To(StrEnum):
    """Who, see `data/escalation.yaml`."""

    OWNER = "owner"
    UNIT = "unit"
    DIVISION = "division"
    CITY = "city"


class Rule(BaseModel):
    """One line of the table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    card: Card
    to: To
    after: int = Field(default=0, ge=0, le=250, description="red for more than so many working days")

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if self.card is Card.NONE or (self.after and self.card is not Card.RED):
            raise ValueError("a rule is about yellow or red, and `after` about red")
        return self


class Escalation(BaseModel):
    """The table. Build it with `load_escalation`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    begins: time = Field(alias="from")
    ends: time = Field(alias="until")
    rules: tuple[Rule, ...] = Field(min_length=1)
    ratings_before: int = Field(ge=0, le=30, description="working days")

    @model_validator(mode="after")
    def _is_a_day(self) -> Self:
        if self.begins >= self.ends:
            raise ValueError("`from` is before `until`")
        return self

    def is_on(self, now: datetime) -> bool:
        """Whether digests are told at this time of the day."""
        return self.begins <= now.astimezone(CHINA).time() < self.ends

    def ends_at(self, day: date) -> datetime:
        """When the day's digests are late."""
        return datetime.combine(day, self.ends, CHINA)


def load_escalation(data: Any) -> Escalation:
    """What `data/escalation.yaml` holds; ConfigurationError `escalation_invalid` says what is wrong."""
    try:
        return Escalation.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError(
            "escalation_invalid", zh=f"escalation.yaml有误：{error}", en=f"escalation.yaml: {error}"
        ) from None


@dataclass(frozen=True, slots=True)
class Case:
    """So many open applications that stand alike."""

    units: tuple[str, ...]
    division: str
    owner: str
    card: Card
    due_on: date
    count: int = 1


@dataclass(frozen=True, slots=True)
class Ticket:
    """So many bad ratings that wait for an answer, nearly or already due. Their handlers may not see them."""

    unit: str
    division: str
    handlers: frozenset[str] = frozenset()
    count: int = 1


@dataclass(frozen=True, slots=True)
class Digest:
    """What one officer is told: numbers."""

    yellow: int = 0
    red: int = 0
    ratings: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.yellow or self.red or self.ratings)

    def words(self) -> tuple[Words, Words]:
        """Title and body; the body fits a WeChat field."""
        zh = [("红牌{}件", self.red), ("黄牌{}件", self.yellow), ("差评{}件", self.ratings)]
        en = [("red {}", self.red), ("yellow {}", self.yellow), ("ratings {}", self.ratings)]
        return (
            Words("办件督办提醒", "Cases need you"),
            Words("，".join(_said(zh)), ", ".join(_said(en))),
        )


class CaseList:
    """Cases by unit, so that nobody has to look through those of all others."""

    def __init__(self, cases: Iterable[Case]) -> None:
        self._all = tuple(cases)
        self._by_unit: dict[str, dict[Case, None]] = {}
        for case in self._all:
            for unit in case.units:
                self._by_unit.setdefault(unit, {})[case] = None

    def of(self, officer: Officer) -> Iterable[Case]:
        """Those that can be this officer's: of the own units, or, for who has none and watches, all."""
        if officer.institutions:
            return {case: None for unit in officer.institutions for case in self._by_unit.get(unit, ())}
        return self._all if Role.SUPERVISOR in officer.roles else ()


def digest_of(
    officer: Officer, cases: Iterable[Case], tickets: Iterable[Ticket], table: Escalation,
    late_days: Callable[[date], int],
) -> Digest:  # fmt: skip
    """What this officer has to hear of. `late_days`: how many working days a deadline lies back."""
    heard = [case for case in cases if any(_reaches(rule, officer, case, late_days) for rule in table.rules)]
    ratings = sum(ticket.count for ticket in tickets if _is_told(officer, ticket))
    return Digest(
        yellow=sum(case.count for case in heard if case.card is Card.YELLOW),
        red=sum(case.count for case in heard if case.card is Card.RED),
        ratings=ratings,
    )


def digest_entry(officer: str, citizen: int, day: date, table: Escalation, now: datetime) -> Entry:
    """The notice: one an officer and day. What it says is found when it is sent."""
    kind = News.CARD
    return Entry(
        key=f"{kind.value}/{officer}/{day:%Y%m%d}",
        template=kind.value,
        citizen=citizen,
        about=officer,
        lane=Lane.REMINDER,
        due_at=now,
        expires_at=table.ends_at(day),
    )


def _reaches(rule: Rule, officer: Officer, case: Case, late_days: Callable[[date], int]) -> bool:
    if rule.card is not case.card or (rule.card is Card.RED and late_days(case.due_on) <= rule.after):
        return False
    return _hears(rule.to, officer, case)


def _hears(to: To, officer: Officer, case: Case) -> bool:
    """Whether the officer is one of those whom this means. Reach is the door's own (`access`)."""
    if not may(officer, Deed.APPLICATION_READ, (case.division,)):
        return False
    is_of_unit, is_watching = bool({*case.units} & {*officer.institutions}), Role.SUPERVISOR in officer.roles
    match to:
        case To.OWNER:
            is_at_counter = bool(AT_A_COUNTER & officer.roles)
            return is_of_unit and is_at_counter and case.owner in ("", officer.id)
        case To.UNIT:
            return is_of_unit and is_watching
        case To.DIVISION:
            return is_watching and not officer.institutions and officer.division == case.division[:6]
        case To.CITY:
            return is_watching and not officer.institutions and officer.division == f"{case.division[:4]}00"


def _is_told(officer: Officer, ticket: Ticket) -> bool:
    is_theirs = ticket.unit in officer.institutions and may(officer, Deed.RATING_READ, (ticket.division,))
    return is_theirs and officer.id not in ticket.handlers


def _said(parts: Sequence[tuple[str, int]]) -> list[str]:
    return [text.format(count) for text, count in parts if count]
