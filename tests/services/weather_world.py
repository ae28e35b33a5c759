"""People with places and wishes, a forecast, and planners on one clock: for the tests of weather notices."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from server.domain.china import CHINA, china_day
from server.domain.forecasts import Day, Forecast, Sky
from server.domain.outbox import Entry
from server.domain.weather_conditions import Condition
from server.domain.weather_subscriptions import Subscription, Wish
from server.domain.working_days import WorkingDays
from server.services.forecasts import WeatherShelves
from server.services.weather_notices import PlanningStores, WeatherPlanning
from server.storage.followers import Followers
from server.storage.forecasts import ForecastStore
from server.storage.mongo import Database, Session
from server.storage.outbox import Outbox
from server.storage.person_keys import PersonVault
from server.storage.typhoons import TyphoonStore
from server.storage.vault import Vault
from server.storage.weather_subscriptions import WeatherSubscriptionStore
from tests.services.desk import DIVISIONS, Clock
from tests.services.mortal_stores import Life

PLACE = "4c1f0e9d2b7a48d6a3c5e8f10b6d7a92"
HALF_PAST_SEVEN = 7 * 60 + 30
# A day after that of the test: subscriptions are dated by the database, and count from that moment on.
TOMORROW = china_day(datetime.now(UTC)) + timedelta(days=1)
AT = datetime(TOMORROW.year, TOMORROW.month, TOMORROW.day, 7, 30, tzinfo=CHINA).astimezone(UTC)


class MortalOutbox(Outbox):
    """Dies at a given write."""

    def __init__(self, db: Database, life: Life) -> None:
        super().__init__(db)
        self.life = life

    async def put(self, entries: Sequence[Entry], session: Session | None = None) -> int:
        """As ever, while it lives."""
        self.life.write()
        return await super().put(entries, session)


def forecast(division: str = "440305", rain_percent: int = 70, as_of: datetime = AT - timedelta(hours=1)) -> Forecast:
    """Two days that are alike."""
    days = tuple(
        Day(day=TOMORROW + timedelta(days=n), sky=Sky.RAIN, night_sky=Sky.CLOUDY, low_c=18, high_c=24,
            rain_percent=rain_percent, wind_kmh=20)
        for n in range(2)
    )  # fmt: skip
    return Forecast(division=division, source="test", as_of=as_of, days=days)


@dataclass
class WeatherWorld:
    """What a test holds in its hands."""

    db: Database
    clock: Clock
    shelves: WeatherShelves = field(init=False)

    def __post_init__(self) -> None:
        """On the database, a few minutes before the time."""
        stores = WeatherSubscriptionStore(self.db), ForecastStore(self.db), TyphoonStore(self.db)
        self.shelves = WeatherShelves(*stores)
        self.clock.at = AT - timedelta(minutes=20)

    def planner(self, *, outbox: Outbox | None = None, take: int = 500, owner: str = "") -> WeatherPlanning:
        """One process's."""
        people = PersonVault(self.db, Vault({1: b"k" * 32}, b"i" * 32, secrets.token_bytes), secrets.token_bytes)
        followers = Followers(self.db, owner or secrets.token_hex(4))
        stores = PlanningStores(outbox or Outbox(self.db), followers, people)
        return WeatherPlanning(self.shelves, stores, DIVISIONS, WorkingDays(), self.clock, take)

    async def began(self) -> None:
        """Somebody planned until now."""
        await self.planner(owner="first").plan()
        await self.let_go()

    async def let_go(self) -> None:
        """Whoever has the turn has died."""
        await self.db["followers"].update_many({}, {"$unset": {"until": "", "owner": ""}})

    async def wishes(self, count: int, *conditions: Condition, minute: int = HALF_PAST_SEVEN) -> list[Subscription]:
        """So many people, each with a place and a wish."""
        people = [
            {"_id": n, "channels": [], "places": [{"id": PLACE, "label": "home", "division": "440305001",
                                                   "divisions": ["440300", "440305", "440305001"]}]}
            for n in range(1, count + 1)
        ]  # fmt: skip
        await self.db["citizens"].insert_many(people)
        made = []
        for n in range(1, count + 1):
            found = await self.shelves.subscriptions.insert(
                secrets.token_hex(16), n, Wish((PLACE,), minute, conditions=conditions)
            )
            assert found
            made.append(found[0])
        return made

    async def waiting(self) -> list[str]:
        """Keys in the outbox."""
        return [d["_id"] async for d in self.db["outbox"].find({"state": "waiting"}).sort("_id", 1)]
