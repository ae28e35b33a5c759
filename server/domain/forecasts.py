"""A forecast for one division: by hour, by day, and the air. What a person is told of it is an `Outlook`. Pure.

Numbers have one unit each, whatever the feed counts in: degrees Celsius, kilometres an hour, millimetres, percent. A
forecast is replaced as a whole, so everything in it is of one `as_of`. Missing is None, never a made-up zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from server.domain.china import CHINA
from server.domain.wording import NO_WORDS, Words

STALE_AFTER = timedelta(hours=3)  # from then on an answer says so
USELESS_AFTER = timedelta(hours=24)  # from then on nobody is told by it
EVENING = time(18)  # who asks later wants to know of the next day
MAX_HOURS, MAX_DAYS = 168, 31
MAX_AQI = 500  # HJ 633-2012 ends there
# The lowest wind in km/h of each level from 1 on (GB/T 28591-2012, Beaufort).
_WIND_KMH = (1, 6, 12, 20, 29, 39, 50, 62, 75, 89, 103, 118, 134, 150, 167, 184, 202)
_AIR = ((50, "优", "good"), (100, "良", "fair"), (150, "轻度污染", "lightly polluted"),
        (200, "中度污染", "moderately polluted"), (300, "重度污染", "heavily polluted"),
        (MAX_AQI, "严重污染", "severely polluted"))  # fmt: skip

Celsius = Annotated[float, Field(ge=-80, le=70)]
Percent = Annotated[int, Field(ge=0, le=100)]
Millimetres = Annotated[float, Field(ge=0, le=2_000)]
Kmh = Annotated[float, Field(ge=0, le=500)]


class Sky(StrEnum):
    """What it looks like."""

    CLEAR = "clear"
    CLOUDY = "cloudy"
    OVERCAST = "overcast"
    SHOWERS = "showers"
    THUNDER = "thunder"
    LIGHT_RAIN = "light_rain"
    RAIN = "rain"
    HEAVY_RAIN = "heavy_rain"
    TORRENTIAL_RAIN = "torrential_rain"
    FREEZING_RAIN = "freezing_rain"
    SLEET = "sleet"
    SNOW = "snow"
    HEAVY_SNOW = "heavy_snow"
    FOG = "fog"
    HAZE = "haze"
    DUST = "dust"
    OTHER = "other"  # the feed says something that nobody here knows

    @property
    def words(self) -> Words:
        """For people; none for `OTHER`."""
        return _SKIES.get(self, NO_WORDS)


_SKIES: Mapping[Sky, Words] = {
    Sky.CLEAR: Words("晴", "clear"),
    Sky.CLOUDY: Words("多云", "cloudy"),
    Sky.OVERCAST: Words("阴", "overcast"),
    Sky.SHOWERS: Words("阵雨", "showers"),
    Sky.THUNDER: Words("雷阵雨", "thunderstorms"),
    Sky.LIGHT_RAIN: Words("小雨", "light rain"),
    Sky.RAIN: Words("中雨", "rain"),
    Sky.HEAVY_RAIN: Words("大雨", "heavy rain"),
    Sky.TORRENTIAL_RAIN: Words("暴雨", "torrential rain"),
    Sky.FREEZING_RAIN: Words("冻雨", "freezing rain"),
    Sky.SLEET: Words("雨夹雪", "sleet"),
    Sky.SNOW: Words("雪", "snow"),
    Sky.HEAVY_SNOW: Words("大雪", "heavy snow"),
    Sky.FOG: Words("雾", "fog"),
    Sky.HAZE: Words("霾", "haze"),
    Sky.DUST: Words("沙尘", "dust"),
}


class Part(BaseModel):
    """What all parts of a forecast are: closed and unchanging."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Hour(Part):
    """One hour that begins at `at`."""

    at: AwareDatetime
    sky: Sky
    temperature_c: Celsius
    rain_percent: Percent | None = None
    rain_mm: Millimetres | None = None
    wind_kmh: Kmh | None = None
    humidity_percent: Percent | None = None


class Day(Part):
    """One day of China."""

    day: date
    sky: Sky
    night_sky: Sky
    low_c: Celsius
    high_c: Celsius
    rain_percent: Percent | None = None
    rain_mm: Millimetres | None = None
    wind_kmh: Kmh | None = None
    humidity_percent: Percent | None = None


class Air(Part):
    """The air as it was measured."""

    at: AwareDatetime
    aqi: Annotated[int, Field(ge=0, le=MAX_AQI, description="HJ 633-2012")]


class Forecast(Part):
    """All that is known of one division. `source`: the name of the feed."""

    division: str = Field(pattern=r"^\d{6}(\d{3}){0,2}$")
    source: str = Field(max_length=60)
    as_of: AwareDatetime
    hours: tuple[Hour, ...] = Field(default=(), max_length=MAX_HOURS)
    days: tuple[Day, ...] = Field(default=(), max_length=MAX_DAYS)
    air: Air | None = None

    def is_stale(self, now: datetime) -> bool:
        """Whether a newer one should have come."""
        return now - self.as_of > STALE_AFTER

    def is_useless(self, now: datetime) -> bool:
        """Whether nobody is to be told by it any more."""
        return now - self.as_of > USELESS_AFTER


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a forecast comes to for one day, as one person is told. Of today it is what is left of it."""

    day: date
    sky: Sky
    low_c: float
    high_c: float
    rain_percent: int | None
    wind_level: int | None
    aqi: int | None
    as_of: datetime


def outlook(forecast: Forecast, at: datetime) -> Outlook | None:
    """Of the day that somebody at `at` asks about: today, from the evening on tomorrow. None: it does not reach there.

    The air is measured, not forecast: it is that of now, and only told for today.
    """
    local = at.astimezone(CHINA)
    is_today = local.time() < EVENING
    day = local.date() if is_today else local.date() + timedelta(days=1)
    begins_at = datetime.combine(day, time(), CHINA)
    ends_at, one = begins_at + timedelta(days=1), timedelta(hours=1)
    hours = [hour for hour in forecast.hours if begins_at <= hour.at < ends_at and hour.at + one > at]
    whole = next((each for each in forecast.days if each.day == day), None)
    if whole is None and not hours:
        return None
    low, high = _span(whole, hours)
    rain = _most(hour.rain_percent for hour in hours)
    wind = _most(hour.wind_kmh for hour in hours)
    if whole is not None:
        rain = whole.rain_percent if rain is None else rain
        wind = whole.wind_kmh if wind is None else wind
    return Outlook(
        day=day,
        sky=whole.sky if whole else hours[0].sky,
        low_c=low,
        high_c=high,
        rain_percent=None if rain is None else int(rain),
        wind_level=None if wind is None else wind_level(wind),
        aqi=forecast.air.aqi if forecast.air and is_today and not _is_old(forecast.air, at) else None,
        as_of=forecast.as_of,
    )


def wind_level(kmh: float) -> int:
    """The level of a wind, 0 to 17.

    >>> wind_level(0.5), wind_level(40), wind_level(118), wind_level(400)
    (0, 6, 12, 17)
    """
    return sum(kmh >= lowest for lowest in _WIND_KMH)


def air_words(aqi: int) -> Words:
    """What an index means.

    >>> air_words(160).zh
    '中度污染'
    """
    zh, en = next(((zh, en) for upto, zh, en in _AIR if aqi <= upto), _AIR[-1][1:])
    return Words(zh, en)


def _span(whole: Day | None, hours: list[Hour]) -> tuple[float, float]:
    """The lowest and the highest of what is left; without hours that of the whole day."""
    if hours:
        degrees = [hour.temperature_c for hour in hours]
        return min(degrees), max(degrees)
    assert whole is not None
    return whole.low_c, whole.high_c


def _most(values: Iterable[float | None]) -> float | None:
    return max(_known(values), default=None)


def _known(values: Iterable[float | None]) -> Iterator[float]:
    yield from (value for value in values if value is not None)


def _is_old(air: Air, at: datetime) -> bool:
    return at - air.at > STALE_AFTER
