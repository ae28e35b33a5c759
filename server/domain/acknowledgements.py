"""What people answer to an alert: "I am safe", "I need help"; what officers see of it. Pure.

An answer belongs to the chain of messages: an Update keeps it. The last word counts, the words before it are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from server.domain.datum import gcj02_to_wgs84

OPEN_AFTER_END = timedelta(days=3)  # how long an alert that is over still takes answers
KEPT_WORDS = 20  # of one person to one chain
AT = "2026-11-24T09:41:00+08:00"


class Answer(StrEnum):
    """What somebody says."""

    SAFE = "safe"
    HELP = "help"


class PointForm(BaseModel):
    """A point in degrees; `gcj02` is what WeChat and Chinese maps give."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lat: float = Field(ge=-90, le=90)
    lon: float = Field(ge=-180, le=180)
    datum: Literal["wgs84", "gcj02"]


class PlaceForm(BaseModel):
    """Where somebody is: a point, a division, words, or several of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    point: PointForm | None = None
    division: str | None = Field(default=None, pattern=r"^\d{6}(\d{3}){0,2}$")
    text: str = Field(default="", max_length=200)

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if self.point is None and self.division is None and not self.text.strip():
            raise ValueError("say where: point, division or text")
        return self


class AcknowledgementForm(BaseModel):
    """One answer. Without a place it counts where the person's own place is."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "example": {
                "state": "help",
                "place": {"point": {"lat": 22.5405, "lon": 113.9345, "datum": "gcj02"}, "text": "3栋1201"},
                "note": "老人行动不便，需要转移",
            }
        },
    )

    state: Literal["safe", "help"]
    place: PlaceForm | None = None
    note: str = Field(default="", max_length=300)


@dataclass(frozen=True, slots=True)
class Said:
    """The personal part of an answer: WGS-84 (latitude, longitude), where in words, and whatever else."""

    point: tuple[float, float] | None = None
    text: str = ""
    note: str = ""

    def __bool__(self) -> bool:
        """Whether anything was said."""
        return self.point is not None or bool(self.text or self.note)


@dataclass(frozen=True, slots=True)
class Word:
    """One answer at its time."""

    state: Answer
    at: datetime
    division: str  # without padding
    said: Said


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What somebody has answered to a chain: the last word, since when it is so, and all words, oldest first."""

    id: str
    chain: str
    citizen: int
    last: Word
    since: datetime
    words: Sequence[Word]


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PointView(_Told):
    """A WGS-84 point in degrees."""

    lat: float
    lon: float


class WordView(_Told):
    """One answer."""

    state: Answer
    at: AwareDatetime
    division: str
    point: PointView | None = None
    place: str = ""
    note: str = ""


class Acknowledged(_Told):
    """What the caller has answered."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "example": {
                "chain": "44030041600000_20261124093000",
                "state": "safe",
                "since": AT,
                "words": [{"state": "safe", "at": AT, "division": "440305", "point": None, "place": "", "note": ""}],
            }
        },
    )

    chain: str
    state: Answer
    since: AwareDatetime
    words: tuple[WordView, ...] = Field(description="oldest first; the last one counts")


class Count(_Told):
    """How many."""

    safe: int = 0
    help: int = 0


class DistrictCount(Count):
    """How many in one district."""

    division: str
    name: str


class Tally(_Told):
    """The answers to a chain as they are now, of the officer's own division."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "example": {
                "chain": "44030041600000_20261124093000",
                "at": AT,
                "total": {"safe": 812, "help": 3},
                "divisions": [{"division": "440305", "name": "南山区", "safe": 812, "help": 3}],
            }
        },
    )

    chain: str
    at: AwareDatetime
    total: Count
    divisions: tuple[DistrictCount, ...]


class InNeed(_Told):
    """Somebody who needs help."""

    id: str = Field(description="of the answer")
    since: AwareDatetime
    at: AwareDatetime = Field(description="of the last word")
    division: str
    division_name: str
    point: PointView | None
    place: str
    note: str
    phones: tuple[str, ...] = Field(description="masked, unless they were asked for")
    lang: str = Field(description="zh or en; empty: not known")


_IN_NEED: Mapping[str, Any] = {
    "id": "6924f3a2c1d0e5b7a8f90123",
    "since": AT,
    "at": AT,
    "division": "440305",
    "division_name": "南山区",
    "point": {"lat": 22.5434, "lon": 113.9296},
    "place": "3栋1201",
    "note": "老人行动不便，需要转移",
    "phones": ["+86138****0017"],
    "lang": "zh",
}


class HelpPage(_Told):
    """Who needs help, longest waiting first. `next` goes into `after` for the rest; null: this was the last part."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"example": {"people": [dict(_IN_NEED)], "next": None}}
    )

    people: tuple[InNeed, ...]
    next: str | None = None


def said_of(form: AcknowledgementForm) -> Said:
    """The personal part of an answer, its point in WGS-84."""
    place = form.place
    point = None
    if place and place.point:
        lon, lat = place.point.lon, place.point.lat
        if place.point.datum == "gcj02":
            lon, lat = gcj02_to_wgs84(lon, lat)
        point = (lat, lon)
    return Said(point, place.text.strip() if place else "", form.note.strip())


def common(divisions: Sequence[str]) -> str:
    """The division that holds all of these, for an answer that does not say where: at most the city.

    >>> common(["440305001", "440305"]), common(["440305", "440306"]), common(["440305", "130102"])
    ('440305', '440300', '440300')
    """
    first = divisions[0]
    for root in (first[:12], first[:9], first[:6]):
        if all(code.startswith(root) for code in divisions):
            return root
    return f"{first[:4]}00"


def masked(phone: str) -> str:
    """Enough of a number to recognise it, too little to call it.

    >>> masked("+8613800000017")
    '+86138****0017'
    """
    return f"{phone[:6]}****{phone[-4:]}" if len(phone) > 11 else "****"


def acknowledged(found: Acknowledgement) -> Acknowledged:
    """What the person is shown of it."""
    words = tuple(
        WordView(
            state=word.state,
            at=word.at,
            division=word.division,
            point=point_view(word.said),
            place=word.said.text,
            note=word.said.note,
        )
        for word in found.words
    )
    return Acknowledged(chain=found.chain, state=found.last.state, since=found.since, words=words)


def point_view(said: Said) -> PointView | None:
    """The point as it is told."""
    return PointView(lat=said.point[0], lon=said.point[1]) if said.point else None
