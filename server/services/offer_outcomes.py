"""What becomes of offers: done when the application they began is granted; counted by rule for the city's figures.

Promises. All of it follows from what is written elsewhere and may be repeated by anybody: an application that changed
is looked at until its offer shows it, and no figure is incremented; each is counted anew from the offers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from server.domain.applications import Application
from server.domain.china import CHINA, china_day
from server.domain.offers import COUNTS, State, Tally
from server.domain.workflow import Workflow
from server.storage.applications import ApplicationStore
from server.storage.followers import Followers
from server.storage.offer_days import OfferDays
from server.storage.offers import OfferStore
from server.storage.runs import RunStore

NAME = "offer_outcomes"
LEASE_S = 10.0
OVERLAP = timedelta(seconds=120)  # changes are stamped by the clocks of processes, before a transaction is over
TAKE = 500
FRESH = timedelta(minutes=5)  # today's figures are at most so old
SLOWER = 48  # a day's figures are counted again after a 48th of its age
LEASE = timedelta(minutes=2)
AT_ONCE = 100  # days counted in one turn
DAY = timedelta(days=1)
RUNS_TOLD = 30


@dataclass(frozen=True, slots=True)
class Shelves:
    """What outcomes are made of."""

    offers: OfferStore
    days: OfferDays
    runs: RunStore
    applications: ApplicationStore
    followers: Followers


@dataclass(frozen=True, slots=True)
class RuleOutcomes:
    """One rule's figures and its newest runs."""

    tally: Tally
    runs: Sequence[Mapping[str, Any]]


class OfferOutcomes:
    """The duties and the figures."""

    def __init__(self, shelves: Shelves, workflows: Mapping[str, Workflow], now: Callable[[], datetime]) -> None:
        self._shelves = shelves
        self._workflows = workflows
        self._now = now

    async def follow(self) -> int:
        """Offers whose application was granted since the last turn are done; how many. Every few seconds, by anybody.

        An application of which there are 500 in one millisecond is found by its id.
        """
        shelves = self._shelves
        turn = await shelves.followers.begin(NAME, LEASE_S)
        if turn is None:
            return 0
        since, after, count = turn.seen_until, "", 0
        while found := await shelves.applications.of_offers_since(since, after, TAKE):
            granted = [each.offer for each in found if self._is_granted(each)]
            count += await shelves.offers.raise_to(granted, State.DONE, self._now()) if granted else 0
            since, after = found[-1].changed_at, found[-1].id
            await shelves.followers.advance(NAME, since - OVERLAP)
            if await shelves.followers.begin(NAME, LEASE_S) is None:
                return count
        await shelves.followers.advance(NAME, turn.began_at - OVERLAP)
        return count

    def _is_granted(self, application: Application) -> bool:
        workflow = self._workflows.get(application.workflow)
        return workflow is not None and workflow.by_name[application.standing.state].is_granted

    async def recount(self) -> int:
        """Count the days that are due, young ones often; how many. Every minute, by anybody."""
        now = self._now()
        for rule in await self._shelves.offers.rules():
            await self._discover(rule, now)
        count = 0
        while count < AT_ONCE and (claimed := await self._shelves.days.claim(now, LEASE)):
            rule, day = claimed
            since = begin_of(day)
            counts = await self._shelves.offers.count_reached(rule, since, since + DAY)
            wait = max(FRESH, (now - since) / SLOWER)
            await self._shelves.days.put(rule, day, Tally(counts, now), now + wait)
            count += 1
        return count

    async def _discover(self, rule: str, now: datetime) -> None:
        """Days that have offers and are not known; the newest known one is looked behind by a day, for late ones."""
        newest = await self._shelves.days.newest(rule)
        since = begin_of(newest) - DAY if newest else begin_of(date(2000, 1, 1))
        while first := await self._shelves.offers.first_since(rule, since):
            day = china_day(first)
            await self._shelves.days.add(rule, day, now)
            since = begin_of(day) + DAY

    async def tallies(self, rules: Collection[str] | None = None) -> Mapping[str, Tally]:
        """Figures by rule, of these or of all that ever made an offer."""
        return await self._shelves.days.tallies(rules)

    async def of(self, rule: str) -> RuleOutcomes:
        """One rule's figures, zeros if it made no offer, and its newest runs."""
        found = await self._shelves.days.tallies([rule])
        nothing = Tally(dict.fromkeys(COUNTS, 0), None)
        return RuleOutcomes(found.get(rule, nothing), await self._shelves.runs.newest(rule, RUNS_TOLD))


def begin_of(day: date) -> datetime:
    """The first moment of a day of China."""
    return datetime.combine(day, time(), CHINA)
