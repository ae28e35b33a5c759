"""The part of `assemble` that finds the words of weather notices: the sender of every process needs it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from server.domain.divisions import Divisions
from server.domain.templates import Registry
from server.services.forecasts import WeatherShelves
from server.services.weather_notices import WeatherNotices
from server.storage.forecasts import ForecastStore
from server.storage.mongo import Database
from server.storage.typhoons import TyphoonStore
from server.storage.weather_subscriptions import WeatherSubscriptionStore


def weather_shelves(db: Database) -> WeatherShelves:
    """The stores that the weather is read from."""
    return WeatherShelves(WeatherSubscriptionStore(db), ForecastStore(db), TyphoonStore(db))


def weather_notices(
    db: Database, divisions: Divisions, registry: Registry, now: Callable[[], datetime]
) -> WeatherNotices:
    """The subject of weather notices."""
    return WeatherNotices(weather_shelves(db), divisions, registry, now)
