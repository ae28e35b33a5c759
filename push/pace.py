"""How fast an account may be used, and whether it may be used at all.

A token bucket per provider account lives in Redis, so that all workers together keep the provider's rate. Bulk lanes
leave a reserved share of the bucket to red and orange. When Redis is away every worker falls back to a bucket of its
own with its share of the rate (HUIMIN_WORKERS says how many there are).

The breaker closes an account after auth or arrears answers, or when a provider only fails; a quota answer pauses it
until its reset. After the pause small windows try until something is accepted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from channels.base import Channel, Fault, Kind, Outcome, Scope, Verdict
from server.domain.china import CHINA
from server.storage.queue import Queue, burst

RESERVED_SHARE = 0.2  # of the bucket, for red and orange
SHORT_WAIT_S = 0.01
AUTH_PAUSE_S = 10.0
OUTAGE_PAUSE_S = 2.0
OUTAGE_AFTER = 50  # failures in a row
TRIAL = 10  # addresses in a window of an account on trial


@dataclass(slots=True)
class Account:
    """One account of one provider with its pace and its breaker. Times are of the loop's clock, in seconds."""

    channel: Channel
    name: str
    rate_per_s: float
    room: int  # addresses that may be on their way at once: twice the connections keep them all busy
    on_their_way: int = 0
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    closed_until: float = 0.0
    closed_why: str = ""
    failures: int = 0
    tokens: float = 0.0
    filled_at: float = field(default=0.0)
    is_on_trial: bool = False  # it was closed and has not accepted anything since

    @property
    def window(self) -> int:
        """The largest window: half a second of the rate, at most 250 single requests, or one page of numbers."""
        most = 250 if self.channel.per_request == 1 else 500
        return max(1, min(TRIAL if self.is_on_trial else most, int(self.rate_per_s / 2)))

    def leaves(self, count: int) -> None:
        """So many addresses were handed to the channel."""
        self.on_their_way += count

    def answered(self) -> None:
        """One of them was answered."""
        self.on_their_way -= 1
        if self.on_their_way < self.room:
            self.freed.set()

    async def wait_for_room(self, timeout_s: float) -> bool:
        """Wait until more may leave: what queues behind busy connections would start too late to be stopped."""
        if self.on_their_way < self.room:
            return True
        self.freed.clear()
        try:
            await asyncio.wait_for(self.freed.wait(), timeout_s)
        except TimeoutError:
            return False
        return True


class Pace:
    """Grants tokens and keeps breakers. One per process. `workers` share an account's rate when Redis is away."""

    def __init__(self, queue: Queue, clock: Callable[[], float], now: Callable[[], datetime], workers: int) -> None:
        self._queue = queue
        self._workers = workers
        self._clock = clock
        self._now = now

    async def take(self, account: Account, want: int, *, is_urgent: bool, until: float) -> int:
        """Wait for at least one token, at most until `until` (loop time); 0 means there was none."""
        floor = 0.0 if is_urgent else RESERVED_SHARE
        rate = account.rate_per_s
        while True:
            granted = await self._queue.take(account.name, want, rate_per_s=rate, floor=floor * burst(rate))
            if granted is None:
                granted = self._take_locally(account, want, floor)
            if granted or self._clock() >= until:
                return granted
            await asyncio.sleep(max(SHORT_WAIT_S, min(0.25, want / rate / 2)))

    def _take_locally(self, account: Account, want: int, floor: float) -> int:
        now, rate = self._clock(), account.rate_per_s / self._workers
        most = burst(rate)
        account.tokens = min(most, account.tokens + (now - account.filled_at) * rate)
        account.filled_at = now
        granted = max(0, min(want, int(account.tokens - floor * most)))
        account.tokens -= granted
        return granted

    def is_open(self, account: Account) -> bool:
        """Whether the account may be used now."""
        return self._clock() >= account.closed_until

    def note(self, account: Account, outcome: Outcome) -> None:
        """Learn from an outcome: close the account, pause it, or count a failure."""
        fault = outcome.fault
        if outcome.verdict is Verdict.ACCEPTED or fault is None:
            account.failures, account.is_on_trial = 0, False
            return
        if fault.kind is Kind.AUTH:
            # The first failure only makes the channel fetch a new token; a second one in a row closes the account.
            account.failures += 1
            if account.failures > account.window:
                self.close(account, AUTH_PAUSE_S, outcome.code)
        elif fault.kind is Kind.QUOTA and fault.scope is not Scope.PERSON:
            self.close(account, self._reset_s(fault, outcome), outcome.code)
        elif outcome.verdict in (Verdict.RETRY, Verdict.UNKNOWN) and outcome.code != "not_started":
            account.failures += 1
            if account.failures >= OUTAGE_AFTER:
                self.close(account, OUTAGE_PAUSE_S, outcome.code)
        else:
            account.failures, account.is_on_trial = 0, False

    def close(self, account: Account, seconds: float, why: str) -> None:
        """Do not use the account for a while."""
        account.closed_until = max(account.closed_until, self._clock() + seconds)
        account.closed_why = why
        account.failures, account.is_on_trial = 0, True

    def _reset_s(self, fault: Fault, outcome: Outcome) -> float:
        if fault.until_midnight:
            local = self._now().astimezone(CHINA)
            midnight = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            return (midnight - local).total_seconds()
        return outcome.retry_after_s or fault.reset_s or 1.0
