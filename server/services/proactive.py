"""The engine of proactive service: runs rules over facts and makes offers, each exactly once.

Promises. A rule's run reads an index range, in pages; nobody's facts are read who cannot match. An offer's id follows
from rule, period and person, so two schedulers, a killed one, a pause or a clock that steps make no second one, and
what was found but not told yet is told by whoever comes next. A day that was missed is made up for by the next run. Who
did not consent to what a rule needs gets nothing and is not told that there was something.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Protocol

import structlog

from server.domain.china import china_day
from server.domain.facts import Value
from server.domain.offers import Offer, State, is_renewed, offer_id
from server.domain.rules import Bound, Live, Period, Rule, compiled, matching, period_of, scans
from server.domain.working_days import WorkingDays
from server.services.offer_notices import Telling
from server.storage.facts import FactStore, Held
from server.storage.followers import Followers
from server.storage.offers import OfferStore
from server.storage.runs import Run, RunStore, run_id

NAME = "proactive"
OVERLAP = timedelta(seconds=10)
LEASE_S = 10.0
FULL_EVERY = timedelta(days=7)  # what no day brings in (an exclusion that ended) is found at the latest then
LEFT_AFTER = timedelta(seconds=30)
TAKE = 500
SIDE_BY_SIDE = 4  # runs of one process: while one reads its page, the database looks for those of the others

log = structlog.get_logger()


class Rules(Protocol):
    """The rules in force."""

    async def live(self) -> Sequence[Live]:
        """All of them, as they are now."""
        ...


class Consenting(Protocol):
    """Who agreed to what: `services.consents.Consents`."""

    async def given_by(self, citizens: Collection[int], purpose: str) -> frozenset[int]:
        """Those of these people who agree now."""
        ...


class Applied(Protocol):
    """Who has an application for an item that is open or was granted."""

    async def applied_for(self, citizens: Collection[int], item: str) -> frozenset[int]:
        """Those of these people."""
        ...


@dataclass(frozen=True, slots=True)
class Ground:
    """What the engine stands on."""

    facts: FactStore
    offers: OfferStore
    runs: RunStore
    followers: Followers
    rules: Rules
    consents: Consenting
    applied: Applied
    calendar: WorkingDays
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Judged:
    """Offers that may be made, and how many matches were kept back for which reason."""

    offers: Sequence[Offer] = ()
    kept_back: Mapping[str, int] = field(default_factory=Counter)


class Proactive:
    """The verbs; all may be called by any number of processes."""

    def __init__(self, ground: Ground, telling: Telling) -> None:
        self._ground = ground
        self._telling = telling

    async def schedule(self) -> int:
        """Write down the runs of today that are not there yet; how many rules are in force."""
        ground, today = self._ground, china_day(self._ground.now())
        lives = await ground.rules.live()
        known = await ground.runs.last_days()
        for live in lives:
            last, full = known.get((live.rule.id, live.version), (None, None))
            if last is not None and last >= today:
                continue
            since = None if last is None or _is_full_due(live.rule, full, today) else last
            run = Run(run_id(live.rule.id, live.version, today), live.rule.id, live.version, today, since)
            await ground.runs.open(run)
        return len(lives)

    async def run_open(self) -> int:
        """Work on open runs, some side by side, until there are none that nobody else has; how many.

        ExceptionGroup if some could not be done; the others are.
        """
        lives = {(live.rule.id, live.version): live for live in await self._ground.rules.live()}
        done = await asyncio.gather(*(self._work(lives) for _ in range(SIDE_BY_SIDE)), return_exceptions=True)
        if failed := [each for each in done if isinstance(each, BaseException)]:
            raise BaseExceptionGroup(f"{len(failed)} runs of rules could not be done, first: {failed[0]}", failed)
        return sum(each for each in done if isinstance(each, int))

    async def _work(self, lives: Mapping[tuple[str, int], Live]) -> int:
        count = 0
        while run := await self._ground.runs.claim():
            live = lives.get((run.rule, run.version))
            if live is None:
                await self._ground.runs.drop(run.rule, run.version)
                continue
            await self.run(run, live)
            count += 1
        return count

    async def run(self, run: Run, live: Live) -> bool:
        """One run from where it stands; False: another process took over, or the rule was stopped or replaced."""
        ground, rule = self._ground, live.rule
        names = named(rule)
        found, new = run.found, run.new
        for number, scan in enumerate(scans(rule, run.day, ground.calendar, run.since)):
            if number < run.scan:
                continue
            since = run.value if number == run.scan else None
            async for page in ground.facts.scan(scan, names, since):
                fresh = await self.offer(live, page, run.day)
                found, new = found + len(page), new + fresh
                value = _value(page[-1], scan.by)
                if not await ground.runs.advance(run, number, value, found, new):
                    return False
                if (rule.id, live.version) not in {(each.rule.id, each.version) for each in await ground.rules.live()}:
                    await ground.runs.drop(rule.id, live.version)
                    return False
        await ground.runs.close(run, ground.now(), found, new)
        log.info("rule_run", rule=rule.id, version=live.version, is_full=run.since is None, found=found, new=new)
        return True

    async def offer(self, live: Live, people: Sequence[Held], day: date) -> int:
        """Make offers to those of these people whom the rule is for on this day; how many are new."""
        wanted = (await self.wanted(live, people, day)).offers
        if not wanted:
            return 0
        new = await self._ground.offers.insert(wanted)
        await self._telling.tell(wanted, live.rule)
        return new

    async def wanted(self, live: Live, people: Sequence[Held], day: date) -> Judged:
        """The offers of these people that the rule, their consents, applications and its cap allow."""
        rule, now = live.rule, self._ground.now()
        found = matches(rule, people, day, self._ground.calendar)
        if not found:
            return Judged()
        agreed, may = await self._may(rule, {held.citizen for held, _ in found})
        kept_back = Counter(
            "no_consent" if held.citizen not in agreed else "applied" for held, _ in found if held.citizen not in may
        )
        made: dict[str, Offer] = {}
        for held, occurrence in found:
            if held.citizen in may:
                period = period_of(rule, occurrence, day)
                name = offer_id(rule.id, period, held.citizen)
                made[name] = Offer(
                    id=name, rule=rule.id, version=live.version, citizen=held.citizen, period=period,
                    occurrence=occurrence, state=State.FOUND, found_at=now,
                    expires_at=now + timedelta(days=rule.lasts_days), division=held.division,
                )  # fmt: skip
        kept = await self._capped(rule, list(made.values()), now)
        kept_back["capped"] += len(made) - len(kept)
        return Judged(kept, kept_back)

    async def _may(self, rule: Rule, citizens: Collection[int]) -> tuple[Collection[int], Collection[int]]:
        """Who of these agreed to all that the rule needs, and who of those is in want of its item."""
        agreed: Collection[int] = citizens
        for purpose in rule.consents:
            agreed = await self._ground.consents.given_by(agreed, purpose) if agreed else agreed
        if not agreed or not rule.item or not rule.unless_applied:
            return agreed, agreed
        return agreed, frozenset(agreed) - await self._ground.applied.applied_for(agreed, rule.item)

    async def _capped(self, rule: Rule, made: list[Offer], now: datetime) -> list[Offer]:
        if rule.cap is None or not made:
            return made
        since = now - timedelta(days=rule.cap.days)
        known = await self._ground.offers.find([each.id for each in made])
        recent = await self._ground.offers.count_recent({each.citizen for each in made}, rule.id, since)
        kept = []
        for each in made:
            if each.id in known:
                kept.append(known[each.id])
            elif recent.get(each.citizen, 0) < rule.cap.count:
                recent[each.citizen] = recent.get(each.citizen, 0) + 1
                kept.append(each)
        return kept

    async def follow(self) -> int:
        """Run every rule for the people whose facts have changed since the last turn; how many people."""
        ground = self._ground
        turn = await ground.followers.begin(NAME, LEASE_S)
        if turn is None:
            return 0
        day, count = china_day(ground.now()), 0
        since, after = turn.seen_until, -1
        while found := await ground.facts.changed_since(since, after, TAKE):
            people = [held for _, held in found]
            for live in await ground.rules.live():  # as they are now: one that was stopped meanwhile tells nobody
                await self.offer(live, people, day)
                await asyncio.sleep(0)  # most rules are for none of them, and then nothing else is waited for
            await self._close_renewed(people)
            count += len(found)
            since, after = found[-1][0], people[-1].citizen
            await ground.followers.advance(NAME, since - OVERLAP)
            if await ground.followers.begin(NAME, LEASE_S) is None:
                return count
        await ground.followers.advance(NAME, turn.began_at - OVERLAP)
        return count

    async def _close_renewed(self, people: Sequence[Held]) -> None:
        """Reminders of these people that came true are done, and no notice of them is sent any more."""
        ground = self._ground
        rules = {live.rule.id: live.rule for live in await ground.rules.live() if live.rule.kind == "reminder"}
        values = {held.citizen: held.values for held in people}
        running = await ground.offers.running(values, rules) if rules else []
        done = [each.id for each in running if is_renewed(each, rules[each.rule], values[each.citizen])]
        if done:
            await ground.offers.raise_to(done, State.DONE, ground.now())
            await self._telling.take_back(done)

    async def finish_left(self) -> int:
        """Tell of offers that were found by a process that died before it told; how many."""
        lives = {live.rule.id: live for live in await self._ground.rules.live()}
        left = await self._ground.offers.find_left(self._ground.now() - LEFT_AFTER, TAKE)
        for name in {offer.rule for offer in left}:
            mine = [offer for offer in left if offer.rule == name]
            if name in lives:
                await self._telling.tell(mine, lives[name].rule)
            else:
                await self._ground.offers.raise_to([o.id for o in mine], State.WITHDRAWN, self._ground.now())
        return len(left)

    async def lapse(self) -> int:
        """End offers whose time is over; how many."""
        ids = await self._ground.offers.lapse(self._ground.now(), TAKE)
        await self._telling.take_back(ids)
        return len(ids)


def matches(rule: Rule, people: Sequence[Held], day: date, calendar: WorkingDays) -> list[tuple[Held, Value]]:
    """Each of these people with each occurrence of the rule's anchor that matches on this day."""
    when = [compiled(each, day, calendar) for each in rule.when]
    unless = [compiled(each, day, calendar) for each in rule.unless]
    found = [(held, occurrence) for held in people for occurrence in matching(when, unless, held.values)]
    if rule.period is Period.OCCURRENCE:
        return found
    return list({held.citizen: (held, occurrence) for held, occurrence in reversed(found)}.values())


def named(rule: Rule) -> frozenset[str]:
    """The facts that a rule looks at."""
    return frozenset(condition.fact for condition in (*rule.when, *rule.unless))


def _is_full_due(rule: Rule, full: date | None, today: date) -> bool:
    """Whether everybody has to be looked at: a new period has begun, or the last time was a week ago."""
    if full is None or today - full >= FULL_EVERY:
        return True
    return rule.period in (Period.YEARLY, Period.MONTHLY) and period_of(rule, 0, full) != period_of(rule, 0, today)


def _value(held: Held, by: Bound) -> Value:
    """Up to where an index walk has come, for a run that goes on after it."""
    value = held.values[by.fact]
    if isinstance(value, int | str):
        return value
    return min((each for each in value if by.holds(each)), default=value[0])
