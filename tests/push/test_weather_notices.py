"""From the sandbox's weather over feeds, planning, outbox and engine to the sandbox's phones."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from server import assemble
from server.assemble_skies import weather_notices
from server.assemble_weather import feeds, planning
from server.domain.weather_conditions import Condition, What
from server.domain.weather_subscriptions import Wish, minute_of
from server.services.subjects import Subjects
from server.services.weather_feeds import WeatherFeeds
from server.services.weather_notices import WeatherPlanning
from server.storage.citizens import NewCitizen
from server.storage.weather_subscriptions import WeatherSubscriptionStore
from tests.push.city import accepted, owners_of
from tests.push.conftest import City, until
from tests.push.test_booking_reminders import Ahead

LOOKS = 1.6  # seconds: the filler of reminders looks every second


def by_wechat(_: int, citizen: NewCitizen) -> NewCitizen:
    return replace(citizen, quiet=None, addresses={"wechat": citizen.addresses["wechat"]})


class Town:
    """A city with feeds and planning on one clock that the test moves, and people with one place each."""

    def __init__(self, city: City, clock: Ahead) -> None:
        self.city, self.clock = city, clock
        templates = city.assembly.templates
        sky = weather_notices(city.assembly.db, city.assembly.divisions, templates, clock.now)
        self.assembly = replace(city.assembly, clock=clock, subjects=Subjects([sky]))
        city.start(assemble.worker(self.assembly, city.stack))
        self.feeds: WeatherFeeds = feeds(self.assembly, city.stack)
        self.planning: WeatherPlanning = planning(self.assembly)
        self.store = WeatherSubscriptionStore(city.assembly.db)

    async def wish(self, person: NewCitizen, *conditions: Condition) -> None:
        """In three minutes, for their place."""
        place = secrets.token_hex(16)
        await self.city.assembly.db["citizens"].update_one({"_id": person.id}, {"$set": {"places.0.id": place}})
        minute = minute_of(self.clock.now() + timedelta(minutes=3))
        assert await self.store.insert(secrets.token_hex(16), person.id, Wish((place,), minute, conditions=conditions))

    def got(self) -> dict[int, int]:
        """How many notices the provider took for each."""
        journal = accepted(list(self.city.sandbox.journal())[self.city.began :], owners_of(self.city.citizens))
        return {person: count for (_, person), count in journal.items()}

    async def gets(self, wanted: dict[int, int]) -> None:
        """Wait for it, and that it stays so."""

        async def is_so() -> bool:
            return self.got() == wanted

        await until(is_so)
        await asyncio.sleep(LOOKS)
        assert self.got() == wanted


@pytest.fixture
async def town(city: City) -> AsyncIterator[Town]:
    clock = Ahead(city.assembly.db)
    await clock.measure()
    yield Town(city, clock)
    await city.sandbox.control("PUT", "weather", {})
    await city.sandbox.control("PUT", "typhoon", {})


async def test_at_its_minute_the_weather_reaches_the_phones_of_those_for_whom_it_holds(town: Town):
    daily, wet, clear, stormy = await town.city.people(4, by_wechat)
    await town.city.sandbox.control("PUT", "weather", {"rain_percent": 90, "aqi": 40})
    await town.city.sandbox.control("PUT", "typhoon", {"lat": 20.5, "lon": 116.0})  # some 300 km from the city
    await town.feeds.poll()
    await town.wish(daily)
    await town.wish(wet, Condition(What.RAIN, 60))
    await town.wish(clear, Condition(What.AQI, 150), Condition(What.BELOW, -20))
    await town.wish(stormy, Condition(What.TYPHOON, 500))
    assert (await town.planning.plan()).told == 3
    town.clock.go_to(town.clock.now() + timedelta(minutes=1))
    await asyncio.sleep(LOOKS)
    assert town.got() == {}  # not before its minute
    town.clock.go_to(town.clock.now() + timedelta(minutes=3))
    await town.gets({daily.id: 1, wet.id: 1, stormy.id: 1})
    assert (await town.planning.plan()).told == 0


async def test_what_does_not_hold_any_more_when_it_is_sent_is_left_out(town: Town):
    (wet,) = await town.city.people(1, by_wechat)
    await town.city.sandbox.control("PUT", "weather", {"rain_percent": 90})
    await town.feeds.poll()
    await town.wish(wet, Condition(What.RAIN, 60))
    assert (await town.planning.plan()).told == 1
    forecasts = town.city.assembly.db["forecasts"]
    async for found in forecasts.find({}):
        await forecasts.update_one(
            {"_id": found["_id"]}, {"$set": {"body": found["body"].replace('"rain_percent":90', '"rain_percent":10')}}
        )
    town.clock.go_to(town.clock.now() + timedelta(minutes=3))
    await asyncio.sleep(2 * LOOKS)
    assert town.got() == {}
