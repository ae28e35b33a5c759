"""Feeds of the weather through the whole duty: what is hostile, broken or strange is reported, the rest goes on."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from channels.sandbox.accounts import WEATHER_PARTNER, WEATHER_SENDERS, accounts
from channels.sandbox.http import Request
from channels.sandbox.weather import Alerts, Broken, Setting, TyphoonSetting, Weather
from server.assemble import Assembly, assemble
from server.assemble_weather import feeds, register_sandbox_partner
from server.services.weather_feeds import WeatherFeeds
from server.settings import AlertFilesFeed, Settings, WeatherApiFeed
from server.storage.mongo import Database
from tests.channels.scripted import Provider, Serve, http
from tests.channels.scripted import Request as Asked

HOSTILE: dict[str, tuple[int, bytes]] = {
    "a web page": (200, b"<html><body>login</body></html>"),
    "a code of failure under 200": (200, b'{"code":"500"}'),
    "numbers that are none": (200, b'{"code":"200","updateTime":"2026-07-24T08:00+08:00","hourly":[{"temp":NaN}]}'),
    "wrong types": (200, b'{"code":200,"hourly":{"temp":[]}}'),
    "ten megabytes": (200, b'{"code":"200","x":"' + b"x" * 10_000_000 + b'"}'),
    "a redirect": (302, b""),
    "nothing": (200, b""),
    "deep nesting": (200, b'{"code":"200","hourly":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
}  # fmt: skip


class Taken:
    """What the sandbox's weather answers, taken instead of sent."""

    data = b""

    def send(self, data: bytes) -> None:
        """Keep it."""
        self.data = data


@dataclass
class Station:
    """The sandbox's weather on a scripted provider, and the feeds that look at it."""

    assembly: Assembly
    weather: Weather
    provider: Provider
    stack: AsyncExitStack
    wrong: dict[str, bytes]
    folder: Path

    def duty(self, *settings: AlertFilesFeed | WeatherApiFeed) -> WeatherFeeds:
        """All feeds of the sandbox, or these."""
        base = f"http://127.0.0.1:{self.provider.port}"
        wanted = settings or accounts(base, self.folder)["weather"]
        named = self.assembly.settings.model_copy(update={"weather": wanted})
        return feeds(replace(self.assembly, settings=named), self.stack)

    async def again(self) -> None:
        """It is time for every feed again."""
        await self.assembly.db["weather_feeds"].update_many({}, {"$unset": {"next_at": "", "until": ""}})

    async def faults(self, feed: str) -> list[str]:
        """What operators are told of it."""
        found = await self.assembly.db["weather_feeds"].find_one({"_id": feed})
        return list((found or {}).get("faults", ()))


def answering(weather: Weather, wrong: dict[str, bytes]) -> Callable[[Asked], bytes]:
    """The sandbox's weather as a script."""

    def answer(asked: Asked) -> bytes:
        head = asked.head.encode()
        request = Request(b"GET", asked.target.encode(), head, head.lower(), b"")
        path = asked.target.partition("?")[0]
        if path in wrong:
            return wrong[path]
        reply = Taken()
        weather.serve(request, reply)  # type: ignore[arg-type]
        return reply.data

    return answer


@pytest.fixture(scope="module")
async def built(mongo_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Assembly]:
    home = tmp_path_factory.mktemp("weather")
    settings = Settings(home=home, mongo_url=mongo_url, redis_url=redis_url, mongo_db="huimin_test")
    async with assemble(settings) as found:
        yield found


@pytest.fixture
async def station(built: Assembly, db: Database, serve: Serve, tmp_path: Path) -> AsyncIterator[Station]:
    assert db.name == built.db.name
    weather, wrong = Weather(time.time), dict[str, bytes]()
    provider = await serve(answering(weather, wrong))
    await register_sandbox_partner(built)
    async with AsyncExitStack() as stack:
        yield Station(built, weather, provider, stack, wrong, tmp_path)


def cap(name: str, sender: str = WEATHER_SENDERS[1], at: str | None = None, headline: str = "暴雨黄色预警") -> str:
    """A message as a file."""
    now = time.time()
    sent = at or time.strftime("%Y-%m-%dT%H:%M:%S+08:00", time.gmtime(now + 8 * 3600 - 60))
    ends = time.strftime("%Y-%m-%dT%H:%M:%S+08:00", time.gmtime(now + 14 * 3600))
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
<identifier>{name}</identifier><sender>{sender}</sender><sent>{sent}</sent><status>Actual</status>
<msgType>Alert</msgType><scope>Public</scope>
<info><language>zh-CN</language><category>Met</category><event>暴雨</event><urgency>Expected</urgency>
<severity>Moderate</severity><certainty>Likely</certainty>
<eventCode><valueName>GB/T 35561</valueName><value>11B03</value></eventCode>
<expires>{ends}</expires><senderName>沙箱气象台</senderName><headline>{headline}</headline>
<description>预计有强降水。</description><instruction>注意防御。</instruction>
<area><areaDesc>南山区</areaDesc>
<geocode><valueName>CPEAS Geographic Code</valueName><value>440305</value></geocode></area>
</info></alert>"""


def told(id_: str, **changes: Any) -> dict[str, Any]:
    """A warning as the API has it."""
    now = time.strftime("%Y-%m-%dT%H:%M+08:00", time.gmtime(time.time() + 8 * 3600 - 120))
    ends = time.strftime("%Y-%m-%dT%H:%M+08:00", time.gmtime(time.time() + 14 * 3600))
    return {
        "id": id_, "sender": "深圳市气象台", "pubTime": now, "title": "深圳市气象台发布大风蓝色预警", "endTime": ends,
        "status": "active", "severityColor": "Blue", "type": "1006", "typeName": "大风", "text": "注意防风。",
        "related": "",
    } | changes  # fmt: skip


async def intake_of(station: Station) -> dict[str, str]:
    """What the intake has, by identifier."""
    return {d["identifier"]: d["state"] async for d in station.assembly.db["intake"].find({})}


async def test_the_sandbox_gives_forecasts_for_every_district_and_a_typhoon(station: Station):
    await station.duty().poll()
    assert await station.assembly.db["forecasts"].count_documents({}) == 9
    storm = await station.assembly.db["typhoons"].find_one({})
    assert storm is not None
    assert storm["is_active"]
    assert await station.faults("sandbox-weather") == []
    station.weather.set_typhoon(TyphoonSetting(is_active=False))
    await station.again()
    await station.duty().poll()
    assert await station.assembly.db["typhoons"].count_documents({"is_active": True}) == 0


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_answer_costs_its_own_part_and_nothing_else(station: Station, kind: str):
    status, body = HOSTILE[kind]
    location = "Location: http://127.0.0.1:1/" if status == 302 else "X-Y: z"
    station.wrong["/v7/weather/24h"] = http(body, status, location)
    await station.duty().poll()
    assert await station.assembly.db["forecasts"].count_documents({}) == 9  # by day, without hours
    assert len(await station.faults("sandbox-weather")) == 9


async def test_an_answer_that_unpacks_to_too_much_is_broken_off(station: Station):
    packed = gzip.compress(b'{"code":"200","x":"' + b"x" * 50_000_000 + b'"}')
    station.wrong["/v7/air/now"] = http(packed, 200, "Content-Encoding: gzip")
    await station.duty().poll()
    assert await station.assembly.db["forecasts"].count_documents({}) == 9
    assert all("BROKEN" in fault or "broken" in fault for fault in await station.faults("sandbox-weather"))


async def test_a_forecast_from_the_future_or_out_of_this_world_is_refused(station: Station):
    station.weather.set(Setting(update_time="2099-01-01T00:00+08:00"))
    await station.duty().poll()
    assert await station.assembly.db["forecasts"].count_documents({}) == 0
    station.weather.set(Setting(high_c=900.0))
    await station.again()
    await station.duty().poll()
    assert await station.assembly.db["forecasts"].count_documents({}) == 0
    assert any("temperature_c" in fault for fault in await station.faults("sandbox-weather"))


async def test_a_service_that_is_away_is_asked_less_and_less(station: Station):
    for path in ("/v7/weather/24h", "/v7/weather/7d", "/v7/air/now", "/v7/warning/now"):
        station.wrong[path] = http(b"", 503)
    duty, asked = station.duty(), []
    for _ in range(3):
        before = len(station.provider.requests)
        await duty.poll()
        asked.append(len(station.provider.requests) - before)
    assert asked[0] <= 5  # three in a row, and the page of files
    assert asked[1:] == [0, 0]  # its time has not come
    state = await station.assembly.db["weather_feeds"].find_one({"_id": "sandbox-weather"})
    assert state is not None
    assert (state["failures"], "503" in state["why"]) == (1, True)


async def test_files_are_taken_once_whatever_they_are_called(station: Station):
    first = cap("A1")
    station.weather.set_alerts(Alerts(files={"a.xml": first, "b.xml": cap("B1", headline="大雾预警")}))
    await station.duty().poll()
    assert await intake_of(station) == {"A1": "proposed", "B1": "proposed"}
    station.weather.set_alerts(Alerts(files={"c.xml": first}))
    await station.again()
    duty = station.duty()
    await duty.poll()
    assert duty.counts["sandbox-alerts", "repeated"] == 1
    assert await station.assembly.db["intake"].count_documents({}) == 2


async def test_a_page_that_has_not_changed_is_answered_304(station: Station):
    station.weather.set_alerts(Alerts(files={"a.xml": cap("A1")}))
    await station.duty().poll()
    await station.again()
    await station.duty().poll()
    asked = [each for each in station.provider.requests if each.target == "/cap/index.json"]
    assert asked[0].header("if-none-match") == ""
    assert asked[1].header("if-none-match").startswith('"')
    assert len([each for each in station.provider.requests if each.target == "/cap/a.xml"]) == 1


async def test_what_the_intake_had_no_time_for_comes_at_the_next_look_at_the_same_page(station: Station):
    intake, now = station.assembly.db["intake"], datetime.now(UTC)
    flood = [{"partner": WEATHER_PARTNER, "received_at": now, "key": f"{n}"} for n in range(60)]
    await intake.insert_many(flood)
    station.weather.set_alerts(Alerts(files={"a.xml": cap("A1")}))
    await station.duty().poll()
    assert ["intake_flood" in each for each in await station.faults("sandbox-alerts")] == [True]
    await intake.delete_many({})
    await station.again()
    await station.duty().poll()
    assert await intake_of(station) == {"A1": "proposed"}


async def test_broken_files_strangers_and_wrong_dates_are_reported_and_the_rest_goes_on(station: Station):
    (station.folder / "in").mkdir()
    files = {
        "1-broken.xml": b"<alert>\n<identifier>X</identifier>\n<broken",
        "2-html.xml": b"<html><body/></html>",
        "3-gbk.xml": '<?xml version="1.0" encoding="GBK"?>\n<alert>暴雨</alert>'.encode("utf-16"),
        "4-stranger.xml": cap("S1", sender="nobody@example.com").encode(),
        "5-dates.xml": cap("D1", at="tomorrow").encode(),
        "6-good.xml": cap("G1").encode(),
        "7-entity.xml": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><alert>&x;</alert>',
        "8-good.xml": cap("G2", headline="雷电预警").encode(),
        "9-note.txt": b"not a message",
    }
    for n, (name, data) in enumerate(files.items()):
        path = station.folder / "in" / name
        path.write_bytes(data)
        os.utime(path, (1_790_000_000 + n, 1_790_000_000 + n))
    feed = AlertFilesFeed(name="bureau-files", partner=WEATHER_PARTNER, folder=station.folder / "in", every_s=1)
    await station.duty(feed).poll()
    states = await intake_of(station)
    assert (states["G1"], states["G2"], states["S1"]) == ("proposed", "proposed", "quarantined")
    faults = await station.faults("bureau-files")
    assert {fault.split(":")[0] for fault in faults} >= {
        "1-broken.xml", "2-html.xml", "3-gbk.xml", "4-stranger.xml", "5-dates.xml", "7-entity.xml",
    }  # fmt: skip
    assert any(fault.startswith("1-broken.xml:3: CAP-001") for fault in faults)
    await station.again()
    await station.duty(feed).poll()  # all of them were seen to
    assert await station.faults("bureau-files") == []


async def test_without_a_registered_partner_nothing_is_taken(station: Station):
    await station.assembly.db["partners"].delete_many({})
    station.weather.set_alerts(Alerts(files={"a.xml": cap("A1")}))
    await station.duty().poll()
    assert await intake_of(station) == {}
    assert "partner_unknown" in (await station.faults("sandbox-alerts"))[0]
    await register_sandbox_partner(station.assembly)
    await station.again()
    await station.duty().poll()
    assert [*await intake_of(station)] == ["A1"]


async def test_a_page_cannot_lead_to_another_server(station: Station):
    station.wrong["/cap/index.json"] = http(orjson.dumps(["http://127.0.0.1:1/x.xml", "//evil.example/y", "a.xml"]))
    station.weather.set_alerts(Alerts(files={"a.xml": cap("A1")}))
    await station.duty().poll()
    assert [*await intake_of(station)] == ["A1"]
    assert [fault for fault in await station.faults("sandbox-alerts") if "link_elsewhere" in fault]


@pytest.mark.parametrize(
    "page",
    [
        '<rss version="2.0"><channel><item><link>a.xml</link><guid>1</guid></item></channel></rss>',
        (
            '<feed xmlns="http://www.w3.org/2005/Atom"><entry><link href="x.html"/>'
            '<link type="application/cap+xml" href="a.xml"/><updated>2026-07-24T08:00:00Z</updated></entry></feed>'
        ),
    ],
)
async def test_a_page_may_be_rss_or_atom(station: Station, page: str):
    station.wrong["/cap/index.json"] = http(page.encode())
    station.weather.set_alerts(Alerts(files={"a.xml": cap("A1")}))
    await station.duty().poll()
    assert [*await intake_of(station)] == ["A1"]


async def test_warnings_of_the_api_pass_the_same_intake_once(station: Station):
    station.weather.set_alerts(Alerts(warnings=[told("W1"), told("W2", type="1003"), {"id": 5}]))
    for _ in range(2):
        await station.duty().poll()
        await station.again()
    assert (await intake_of(station)).keys() == {"W1", "W2"}
    update = told("W3", status="update", related="W1", title="大风蓝色预警升级为黄色", severityColor="Yellow")
    station.weather.set_alerts(Alerts(warnings=[update, told("W4", status="cancel", related="never")]))
    await station.duty().poll()
    found = await station.assembly.db["intake"].find_one({"identifier": "W3"})
    first = await station.assembly.db["intake"].find_one({"identifier": "W1"})
    assert found is not None
    assert first is not None
    assert found["chain"] == first["chain"]
    assert (await intake_of(station)).keys() == {"W1", "W2", "W3"}
    assert [fault for fault in await station.faults("sandbox-weather") if "cancels_nothing" in fault]


async def test_a_feed_that_falls_silent_is_told_once(station: Station):
    duty = station.duty()
    await duty.poll()
    assert [each.is_silent for each in await duty.standings()] == [False, False]
    long_ago = station.assembly.now() - timedelta(days=1)
    await station.assembly.db["weather_feeds"].update_many({}, {"$set": {"heard_at": long_ago}})
    standings = await duty.standings()
    assert all(each.is_silent and each.silent_s and each.silent_s > 86_000 for each in standings)


async def test_two_processes_look_at_a_feed_in_turn(station: Station):
    one, other = station.duty(), station.duty()
    await one.poll()
    before = len(station.provider.requests)
    await other.poll()
    assert len(station.provider.requests) == before


async def test_the_sandbox_is_set_and_asked_for_its_key():
    weather = Weather(lambda: 1_790_000_000.0)
    weather.set(Setting(location="113.93,22.53", rain_percent=88))
    weather.set_broken(Broken(answers={"/v7/air/now": (200, "oops")}))

    def ask(target: str, key: str = "sandbox-weather-key") -> Any:
        head = f"GET {target} HTTP/1.1\r\nX-QW-Api-Key: {key}".encode()
        reply = Taken()
        weather.serve(Request(b"GET", target.encode(), head, head.lower(), b""), reply)  # type: ignore[arg-type]
        return reply.data.partition(b"\r\n\r\n")[2]

    hour = orjson.loads(ask("/v7/weather/24h?location=113.93,22.53"))["hourly"][0]
    assert (hour["pop"], hour["fxTime"][-6:]) == ("88", "+08:00")
    assert orjson.loads(ask("/v7/weather/24h?location=1,2", key="wrong")) == {"code": "401"}
    assert ask("/v7/air/now") == b"oops"
