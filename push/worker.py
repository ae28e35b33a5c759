"""A worker: readers per channel, planners, the watch, the reconcilers, in one task group.

Red and orange have a reader and page slots of their own on every channel; the other reader serves all lanes, highest
first. A stop (SIGTERM) drains: nothing new is leased, pages in hand are finished or given back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any

import structlog

from push.contents import Contents
from push.outbox import Filler
from push.parts import Parts
from push.planner import Planner
from push.reconciler import REST, REST_EVERY_S, URGENT, URGENT_EVERY_S, Reconciler
from push.retention import Retention
from push.sender import PageRun, Result
from push.totals import Totals
from server.domain import ranks
from server.domain.broadcasts import CHANNELS, Lane, State
from server.domain.outbox import LANES as OUTBOX_LANES
from server.domain.pages import Page, PageState, in_doubt, unfinished
from server.storage import pages as ledger
from server.storage.clock import DatabaseClock
from server.storage.mongo import MongoError
from server.storage.queue import PLAN

URGENT_SLOTS = 4
REST_SLOTS = 12
POP_AT_ONCE = 4
PLANNERS = 3
POISON_AFTER = 5
REDIS_AWAY_S = 0.2
BROKEN_S = 1.0  # before a part that broke is started again
PAUSED_S = 1.0
LATE_S = 1.0  # how long an urgent range may lie before any worker plans it

log = structlog.get_logger()


class Share(StrEnum):
    """What a worker process takes. A loop full of reminders answers a red alert late; an empty one at once.

    So a city runs one `urgent` process beside its `rest`; `all` is for a single process. `rest` serves every lane, red
    first, but leaves it to `urgent` to be quick: it plans a red range only when that has been lying for a while.
    """

    ALL = "all"
    URGENT = "urgent"
    REST = "rest"


class Worker:
    """One process's share of the engine."""

    def __init__(self, parts: Parts, contents: Contents, totals: Totals, filler: Filler, clock: DatabaseClock) -> None:
        self._parts = parts
        self._contents = contents
        self._planner = Planner(parts)
        self._reconciler = Reconciler(parts, totals)
        self._retention = Retention(parts, totals)
        self._filler = filler
        self._clock = clock
        self._claims = 0
        self._hints: set[asyncio.Task[None]] = set()

    @property
    def parts(self) -> Parts:
        """What it works with: for the duties beside it."""
        return self._parts

    async def run(self, stop: asyncio.Event, share: Share = Share.ALL) -> None:
        """Work until `stop` is set, then drain. What breaks in one part stops neither the others nor the process."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep(self._clock.run, stop))
            group.create_task(self._keep(self._parts.watch.run, stop))
            group.create_task(self._keep(partial(self._reconciler.run, URGENT, URGENT_EVERY_S), stop))
            if share is not Share.REST:
                group.create_task(self._plan(URGENT, stop))
                for channel in CHANNELS:  # those without an account too: their pages have to end
                    group.create_task(self._read(channel, URGENT, URGENT_SLOTS, stop))
            if share is Share.REST:
                group.create_task(self._keep(self._plan_late, stop))
            if share is not Share.URGENT:
                self._take_the_rest(group, share, stop)
        for hint in self._hints:
            hint.cancel()
        await asyncio.gather(*self._hints, return_exceptions=True)
        counters = self._parts.counters
        outcomes = {" ".join(key): count for key, count in sorted(counters.outcomes.items())}
        log.info("worker_stopped", outcomes=outcomes, events=dict(counters.events))

    def _take_the_rest(self, group: asyncio.TaskGroup, share: Share, stop: asyncio.Event) -> None:
        """All that may keep a loop busy."""
        group.create_task(self._keep(partial(self._reconciler.run, REST, REST_EVERY_S), stop))
        group.create_task(self._keep(self._reconciler.keep_totals, stop))
        group.create_task(self._keep(self._retention.run, stop))
        group.create_task(self._keep(self._filler.sweep, stop))
        for lane in OUTBOX_LANES:
            group.create_task(self._keep(partial(self._filler.run, lane), stop))
        for _ in range(PLANNERS):
            group.create_task(self._plan(REST if share is Share.REST else tuple(Lane), stop))
        for channel in CHANNELS:
            group.create_task(self._read(channel, tuple(Lane), REST_SLOTS, stop))

    async def _plan_late(self, stop: asyncio.Event) -> None:
        """Plan the urgent ranges that nobody has taken for a second: their own process may be away or busy."""
        seen: set[str] = set()
        while not stop.is_set():
            lying = [id_ for id_, _ in await self._parts.broadcasts.find_open_ranges(URGENT)]
            for id_ in lying:
                if id_ in seen:
                    await self._plan_one(id_)
            seen = set(lying)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LATE_S)

    async def _keep(self, part: Callable[[asyncio.Event], Coroutine[Any, Any, None]], stop: asyncio.Event) -> None:
        """Run a part until `stop`, again and again if it breaks: one document that nobody can read must not end all."""
        while not stop.is_set():
            try:
                await part(stop)
            except Exception:
                self._parts.counters.event("part_broken")
                log.exception("part_broken")
                await asyncio.sleep(BROKEN_S)

    async def _plan(self, lanes: Sequence[Lane], stop: asyncio.Event) -> None:
        """Take ranges and plan them, one at a time."""
        parts = self._parts
        while not stop.is_set():
            ids = await parts.queue.pop(PLAN, lanes, count=1)
            try:
                if ids is None:
                    await asyncio.sleep(REDIS_AWAY_S)
                    ids = await self._next_range(lanes)
                for id_ in ids:
                    await self._plan_one(id_)
            except MongoError as error:
                parts.counters.event("plan_failed")
                log.warning("plan_failed", error=type(error).__name__)
                await asyncio.sleep(REDIS_AWAY_S)
            except Exception:
                # A broadcast that cannot be planned must not stop the others; its range is tried again later.
                parts.counters.event("plan_broken")
                log.exception("plan_broken", ranges=ids)

    async def _plan_one(self, id_: str) -> None:
        parts = self._parts
        self._claims += 1
        claimed = await parts.broadcasts.claim_range(id_, f"{parts.owner}.{self._claims}")
        if claimed is None:
            return
        states = await parts.watch.fresh([claimed.broadcast])
        is_live = states.get(claimed.broadcast) is State.LIVE
        if is_live and await self._planner.plan(claimed, await parts.watch.get(claimed.broadcast)):
            return
        state = (await parts.watch.fresh([claimed.broadcast])).get(claimed.broadcast)
        if state is State.PAUSED:
            return  # the lease lapses by itself: until then the range is in nobody's way
        await parts.broadcasts.finish_range(claimed.id, claimed.owner, is_planned=state is not State.LIVE)

    async def _next_range(self, lanes: Sequence[Lane]) -> list[str]:
        """Without Redis: a range that is to be planned, of the highest lane that has one."""
        for lane in lanes:
            if found := await self._parts.broadcasts.find_open_ranges([lane], limit=1):
                return [found[0][0]]
        return []

    async def _read(self, channel: str, lanes: Sequence[Lane], slots: int, stop: asyncio.Event) -> None:
        """Take pages of one channel, highest lane first, as many at once as there are slots."""
        free = asyncio.Semaphore(slots)
        in_hand = 0

        def done(_task: asyncio.Task[None]) -> None:
            nonlocal in_hand
            in_hand -= 1
            free.release()

        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                await free.acquire()
                free.release()
                try:
                    taken = await self._take(channel, lanes, min(POP_AT_ONCE, slots - in_hand))
                except MongoError as error:
                    log.warning("claim_failed", channel=channel, error=type(error).__name__)
                    await asyncio.sleep(REDIS_AWAY_S)
                    continue
                except Exception:
                    # A page that cannot be read: those that were leased with it come back when their leases lapse.
                    self._parts.counters.event("claim_broken")
                    log.exception("claim_broken", channel=channel)
                    await asyncio.sleep(BROKEN_S)
                    continue
                for page, state in taken:
                    await free.acquire()
                    in_hand += 1
                    group.create_task(self._work(page, state)).add_done_callback(done)

    async def _take(self, channel: str, lanes: Sequence[Lane], count: int) -> list[tuple[Page, State | None]]:
        """Pop hints, lease the pages, and read, after that, whether their broadcasts may still send."""
        parts = self._parts
        ids = await parts.queue.pop(channel, lanes, count=count)
        if ids is None:
            await asyncio.sleep(REDIS_AWAY_S)
            waiting = [h for h in await parts.pages.find_lapsed(lanes) if h[1] == channel]
            waiting += [h for lane in lanes for h in await parts.pages.find_waiting(lane, channel, limit=count)]
            ids = [id_ for id_, _, _ in waiting[:count]]
        if not ids:
            return []
        self._claims += 1
        pages = await parts.pages.claim(list(dict.fromkeys(ids)), parts.owner, f"{parts.owner}.{self._claims}")
        states = await parts.watch.fresh([p.broadcast for p in pages]) if pages else {}
        return [(page, states.get(page.broadcast)) for page in pages]

    async def _work(self, page: Page, state: State | None) -> None:
        """One page, and the edge at which whatever breaks is caught: a poison page must not stop the others."""
        parts = self._parts
        run: PageRun | None = None
        try:
            if page.attempt > 1:
                parts.counters.event("page_taken_again")
            if state is State.LIVE and page.expires_at > parts.now():
                broadcast = await parts.watch.get(page.broadcast)
                run = PageRun(parts, self._contents, page, broadcast)
                await self._follow_up(page, await run.run())
            elif state is State.PAUSED:
                await self._postpone(page)
            else:
                await self._close(page, "expired" if state is State.LIVE else str(state or "gone"))
        except MongoError as error:
            # The database is away. The lease will lapse; what is in doubt is settled by whoever takes the page over.
            log.warning("page_left", page=page.id, error=type(error).__name__)
        except Exception as error:
            log.exception("page_failed", page=page.id, tries=page.tries + 1)
            await self._count_failure(page, error, run)

    async def _count_failure(self, page: Page, error: Exception, run: PageRun | None) -> None:
        self._parts.counters.event("page_failed")
        is_poison = page.tries + 1 >= POISON_AFTER
        change = ledger.combine(
            ledger.failed(),
            ledger.release(state=PageState.DEAD, reason=f"{type(error).__name__}: {error}") if is_poison else {},
        )
        try:
            await self._parts.write(page, change, is_fenced=True, is_urgent=False)
            if run:
                await run.save()
        except MongoError as away:
            log.warning("page_left", page=page.id, error=type(away).__name__)
        except Exception:
            log.exception("answers_lost", page=page.id)

    async def _follow_up(self, page: Page, result: Result) -> None:
        """What the outcomes say about the world: dead addresses, spent grants, stale sums, pages due again."""
        parts = self._parts
        if result.is_lost:
            parts.counters.event("lease_lost")
        if result.dead_reason:
            parts.counters.event("page_dead")
            log.error("page_dead", page=page.id, reason=result.dead_reason)
        by_code: dict[str, list[tuple[int, bytes]]] = {}
        for citizen, index, code in result.dead_addresses:
            by_code.setdefault(code, []).append((citizen, index))
        for code, dead in by_code.items():
            await parts.citizens.retire(page.channel, dead, code=code, now=parts.now())
            parts.counters.event("address_retired", len(dead))
        if page.channel == "wechat":
            await self._settle_grants(page, result)
        await parts.queue.mark_stale([f"{page.broadcast}/{page.number:05d}"])
        if result.due_in_s is not None:
            hint = asyncio.create_task(self._hint(page, result.due_in_s))
            self._hints.add(hint)
            hint.add_done_callback(self._hints.discard)

    async def _settle_grants(self, page: Page, result: Result) -> None:
        """WeChat grants are a forecast: one accept is used up per notice; a provider's refusal is final."""
        texts = (await self._parts.watch.get(page.broadcast)).texts["wechat"]
        template = texts["zh"]["template_id"]
        if result.gone_grants:
            now = self._parts.now()
            await self._parts.citizens.set_grants([(citizen, template, False, now) for citizen in result.gone_grants])
        if result.reached and template in self._parts.one_time_templates:
            await self._parts.citizens.spend_grants(template, result.reached)

    async def _hint(self, page: Page, due_in_s: float) -> None:
        """Announce a page when it is due again. A hint only: if this process dies, the reconciler finds the page."""
        await asyncio.sleep(due_in_s)
        await self._parts.queue.push(page.channel, page.lane, [page.id])

    async def _postpone(self, page: Page) -> None:
        change = ledger.release(not_before=self._parts.now() + timedelta(seconds=PAUSED_S))
        await self._parts.write(page, change, is_fenced=True, is_urgent=page.lane.is_urgent)

    async def _close(self, page: Page, why: str) -> None:
        """The broadcast does not send any more: settle what is in doubt, drop the rest with the reason."""
        doubt, left = in_doubt(page), unfinished(page)
        final = ranks.EXPIRED if why == "expired" else ranks.SUPPRESSED
        settled = dict.fromkeys(doubt, ranks.UNKNOWN) | dict.fromkeys(left, final)
        change = ledger.combine(
            ledger.outcomes(settled, dict.fromkeys(left, why), {}, ""), ledger.release(state=PageState.DONE)
        )
        await self._parts.write(page, change, is_fenced=True, is_urgent=False)
        await self._parts.queue.mark_stale([f"{page.broadcast}/{page.number:05d}"])
