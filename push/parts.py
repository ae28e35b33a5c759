"""What every part of the engine works with, built once per process and handed on by argument."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from channels.base import Outcome
from push.ladder import Ladder
from push.pace import Account, Pace
from push.watch import Watch
from server.domain.errors import HuiminError
from server.domain.outbox import Standing, Texts
from server.domain.pages import Page
from server.storage.broadcasts import Broadcasts
from server.storage.citizens import Citizens
from server.storage.mongo import MongoError
from server.storage.pages import Pages
from server.storage.queue import Queue

WRITE_FOR_S = 60.0  # how long an answer is kept in hand while the database is away
PAUSE_S = 0.1
UNREADABLE = (ValueError, LookupError, HuiminError)  # what a document of another version of this program raises


@dataclass(slots=True)
class Counters:
    """Plain counts, cheap enough for every notice; the metrics page reads them."""

    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)

    def outcome(self, account: str, outcome: Outcome) -> None:
        """One answer of a provider."""
        self.outcomes[account, outcome.verdict.value, outcome.code] += 1

    def event(self, name: str, count: int = 1) -> None:
        """Something an operator may want to see grow: takeovers, lost leases, dead letters, retired addresses."""
        self.events[name] += count


class Subjects(Protocol):
    """What personal notices are about."""

    @property
    def standing(self) -> Mapping[str, Standing]:
        """Every template of personal notices that this process knows, by name."""
        ...

    async def render(self, template: str, abouts: Sequence[str]) -> Mapping[str, Texts]:
        """The words for these things as they are now: id -> texts on every channel of the template.

        One query. What does not exist or does not concern the person any more is left out: it is not sent.
        """
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """The engine's parts. `clock` is the loop's, in seconds; `now` is the wall clock, aware."""

    owner: str
    pages: Pages
    broadcasts: Broadcasts
    citizens: Citizens
    queue: Queue
    pace: Pace
    watch: Watch
    ladder: Ladder
    subjects: Subjects
    accounts: Mapping[str, Sequence[Account]]
    counters: Counters
    one_time_templates: frozenset[str]  # WeChat templates of which every accept buys one message
    clock: Callable[[], float]
    now: Callable[[], datetime]

    async def write(self, page: Page, change: Mapping[str, Any], *, is_fenced: bool, is_urgent: bool) -> bool:
        """Write to the ledger, and keep at it while the database is away: no provider's answer is forgotten."""
        give_up = self.clock() + WRITE_FOR_S
        pause_s = PAUSE_S
        while True:
            try:
                return await self.pages.write(page, change, is_fenced=is_fenced, is_urgent=is_urgent)
            except MongoError:
                self.counters.event("ledger_write_repeated")
                if self.clock() > give_up:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(2.0, pause_s * 2)
