"""The part of `assemble` for the weather: feeds, forecasts, subscriptions, and the duties that keep them."""

from __future__ import annotations

import random
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass

from channels.sandbox.accounts import WEATHER_PARTNER, WEATHER_SENDERS
from channels.transport import Limits, Transport
from channels.weather_api import City, WeatherApi
from channels.weather_files import AlertFolder, AlertPage
from push.duties import Duty
from server import assemble_public
from server.assemble import Assembly
from server.assemble_skies import weather_shelves
from server.domain.partners import Partner
from server.services.forecasts import Forecasts
from server.services.weather_feeds import Feed, FeedStores, Plan, WeatherFeeds
from server.services.weather_holdings import WeatherSubscriptionHolding
from server.services.weather_notices import PlanningStores, WeatherPlanning
from server.services.weather_subscriptions import WeatherSubscriptions
from server.settings import AlertFilesFeed, WeatherApiFeed
from server.storage.catalogues import load_texts, load_working_days
from server.storage.followers import Followers
from server.storage.forecasts import ForecastStore
from server.storage.partners import PartnerStore
from server.storage.profiles import Profiles
from server.storage.typhoons import TyphoonStore
from server.storage.weather_feeds import WeatherFeedStore
from server.storage.weather_subscriptions import WeatherSubscriptionStore
from server.telemetry import Figures, Kept, Level

AT_ONCE = 4  # connections to one feed
MAX_ANSWER_BYTES = 2 << 20  # after unpacking
POLL_EVERY_S = 2.0
PLAN_EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class WeatherParts:
    """What handlers may ask."""

    forecasts: Forecasts
    subscriptions: WeatherSubscriptions


def weather(assembly: Assembly) -> WeatherParts:
    """The counters of one API process."""
    shelves, calendar = weather_shelves(assembly.db), load_working_days()
    return WeatherParts(
        forecasts=Forecasts(shelves, assembly.divisions, assembly.now),
        subscriptions=WeatherSubscriptions(shelves.subscriptions, planning(assembly), calendar, assembly.now),
    )


def planning(assembly: Assembly) -> WeatherPlanning:
    """What lets notices wait for their minute."""
    followers = Followers(assembly.db, secrets.token_hex(8))
    stores = PlanningStores(assembly.outbox, followers, assembly.person_vault)
    return WeatherPlanning(weather_shelves(assembly.db), stores, assembly.divisions, load_working_days(), assembly.now)


def feeds(assembly: Assembly, stack: AsyncExitStack) -> WeatherFeeds:
    """The feeds of the settings; their connections are closed with the stack."""
    db, wanted = assembly.db, assembly.settings.weather
    city = City(assembly.settings.city, assembly.divisions, load_texts().events if wanted else {})
    plans = [Plan(_feed(each, city, stack), each.partner, each.every_s, each.silent_after_s) for each in wanted]
    stores = FeedStores(
        WeatherFeedStore(db, secrets.token_hex(8)),
        ForecastStore(db),
        TyphoonStore(db),
        PartnerStore(db, assembly.vault),
    )
    intake = assemble_public.public(assembly).intake
    return WeatherFeeds(plans, stores, intake, now=assembly.now, jitter=random.random)


def _feed(each: AlertFilesFeed | WeatherApiFeed, city: City, stack: AsyncExitStack) -> Feed:
    if isinstance(each, AlertFilesFeed) and each.folder is not None:
        return AlertFolder(each)
    transport = Transport(Limits(AT_ONCE, max_reply_bytes=MAX_ANSWER_BYTES, is_feed=True))
    stack.callback(transport.close)
    return AlertPage(each, transport) if isinstance(each, AlertFilesFeed) else WeatherApi(each, city, transport)


def weather_duties(assembly: Assembly, stack: AsyncExitStack, registry: Figures) -> list[Duty]:
    """What a worker process does for the weather; how it fares is told by the process's metrics."""
    looking, telling = feeds(assembly, stack), planning(assembly)
    registry.register(
        Kept("huimin_weather_feeds", "What came of looking at feeds.", ("feed", "what"), lambda: dict(looking.counts))
    )
    registry.register(
        Level("huimin_weather_feed_age_seconds", "Since a feed was last heard.", ("feed",), lambda: looking.ages)
    )
    registry.register(
        Kept("huimin_weather_notices", "Wishes looked at, told and dropped.", ("what",), lambda: telling.counts)
    )
    return [
        Duty("weather_feeds", POLL_EVERY_S, looking.poll),
        Duty("weather_notices", PLAN_EVERY_S, telling.plan),
    ]


def weather_holding(assembly: Assembly) -> WeatherSubscriptionHolding:
    """What the weather holds about somebody."""
    profiles = Profiles(assembly.db, assembly.person_vault)
    return WeatherSubscriptionHolding(WeatherSubscriptionStore(assembly.db), profiles)


async def register_sandbox_partner(assembly: Assembly) -> None:
    """Whoever answers for the sandbox's alerts is a partner like any other; a second call changes nothing."""
    city = assembly.settings.city
    partner = Partner(
        id=WEATHER_PARTNER, name="沙箱气象台", senders=WEATHER_SENDERS, division=city, created_at=assembly.now()
    )
    partners = assemble_public.partners(assembly)
    if all(known.id != partner.id for known, _ in await partners.all()):
        await partners.add(partner)
