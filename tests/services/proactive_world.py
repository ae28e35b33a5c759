"""A city of facts and rules on the test run's MongoDB, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from server.domain.facts import Statement, Value, day_number
from server.domain.rules import Live, Rule
from server.domain.working_days import WorkingDays
from server.services.offer_notices import OfferNotices, Sources, Telling
from server.services.proactive import Ground, Proactive
from server.storage.catalogues import load_facts, load_texts
from server.storage.facts import FactStore
from server.storage.followers import Followers
from server.storage.mongo import Database
from server.storage.offers import OfferStore
from server.storage.outbox import Outbox
from server.storage.runs import RunStore

TODAY = day_number(date(2026, 11, 24))
NOON = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)  # in China


ID_CARD: dict[str, Any] = {
    "id": "id-card", "kind": "reminder", "unit": "police", "lane": "reminder", "period": "occurrence",
    "title": {"zh": "身份证快到期", "en": "Your ID card runs out"},
    "body": {"zh": "将于{date}到期，还有{days}天", "en": "It runs out on {date}, in {days} days"},
    "when": [{"fact": "id_card_until", "days": [0, 30]}], "lasts_days": 40,
}  # fmt: skip


def rule(**other: Any) -> Rule:
    """That of the ID card, but for what is said."""
    return Rule.model_validate(ID_CARD | other)


@dataclass
class Town:
    """What a test sets: the rules in force, who agreed, who applied, the time."""

    db: Database
    rules: list[Rule] = field(default_factory=list)
    refusing: set[int] = field(default_factory=set)
    applied: set[tuple[int, str]] = field(default_factory=set)
    at: datetime = NOON

    def now(self) -> datetime:
        """The time of the test."""
        return self.at

    async def live(self) -> Sequence[Live]:
        """Implements `Rules`."""
        return [Live(rule, 1) for rule in self.rules]

    async def find(self, wanted: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], Rule]:
        """Implements `KnownRules`."""
        return {(rule.id, 1): rule for rule in self.rules if (rule.id, 1) in wanted}

    async def given_by(self, citizens: Collection[int], purpose: str) -> frozenset[int]:  # noqa: ARG002
        """Implements `Consenting`."""
        return frozenset(citizens) - self.refusing

    async def applied_for(self, citizens: Collection[int], item: str) -> frozenset[int]:
        """Implements `Applied`."""
        return frozenset(each for each in citizens if (each, item) in self.applied)

    @property
    def facts(self) -> FactStore:
        """What is known."""
        return FactStore(self.db, load_facts())

    @property
    def offers(self) -> OfferStore:
        """What was made."""
        return OfferStore(self.db)

    @property
    def outbox(self) -> Outbox:
        """What waits."""
        return Outbox(self.db)

    def engine(self, owner: str = "one") -> Proactive:
        """One process's engine."""
        ground = Ground(
            self.facts, self.offers, RunStore(self.db, owner), Followers(self.db, owner), self, self, self,
            WorkingDays(), self.now,
        )  # fmt: skip
        return Proactive(ground, Telling(self.offers, self.outbox, self.now))

    def notices(self) -> OfferNotices:
        """The words."""
        return OfferNotices(
            Sources(self.offers, self, load_facts(), self, self.facts), load_texts().templates, self.now
        )

    async def knows(self, citizen: int, **facts: Value | None) -> None:
        """The usual source states these facts, now."""
        known = load_facts().by_id
        await self.facts.apply(
            [Statement(citizen, name, value, known[name].sources[0], self.at) for name, value in facts.items()]
        )

    async def know_many(self, fact: str, values: Mapping[int, Value]) -> None:
        """The usual source states one fact of many people, now."""
        source = load_facts().by_id[fact].sources[0]
        await self.facts.apply([Statement(citizen, fact, value, source, self.at) for citizen, value in values.items()])

    def later(self, **by: float) -> None:
        """Time passes."""
        self.at += timedelta(**by)


async def turn(town: Town, owner: str = "one") -> None:
    """What a process does each minute."""
    engine = town.engine(owner)
    await engine.schedule()
    await engine.run_open()


async def opened(db: Database) -> Town:
    """A town whose one rule is that of the ID card."""
    town = Town(db, rules=[rule()])
    await town.facts.prepare()
    return town
