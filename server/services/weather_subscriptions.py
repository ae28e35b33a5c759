"""What people may do with their weather subscriptions: list, add, change, take away.

Promises. A wish that names a place of somebody else, or none, is refused. The same request under the same key is one
subscription. A change counts from its own moment on, also for a minute that was planned already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.errors import ConflictError, NotFoundError
from server.domain.faults import Fault, FaultyInputError
from server.domain.weather_subscriptions import MOST, Subscription, Wish, next_due
from server.domain.working_days import WorkingDays
from server.services.weather_notices import WeatherPlanning
from server.storage.weather_subscriptions import WeatherSubscriptionStore


@dataclass(frozen=True, slots=True)
class Kept:
    """A subscription, and when it is told next (None: not within a month)."""

    subscription: Subscription
    next_at: datetime | None


class WeatherSubscriptions:
    """The verbs. `citizen` is the internal id of who asks; somebody else's are `weather_subscription_unknown`."""

    def __init__(
        self,
        store: WeatherSubscriptionStore,
        planning: WeatherPlanning,
        calendar: WorkingDays,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._planning = planning
        self._calendar = calendar
        self._now = now

    async def all(self, citizen: int) -> list[Kept]:
        """In the order of the day."""
        return [self._kept(each) for each in await self._store.find_of(citizen)]

    async def get(self, citizen: int, id_: str) -> Kept:
        """One of them."""
        found = await self._store.find(citizen, id_)
        if found is None:
            raise _unknown()
        return self._kept(found)

    async def add(self, citizen: int, wish: Wish, key: str) -> Kept:
        """It is there. ConflictError `weather_subscriptions_full`; FaultyInputError for places that are not there."""
        await self._refuse_places(citizen, wish.places)
        id_ = hashlib.blake2b(f"weather/{citizen}/{key}".encode(), digest_size=16).hexdigest()
        made = await self._store.insert(id_, citizen, wish)
        if made is None:
            raise ConflictError(
                "weather_subscriptions_full",
                zh=f"最多{MOST}个天气订阅",
                en=f"there may be {MOST} weather subscriptions",
            )
        subscription, is_new = made
        if is_new:
            await self._planning.plan_now(subscription)
        return self._kept(subscription)

    async def change(self, citizen: int, id_: str, wish: Wish) -> Kept:
        """Write over it."""
        await self.get(citizen, id_)
        await self._refuse_places(citizen, wish.places)
        changed = None
        while changed is None:  # another device may change it too: what waits of each version has to be taken back
            before = (await self.get(citizen, id_)).subscription
            changed = await self._store.change(before, wish)
        await self._planning.forget(before)
        await self._planning.plan_now(changed)
        return self._kept(changed)

    async def remove(self, citizen: int, id_: str) -> None:
        """Take it away: it is not told any more."""
        removed = await self._store.remove(citizen, id_)
        if removed is None:
            raise _unknown()
        await self._planning.forget(removed)

    def _kept(self, subscription: Subscription) -> Kept:
        return Kept(subscription, next_due(subscription, self._now(), self._calendar))

    async def _refuse_places(self, citizen: int, places: Sequence[str]) -> None:
        own = {place.id for place in (await self._store.places_of([citizen])).get(citizen, ())}
        faults = [
            Fault(f"places[{n}]", "您没有这个地点", "you have no such place")
            for n, place in enumerate(places)
            if place not in own
        ]
        if faults:
            raise FaultyInputError("input_invalid", faults)


def _unknown() -> NotFoundError:
    return NotFoundError(
        "weather_subscription_unknown", zh="没有这个天气订阅", en="there is no such weather subscription"
    )
