"""A standing order: what two officers have signed beforehand, so that a partner's alert need not wait for them.

Promises. An order acts only while it is in force: a second person has released exactly these terms, nobody has stopped
it, its time is not over, its brake has not tripped. What the terms do not name is not covered; a message that any rule
flagged never is. Any change of the terms voids the release. Everything here is pure: `at` and the map are arguments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.config import JsonDict

from server.domain.alerts.desk import DeskAlert, Hand
from server.domain.alerts.finding import Finding, Gravity
from server.domain.alerts.model import Alert, Info
from server.domain.alerts.release import touched
from server.domain.alerts.states import is_within
from server.domain.alerts.verbs import Change, is_over
from server.domain.alerts.vocabulary import DIVISION_CODE, XMLDSIG, Colour, MsgType, Scope, Status
from server.domain.divisions import Divisions
from server.domain.errors import InvalidInputError
from server.domain.intake import MAX_NOTE, MAX_WORDS, Received
from server.domain.officers import DIVISION, Mandated, Officer, Role
from server.domain.standing_order_reasons import WhyNot

LONGEST = timedelta(days=366)
HOUR = timedelta(hours=1)
MAX_STEPS = 300
MAX_PER_HOUR = 60
_RANKS = {colour: rank for rank, colour in enumerate(Colour)}  # red 0 .. blue 3
_FOLLOWING = (MsgType.UPDATE, MsgType.CANCEL)

EXAMPLE: JsonDict = {
    "partner": "weather-bureau",
    "senders": ["weather@sz.example"],
    "events": ["11B03"],
    "highest": "Orange",
    "lowest": "Blue",
    "divisions": ["440305"],
    "kinds": ["Alert", "Update", "Cancel"],
    "max_per_hour": 6,
    "valid_until": "2027-06-30T16:00:00Z",
    "note": "暴雨预警直通发布",
}


class Terms(BaseModel):
    """What an order names. What it does not name is not covered."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": EXAMPLE})

    partner: str = Field(pattern=r"^[a-z][a-z0-9-]{1,39}$", description="who hands the messages in")
    senders: tuple[Annotated[str, Field(pattern=r"^[^\s,<&]{1,120}$")], ...] = Field(
        min_length=1, max_length=20, description="CAP senders, all of them the partner's"
    )
    events: tuple[Annotated[str, Field(pattern=r"^\d{2}[A-Z](\d{2})?$")], ...] = Field(
        min_length=1, max_length=50, description="event codes: 11B03, or their beginning: 11B is all weather"
    )
    highest: Colour = Field(description="the worst colour; only a chief releases an order that names red")
    lowest: Colour = Field(description="the mildest colour")
    divisions: tuple[Annotated[str, Field(pattern=DIVISION)], ...] = Field(
        min_length=1, max_length=100, description="the whole area of an alert has to lie within these"
    )
    kinds: tuple[MsgType, ...] = Field(
        default=(MsgType.ALERT, MsgType.UPDATE, MsgType.CANCEL), min_length=1, max_length=3
    )
    max_per_hour: int = Field(
        ge=1, le=MAX_PER_HOUR, description="one more within an hour stops the order; all-clears do not count"
    )
    valid_until: AwareDatetime = Field(description="at most a year ahead")
    note: str = Field(default="", max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$", description="why there is this order")

    @field_validator("valid_until")
    @classmethod
    def _as_kept(cls, at: datetime) -> datetime:
        return at.replace(microsecond=at.microsecond // 1000 * 1000)  # a digest does not depend on what is not stored

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if _RANKS[self.highest] > _RANKS[self.lowest]:
            raise ValueError("highest is milder than lowest")
        if not {*self.kinds} <= {MsgType.ALERT, *_FOLLOWING}:
            raise ValueError("kinds are Alert, Update and Cancel")
        return self

    @property
    def colours(self) -> frozenset[Colour]:
        """All colours that it names."""
        return frozenset(c for c in Colour if _RANKS[self.highest] <= _RANKS[c] <= _RANKS[self.lowest])

    @property
    def is_red(self) -> bool:
        """Whether it takes a chief."""
        return self.highest is Colour.RED


class State(StrEnum):
    """Of an order. Being out of time is not a state: the clock says so."""

    DRAFT = "draft"  # written, or changed: void until a second person releases it
    IN_FORCE = "in_force"
    STOPPED = "stopped"  # by an officer or its brake; to go on it is written and released again


class OrderStep(BaseModel):
    """One entry of the append-only log of an order; `terms` where they were written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seq: int
    at: datetime
    officer: str
    person: str
    action: str
    version: int
    digest: str  # of the order as it stood then: see `StandingOrder.digest`
    reason: str = ""
    terms: Terms | None = None


class Use(BaseModel):
    """A message that was let through, by its key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    message: str
    at: datetime


class StandingOrder(BaseModel):
    """One order. `version` counts the terms, `rev` every write; `writers`: persons with a hand in unreleased terms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    version: int
    rev: int
    state: State
    terms: Terms
    author: Officer
    writers: tuple[str, ...]
    releaser: Officer | None = None
    uses: tuple[Use, ...] = ()  # of the last hour
    steps: tuple[OrderStep, ...] = ()
    logged: int = 0  # how many of them are known to be in the audit log

    @property
    def digest(self) -> str:
        """SHA-256 of what a second person releases: these terms, of this author."""
        signed = {
            "id": self.id,
            "version": self.version,
            "terms": self.terms.model_dump(mode="json"),
            "author": self.author.person,
            "unit": self.author.unit.model_dump(mode="json"),
        }
        return hashlib.sha256(orjson.dumps(signed, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def hands(self, message: str) -> tuple[Mandated, Mandated]:
        """Its two persons as they act for one message of a partner: author and releaser. Only of a released order."""
        assert self.releaser is not None
        author, releaser = (
            Mandated(**dict(each), order=self.id, message=message) for each in (self.author, self.releaser)
        )
        return author, releaser

    def stepped(self, action: str, by: Officer | None, at: datetime, reason: str = "") -> StandingOrder:
        """The same order with one more entry in its log; None is the product itself."""
        hand = Hand.of(by)
        step = OrderStep(
            seq=len(self.steps) + 1, at=at, officer=hand.officer, person=hand.person, action=action,
            version=self.version, digest=self.digest, reason=reason,
            terms=self.terms if action in ("draft", "write") else None,
        )  # fmt: skip
        return self.model_copy(update={"steps": (*self.steps, step), "rev": self.rev + 1})


def drafted(name: str, terms: Terms, by: Officer, at: datetime) -> StandingOrder:
    """A new order, not in force."""
    order = StandingOrder(
        id=name, version=1, rev=0, state=State.DRAFT, terms=terms, author=by, writers=(by.person,)
    )  # fmt: skip
    return order.stepped("draft", by, at)


def written(order: StandingOrder, terms: Terms, by: Officer, at: datetime) -> StandingOrder:
    """Other terms: the order is void until they are released; `releaser` is still who released the last ones."""
    before = order.writers if order.state is State.DRAFT else ()
    update = {
        "version": order.version + 1,
        "state": State.DRAFT,
        "terms": terms,
        "author": by,
        "writers": tuple(sorted({*before, by.person})),
    }
    return order.model_copy(update=update).stepped("write", by, at)


def released(order: StandingOrder, by: Officer, at: datetime) -> StandingOrder:
    """In force from now on."""
    return order.model_copy(update={"state": State.IN_FORCE, "releaser": by}).stepped("release", by, at)


def stopped(order: StandingOrder, by: Officer | None, at: datetime, reason: str) -> StandingOrder:
    """Over at once; None is the brake."""
    action = "stop" if by else "brake"
    return order.model_copy(update={"state": State.STOPPED}).stepped(action, by, at, reason)


def admitted(order: StandingOrder, message: str, at: datetime) -> StandingOrder:
    """The order with this message let through, once; or stopped by its brake, if it is one too many within the hour."""
    if any(use.message == message for use in order.uses):
        return order
    recent = tuple(use for use in order.uses if use.at > at - HOUR)
    if len(recent) >= order.terms.max_per_hour:
        return stopped(order, None, at, f"more than {order.terms.max_per_hour} in an hour")
    return order.model_copy(update={"uses": (*recent, Use(message=message, at=at)), "rev": order.rev + 1})


def refuse_unsound_time(terms: Terms, at: datetime) -> None:
    """InvalidInputError unless the order ends after `at` and within a year of it."""
    if not at < terms.valid_until <= at + LONGEST:
        raise InvalidInputError(
            "valid_until_unfit",
            zh="有效期须在一年之内且晚于现在",
            en="an order ends later than now and within a year",
            field="valid_until",
        )


def beyond(officer: Officer, terms: Terms) -> bool:
    """Whether the terms name an event that this officer may not warn of."""
    return not all(any(event.startswith(own) for own in officer.events if own) for event in terms.events)


def lacks_chief(officer: Officer, terms: Terms) -> bool:
    """Whether it takes a chief, and this is none."""
    return terms.is_red and Role.CHIEF not in officer.roles


def reach_of(alert: Alert, divisions: Divisions) -> tuple[str, ...]:
    """Every division that an alert names or its shapes meet; none if a part of it is in nobody's language."""
    areas = [area for info in alert.infos for area in info.areas]
    for area in areas:
        is_plain = all(code.value_name == DIVISION_CODE for code in area.geocodes)
        if not is_plain or not (area.divisions or area.polygons or area.circles):
            return ()
    named = [divisions.find(code) for area in areas for code in area.divisions]
    if any(found is None for found in named):
        return ()
    try:
        met = touched(alert, divisions)
    except InvalidInputError:
        return ()
    is_drawn = any(area.polygons or area.circles for area in areas)
    return () if is_drawn and not met else tuple(sorted({found.code for found in named if found} | {*met}))


def covers(order: StandingOrder, found: Received, reach: Sequence[str], at: datetime) -> WhyNot | None:
    """Why this order does not release this message of its partner at `at`; None if it does. `reach`: see `reach_of`."""
    return _standing(order, at) or _refused(order.terms, found) or _content(order.terms, found, reach, at)


def covers_chain(
    order: StandingOrder, chain: Sequence[DeskAlert], reach: Sequence[str], *, is_held: bool
) -> WhyNot | None:
    """Why a message does not follow under this order what our `chain` says, oldest first; `reach` is its newest one's.

    Who warned in person, or holds a run (`is_held`), has the alert in hand: then the partner proposes.
    """
    if not chain:
        return WhyNot.NOT_OURS
    if is_held or any(desk.order != order.id for desk in chain):
        return WhyNot.IN_PERSON
    return _within(order.terms, chain[-1].alert, reach)


def _standing(order: StandingOrder, at: datetime) -> WhyNot | None:
    if order.state is State.STOPPED:
        return WhyNot.STOPPED
    if order.state is not State.IN_FORCE or order.releaser is None:
        return WhyNot.VOID
    return WhyNot.EXPIRED if order.terms.valid_until <= at else None


def _refused(terms: Terms, found: Received) -> WhyNot | None:
    """What does not depend on what the message warns of."""
    alert = found.alert
    checks = (
        (found.partner == terms.partner and alert.sender in terms.senders, WhyNot.SENDER),
        (alert.msg_type in terms.kinds, WhyNot.KIND),
        (alert.status == Status.ACTUAL and alert.scope == Scope.PUBLIC, WhyNot.STATUS),
        (found.is_first and not any(map(_is_grave, found.findings)), WhyNot.FINDING),
        (not any(XMLDSIG in kept.text for kept in alert.kept), WhyNot.SIGNED),
    )
    return next((why for is_fine, why in checks if not is_fine), None)


def _is_grave(finding: Finding) -> bool:
    """Errors, quarantines, a wrong signature; and a check of ours that crashed, for it might have found any of them."""
    return finding.severity is not Gravity.WARNING or finding.code in ("internal", "CAP-039")


def _content(terms: Terms, found: Received, reach: Sequence[str], at: datetime) -> WhyNot | None:
    """A cancel lifts what was released (see `covers_chain`), whatever it repeats of it."""
    if found.alert.msg_type == MsgType.CANCEL:
        return None
    ends = [info.expires_at for info in found.alert.infos]
    if is_over(found.alert, at) or not ends or any(end is None or end <= at for end in ends):
        return WhyNot.OVER
    return _within(terms, found.alert, reach)


def _within(terms: Terms, alert: Alert, reach: Sequence[str]) -> WhyNot | None:
    events = [code.value for info in alert.infos for code in info.event_codes]
    if not all(info.event_code for info in alert.infos) or not events:
        return WhyNot.EVENT
    if not all(any(event.startswith(own) for own in terms.events) for event in events):
        return WhyNot.EVENT
    colours = {said for info in alert.infos for said in (info.colour, Colour.of(info.severity)) if said}
    if not colours or not colours <= terms.colours:
        return WhyNot.COLOUR
    if not reach or not all(any(is_within(code, own) for own in terms.divisions) for code in reach):
        return WhyNot.AREA
    return None


def sourced(alert: Alert, name: str) -> Alert:
    """The alert, whose own words say from whom they are: nobody of the desk has read them."""

    def marked(info: Info) -> Info:
        language = "zh" if (info.language or "en").lower().startswith("zh") else "en"
        return info.model_copy(update={"description": _marked(info.description, name, language)})

    return alert.model_copy(update={"infos": tuple(map(marked, alert.infos))})


def sourced_change(change: Change, name: str) -> Change:
    """The same of what follows: new words, and the reason of an all-clear."""
    words = {
        language: each.model_copy(update={"description": _marked(each.description, name, language)})
        for language, each in change.words.items()
    }
    return change.model_copy(update={"words": words, "note": _marked(change.note, name, "zh", MAX_NOTE)})


def _marked(text: str | None, name: str, language: str, longest: int = MAX_WORDS) -> str | None:
    """The text and its source, within `longest` characters; nothing said is nothing marked."""
    if not text:
        return text
    mark = f"（来源：{name}）" if language == "zh" else f" (Source: {name})"
    return text if text.endswith(mark) else text[: longest - len(mark)] + mark
