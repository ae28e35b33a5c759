"""Feeds of the weather: what one gives, and the duty that looks at all of them in turn.

Promises. One process looks at a feed at a time, under a lease of the database's clock. What a feed gave before it broke
is kept, and one broken file, one unreadable answer or one stranger among the senders keeps nothing else out: it is
reported by name, line and reason. A file is taken once, however it is called and whichever process sees it; alerts go
through the intake like any partner's, and are remembered only after the intake has them. A feed that fails is asked
less and less often. Who reads a forecast always sees how old it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from server.domain.alerts.finding import Finding, Gravity
from server.domain.errors import HuiminError, TooManyError, UnavailableError
from server.domain.partners import Partner, retry_in_s
from server.domain.weather_feeds import AlertFile, FeedFault, Gathered, Memory
from server.services.intake import Intake, Unreadable
from server.storage.forecasts import ForecastStore
from server.storage.partners import PartnerStore
from server.storage.typhoons import TyphoonStore
from server.storage.weather_feeds import FeedState, Seen, WeatherFeedStore

LEASE_S = 120.0  # a look is a few dozen requests of five seconds at most, several at once
MOST_ALERTS = 50  # of one look; the intake takes sixty a minute of one partner

log = structlog.get_logger()


class Feed(Protocol):
    """A source of alerts, forecasts or typhoons, whatever it speaks."""

    @property
    def name(self) -> str:
        """Its name in the settings."""
        ...

    async def gather(self, memory: Memory) -> Gathered:
        """What is new. UnavailableError if nothing at all could be had; single faults are in what it gives."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """What earlier looks at one feed have seen: a `Memory`."""

    store: WeatherFeedStore
    feed: str
    etags: Mapping[str, str]
    now: datetime

    async def versions(self, names: Sequence[str]) -> Mapping[str, str]:
        """By name, of those that were seen to."""
        return await self.store.versions(self.feed, names)

    async def sent(self, names: Sequence[str]) -> Mapping[str, str]:
        """By name, how a later message refers to it."""
        return await self.store.sent(self.feed, names)


@dataclass(frozen=True, slots=True)
class Plan:
    """A feed and how it is kept."""

    feed: Feed
    partner: str | None
    every_s: float
    silent_after_s: float


@dataclass(frozen=True, slots=True)
class FeedStores:
    """Where things go."""

    feeds: WeatherFeedStore
    forecasts: ForecastStore
    typhoons: TyphoonStore
    partners: PartnerStore


@dataclass(frozen=True, slots=True)
class Standing:
    """How a feed stands, for operators. `silent_s`: for how long nothing has come; None = never anything."""

    name: str
    state: FeedState | None
    silent_s: float | None
    is_silent: bool


class WeatherFeeds:
    """The duty. `jitter` is 0..1."""

    def __init__(
        self,
        plans: Sequence[Plan],
        stores: FeedStores,
        intake: Intake,
        *,
        now: Callable[[], datetime],
        jitter: Callable[[], float],
    ) -> None:
        self._plans = plans
        self._stores = stores
        self._intake = intake
        self._now = now
        self._jitter = jitter
        self.counts: Counter[tuple[str, ...]] = Counter()  # by feed and what came of it, for metrics
        self.ages: dict[tuple[str, ...], float] = {}  # seconds since each feed was last heard, for metrics
        self._told_silent: set[str] = set()

    async def poll(self) -> None:
        """Look at every feed whose time has come and that nobody else looks at; to be run every few seconds."""
        for plan in self._plans:
            turn = await self._stores.feeds.claim(plan.feed.name, LEASE_S)
            if turn is not None:
                await self._look(plan, turn)
        await self._watch()

    async def standings(self) -> list[Standing]:
        """How all feeds of the settings stand now."""
        states, now = await self._stores.feeds.all(), self._now()
        return [self._standing(plan, states.get(plan.feed.name), now) for plan in self._plans]

    def _standing(self, plan: Plan, state: FeedState | None, now: datetime) -> Standing:
        heard = state.heard_at if state else None
        silent_s = (now - heard).total_seconds() if heard else None
        since = heard or (state.began_at if state else now)
        return Standing(plan.feed.name, state, silent_s, (now - since).total_seconds() > plan.silent_after_s)

    async def _watch(self) -> None:
        """Tell operators once of a feed that has fallen silent, and once that it is back."""
        for standing in await self.standings():
            if standing.silent_s is not None:
                self.ages[standing.name,] = standing.silent_s
            if standing.is_silent and standing.name not in self._told_silent:
                self._told_silent.add(standing.name)
                log.warning("weather_feed_silent", feed=standing.name, silent_s=standing.silent_s)
            elif not standing.is_silent and standing.name in self._told_silent:
                self._told_silent.discard(standing.name)
                log.info("weather_feed_back", feed=standing.name)

    async def _look(self, plan: Plan, state: FeedState) -> None:
        """One look, and when the next one is."""
        name, store = plan.feed.name, self._stores.feeds
        try:
            gathered = await plan.feed.gather(Known(store, name, state.etags, self._now()))
        except UnavailableError as error:
            wait_s = max(plan.every_s, retry_in_s(state.failures + 1, error.retry_after_s, self._jitter()))
            await store.fail(name, error.en, timedelta(seconds=wait_s))
            self.counts[name, "away"] += 1
            log.warning("weather_feed_away", feed=name, why=error.en, failures=state.failures + 1)
            return
        faults = [*gathered.faults, *await self._keep(plan, gathered)]
        self.counts[name, "faults"] += len(faults)
        for fault in faults:
            log.warning(
                "weather_feed_fault", feed=name, name=fault.name, line=fault.line, code=fault.code, why=fault.en
            )
        told = [f"{fault.name}:{fault.line or 0}: {fault.code} {fault.en}"[:300] for fault in faults]
        etags = gathered.etags if not faults else {}  # what was faulty is asked for again, whole
        await store.done(name, etags, told, timedelta(seconds=plan.every_s))

    async def _keep(self, plan: Plan, gathered: Gathered) -> list[FeedFault]:
        """Store what came; the faults that show only then."""
        name = plan.feed.name
        for forecast in gathered.forecasts:
            self.counts[name, "forecasts"] += await self._stores.forecasts.put(forecast)
        for typhoon in gathered.typhoons:
            self.counts[name, "typhoons"] += await self._stores.typhoons.put(typhoon)
        await self._stores.typhoons.end(gathered.over)
        if not gathered.alerts:
            return []
        partner = await self._partner(plan.partner)
        if partner is None:
            who = plan.partner or "-"
            why = f"the feed's partner {who} is not registered or stopped"
            return [FeedFault(file.name, "partner_unknown", f"来源单位 {who} 未登记或已停用", why)
                    for file in gathered.alerts]  # fmt: skip
        return await self._take(name, partner, gathered.alerts[:MOST_ALERTS])

    async def _partner(self, name: str | None) -> Partner | None:
        if name is None:
            return None
        try:
            partner = await self._stores.partners.get(name)
        except HuiminError:
            return None
        return partner if partner.is_active else None

    async def _take(self, feed: str, partner: Partner, files: Sequence[AlertFile]) -> list[FeedFault]:
        """Hand new alerts to the intake, then remember them: a crash in between repeats, and the intake knows."""
        faults: list[FeedFault] = []
        for file in files:
            if await self._stores.feeds.remember_same(feed, file.name, file.version, file.data):
                self.counts[feed, "repeated"] += 1
                continue
            try:
                taken = await self._intake.take(partner, file.data)
            except TooManyError as error:  # the rest comes at the next look, for which the page must not seem known
                faults.append(FeedFault(file.name, error.code, error.zh, error.en))
                break
            findings = taken.findings
            if isinstance(taken, Unreadable):
                faults += [_fault(file.name, finding) for finding in findings]
                seen = Seen(file.name, file.version, "", _line(findings))
                self.counts[feed, "refused"] += 1
            else:
                held = [finding for finding in findings if finding.severity is Gravity.QUARANTINE]
                faults += [_fault(file.name, finding) for finding in held]
                seen = Seen(file.name, file.version, str(taken.alert.reference), _line(held))
                self.counts[feed, "quarantined" if held else "alerts"] += 1
            await self._stores.feeds.remember(feed, seen, file.data)
        return faults


def _fault(name: str, finding: Finding) -> FeedFault:
    return FeedFault(name, finding.code, finding.zh, finding.en, finding.line)


def _line(findings: Sequence[Finding]) -> str:
    """What is kept with a file that was not taken as it was."""
    return "; ".join(f"{each.line or 0}: {each.code} {each.en}" for each in findings)[:1_000]
