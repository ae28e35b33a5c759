"""What an officer fills in, and the CAP message that it means.

The form asks for the three facts that nobody else knows (what, where, until when) and takes the officer's own words;
all else (headline, advice, category, references, names of areas) is written by the desk. Points are named `lat` and
`lon`, so that nobody can swap them, and may be GCJ-02, which is converted here, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from server.domain.alerts.model import Alert, Area, Info, NamedValue, Text, cap_time
from server.domain.alerts.verbs import Change, Words
from server.domain.alerts.vocabulary import (
    DIVISION_CODE,
    EVENT_CODE,
    Certainty,
    Colour,
    ResponseType,
    Status,
    Urgency,
)
from server.domain.china import CHINA
from server.domain.datum import gcj02_to_wgs84
from server.domain.officers import DIVISION

Language = Literal["zh", "en"]
TAGS: Mapping[Language, str] = {"zh": "zh-CN", "en": "en-US"}
MAX_RING = 2_000  # points
FIRST, LAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
When = Annotated[AwareDatetime, Field(ge=FIRST, lt=LAST, examples=["2026-11-25T02:00:00+08:00"])]
_FORM = ConfigDict(extra="forbid", frozen=True)


class Point(BaseModel):
    """Degrees."""

    model_config = _FORM

    lat: float = Field(ge=-90, le=90, examples=[22.53])
    lon: float = Field(ge=-180, le=180, examples=[113.93])


class CircleForm(BaseModel):
    """All within a distance of a point."""

    model_config = _FORM

    centre: Point
    radius_km: float = Field(ge=0.001, le=2_000)


class AreaForm(BaseModel):
    """Where: divisions, shapes, or both. What lies in any of them is covered."""

    model_config = _FORM

    description: Text = Field(default="", max_length=200, description="in words; empty = the names of the divisions")
    divisions: tuple[Annotated[str, Field(pattern=DIVISION)], ...] = Field(
        default=(), max_length=200, description="GB/T 2260 codes, or codes of streets and communities"
    )
    polygons: tuple[Annotated[tuple[Point, ...], Field(min_length=3, max_length=MAX_RING)], ...] = Field(
        default=(), max_length=20, description="rings; they are closed if they are not"
    )
    circles: tuple[CircleForm, ...] = Field(default=(), max_length=20)
    datum: Literal["WGS-84", "GCJ-02"] = Field(default="WGS-84", description="of all points of this area")

    @model_validator(mode="after")
    def _is_somewhere(self) -> AreaForm:
        if not (self.divisions or self.polygons or self.circles):
            raise _misfit("area_empty", "区域须有区划、多边形或圆形", "an area needs a division, a polygon or a circle")
        return self


class WordsForm(BaseModel):
    """An officer's own words in one language; what is left out is written from the texts of event and colour."""

    model_config = _FORM

    description: Text | None = Field(default=None, max_length=1500, description="what was measured, what is expected")
    instruction: Text | None = Field(default=None, max_length=1500, description="what people should do")


class AlertForm(BaseModel):
    """A whole alert as an officer fills it in."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "example": {
                "event": "11B01",
                "colour": "Red",
                "areas": [{"divisions": ["440305"]}],
                "expires_at": "2026-11-25T02:00:00+08:00",
                "words": {
                    "zh": {"description": "台风“海葵”中心附近最大风力14级，预计今晚登陆。"},
                    "en": {"description": "Typhoon Haikui, force 14 near its centre, lands tonight."},
                },
            }
        },
    )

    event: str = Field(pattern=r"^(1[1-4][A-Z0-9]{1,3}|00000)$", description="GB/T 35561 event code; 00000 for drills")
    colour: Colour
    areas: tuple[AreaForm, ...] = Field(min_length=1, max_length=50)
    onset_at: When | None = Field(default=None, description="when it begins, if that is not now")
    expires_at: When
    words: Mapping[Language, WordsForm] = Field(default_factory=dict, description="own words by language")
    languages: tuple[Language, ...] = Field(default=("zh", "en"), min_length=1, max_length=2)
    status: Literal[Status.ACTUAL, Status.EXERCISE, Status.TEST] = Field(
        default=Status.ACTUAL, description="Exercise and Test reach only the test list and say so in every text"
    )
    urgency: Urgency | None = Field(default=None, description="None = Immediate for red and orange, else Expected")
    certainty: Certainty = Certainty.LIKELY
    response_types: tuple[ResponseType, ...] = Field(default=(), max_length=5)
    web: Text | None = Field(default=None, max_length=300)
    note: Text | None = Field(default=None, max_length=500, description="an exercise's name; never shown to citizens")

    @model_validator(mode="after")
    def _speaks_its_languages(self) -> AlertForm:
        if len(set(self.languages)) != len(self.languages):
            raise _misfit("language_twice", "语言重复", "a language may be named once")
        if not set(self.words) <= set(self.languages):
            raise _misfit("language_missing", "words中的语言不在languages中", "`languages` lacks a language of `words`")
        return self


class ChangeForm(BaseModel):
    """What changes with an update, upgrade, downgrade, extension or cancellation. What is left out stays as it was."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "example": {"colour": "Orange", "words": {"zh": {"description": "风力减弱至12级。"}}, "note": "风力减弱"}
        },
    )

    colour: Colour | None = None
    onset_at: When | None = None
    expires_at: When | None = None
    areas: tuple[AreaForm, ...] | None = Field(default=None, min_length=1, max_length=50)
    words: Mapping[Language, WordsForm] = Field(default_factory=dict)
    note: Text | None = Field(default=None, max_length=500, description="the reason")
    is_loud: bool | None = Field(default=None, description="None = silent only if colour and area stay the same")


def alert_of(form: AlertForm) -> Alert:
    """The CAP message of a form, before the desk sets what only the desk decides."""
    areas = areas_of(form.areas)
    is_urgent = form.colour in (Colour.RED, Colour.ORANGE)
    urgency = form.urgency or (Urgency.IMMEDIATE if is_urgent else Urgency.EXPECTED)

    def block(language: Language) -> Info:
        words = form.words.get(language, WordsForm())
        return Info(
            language=TAGS[language],
            response_types=tuple(kind.value for kind in form.response_types),
            urgency=urgency.value,
            severity=form.colour.severity.value,
            certainty=form.certainty.value,
            event_codes=(NamedValue(value_name=EVENT_CODE, value=form.event),),
            onset=_time(form.onset_at),
            expires=_time(form.expires_at),
            description=words.description,
            instruction=words.instruction,
            web=form.web,
            areas=areas,
        )

    return Alert(status=form.status.value, note=form.note, infos=tuple(map(block, form.languages)))


def change_of(form: ChangeForm) -> Change:
    """The change of a form, as the verbs of the desk take it."""
    return Change(
        colour=form.colour,
        onset_at=form.onset_at,
        expires_at=form.expires_at,
        areas=None if form.areas is None else areas_of(form.areas),
        words={
            language: Words(description=each.description, instruction=each.instruction)
            for language, each in form.words.items()
        },
        note=form.note,
        is_loud=form.is_loud,
    )


def areas_of(forms: Sequence[AreaForm]) -> tuple[Area, ...]:
    """CAP areas: "lat,lon ..." in WGS-84 with seven decimals, a centimetre."""
    return tuple(
        Area(
            area_desc=form.description,
            polygons=tuple(_ring(ring, form.datum) for ring in form.polygons),
            circles=tuple(f"{_point(each.centre, form.datum)} {_plain(each.radius_km)}" for each in form.circles),
            geocodes=tuple(NamedValue(value_name=DIVISION_CODE, value=code) for code in form.divisions),
        )
        for form in forms
    )


def _ring(points: Sequence[Point], datum: str) -> str:
    closed = points if points[0] == points[-1] else (*points, points[0])
    return " ".join(_point(point, datum) for point in closed)


def _point(point: Point, datum: str) -> str:
    lon, lat = gcj02_to_wgs84(point.lon, point.lat) if datum == "GCJ-02" else (point.lon, point.lat)
    return f"{_plain(lat)},{_plain(lon)}"


def _plain(number: float) -> str:
    """Without an exponent, which CAP has no word for.

    >>> _plain(22.5), _plain(0.00000004), _plain(-0.0)
    ('22.5', '0.0', '0.0')
    """
    text = f"{number:.7f}".rstrip("0")
    text = f"{text}0" if text.endswith(".") else text
    return text.removeprefix("-") if float(text) == 0 else text


def _misfit(code: str, zh: str, en: str) -> PydanticCustomError:
    return PydanticCustomError(code, "{en}", {"zh": zh, "en": en})


def _time(at: datetime | None) -> str | None:
    return cap_time(at, CHINA) if at else None
