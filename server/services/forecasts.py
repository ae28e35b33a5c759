"""Forecasts and typhoons for whoever asks: by division, for the own places, and how old they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.divisions import Division, Divisions, is_within
from server.domain.errors import NotFoundError
from server.domain.forecasts import Forecast
from server.domain.typhoons import Point, Typhoon
from server.domain.weather_skies import Skies, middle_of
from server.domain.weather_subscriptions import PlaceSeen
from server.storage.forecasts import ForecastStore
from server.storage.typhoons import TyphoonStore
from server.storage.weather_subscriptions import WeatherSubscriptionStore


@dataclass(frozen=True, slots=True)
class Found:
    """A forecast, and of which division it was asked for."""

    division: Division
    forecast: Forecast
    now: datetime


@dataclass(frozen=True, slots=True)
class AtPlace:
    """What is known of one's own place. `near`: active typhoons with their distances in km, nearest first."""

    place: PlaceSeen
    division: Division
    forecast: Forecast | None
    near: Sequence[tuple[Typhoon, float]]
    now: datetime


@dataclass(frozen=True, slots=True)
class WeatherShelves:
    """The stores that the weather is read from."""

    subscriptions: WeatherSubscriptionStore
    forecasts: ForecastStore
    typhoons: TyphoonStore


class Forecasts:
    """The verbs."""

    def __init__(self, shelves: WeatherShelves, divisions: Divisions, now: Callable[[], datetime]) -> None:
        self._shelves = shelves
        self._divisions = divisions
        self.now = now

    async def within(self, division: str | None) -> list[Found]:
        """Those of a division and of all below it, by code; None: all. InvalidInputError `division_unknown`."""
        root, now = self._divisions.get(division).code if division else None, self.now()
        return [
            Found(self._divisions.get(code), forecast, now)
            for code, forecast in (await self._shelves.forecasts.all()).items()
            if self._divisions.is_known(code) and (root is None or is_within(code, root))
        ]

    async def get(self, division: str) -> Found:
        """That of a division, else of the one above. NotFoundError `division_unknown`, `forecast_unknown`."""
        known = self._divisions.find(division)
        if known is None:
            raise NotFoundError("division_unknown", zh="没有这个行政区划代码", en="there is no such division")
        lineage, now = self._divisions.lineage(known.code), self.now()
        forecast = Skies(await self._shelves.forecasts.find(lineage), (), self._divisions, now).forecast(known.code)
        if forecast is None:
            raise NotFoundError("forecast_unknown", zh="暂无此地的天气预报", en="there is no forecast for it yet")
        return Found(known, forecast, now)

    async def typhoons(self) -> list[Typhoon]:
        """Those that are there now."""
        return await self._shelves.typhoons.find_active()

    async def typhoon(self, id_: str) -> Typhoon:
        """One, active or not. NotFoundError `typhoon_unknown`."""
        found = await self._shelves.typhoons.find(id_)
        if found is None:
            raise NotFoundError("typhoon_unknown", zh="没有这个台风", en="there is no such typhoon")
        return found

    async def at_places(self, citizen: int) -> list[AtPlace]:
        """For each of somebody's places."""
        places = (await self._shelves.subscriptions.places_of([citizen])).get(citizen, [])
        known = [place for place in places if self._divisions.is_known(place.division)]
        codes = {code for place in known for code in self._divisions.lineage(place.division)}
        forecasts = await self._shelves.forecasts.find(codes)
        typhoons, now = await self._shelves.typhoons.find_active(), self.now()
        skies = Skies(forecasts, typhoons, self._divisions, now)
        return [
            AtPlace(
                place=place,
                division=self._divisions.get(place.division),
                forecast=skies.forecast(place.division),
                near=_near(typhoons, place.point or middle_of(self._divisions, place.division)),
                now=now,
            )
            for place in known
        ]


def _near(typhoons: Sequence[Typhoon], point: Point | None) -> list[tuple[Typhoon, float]]:
    if point is None:
        return []
    return sorted(((each, each.distance_km(point)) for each in typhoons), key=lambda found: (found[1], found[0].id))
