"""The answers of a weather API of the common Chinese shape (QWeather v7), read strictly. Nothing here asks anybody.

All numbers come as text and "" means not known. What is no number, NaN, out of any weather that was ever measured, of
another type or missing is refused with the place where it stands; fields that nobody here uses may be anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from server.domain.forecasts import MAX_AQI, Air, Day, Hour, Sky
from server.domain.typhoons import Radii, Strength, TrackPoint

_NUMBER = re.compile(r"-?\d{1,6}(?:\.\d{1,6})?", re.ASCII)
KNOTS_KMH = 1.852


def _number(value: object) -> float | None:
    """A number written as text."""
    if value == "":
        return None
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise ValueError("a number written as text is wanted")
    return float(value)


def _needed(value: object) -> float:
    number = _number(value)
    if number is None or not math.isfinite(number):
        raise ValueError("a number is missing")
    return number


Number = Annotated[float, BeforeValidator(_needed)]
Maybe = Annotated[float | None, BeforeValidator(_number)]
Time = Annotated[AwareDatetime, BeforeValidator(lambda value: value if isinstance(value, str) else None)]
Moment = Annotated[AwareDatetime | None, BeforeValidator(lambda value: value or None)]
Text = Annotated[str, Field(max_length=5_000, strict=True)]
Word = Annotated[str, Field(max_length=200, strict=True)]
M = TypeVar("M", bound=BaseModel)


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Envelope(_Told):
    """What every answer begins with: "200" is the only good one, whatever HTTP says."""

    code: Annotated[str, Field(pattern=r"^\d{3}$", strict=True)]


class _HourTold(_Told):
    fx_time: Time = Field(alias="fxTime")
    temp: Number
    icon: Word = ""
    wind_speed: Maybe = Field(default=None, alias="windSpeed")
    humidity: Maybe = None
    pop: Maybe = None
    precip: Maybe = None


class HoursTold(_Told):
    """/v7/weather/24h and longer."""

    update_time: Time = Field(alias="updateTime")
    hourly: list[_HourTold] = Field(min_length=1, max_length=168)


class _DayTold(_Told):
    fx_date: date = Field(alias="fxDate")
    temp_max: Number = Field(alias="tempMax")
    temp_min: Number = Field(alias="tempMin")
    icon_day: Word = Field(default="", alias="iconDay")
    icon_night: Word = Field(default="", alias="iconNight")
    wind_speed: Maybe = Field(default=None, alias="windSpeedDay")
    humidity: Maybe = None
    precip: Maybe = None


class DaysTold(_Told):
    """/v7/weather/7d and longer."""

    update_time: Time = Field(alias="updateTime")
    daily: list[_DayTold] = Field(min_length=1, max_length=31)


class _AirNow(_Told):
    pub_time: Time = Field(alias="pubTime")
    aqi: Number


class AirTold(_Told):
    """/v7/air/now."""

    now: _AirNow


class WarningTold(_Told):
    """One of /v7/warning/now."""

    id: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[\x21-\x7e]+$", strict=True)]
    sender: Word = ""
    pub_time: Time = Field(alias="pubTime")
    title: Word
    start_time: Moment = Field(default=None, alias="startTime")
    end_time: Moment = Field(default=None, alias="endTime")
    status: Word = "active"
    severity_color: Word = Field(default="", alias="severityColor")
    type: Word = ""
    type_name: Word = Field(default="", alias="typeName")
    urgency: Word = ""
    certainty: Word = ""
    text: Text = ""
    related: Word = ""


class WarningsTold(_Told):
    """/v7/warning/now: each is read on its own, so that one that cannot be read keeps no other out."""

    warning: list[Any] = Field(max_length=200)


class StormTold(_Told):
    """One of a basin's year."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$", strict=True)]
    name: Word
    is_active: Word = Field(alias="isActive")


class StormsTold(_Told):
    """/v7/tropical/storm-list."""

    storm: list[StormTold] = Field(max_length=100)


class _RadiusTold(_Told):
    ne: Maybe = Field(default=None, alias="neRadius")
    se: Maybe = Field(default=None, alias="seRadius")
    sw: Maybe = Field(default=None, alias="swRadius")
    nw: Maybe = Field(default=None, alias="nwRadius")

    @property
    def radii(self) -> Radii | None:
        """None unless all four are known."""
        if self.ne is None or self.se is None or self.sw is None or self.nw is None:
            return None
        return Radii(ne=self.ne, se=self.se, sw=self.sw, nw=self.nw)


class _PointTold(_Told):
    time: Time = Field(alias="time")
    lat: Number
    lon: Number
    type: Word = ""
    pressure: Maybe = None
    wind_speed: Maybe = Field(default=None, alias="windSpeed")
    radius_30: _RadiusTold | None = Field(default=None, alias="windRadius30")
    radius_50: _RadiusTold | None = Field(default=None, alias="windRadius50")
    radius_64: _RadiusTold | None = Field(default=None, alias="windRadius64")

    @property
    def point(self) -> TrackPoint:
        """As the house has it; ValidationError out of this world."""
        return TrackPoint(
            at=self.time,
            lat=self.lat,
            lon=self.lon,
            strength=Strength(self.type) if self.type in {*Strength} else None,
            pressure_hpa=self.pressure,
            wind_ms=self.wind_speed,
            radius_7=self.radius_30.radii if self.radius_30 else None,
            radius_10=self.radius_50.radii if self.radius_50 else None,
            radius_12=self.radius_64.radii if self.radius_64 else None,
        )


class _AheadTold(_PointTold):
    time: Time = Field(alias="fxTime")


class _NowTold(_PointTold):
    time: Time = Field(alias="pubTime")


class TrackTold(_Told):
    """/v7/tropical/storm-track."""

    update_time: Time = Field(alias="updateTime")
    is_active: Word = Field(alias="isActive")
    now: _NowTold | None = None
    track: list[_PointTold] = Field(default=[], max_length=499)


class AheadTold(_Told):
    """/v7/tropical/storm-forecast."""

    forecast: list[_AheadTold] = Field(default=[], max_length=499)


# Icons by their numbers, from and to.
_SKIES: Mapping[tuple[int, int], Sky] = {
    (100, 100): Sky.CLEAR, (101, 103): Sky.CLOUDY, (104, 104): Sky.OVERCAST, (150, 150): Sky.CLEAR,
    (151, 153): Sky.CLOUDY, (300, 301): Sky.SHOWERS, (302, 304): Sky.THUNDER, (305, 305): Sky.LIGHT_RAIN,
    (306, 306): Sky.RAIN, (307, 307): Sky.HEAVY_RAIN, (308, 308): Sky.TORRENTIAL_RAIN, (309, 309): Sky.LIGHT_RAIN,
    (310, 312): Sky.TORRENTIAL_RAIN, (313, 313): Sky.FREEZING_RAIN, (314, 314): Sky.LIGHT_RAIN, (315, 315): Sky.RAIN,
    (316, 316): Sky.HEAVY_RAIN, (317, 318): Sky.TORRENTIAL_RAIN, (350, 351): Sky.SHOWERS, (399, 399): Sky.RAIN,
    (400, 401): Sky.SNOW, (402, 403): Sky.HEAVY_SNOW, (404, 406): Sky.SLEET, (407, 408): Sky.SNOW,
    (409, 410): Sky.HEAVY_SNOW, (456, 456): Sky.SLEET, (457, 457): Sky.SNOW, (499, 499): Sky.SNOW,
    (500, 501): Sky.FOG, (502, 502): Sky.HAZE, (503, 508): Sky.DUST, (509, 510): Sky.FOG, (511, 513): Sky.HAZE,
    (514, 515): Sky.FOG,
}  # fmt: skip


class UnreadableError(Exception):
    """An answer that is not as agreed; the text says where, and never what else stands in it."""


def read(model: type[M], body: bytes | Any) -> M:
    """A model from bytes of JSON, or from a value that was JSON; UnreadableError."""
    try:
        return model.model_validate_json(body) if isinstance(body, bytes) else model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:100]
        raise UnreadableError(f"{where or 'body'}: {first['msg'][:150]}") from None


def sky_of(icon: str) -> Sky:
    """What an icon shows.

    >>> sky_of("307"), sky_of("999"), sky_of("")
    (<Sky.HEAVY_RAIN: 'heavy_rain'>, <Sky.OTHER: 'other'>, <Sky.OTHER: 'other'>)
    """
    number = int(icon) if icon.isascii() and icon.isdigit() and len(icon) == 3 else 0
    return next((sky for (low, high), sky in _SKIES.items() if low <= number <= high), Sky.OTHER)


def hours_of(told: HoursTold) -> tuple[Hour, ...]:
    """As the house has them; ValidationError for what no weather is."""
    return tuple(
        Hour(
            at=each.fx_time,
            sky=sky_of(each.icon),
            temperature_c=each.temp,
            rain_percent=_whole(each.pop),
            rain_mm=each.precip,
            wind_kmh=each.wind_speed,
            humidity_percent=_whole(each.humidity),
        )
        for each in told.hourly
    )


def days_of(told: DaysTold) -> tuple[Day, ...]:
    """As `hours_of`."""
    return tuple(
        Day(
            day=each.fx_date,
            sky=sky_of(each.icon_day),
            night_sky=sky_of(each.icon_night),
            low_c=each.temp_min,
            high_c=each.temp_max,
            rain_mm=each.precip,
            wind_kmh=each.wind_speed,
            humidity_percent=_whole(each.humidity),
        )
        for each in told.daily
    )


def air_of(told: AirTold) -> Air:
    """The air; an index beyond the scale is its end."""
    return Air(at=told.now.pub_time, aqi=min(round(told.now.aqi), MAX_AQI))


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
