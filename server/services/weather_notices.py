"""Weather notices: the subject that finds their words, and the duty that lets them wait for their minute.

Promises. Every minute of the day is planned once, some minutes ahead, by whichever process has the turn; one that dies
leaves the minute to be planned again, and a notice has one key a day, so nobody is told twice. Minutes that were missed
are caught up for two hours; older ones are dropped and counted. The words are made from the newest forecast when a
notice is sent or read; if by then nothing holds any more that it was asked for, it is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from server.domain.divisions import Divisions
from server.domain.notices import frame_of, notice_texts
from server.domain.outbox import Entry, Standing, Texts
from server.domain.templates import Registry
from server.domain.weather_skies import Skies
from server.domain.weather_subscriptions import (
    AHEAD,
    CATCH_UP,
    Subscription,
    entry_of,
    is_due,
    key_of,
    minute_of,
    minutes_between,
    read_about,
    standings,
)
from server.domain.weather_words import notice_of
from server.domain.working_days import WorkingDays
from server.services.forecasts import WeatherShelves
from server.storage.followers import FROM_THE_BEGINNING, Followers
from server.storage.outbox import Outbox
from server.storage.person_keys import PersonVault

NAME = "weather_minutes"
LEASE_S = 30.0  # taken again for every page
TAKE = 500
LONGEST_GAP = timedelta(days=7)  # what is counted of what was dropped

log = structlog.get_logger()


class WeatherNotices:
    """A `Subject` of the engine."""

    def __init__(
        self, shelves: WeatherShelves, divisions: Divisions, registry: Registry, now: Callable[[], datetime]
    ) -> None:
        self._shelves = shelves
        self._divisions = divisions
        self._now = now
        self._frame = frame_of(registry)
        self._standing = standings(self._frame.wechat.id)

    @property
    def standing(self) -> Sequence[Standing]:
        """One template for what comes every day, one for what comes only if."""
        return self._standing

    async def render(self, template: str, abouts: Sequence[str]) -> Mapping[str, Texts]:  # noqa: ARG002 - both alike
        """The words as of now; of a subscription that is gone, or has nothing to be told, there are none."""
        asked = {about: found for about in abouts if (found := read_about(about))}
        subscriptions = await self._shelves.subscriptions.find_many([name for name, _ in asked.values()])
        places = await self._shelves.subscriptions.places_of([each.citizen for each in subscriptions.values()])
        now = self._now()
        skies = await skies_of(self._shelves, self._divisions, now)
        texts = {}
        for about, (name, due_at) in asked.items():
            if (subscription := subscriptions.get(name)) is None:
                continue
            told = skies.told(subscription.wish, places.get(subscription.citizen, ()), due_at)
            if told:
                notice = notice_of(told, due_at, now, f"pages/weather/weather?subscription={name}")
                texts[about] = notice_texts(notice, self._frame)
        return texts


class Planned(NamedTuple):
    """What one turn came to."""

    looked_at: int = 0
    told: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class PlanningStores:
    """Where notices go, how far everybody has come, and who is there no more."""

    outbox: Outbox
    followers: Followers
    people: PersonVault


class WeatherPlanning:
    """The duty, and what a change of a subscription needs of it."""

    def __init__(
        self,
        shelves: WeatherShelves,
        stores: PlanningStores,
        divisions: Divisions,
        calendar: WorkingDays,
        now: Callable[[], datetime],
        take: int = TAKE,
    ) -> None:
        self._shelves = shelves
        self._stores = stores
        self._divisions = divisions
        self._calendar = calendar
        self._now = now
        self._take = take
        self.counts: Counter[tuple[str, ...]] = Counter()  # for metrics

    async def plan(self) -> Planned:
        """Plan every minute that has come near since the last turn; to be run twice a minute or more, by anybody."""
        turn = await self._stores.followers.begin(NAME, LEASE_S)
        if turn is None:
            return Planned()
        now = self._now()
        seen = now if turn.seen_until == FROM_THE_BEGINNING else turn.seen_until
        dropped = await self._drop(seen, now - CATCH_UP)
        looked_at = told = 0
        skies: Skies | None = None
        for at in minutes_between(max(seen, now - CATCH_UP), now + AHEAD):
            skies = skies or await skies_of(self._shelves, self._divisions, now)
            done = await self._minute(at, skies)
            if done is None:
                break  # another has the turn
            looked_at, told = looked_at + done.looked_at, told + done.told
            await self._stores.followers.advance(NAME, at)
        planned = Planned(looked_at, told, dropped)
        if any(planned):
            log.info("weather_planned", **planned._asdict())
        self.counts.update({(name,): number for name, number in planned._asdict().items()})
        return planned

    async def plan_now(self, subscription: Subscription) -> None:
        """One that is new or was changed just now: its next time may be in a minute that was planned already."""
        now = self._now()
        due = [at for at in minutes_between(now, now + AHEAD) if minute_of(at) == subscription.wish.minute]
        if due:
            skies = await skies_of(self._shelves, self._divisions, now)
            await self._tell([subscription], due[0], skies)

    async def forget(self, subscription: Subscription) -> None:
        """It was changed or taken away: what waits of this version is not sent."""
        now = self._now()
        keys = [
            key_of(subscription.id, subscription.version, at)
            for at in minutes_between(now, now + AHEAD)
            if minute_of(at) == subscription.wish.minute
        ]
        await self._stores.outbox.withdraw_many(keys, now)

    async def _minute(self, at: datetime, skies: Skies) -> Planned | None:
        """Everybody of one minute, by id; None if the turn was lost meanwhile."""
        looked_at = told = 0
        after = ""
        while due := await self._shelves.subscriptions.find_due(minute_of(at), after, self._take):
            told += await self._tell(due, at, skies)
            looked_at, after = looked_at + len(due), due[-1].id
            if len(due) < self._take:
                break
            if await self._stores.followers.begin(NAME, LEASE_S) is None:
                return None
        return Planned(looked_at, told)

    async def _tell(self, subscriptions: Sequence[Subscription], at: datetime, skies: Skies) -> int:
        """Let wait what is to be told at this minute; how many are new."""
        due = [each for each in subscriptions if is_due(each, at, self._calendar)]
        if not due:
            return 0
        places = await self._shelves.subscriptions.places_of([each.citizen for each in due])
        told = [each for each in due if skies.told(each.wish, places.get(each.citizen, ()), at)]
        new = await self._put([entry_of(each, at) for each in told])
        await self._take_back_changed(told, at)
        return new

    async def _take_back_changed(self, told: Sequence[Subscription], at: datetime) -> None:
        """What was changed or taken away while its notice was put, for whoever did it did not find the notice yet."""
        now = await self._shelves.subscriptions.find_many([each.id for each in told])
        gone = [each for each in told if each.id not in now or now[each.id].version != each.version]
        keys = [key_of(each.id, each.version, at) for each in gone]
        await self._stores.outbox.withdraw_many(keys, self._now())

    async def _put(self, entries: Sequence[Entry]) -> int:
        if not entries:
            return 0
        gone = await self._stores.people.find_shredded({entry.citizen for entry in entries})
        return await self._stores.outbox.put([entry for entry in entries if entry.citizen not in gone])

    async def _drop(self, seen: datetime, upto: datetime) -> int:
        """Count what was missed for too long: of each minute those who had a wish for it."""
        since = max(seen, upto - LONGEST_GAP)
        minutes = Counter(minute_of(at) for at in minutes_between(since, upto))
        dropped = 0
        for times in sorted({*minutes.values()}):
            dropped += times * await self._shelves.subscriptions.count_due(
                [m for m, n in minutes.items() if n == times]
            )
        if dropped:
            log.warning("weather_minutes_dropped", minutes=minutes.total(), subscriptions=dropped)
        return dropped


async def skies_of(shelves: WeatherShelves, divisions: Divisions, now: datetime) -> Skies:
    """All that is known now, in two queries: a city has a few dozen forecasts."""
    return Skies(await shelves.forecasts.all(), await shelves.typhoons.find_active(), divisions, now)
