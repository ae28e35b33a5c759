"""The routes of the weather: forecasts and typhoons for everybody, one's own places and subscriptions."""

from __future__ import annotations

from handlers import forecasts as reading
from handlers import weather_subscriptions as own
from handlers.front import Shelf
from handlers.routing import CITIZEN, PUBLIC, Operation, Route
from server.assemble_weather import WeatherParts
from server.domain.feeds_writing import GEOJSON_TYPE

UNCHANGED = {304: "unchanged since the ETag of If-None-Match"}
GEOJSON_SAMPLE = '{"type":"FeatureCollection","features":[]}'


def routes(parts: WeatherParts, shelf: Shelf) -> list[Route]:
    """The lines of the table."""
    return [*_public(parts, shelf), *_own(parts)]


def _public(weather: WeatherParts, shelf: Shelf) -> list[Route]:
    parts = {"forecasts": weather.forecasts, "shelf": shelf}
    some = Operation(
        summary="Forecasts: of a division and all below it, or all there are", entry=PUBLIC,
        query=reading.ForecastsQuery, gives=reading.ForecastList, answers_as=UNCHANGED,
    )  # fmt: skip
    one = Operation(
        summary="The forecast of a division, else of the one above", entry=PUBLIC, gives=reading.ForecastView,
        answers_as=UNCHANGED,
    )  # fmt: skip
    storms = Operation(
        summary="Typhoons that are there now, with their tracks", entry=PUBLIC, gives=reading.TyphoonList,
        answers_as=UNCHANGED,
    )  # fmt: skip
    storm = Operation(summary="One typhoon", entry=PUBLIC, gives=reading.TyphoonView, answers_as=UNCHANGED)
    drawn = {GEOJSON_TYPE: GEOJSON_SAMPLE}
    storms_map = Operation(
        summary="Typhoons as GeoJSON (RFC 7946)", entry=PUBLIC, gives_raw=drawn, answers_as=UNCHANGED
    )
    storm_map = Operation(summary="One typhoon as GeoJSON", entry=PUBLIC, gives_raw=drawn, answers_as=UNCHANGED)
    return [
        Route("/v1/forecasts", reading.ForecastsHandler, {"GET": some}, parts),
        Route("/v1/forecasts/{division}", reading.ForecastHandler, {"GET": one}, parts),
        Route("/v1/typhoons", reading.TyphoonsHandler, {"GET": storms}, parts),
        Route("/v1/typhoons.geojson", reading.TyphoonsMapHandler, {"GET": storms_map}, parts),
        Route("/v1/typhoons/{typhoon}.geojson", reading.TyphoonMapHandler, {"GET": storm_map}, parts),
        Route("/v1/typhoons/{typhoon}", reading.TyphoonHandler, {"GET": storm}, parts),
    ]


def _own(weather: WeatherParts) -> list[Route]:
    parts = {"subscriptions": weather.subscriptions}
    mine = Operation(summary="The forecast of each of the caller's places", entry=CITIZEN, gives=reading.OwnForecasts)
    all_of_them = {
        "GET": Operation(
            summary="What the caller wants to hear of the weather", entry=CITIZEN, gives=own.WeatherSubscriptionsView
        ),
        "POST": Operation(
            summary="Be told of the weather at a time, every day or only if", entry=CITIZEN,
            takes=own.WeatherSubscriptionForm, gives=own.WeatherSubscriptionView, status=201,
        ),
    }  # fmt: skip
    one = {
        "GET": Operation(summary="One weather subscription", entry=CITIZEN, gives=own.WeatherSubscriptionView),
        "PUT": Operation(
            summary="Write over it; it counts from now on", entry=CITIZEN, takes=own.WeatherSubscriptionForm,
            gives=own.WeatherSubscriptionView,
        ),
        "DELETE": Operation(summary="Take it away", entry=CITIZEN, status=204),
    }  # fmt: skip
    path = "/v1/me/weather-subscriptions"
    return [
        Route("/v1/me/forecasts", reading.OwnForecastsHandler, {"GET": mine}, {"forecasts": weather.forecasts}),
        Route(path, own.WeatherSubscriptionsHandler, all_of_them, parts),
        Route(f"{path}/{{weather_subscription}}", own.WeatherSubscriptionHandler, one, parts),
    ]
