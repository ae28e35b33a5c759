"""What has to be done again and again beside sending: finish, expire, call chiefs, count, measure.

Every worker does all of them: each is idempotent or claimed in the database, so several at once do no harm and none of
them has to be the one. A duty that fails is logged and tried again at its next turn; it never stops the engine.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from channels.base import Verdict
from push.pace import Account
from push.parts import Counters as EngineCounters
from server.domain.broadcasts import State
from server.domain.officers import AccountState, Role
from server.services.alerts import Alerts
from server.services.officers import Officers
from server.storage.broadcasts import Broadcasts
from server.storage.counters import Counters
from server.storage.mongo import MongoError
from server.storage.rates import Rates

RECOUNT_AFTER = timedelta(hours=1)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to do every so many seconds, first at start."""

    name: str
    every_s: float
    do: Callable[[], Awaitable[object]]


async def keep(duties: Sequence[Duty], stop: asyncio.Event) -> None:
    """Do all duties until told to stop; what is being done then is left, for all of it may be repeated."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_keep(duty, stop)) for duty in duties]
        await stop.wait()
        for task in tasks:
            task.cancel()


async def _keep(duty: Duty, stop: asyncio.Event) -> None:
    while not stop.is_set():  # a duty that looks at `stop` itself may swallow its cancellation (asyncio.wait_for)
        try:
            await duty.do()
        except MongoError as error:
            log.warning("duty_postponed", duty=duty.name, error=type(error).__name__)
        except Exception:
            # Of the worker's edges this is one: a duty that breaks must stop neither the engine nor the others.
            log.exception("duty_failed", duty=duty.name)
        with suppress(TimeoutError):  # and whose cancellation was swallowed must not sleep when it has to end
            await asyncio.wait_for(stop.wait(), duty.every_s)


class Meter:
    """Hands on how many notices each account of this process has accepted since the last look."""

    def __init__(
        self,
        counters: EngineCounters,
        accounts: Mapping[str, Sequence[Account]],
        rates: Rates,
        now: Callable[[], datetime],
    ) -> None:
        self._counters = counters
        self._channel_of = {account.name: channel for channel, listed in accounts.items() for account in listed}
        self._rates = rates
        self._now = now
        self._told: Counter[tuple[str, str]] = Counter()

    async def tell(self) -> None:
        """Add what is new. What could not be written is told the next time."""
        accepted: Counter[tuple[str, str]] = Counter()
        for (account, verdict, _), count in self._counters.outcomes.items():
            if verdict == Verdict.ACCEPTED.value and account in self._channel_of:
                accepted[self._channel_of[account], account] += count
        await self._rates.add(accepted - self._told, self._now())
        self._told = accepted


async def recount(counters: Counters, broadcasts: Broadcasts, now: Callable[[], datetime]) -> bool:
    """Rebuild the counters of people if they are old and no warning is on its way; whether it was done here."""
    if State.LIVE in (await broadcasts.states()).values() or not await counters.claim(now(), RECOUNT_AFTER):
        return False
    await counters.rebuild(now(), lambda _done, _of: None)
    return True


async def call_chiefs(alerts: Alerts, officers: Officers, tell: Callable[[], Awaitable[int]]) -> None:
    """A red alert waits: the next chief on the list is called, on the telephone and by a line in the log of the desk.

    Who has bound a telephone comes before who has none: each call that nobody hears costs two minutes.
    """
    accounts = [account for account in await officers.accounts(None) if account.state is AccountState.ACTIVE]
    chiefs = [account for account in accounts if Role.CHIEF in account.officer.roles]
    able = {account.officer.id for account in chiefs if account.can_be_called}
    for call in await alerts.overdue([a.officer for a in sorted(chiefs, key=lambda a: not a.can_be_called)]):
        chief = call.chief.id if call.chief else None
        log.warning(
            "red_alert_waits", alert=call.identifier, chief=chief, can_be_called=chief in able, nth=call.nth,
            waited_s=round(call.waited_s),
        )  # fmt: skip
    await tell()  # also what a process that died has left
