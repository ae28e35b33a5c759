"""The weather over HTTP: what everybody may read, one's own places and subscriptions, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from server.assemble import Assembly
from server.domain.forecasts import Air, Day, Forecast, Sky
from server.domain.typhoons import TrackPoint, Typhoon
from server.domain.weather_subscriptions import MOST
from server.storage.forecasts import ForecastStore
from server.storage.typhoons import TyphoonStore
from tests.api.client import Citizens, Client

PATH = "/v1/me/weather-subscriptions"
SOMEBODY = 2**42 + 7


@pytest.fixture
async def known(assembly: Assembly) -> None:
    """A forecast of one district, and a typhoon."""
    now = assembly.now().replace(microsecond=0)
    day = Day(day=now.date(), sky=Sky.RAIN, night_sky=Sky.CLEAR, low_c=18, high_c=24, rain_percent=70)
    air = Air(at=now, aqi=160)
    await ForecastStore(assembly.db).put(Forecast(division="440305", source="t", as_of=now, days=(day,), air=air))
    points = tuple(TrackPoint(at=now - timedelta(hours=n), lat=20 - n, lon=116 + n) for n in (6, 0))
    await TyphoonStore(assembly.db).put(
        Typhoon(id="NP_2618", name="海棠", is_active=True, source="t", as_of=now, observed=points)
    )


@pytest.fixture
async def token(citizens: Citizens) -> str:
    return await citizens.enter(SOMEBODY)


async def place_of(api: Client, token: str, division: str = "440305001") -> str:
    made = await api("POST", "/v1/me/places", {"label": "home", "division": division}, token=token)
    return str(made.json["id"])


@pytest.mark.usefixtures("known")
async def test_a_forecast_is_that_of_the_division_or_the_one_above_under_an_etag(api: Client):
    found = await api("GET", "/v1/forecasts/440305001")
    assert (found.status, found.json["division"], found.json["of"]) == (200, "440305001", "440305")
    assert (found.json["air_quality"], found.json["skies"]["rain"]) == ("中度污染", "中雨")
    again = await api("GET", "/v1/forecasts/440305001", If_None_Match=found.headers["Etag"])
    assert again.status == 304
    english = await api("GET", "/v1/forecasts/440305", Accept_Language="en")
    assert english.json["name"] == "Nanshan District"
    listed = await api("GET", "/v1/forecasts?division=440300")
    assert [each["division"] for each in listed.json["forecasts"]] == ["440305"]


@pytest.mark.usefixtures("known")
async def test_where_nothing_is_known_it_is_said_so(api: Client):
    for path, code in (
        ("/v1/forecasts/440304", "forecast_unknown"),
        ("/v1/forecasts/999999", "division_unknown"),
        ("/v1/typhoons/NP_1", "typhoon_unknown"),
        ("/v1/typhoons/NP_1.geojson", "typhoon_unknown"),
    ):
        found = await api("GET", path)
        assert (found.status, found.code) == (404, code)


@pytest.mark.usefixtures("known")
async def test_a_typhoon_has_its_track_also_as_a_map(api: Client):
    one = await api("GET", "/v1/typhoons/NP_2618")
    assert (len(one.json["observed"]), one.json["is_stale"]) == (2, False)
    assert [each["id"] for each in (await api("GET", "/v1/typhoons")).json["typhoons"]] == ["NP_2618"]
    for path in ("/v1/typhoons.geojson", "/v1/typhoons/NP_2618.geojson"):
        drawn = await api("GET", path)
        assert drawn.headers["Content-Type"].startswith("application/geo+json")
        assert [each["geometry"]["type"] for each in drawn.json["features"]] == ["LineString", "Point", "Point"]


@pytest.mark.usefixtures("known")
async def test_each_own_place_has_its_forecast_and_its_distance(api: Client, token: str):
    near, far = await place_of(api, token), await place_of(api, token, "440304")
    found = {each["place"]: each for each in (await api("GET", "/v1/me/forecasts", token=token)).json["places"]}
    assert found[near]["forecast"]["of"] == "440305"
    assert found[far]["forecast"] is None
    assert 300 < found[near]["typhoons"][0]["distance_km"] < 400


async def test_a_subscription_is_added_changed_and_taken_away(api: Client, token: str):
    place = await place_of(api, token)
    form: dict[str, Any] = {"places": [place], "at": "07:30", "only_if": [{"what": "rain", "limit": 60}]}
    made = await api("POST", PATH, form, token=token, Idempotency_Key="one-wish-123")
    assert made.status == 201
    assert made.json["weekdays"] == [1, 2, 3, 4, 5, 6, 7]
    assert made.json["next_at"].endswith("T23:30:00Z")
    again = await api("POST", PATH, form, token=token, Idempotency_Key="one-wish-123")
    assert again.json == made.json
    one = made.headers["Location"]
    changed = await api("PUT", one, {"places": [place], "at": "20:00", "working_days_only": True}, token=token)
    assert (changed.json["at"], changed.json["only_if"]) == ("20:00", [])
    assert [each["id"] for each in (await api("GET", PATH, token=token)).json["subscriptions"]] == [made.json["id"]]
    assert (await api("DELETE", one, token=token)).status == 204
    assert (await api("GET", one, token=token)).status == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"at": "24:00"}, "at"),
        ({"at": "7:30"}, "at"),
        ({"at": 730}, "at"),
        ({"places": []}, "places"),
        ({"places": ["x"]}, "places[0]"),
        ({"places": ["0" * 32]}, "places[0]"),
        ({"places": ["0" * 32] * 2}, "places"),
        ({"weekdays": []}, "weekdays"),
        ({"weekdays": [0]}, "weekdays[0]"),
        ({"weekdays": [1, 1]}, "weekdays"),
        ({"only_if": [{"what": "luck", "limit": 1}]}, "only_if[0].what"),
        ({"only_if": [{"what": "rain", "limit": 100}]}, "only_if[0]"),
        ({"only_if": [{"what": "typhoon", "limit": -1}]}, "only_if[0]"),
        ({"only_if": [{"what": "rain", "limit": "60"}]}, "only_if[0].limit"),
        ({"only_if": [{"what": "rain", "limit": 60}] * 2}, "only_if"),
        ({"only_if": [{"what": "wind", "limit": n} for n in range(11)]}, "only_if"),
        ({"citizen": 1}, "citizen"),
    ],
)
async def test_a_wish_that_cannot_be_is_refused_by_field_in_both_languages(
    api: Client, token: str, change: dict[str, Any], field: str
):
    form = {"places": [await place_of(api, token)], "at": "07:30"} | change
    for language in ("zh", "en"):
        refused = await api("POST", PATH, form, token=token, Accept_Language=language)
        assert (refused.status, refused.code) == (422, "input_invalid")
        assert refused.json["field"] == field
        assert refused.json["detail"].isascii() == (language == "en")


async def test_there_may_be_so_many(api: Client, token: str):
    form = {"places": [await place_of(api, token)], "at": "07:30"}
    made = [(await api("POST", PATH, form, token=token)).status for _ in range(MOST)]
    assert made == [201] * MOST
    full = await api("POST", PATH, form, token=token)
    assert (full.status, full.code) == (409, "weather_subscriptions_full")
