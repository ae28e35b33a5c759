"""One leased page on its way to a provider.

The order of writes is the promise: an intent is durable before a byte leaves, an outcome is written with the next
window's intent, and whoever finds an intent without an outcome knows that it is in doubt. A window starts only if the
lease outlives the provider's deadline by this process's monotonic clock, read before the lease was renewed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from channels.base import NOT_STARTED, Content, Kind, Outcome, Verdict, Window
from push.contents import Contents, PageContents
from push.pace import Account
from push.parts import Parts
from server.domain import ranks
from server.domain.broadcasts import CHANNELS, Broadcast, State
from server.domain.delivery import opt_outs, quiet_until
from server.domain.pages import CHANNEL_OFF, MOVED, Page, PageState, Sent, effective, in_doubt, unfinished
from server.storage import pages as ledger
from server.storage.citizens import Address, Reach

CLOSE_AFTER_S = 2.0  # a window is written after this long; stragglers are written with a later one
START_WITHIN_S = 0.5  # what has not left by then was not sent: a cancel must hold within a second
UNLISTED_TRIES = 2
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
BETTER = (Verdict.RETRY, Verdict.REFUSED, Verdict.UNKNOWN, Verdict.ACCEPTED)  # of several devices the best counts


@dataclass(slots=True)
class Result:
    """What became of a page in this turn."""

    due_in_s: float | None = None  # it is open and due again in so long
    dead_reason: str = ""
    is_lost: bool = False  # the lease was taken over
    dead_addresses: list[tuple[int, bytes, str]] = field(default_factory=list)
    gone_grants: list[int] = field(default_factory=list)
    reached: Sequence[int] = ()  # the people who have it, once the page is done: only one run of a page sees that


class PageRun:
    """Sends what is left of one page. Use once."""

    def __init__(self, parts: Parts, contents: Contents, page: Page, broadcast: Broadcast) -> None:
        self._parts = parts
        self._contents = PageContents(contents, page, broadcast)
        self._page = page
        self._broadcast = broadcast
        self._lease_s = ledger.lease_s(page.lane)
        self._is_urgent = page.lane.is_urgent
        self._deadline_s = min(self._lease_s * 0.8, 2.5 if self._is_urgent else 5.0)
        self._settled: dict[int, Outcome] = {}  # answered, not yet written
        self._named: dict[int, list[str]] = {}  # position -> references of its devices, not yet written
        self._open: dict[int, int] = {}  # position -> devices without an answer
        self._quiet = asyncio.Event()
        self._attempt = 1
        self._ranks = effective(page)
        self._off = {  # what keeps it back on each channel
            c: frozenset[str]() if broadcast.always_rings else opt_outs(broadcast.topic, page.lane, c) for c in CHANNELS
        }
        self._why = dict(page.why)
        self._not_again = set(page.resent)  # sent a second time already, or may not be sent any more
        self.result = Result()

    async def run(self) -> Result:
        """Settle doubts, send what may be sent, give the page back. Raises only when the world is broken."""
        if doubt := in_doubt(self._page):
            unknown = dict.fromkeys(doubt, ranks.UNKNOWN)
            self._note(unknown)
            if not await self._write(ledger.outcomes(unknown, {}, {}, "")):
                return self._lost()
        left: list[int] = []
        if todo := sorted({*unfinished(self._page), *self._doubts()}):
            reach = await self._reach(todo)
            todo = await self._drop(todo, reach)
            self._attempt = 1 + max((ranks.attempts(self._ranks[i]) for i in todo), default=0)
            left = await self._hand_over(todo, reach)
            if self._is_urgent and not (left or self.result.is_lost or self.result.dead_reason):
                await self._settle_all()
                if (again := self._doubts()) and await self._write_or_lose(self._take_outcomes(), {}):
                    self._attempt = min(self._attempt + 1, ranks.MAX_ATTEMPTS)
                    left = await self._hand_over(again, reach)
        if self.result.is_lost:
            await self._settle_all()
            await self._write(self._take_outcomes(), is_fenced=False)
        else:
            await self._give_back(left)
        return self.result

    async def save(self) -> None:
        """After an exception: write what the providers said, whoever holds the page now."""
        with suppress(TimeoutError):
            await self._settle_all()
        await self._write(self._take_outcomes(), is_fenced=False)

    async def _reach(self, todo: Sequence[int]) -> Mapping[int, Reach]:
        """How these people can be reached now: nobody can where the city has no account."""
        if not self._parts.accounts[self._page.channel]:
            return {}
        return await self._parts.citizens.reach(self._page.channel, [self._page.to[i] for i in todo])

    def _why_not(self) -> str:
        return "no_address" if self._parts.accounts[self._page.channel] else "no_account"

    async def _drop(self, todo: Sequence[int], reach: Mapping[int, Reach]) -> list[int]:
        """Take out who may not get it, with the reason; people in quiet hours move to a page of a later time."""
        now, lane, rings = self._parts.now(), self._page.lane, self._broadcast.always_rings
        nobody = self._why_not()
        why: dict[int, str] = {}
        final: dict[int, int] = {}
        later: dict[datetime, list[int]] = {}
        moot = await self._contents.load(self._parts.subjects, todo)
        for i in todo:
            person = reach.get(self._page.to[i])
            if person is None or not person.addresses:
                final[i], why[i] = ranks.REFUSED, nobody
            elif i in moot:
                final[i], why[i] = ranks.SUPPRESSED, "moot"
            elif reason := self._opted_out(person.off):
                final[i], why[i] = ranks.SUPPRESSED, reason
            elif not rings and person.quiet and (until := quiet_until(person.quiet, lane, now)):
                if until < self._page.expires_at:
                    later.setdefault(until, []).append(i)
                else:
                    final[i], why[i] = ranks.SUPPRESSED, "quiet_hours"
        moved = await self._parts.ladder.defer(self._page, later)
        final |= dict.fromkeys(moved, ranks.SUPPRESSED)
        why |= dict.fromkeys(moved, MOVED)
        self._why |= why
        if final:
            self._note(final)
            self._not_again.update(final)
            if not await self._write(ledger.outcomes(final, why, {}, "")):
                self._lost()
                return []
        quiet = {i for positions in later.values() for i in positions}  # who was not moved waits for the next turn
        return [i for i in todo if i not in final and i not in quiet]

    def _opted_out(self, off: frozenset[str]) -> str:
        """Why the person's own settings keep this back here, "" if they do not."""
        if not off or self._off[self._page.channel].isdisjoint(off):
            return ""
        is_off_everywhere = not any(self._off[c].isdisjoint(off) for c in self._broadcast.order)
        return "opted_out" if is_off_everywhere else CHANNEL_OFF

    async def _hand_over(self, positions: Sequence[int], reach: Mapping[int, Reach]) -> list[int]:
        """Window after window; returns positions that could not be started now."""
        left = list(positions)
        while left:
            account = await self._account()
            is_over = self._may_start_until() <= self._clock() or self._parts.now() >= self._page.expires_at
            if account is None or is_over:
                return left
            granted = 0
            if self._is_urgent or await account.wait_for_room(1.0):
                want = min(len(left), account.window)
                granted = await self._parts.pace.take(
                    account, want, is_urgent=self._is_urgent, until=self._clock() + 1.0
                )
            if not granted:
                await self._renew()
                if self.result.is_lost:
                    return left
                continue
            window, left = left[:granted], left[granted:]
            if not await self._send_window(account, window, reach):
                return left + window
            if self.result.dead_reason:
                return left
        return left

    def _doubts(self) -> list[int]:
        """Red and orange: who may have got it or not, and was not sent it a second time yet."""
        if not self._is_urgent:
            return []
        fresh = {i for i, outcome in self._settled.items() if outcome.verdict is Verdict.UNKNOWN}
        return [
            i
            for i, rank in enumerate(self._ranks)
            if i not in self._not_again and (rank == ranks.UNKNOWN or (i in fresh and rank < ranks.UNKNOWN))
        ]

    async def _send_window(self, account: Account, window: Sequence[int], reach: Mapping[int, Reach]) -> bool:
        """Intent, hand-off, answers. False if the lease is lost: then nothing more may be sent."""
        for i in window:
            self._contents.get(i, reach[self._page.to[i]].lang)  # what breaks must break before the intent
        known = self._take_outcomes()
        again = [i for i in window if self._ranks[i] == ranks.UNKNOWN]
        sent = Sent(window, self._attempt, self._parts.now(), account.name)
        renewed_at = self._clock()
        if not await self._write_or_lose(known, ledger.combine(ledger.intent(sent), ledger.send_again(again))):
            return False
        self._not_again.update(again)
        start_by = min(self._clock() + START_WITHIN_S, self._may_start_until())
        if start_by <= self._clock() or start_by + self._deadline_s > renewed_at + self._lease_s:
            # The database was slow: a cancel may be unknown yet, or the lease end before the provider's answer. Nothing
            # has left.
            for i in window:
                self._settle(account, i, NOT_STARTED)
            return True
        self._start(account, window, reach, start_by)
        if self._open:
            try:
                await asyncio.wait_for(self._quiet.wait(), CLOSE_AFTER_S)
            except TimeoutError:
                return True
        return True

    def _start(self, account: Account, window: Sequence[int], reach: Mapping[int, Reach], start_by: float) -> None:
        """Hand all addresses of the window to the channel, grouped by content. Several devices of one count once."""
        by_content: dict[Content, list[tuple[int, Address]]] = {}
        for i in window:
            person = reach[self._page.to[i]]
            self._open[i] = len(person.addresses)
            content = self._contents.get(i, person.lang)
            by_content.setdefault(content, []).extend((i, a) for a in person.addresses)
        self._quiet.clear()
        for content, targets in by_content.items():
            account.leaves(len(targets))
            account.channel.send(
                Window(
                    content=content,
                    addresses=[address.value for _, address in targets],
                    reference=self._page.id,
                    start_by=start_by,
                    deadline_s=self._deadline_s,
                    is_urgent=self._is_urgent,
                ),
                partial(self._answer, account, targets),
            )

    def _answer(self, account: Account, targets: Sequence[tuple[int, Address]], index: int, outcome: Outcome) -> None:
        """Called by the channel, once per device."""
        position, address = targets[index]
        account.answered()
        self._parts.pace.note(account, outcome)
        self._parts.counters.outcome(account.name, outcome)
        if outcome.reference:
            self._named.setdefault(position, []).append(outcome.reference)
        left = self._open.get(position, 1) - 1
        self._open[position] = left
        best = self._settled.get(position)
        if best is None or BETTER.index(outcome.verdict) > BETTER.index(best.verdict):
            self._settled[position] = outcome
        fault = outcome.fault
        if fault is not None and fault.kind is Kind.ADDRESS_DEAD:
            self.result.dead_addresses.append((self._page.to[position], address.blind, outcome.code))
        elif fault is not None and fault.kind is Kind.GRANT_GONE:
            self.result.gone_grants.append(self._page.to[position])
        if left <= 0:
            del self._open[position]
            if not self._open:
                self._quiet.set()

    def _settle(self, account: Account, position: int, outcome: Outcome) -> None:
        self._parts.counters.outcome(account.name, outcome)
        self._settled[position] = outcome

    def _take_outcomes(self) -> dict[str, Any]:
        """The answers so far as one change of the ledger; positions with devices still open wait."""
        done = {i: o for i, o in self._settled.items() if i not in self._open}
        for i in done:
            del self._settled[i]
        new: dict[int, int] = {}
        why: dict[int, str] = {}
        for i, outcome in done.items():
            new[i] = self._rank(outcome)
            if outcome.verdict is not Verdict.ACCEPTED:
                why[i] = outcome.code[:60]
            if outcome.fault is not None and outcome.fault.kind is Kind.CONFIG:
                if self._page.about:
                    new[i] = ranks.REFUSED  # these words are this person's own: the others must not wait for a human
                    self._parts.counters.event("notice_ill_formed")
                else:
                    self.result.dead_reason = f"{outcome.code} at position {i}"
        self._note(new)
        references = [(i, reference) for i in done for reference in self._named.pop(i, ())]
        first = min(done) if done else 0
        return ledger.outcomes(new, why, references, f"{self._page.attempt}_{self._attempt}_{first}")

    def _rank(self, outcome: Outcome) -> int:
        match outcome.verdict:
            case Verdict.ACCEPTED:
                return ranks.ACCEPTED
            case Verdict.REFUSED:
                return ranks.REFUSED
            case Verdict.UNKNOWN:
                return ranks.UNKNOWN
        is_unlisted = outcome.fault is not None and outcome.fault.kind is Kind.UNLISTED
        if self._attempt >= (UNLISTED_TRIES if is_unlisted else ranks.MAX_ATTEMPTS):
            return ranks.REFUSED
        return ranks.retry(self._attempt)

    async def _settle_all(self) -> None:
        """Wait for stragglers: a channel answers every address before its deadline, so this ends."""
        if self._open:
            await asyncio.wait_for(self._quiet.wait(), self._deadline_s + CLOSE_AFTER_S)

    async def _give_back(self, left: Sequence[int]) -> None:
        """Write the last answers and release the page: done, due later, dead, or waiting for receipts (ladder)."""
        await self._settle_all()
        last: Mapping[str, Any] = self._take_outcomes()
        state = self._parts.watch.state(self._page.broadcast)
        retry = [i for i, rank in enumerate(self._ranks) if not ranks.is_final(rank)] or (left and self._doubts())
        change: Mapping[str, Any]
        if self.result.dead_reason:
            last = ledger.combine(last, await self._go_on_without(retry))
            change = ledger.release(state=PageState.DEAD, reason=self.result.dead_reason)
        elif retry:
            ends_in_s = (self._page.expires_at - self._parts.now()).total_seconds()  # then it is due to be closed
            due_in_s = 0.0 if state is not State.LIVE else max(0.0, min(self._due_in_s(left), ends_in_s))
            self.result.due_in_s = due_in_s
            change = ledger.release(not_before=self._parts.now() + timedelta(seconds=due_in_s))
        else:
            if self._broadcast.falls:
                # Follow-up pages are derived from what is written: a successor must come to the same ones.
                if not await self._write_or_lose(last, {}):
                    return
                last = {}
            change = await self._parts.ladder.after_sending(self._as_settled(), self._broadcast)
        is_ours = await self._write_or_lose(last, change)
        if is_ours and change["$set"]["state"] == PageState.DONE.value:
            self.result.reached = [
                i for i, rank in zip(self._page.to, self._ranks, strict=True) if rank >= ranks.ACCEPTED
            ]

    async def _go_on_without(self, left: Sequence[int]) -> Mapping[str, Any]:
        """Our template is wrong: a human has to look, but people on a ladder do not wait for that."""
        if not left or not await self._parts.ladder.go_on(self._as_settled(), self._broadcast, left):
            return {}
        final = dict.fromkeys(left, ranks.SUPPRESSED)
        self._note(final)
        return ledger.outcomes(final, dict.fromkeys(left, "went_on"), {}, "")

    def _as_settled(self) -> Page:
        """The page as it stands by now."""
        return replace(self._page, outcomes=self._ranks, why=self._why)

    def _due_in_s(self, left: Sequence[int]) -> float:
        closed = [a.closed_until - self._clock() for a in self._parts.accounts[self._page.channel]]
        if closed and min(closed) > 0:
            return min(closed)
        if left:
            return 0.0
        return BACKOFF_S[min(self._attempt, len(BACKOFF_S)) - 1]

    async def _account(self) -> Account | None:
        """The first account of the channel that may be used now: the next one is the failover."""
        for account in self._parts.accounts[self._page.channel]:
            if not self._parts.pace.is_open(account):
                continue
            fault = await account.channel.ready()
            if fault is None:
                return account
            self._parts.pace.close(account, fault.reset_s or 1.0, fault.kind.value)
        return None

    async def _renew(self) -> None:
        if not await self._write({"$currentDate": {"lease.at": True}}):
            self._lost()

    async def _write_or_lose(self, known: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
        """Write answers and a change that needs the lease together; if the lease is lost, the answers alone."""
        if await self._write(ledger.combine(known, ours)):
            return True
        self._lost()
        await self._write(known, is_fenced=False)
        return False

    async def _write(self, change: Mapping[str, Any], *, is_fenced: bool = True) -> bool:
        if not change:
            return True
        return await self._parts.write(self._page, change, is_fenced=is_fenced, is_urgent=self._is_urgent)

    def _note(self, new: Mapping[int, int]) -> None:
        for i, rank in new.items():
            self._ranks[i] = max(self._ranks[i], rank)

    def _lost(self) -> Result:
        self.result.is_lost = True
        return self.result

    def _may_start_until(self) -> float:
        return self._parts.watch.may_start_until(self._page.broadcast)

    def _clock(self) -> float:
        return self._parts.clock()
