"""Forecasts and typhoons over HTTP: for everybody, and for one's own places.

What everybody may read is kept in front of the application for some seconds: feeds bring news every few minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Self

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from handlers.base import ApiHandler
from handlers.divisions import CODE
from handlers.front import Shelf
from handlers.public import PublicHandler
from server.domain.divisions import Division
from server.domain.feeds_writing import GEOJSON_TYPE
from server.domain.forecasts import Air, Day, Forecast, Hour, Sky, air_words
from server.domain.profile import Label
from server.domain.typhoons import TrackPoint, Typhoon, geojson
from server.services.forecasts import AtPlace, Forecasts

KEPT_S = 20
_AT = "2026-07-24T08:00:00+08:00"
_HOUR: dict[str, JsonValue] = {
    "at": _AT, "sky": "showers", "temperature_c": 28.0, "rain_percent": 70, "rain_mm": 2.5, "wind_kmh": 18.0,
    "humidity_percent": 84,
}  # fmt: skip
_DAY: dict[str, JsonValue] = {
    "day": "2026-07-24", "sky": "showers", "night_sky": "cloudy", "low_c": 26.0, "high_c": 32.0, "rain_percent": None,
    "rain_mm": 8.0, "wind_kmh": 20.0, "humidity_percent": 80,
}  # fmt: skip
FORECAST: dict[str, JsonValue] = {
    "division": "440305", "name": "南山区", "of": "440305", "source": "weather-bureau", "as_of": _AT, "is_stale": False,
    "air": {"at": _AT, "aqi": 42}, "air_quality": "优", "skies": {"showers": "阵雨", "cloudy": "多云"},
    "hours": [_HOUR], "days": [_DAY],
}  # fmt: skip
_POINT: dict[str, JsonValue] = {
    "at": _AT, "lat": 19.4, "lon": 121.8, "strength": "TY", "pressure_hpa": 965.0, "wind_ms": 38.0,
    "radius_7": {"ne": 260.0, "se": 220.0, "sw": 180.0, "nw": 220.0}, "radius_10": None, "radius_12": None,
}  # fmt: skip
TYPHOON: dict[str, JsonValue] = {
    "id": "NP_2618", "name": "海棠", "strength": "台风", "is_active": True, "source": "weather-bureau", "as_of": _AT,
    "is_stale": False, "observed": [_POINT], "forecast": [_POINT],
}  # fmt: skip
NEAR: dict[str, JsonValue] = {"id": "NP_2618", "name": "海棠", "distance_km": 431}
PLACE: dict[str, JsonValue] = {
    "place": "4c1f0e9d2b7a48d6a3c5e8f10b6d7a92", "label": "home", "division": "440305001", "forecast": FORECAST,
    "typhoons": [NEAR],
}  # fmt: skip


def _like(example: dict[str, JsonValue]) -> ConfigDict:
    return ConfigDict(frozen=True, json_schema_extra={"example": example})


class ForecastsQuery(BaseModel):
    """Of where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    division: str | None = Field(
        default=None, pattern=CODE, description="it and all below it; without it all there are", examples=["440300"]
    )


class ForecastView(BaseModel):
    """A forecast. `of` is the division that it is made for: the one that was asked for, or one above."""

    model_config = _like(FORECAST)

    division: str
    name: str
    of: str
    source: str = Field(description="name of the feed")
    as_of: AwareDatetime
    is_stale: bool = Field(description="a newer one should have come")
    air: Air | None
    air_quality: str | None = Field(description="what the index means, in the caller's language")
    skies: dict[str, str] = Field(description="what each sky is called in the caller's language")
    hours: tuple[Hour, ...]
    days: tuple[Day, ...]

    @classmethod
    def about(cls, division: Division, forecast: Forecast, now: datetime, language: str) -> Self:
        """As the caller reads it."""
        skies = {hour.sky for hour in forecast.hours} | {sky for d in forecast.days for sky in (d.sky, d.night_sky)}
        is_chinese = language == "zh"
        return cls(
            division=division.code,
            name=division.name if is_chinese else division.name_en or division.name,
            of=forecast.division,
            source=forecast.source,
            as_of=forecast.as_of,
            is_stale=forecast.is_stale(now),
            air=forecast.air,
            air_quality=air_words(forecast.air.aqi).get(language) if forecast.air else None,
            skies={sky.value: sky.words.get(language) for sky in Sky if sky in skies},
            hours=forecast.hours,
            days=forecast.days,
        )


class ForecastList(BaseModel):
    """Some forecasts, by code."""

    model_config = _like({"forecasts": [FORECAST]})

    forecasts: tuple[ForecastView, ...]


class TyphoonView(BaseModel):
    """A typhoon: where it was seen, where it may go."""

    model_config = _like(TYPHOON)

    id: str
    name: str
    strength: str | None = Field(description="of where it was last seen, in the caller's language")
    is_active: bool
    source: str
    as_of: AwareDatetime
    is_stale: bool
    observed: tuple[TrackPoint, ...]
    forecast: tuple[TrackPoint, ...]

    @classmethod
    def about(cls, typhoon: Typhoon, now: datetime, language: str) -> Self:
        """As the caller reads it."""
        strength = typhoon.centre.strength
        told = {name: getattr(typhoon, name) for name in Typhoon.model_fields}
        words = strength.words.get(language) if strength else None
        return cls(**told, strength=words, is_stale=typhoon.is_stale(now))


class TyphoonList(BaseModel):
    """Those that are there now."""

    model_config = _like({"typhoons": [TYPHOON]})

    typhoons: tuple[TyphoonView, ...]


class NearTyphoon(BaseModel):
    """A typhoon as seen from a place."""

    model_config = _like(NEAR)

    id: str
    name: str
    distance_km: int


class PlaceForecast(BaseModel):
    """What is known of one of the caller's places."""

    model_config = _like(PLACE)

    place: str
    label: Label
    division: str
    forecast: ForecastView | None = Field(description="null: there is none yet")
    typhoons: tuple[NearTyphoon, ...] = Field(description="nearest first; from the point, else from the district")

    @classmethod
    def about(cls, found: AtPlace, language: str) -> Self:
        """As the caller reads it."""
        forecast = found.forecast
        near = (NearTyphoon(id=each.id, name=each.name, distance_km=round(km)) for each, km in found.near)
        return cls(
            place=found.place.id,
            label=found.place.label,
            division=found.place.division,
            forecast=ForecastView.about(found.division, forecast, found.now, language) if forecast else None,
            typhoons=tuple(near),
        )


class OwnForecasts(BaseModel):
    """For each of the caller's places."""

    model_config = _like({"places": [PLACE]})

    places: tuple[PlaceForecast, ...]


class _WeatherHandler(PublicHandler):
    """What the public handlers share."""

    fresh_s = KEPT_S

    def initialize(self, forecasts: Forecasts, shelf: Shelf) -> None:
        """`forecasts` reads them."""
        self.forecasts = forecasts
        self.stand_behind(shelf)

    def hand_out(self, model: BaseModel, target: str | None) -> None:
        """JSON that is right for some seconds."""
        self.tell_model(model, self._until, target)

    def hand_out_map(self, typhoons: Sequence[Typhoon], target: str) -> None:
        """The same as GeoJSON."""
        self.tell(orjson.dumps(geojson(typhoons)), GEOJSON_TYPE, self._until, target, is_worded=False)

    @property
    def _until(self) -> datetime:
        return self.forecasts.now() + timedelta(seconds=KEPT_S)


class ForecastsHandler(_WeatherHandler):
    """/v1/forecasts."""

    async def get(self) -> None:
        """Of a division and all below it, or all there are."""
        division = self.asked(ForecastsQuery).division
        found = await self.forecasts.within(division)
        views = (ForecastView.about(each.division, each.forecast, each.now, self.language) for each in found)
        target = f"/v1/forecasts?division={division}" if division else "/v1/forecasts"
        self.hand_out(ForecastList(forecasts=tuple(views)), target)


class ForecastHandler(_WeatherHandler):
    """/v1/forecasts/{division}."""

    async def get(self, division: str) -> None:
        """Of one division."""
        found = await self.forecasts.get(division)
        view = ForecastView.about(found.division, found.forecast, found.now, self.language)
        self.hand_out(view, f"/v1/forecasts/{division}")


class TyphoonsHandler(_WeatherHandler):
    """/v1/typhoons."""

    async def get(self) -> None:
        """Those that are there now."""
        found, now = await self.forecasts.typhoons(), self.forecasts.now()
        views = tuple(TyphoonView.about(each, now, self.language) for each in found)
        self.hand_out(TyphoonList(typhoons=views), "/v1/typhoons")


class TyphoonHandler(_WeatherHandler):
    """/v1/typhoons/{typhoon}."""

    async def get(self, typhoon: str) -> None:
        """One, also when it is over."""
        found = await self.forecasts.typhoon(typhoon)
        view = TyphoonView.about(found, self.forecasts.now(), self.language)
        self.hand_out(view, f"/v1/typhoons/{typhoon}")


class TyphoonsMapHandler(_WeatherHandler):
    """/v1/typhoons.geojson."""

    async def get(self) -> None:
        """The same as a map has it."""
        self.hand_out_map(await self.forecasts.typhoons(), "/v1/typhoons.geojson")


class TyphoonMapHandler(_WeatherHandler):
    """/v1/typhoons/{typhoon}.geojson."""

    async def get(self, typhoon: str) -> None:
        """One of them."""
        self.hand_out_map([await self.forecasts.typhoon(typhoon)], f"/v1/typhoons/{typhoon}.geojson")


class OwnForecastsHandler(ApiHandler):
    """/v1/me/forecasts."""

    def initialize(self, forecasts: Forecasts) -> None:
        """`forecasts` reads them."""
        self.forecasts = forecasts

    async def get(self) -> None:
        """For each of the caller's places."""
        found = await self.forecasts.at_places(self.caller.id)
        self.respond(OwnForecasts(places=tuple(PlaceForecast.about(each, self.language) for each in found)))
