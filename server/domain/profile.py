"""Places and settings of one person: where a place is, when two are the same, and how quiet hours are written. Pure.

A place is a division (any level), a point, or both. A point comes in one of two datums and is converted to WGS-84 once,
here. It has to lie where the division says: outlines are coarse, so a point may miss its district by `BORDER_DEGREES`,
which is less than what a datum that was named wrongly does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError
from shapely.geometry import Point

from server.domain.broadcasts import CHANNELS
from server.domain.datum import gcj02_to_wgs84
from server.domain.divisions import Divisions, is_within
from server.domain.errors import InvalidInputError
from server.domain.preferences import Grant

MAX_PLACES = 10
BORDER_DEGREES = 0.002  # some 200 m
DECIMALS = 6  # of a degree, as stored: 0.1 m
SAME_DECIMALS = 4  # two points of one division that agree so far (10 m) are the same place
CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


class Label(StrEnum):
    """What a place is to somebody."""

    HOME = "home"
    WORK = "work"
    PARENTS = "parents"
    OTHER = "other"


class Datum(StrEnum):
    """What a point's coordinates count in."""

    GCJ02 = "gcj02"  # WeChat, and maps of Chinese services
    WGS84 = "wgs84"  # GPS


@dataclass(frozen=True, slots=True)
class Where:
    """Where a place is. `point`: WGS-84 (latitude, longitude); `came_as`: the datum it came in."""

    division: str  # the finest that is known
    divisions: tuple[str, ...]  # with all above, from the city down
    point: tuple[float, float] | None = None
    came_as: Datum | None = None

    def is_same(self, other: Where) -> bool:
        """Whether the two are one place."""
        return self.division == other.division and _rough(self.point) == _rough(other.point)


@dataclass(frozen=True, slots=True)
class OwnPlace:
    """A place of somebody, opened. `name` and `address` are the person's words, "" if there are none."""

    id: str
    label: Label
    where: Where
    name: str = ""
    address: str = ""


def locate(
    divisions: Divisions, division: str | None, point: tuple[float, float] | None, came_as: Datum | None
) -> Where:
    """Where a division or a (latitude, longitude) or both are. InvalidInputError says what does not fit.

    A point alone gives its district; beside a division the finer of the two counts, and near a border the division. A
    point that lies in no district served here is refused: the division alone is taken, whichever city it is of.
    """
    if point is None or came_as is None:
        if division is None:
            raise InvalidInputError(
                "place_nowhere",
                zh="请给出行政区划或坐标",
                en="give a division or a point",
                field="division",
            )
        code = divisions.get(division).code
        return Where(code, divisions.lineage(code))
    lon, lat = point[1], point[0]
    if came_as is Datum.GCJ02:
        lon, lat = gcj02_to_wgs84(lon, lat)
    lon, lat = round(lon, DECIMALS), round(lat, DECIMALS)
    found = divisions.district_at(lon, lat)
    code = _district(found) if division is None else _agreed(divisions, divisions.get(division).code, found, (lon, lat))
    return Where(code, divisions.lineage(code), (lat, lon), came_as)


def _district(found: str | None) -> str:
    if found is None:
        raise _outside()
    return found


def _agreed(divisions: Divisions, given: str, found: str | None, lon_lat: tuple[float, float]) -> str:
    """The finer one of what was given and where the point was found; InvalidInputError if they are not one place."""
    if found is not None and is_within(found, given):
        return found
    outline = divisions.outlines.get(given[:6])
    if outline is not None and outline.distance(Point(lon_lat)) <= BORDER_DEGREES:
        return given
    if found is None:
        raise _outside()
    there, said = divisions.area(found), divisions.area(given)
    raise InvalidInputError(
        "place_contradiction",
        zh=f"坐标位于{there.zh}，而所填区划是{said.zh}，请核对其中一项（坐标系是否填对？）",
        en=f"the point lies in {there.en}, but the division is {said.en}: correct one of them (is the datum right?)",
        field="point",
    )


def _outside() -> InvalidInputError:
    return InvalidInputError(
        "point_outside",
        zh="坐标不在本系统服务的任何区内；可以只填行政区划",
        en="the point is in no district served here; leave it out and give the division alone",
        field="point",
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """The settings of one person. `has`: channels with a usable address; `quiet`: minutes of the China day."""

    quiet: tuple[int, int] | None = None
    off: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    is_tester: bool = False
    has: tuple[str, ...] = ()
    grants: Mapping[str, Grant] = field(default_factory=dict)


class GivenPoint(BaseModel):
    """A point as it comes in. The datum has to be named: the two differ by some 500 m."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lat: float = Field(ge=-90, le=90, description="latitude in degrees", examples=[22.5431])
    lon: float = Field(ge=-180, le=180, description="longitude in degrees", examples=[114.0579])
    datum: Datum = Field(description="gcj02: what wx.getLocation gives for maps, and wx.chooseLocation; wgs84: GPS")


class NewPlace(BaseModel):
    """A place as somebody gives it: a division (6, 9 or 12 digits) or a point, or both."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        str_strip_whitespace=True,
        json_schema_extra={
            "example": {
                "label": "parents",
                "name": "爸妈家",
                "division": "440305001",
                "point": {"lat": 22.5306, "lon": 113.9304, "datum": "gcj02"},
                "address": "南山大道1001号3栋",
            }
        },
    )

    label: Label
    name: str = Field(default="", max_length=20, description="the own name of it")
    division: str | None = Field(default=None, max_length=12)
    point: GivenPoint | None = None
    address: str = Field(default="", max_length=120, description="sealed with the person's own key")


class Quiet(BaseModel):
    """Hours in which nothing rings, in China's time; they may cross midnight."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    begins: str = Field(pattern=CLOCK, examples=["22:00"])
    ends: str = Field(pattern=CLOCK, examples=["07:00"])

    @model_validator(mode="after")
    def _is_some_time(self) -> Self:
        if self.begins == self.ends:
            raise PydanticCustomError(
                "quiet_empty", "they end when they begin; give null for none", {"zh": "起止时间相同；不需要请填null"}
            )
        return self

    @property
    def minutes(self) -> tuple[int, int]:
        """From and to in minutes of the day."""
        return minutes(self.begins), minutes(self.ends)


class ProfileChange(BaseModel):
    """What shall change; what is not named stays. null takes quiet hours or the own order away."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "example": {"quiet_hours": {"begins": "22:00", "ends": "07:00"}, "channels": ["sms", "wechat"]}
        },
    )

    language: Literal["zh", "en"] = "zh"
    is_elder_mode: bool = False
    quiet_hours: Quiet | None = None
    channels: tuple[Literal["wechat", "push", "sms"], ...] | None = Field(
        default=None, max_length=len(CHANNELS), description="the own order; those that are left out follow"
    )
    is_tester: bool = Field(default=False, description="takes part in exercises")

    @field_validator("channels")
    @classmethod
    def _are_different(cls, channels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if channels and len({*channels}) < len(channels):
            raise PydanticCustomError("channel_twice", "a channel stands there twice", {"zh": "渠道重复"})
        return channels


def _rough(point: tuple[float, float] | None) -> tuple[float, float] | None:
    return point and (round(point[0], SAME_DECIMALS), round(point[1], SAME_DECIMALS))


def with_place(places: Sequence[OwnPlace], new: OwnPlace) -> tuple[list[OwnPlace], OwnPlace]:
    """The places with this one, and as what it stands there: one that is the same already takes the new words."""
    twin = next((each for each in places if each.where.is_same(new.where)), None)
    if twin is None:
        return [*places, new], new
    merged = replace(new, id=twin.id, name=new.name or twin.name, address=new.address or twin.address)
    return [merged if each.id == twin.id else each for each in places], merged


def with_change(places: Sequence[OwnPlace], changed: OwnPlace) -> list[OwnPlace]:
    """The places with this one as it is now; another one that is the same has become one with it."""
    return [
        changed if each.id == changed.id else each
        for each in places
        if each.id == changed.id or not each.where.is_same(changed.where)
    ]


def minutes(clock: str) -> int:
    """HH:MM as minutes of the day; ValueError.

    >>> minutes("22:30")
    1350
    """
    hour, _, minute = clock.partition(":")
    return int(hour) * 60 + int(minute)


def clock(minute: int) -> str:
    """The inverse of `minutes`."""
    return f"{minute // 60 % 24:02d}:{minute % 60:02d}"


def full_order(own: Sequence[str]) -> tuple[str, ...]:
    """Every channel in the person's order; those that were left out follow in the usual one."""
    return (*own, *(channel for channel in CHANNELS if channel not in own))
