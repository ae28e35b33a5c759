"""Turns a range of a broadcast into pages, streaming.

Members come in id order, so the last id of the last page of a channel is where a crashed planner's successor goes on. A
page that another planner has written stops this one. The first pages are on the queue while the rest is being planned.

A broadcast that replaces others (an Update, an all-clear) waits for a range until none of the old pages in it is held
by anybody, so that no old notice can overtake the new one; then it reads from the old pages who may have got something.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from push.parts import Parts
from server.domain import ranks
from server.domain.broadcasts import CHANNELS, PAGE_SIZE, UNREACHABLE, Broadcast, State, page_id
from server.domain.delivery import all_clear_order, first_channels, rungs
from server.domain.pages import Page, PageState, effective, may_have_it
from server.storage.broadcasts import Range
from server.storage.citizens import Member

DUE_AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
GATE_POLL_S = 0.05
RENEW_EVERY_S = 1.0


@dataclass(slots=True)
class _Shelf:
    """The unfinished page of one channel."""

    number: int = 0  # of the next page
    after: int = -1  # highest id already on a page
    ids: list[int] = field(default_factory=list)
    divisions: list[int] = field(default_factory=list)

    def put(self, member: Member) -> bool:
        """Add a member who is not on an earlier page; True when the page is full."""
        if member.id > self.after:
            self.ids.append(member.id)
            self.divisions.append(member.division)
        return len(self.ids) == PAGE_SIZE


class Planner:
    """Plans ranges. One per process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def plan(self, range_: Range, broadcast: Broadcast) -> bool:
        """Plan what is left of a range that this process holds; False if it was stopped or taken over on the way."""
        parts = self._parts
        shelves = {channel: await self._shelf(range_, channel) for channel in (*broadcast.order, UNREACHABLE)}
        lo = max(range_.lo, 1 + min(shelf.after for shelf in shelves.values()))
        if broadcast.replaces and not await self._gate(range_, broadcast):
            return False
        renewed_at = parts.clock()
        planned: dict[tuple[tuple[str, ...], tuple[str, ...]], Iterable[str]] = {}
        async for member in self._members(range_, broadcast, lo):
            ways = tuple(member.channels), tuple(member.order)
            if ways not in planned:
                planned[ways] = _channels(*ways, broadcast)
            full = [channel for channel in planned[ways] if shelves[channel].put(member)]
            if full and not await self._flush_all(range_, broadcast, shelves, full):
                return False
            if parts.clock() - renewed_at > RENEW_EVERY_S:
                renewed_at = parts.clock()
                if not await self._may_go_on(range_):
                    return False
        if not await self._flush_all(range_, broadcast, shelves, [c for c, shelf in shelves.items() if shelf.ids]):
            return False
        await parts.broadcasts.finish_range(range_.id, range_.owner, is_planned=True)
        await parts.queue.mark_stale([range_.id])
        return True

    async def _flush_all(
        self, range_: Range, broadcast: Broadcast, shelves: Mapping[str, _Shelf], full: Sequence[str]
    ) -> bool:
        for channel in full:
            if not await self._flush(range_, broadcast, channel, shelves[channel]):
                return False
        return True

    async def _shelf(self, range_: Range, channel: str) -> _Shelf:
        if range_.claims == 1:
            return _Shelf()
        last = await self._parts.pages.last_of_range(range_.broadcast, channel, range_.number)
        return _Shelf(*last) if last else _Shelf()

    async def _may_go_on(self, range_: Range) -> bool:
        is_ours = await self._parts.broadcasts.renew_range(range_.id, range_.owner)
        return is_ours and self._parts.watch.state(range_.broadcast) is State.LIVE

    async def _gate(self, range_: Range, broadcast: Broadcast) -> bool:
        """Wait until nobody can be handing over the replaced broadcasts to this range any more."""
        while await self._parts.pages.is_any_leased(broadcast.replaces, range_.lo, range_.hi):
            if not await self._may_go_on(range_):
                return False
            await asyncio.sleep(GATE_POLL_S)
        return True

    async def _members(self, range_: Range, broadcast: Broadcast, lo: int) -> AsyncIterator[Member]:
        """Who this range is for, in id order: the query, and those who may have got what is replaced."""
        before: dict[int, Member] = {}
        if broadcast.replaces:
            before = await self._reached_before(broadcast, lo, range_.hi, is_best_only=broadcast.is_all_clear)
        if broadcast.is_all_clear:
            for id_ in sorted(before):
                yield before[id_]
            return
        rest = iter(sorted(before))
        waiting = next(rest, None)
        async for member in self._parts.citizens.members(broadcast.audience, lo, range_.hi):
            while waiting is not None and waiting < member.id:
                yield before[waiting]
                waiting = next(rest, None)
            if waiting == member.id:
                waiting = next(rest, None)
            yield member
        while waiting is not None:
            yield before[waiting]
            waiting = next(rest, None)

    async def _reached_before(self, broadcast: Broadcast, lo: int, hi: int, *, is_best_only: bool) -> dict[int, Member]:
        """The people of [lo, hi] who may have got one of the replaced broadcasts."""
        reached: dict[int, dict[str, int]] = {}
        division: dict[int, int] = {}
        homes = [(id_, (await self._parts.broadcasts.get(id_)).ranges) for id_ in broadcast.replaces]
        async for page in self._parts.pages.overlapping(homes, lo, hi):
            if page.channel == UNREACHABLE:
                continue
            current = effective(page)
            for i in may_have_it(page):
                id_ = page.to[i]
                if lo <= id_ <= hi:
                    by_channel = reached.setdefault(id_, {})
                    by_channel[page.channel] = max(by_channel.get(page.channel, 0), current[i])
                    division[id_] = page.divisions[i]
        members: dict[int, Member] = {}
        ids = sorted(reached)
        for start in range(0, len(ids), PAGE_SIZE):
            people = {m.id: m for m in await self._parts.citizens.by_id(ids[start : start + PAGE_SIZE])}
            for i in ids[start : start + PAGE_SIZE]:
                person = people.get(i, Member(i, division[i], ()))
                channels = person.channels
                if is_best_only:  # by the channel that reached them, else by the next that they have
                    order = dict.fromkeys((*all_clear_order(reached[i]), *rungs(broadcast.order, person.order)))
                    channels = [c for c in order if c in channels][:1]
                members[i] = Member(i, division[i], channels, person.order)
        return members

    async def _flush(self, range_: Range, broadcast: Broadcast, channel: str, shelf: _Shelf) -> bool:
        """Write the page and announce it."""
        is_listed_only = channel == UNREACHABLE
        page = Page(
            id=page_id(broadcast.id, channel, range_.number, shelf.number),
            broadcast=broadcast.id,
            channel=channel,
            number=range_.number,
            lane=broadcast.lane,
            state=PageState.DONE if is_listed_only else PageState.OPEN,
            to=shelf.ids,
            divisions=shelf.divisions,
            not_before=DUE_AT_ONCE,
            expires_at=broadcast.expires_at,
            outcomes=[ranks.REFUSED if is_listed_only else ranks.PLANNED] * len(shelf.ids),
        )
        if not await self._parts.pages.insert([page]):
            return False
        if channel in CHANNELS:
            await self._parts.queue.push(channel, broadcast.lane, [page.id])
        shelf.number, shelf.after, shelf.ids, shelf.divisions = shelf.number + 1, shelf.ids[-1], [], []
        return True


def _channels(usable: tuple[str, ...], own: tuple[str, ...], broadcast: Broadcast) -> Iterable[str]:
    """Where somebody with these channels and this order is planned. An all-clear's members name their one channel."""
    if broadcast.is_all_clear:
        return usable or (UNREACHABLE,)
    return first_channels(usable, broadcast.order, broadcast.policy, own) or (UNREACHABLE,)
