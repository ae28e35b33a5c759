"""What officers and the public may know of rules: what one would do, what became of its offers, the city's figure.

Promises. A process rehearses one rule at a time: it reads as much as a run does. Figures of fewer than ten people are
not published: with a rule that few fall under they would tell who.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.catalogue import Item, Mode
from server.domain.catalogue_search import Published
from server.domain.catalogue_targets import Plan
from server.domain.errors import ConflictError, TooManyError
from server.domain.offers import Tally
from server.domain.officers import Officer
from server.domain.rules import Rule
from server.services.offer_outcomes import OfferOutcomes, RuleOutcomes
from server.services.proactive import Rules
from server.services.rehearsal import Rehearsal, Rehearsals
from server.services.rules import RuleOffice

FEW = 10
RETRY_AFTER_S = 20


@dataclass(frozen=True, slots=True)
class Counted:
    """A rule in force, with the item that it leads to (None: a reminder of something else) and its outcomes."""

    rule: Rule
    item: Item | None
    tally: Tally | None


@dataclass(frozen=True, slots=True)
class CityFigures:
    """主动服务: `target` of the plan, `items` on offer that the city comes forward with, and the rules in force."""

    target: int
    items: int
    rules: Sequence[Counted]


class RuleFigures:
    """The verbs."""

    def __init__(
        self, office: RuleOffice, rules: Rules, rehearsals: Rehearsals, outcomes: OfferOutcomes, plan: Plan,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._office = office
        self._rules = rules
        self._rehearsals = rehearsals
        self._outcomes = outcomes
        self._plan = plan
        self.now = now
        self._one_at_a_time = asyncio.Lock()

    async def rehearse(self, by: Officer, rule: str, version: int | None = None) -> Rehearsal:
        """What a version would do today; None: the one on the desk, else the one in force.

        NotFoundError `rule_unknown`; TooManyError `rehearsal_busy`.
        """
        if version is not None:
            meant = (await self._office.version(by, rule, version)).rule
        else:
            standing = await self._office.get(by, rule)
            kept = standing.desk or standing.force
            assert kept is not None
            meant = kept.rule
        faults = await self._office.check(meant)
        if faults:
            raise ConflictError(
                "rule_unfit", zh=f"规则有误，先修改：{faults[0].zh}", en=f"the rule has faults: {faults[0].en}"
            )
        if self._one_at_a_time.locked():
            raise TooManyError(
                "rehearsal_busy", zh="正在预演另一条规则，请稍候", en="another rehearsal is running",
                retry_after_s=RETRY_AFTER_S,
            )  # fmt: skip
        async with self._one_at_a_time:
            return await self._rehearsals.rehearse(by, meant)

    async def outcomes(self, by: Officer) -> Mapping[str, Tally]:
        """Figures of all rules that ever made an offer, by rule."""
        await self._office.page(by, "", 1)  # asks the policy
        return await self._outcomes.tallies()

    async def outcomes_of(self, by: Officer, rule: str) -> RuleOutcomes:
        """Figures and newest runs of one; NotFoundError `rule_unknown`."""
        await self._office.get(by, rule)
        return await self._outcomes.of(rule)

    async def city(self, items: Collection[Published]) -> CityFigures:
        """What counts towards the plan's figure, for everybody."""
        lives = sorted(await self._rules.live(), key=lambda live: live.rule.id)
        tallies = await self._outcomes.tallies([live.rule.id for live in lives])
        by_id = {each.item.id: each.item for each in items}
        named = {live.rule.item for live in lives}
        offered = [item for item in by_id.values() if item.is_offered]
        proactive = [item for item in offered if Mode.PROACTIVE in item.modes or item.id in named]
        counted = [Counted(live.rule, by_id.get(live.rule.item), tallies.get(live.rule.id)) for live in lives]
        return CityFigures(self._plan.modes.get(Mode.PROACTIVE, 0), len(proactive), counted)


def published(count: int) -> int | None:
    """A count as everybody may read it; None: so few that it would tell who."""
    return count if count == 0 or count >= FEW else None
