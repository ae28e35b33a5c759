"""What weather subscriptions hold about one person: see `holdings`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.storage.mongo import Session
from server.storage.profiles import Profiles
from server.storage.weather_subscriptions import WeatherSubscriptionStore


class WeatherSubscriptionHolding:
    """The wishes. To be moved before places are: then it still shows which of them become one."""

    name = "weather_subscriptions"
    collections = ("weather_subscriptions",)

    def __init__(self, store: WeatherSubscriptionStore, profiles: Profiles) -> None:
        self._store = store
        self._profiles = profiles

    async def export(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """One row each."""
        return await self._store.export(citizen)

    async def move(self, source: int, target: int, session: Session) -> None:
        """All of them, for the same places."""
        _, theirs = await self._profiles.places(source, session)
        _, own = await self._profiles.places(target, session)
        merged = {
            place.id: twin.id
            for place in theirs
            if (twin := next((each for each in own if each.where.is_same(place.where)), None)) and twin.id
        }
        await self._store.move(source, target, merged, session)

    async def erase(self, citizen: int) -> None:
        """All of them."""
        await self._store.erase(citizen)
