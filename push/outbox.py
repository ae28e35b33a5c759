"""Fills the standing broadcasts: what is due in the outbox becomes pages.

Several fillers may run; what each entry ends on is decided in the database (`server.storage.outbox`). A filler that was
killed leaves a batch, and anybody finishes it after a few seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from push.parts import Parts
from server.domain.broadcasts import UNREACHABLE, Broadcast, Lane
from server.domain.delivery import first_channels
from server.domain.outbox import Entry, Place, Standing, arrange, day_of, stale_ranges
from server.storage.mongo import MongoError
from server.storage.outbox import LATE_AFTER, Batch, Outbox

EVERY_S: Mapping[Lane, float] = {Lane.TRANSACTIONAL: 0.25, Lane.REMINDER: 1.0, Lane.DIGEST: 5.0}
TAKE = 2_000  # entries per round: some four full pages, or a busy quarter of a second of single notices
LEFT_AFTER_S = 3.0  # a batch takes a few writes; one that is older has lost its filler
SWEEP_EVERY_S = 1.0


class Filler:
    """Turns due entries into pages. `new_id` gives a batch its id."""

    def __init__(self, parts: Parts, outbox: Outbox, new_id: Callable[[], str]) -> None:
        self._parts = parts
        self._outbox = outbox
        self._new_id = new_id
        self._standing: dict[str, Broadcast] = {}

    async def run(self, lane: Lane, stop: asyncio.Event) -> None:
        """Fill one lane until told to stop. While the database is away nothing is taken."""
        while not stop.is_set():
            try:
                count = await self.fill(lane)
            except MongoError:
                self._parts.counters.event("outbox_failed")
                count = 0
            if count < TAKE:
                await _rest(stop, EVERY_S[lane])

    async def sweep(self, stop: asyncio.Event) -> None:
        """Finish what other fillers left until told to stop."""
        while not stop.is_set():
            try:
                await self.finish_left()
            except MongoError:
                self._parts.counters.event("outbox_failed")
            await _rest(stop, SWEEP_EVERY_S)

    async def fill(self, lane: Lane) -> int:
        """Put what is due on pages, once; returns how many entries were due."""
        parts = self._parts
        now = parts.now()
        due = await self._outbox.find_due(lane, sorted(parts.subjects.standing), now, limit=TAKE)
        late = [entry.key for entry in due if entry.expires_at <= now]
        if late:
            parts.counters.event("outbox_late", await self._outbox.drop_late(late, now))
        by_template: dict[str, list[str]] = {}
        for entry in due:
            if entry.expires_at > now:
                by_template.setdefault(entry.template, []).append(entry.key)
        for template, keys in by_template.items():
            batch = Batch(self._new_id(), template, day_of(now), keys)
            await self._outbox.begin(batch, now)
            await self.finish(batch)
        return len(due)

    async def finish_left(self) -> int:
        """Finish batches that were left; returns how many."""
        parts = self._parts
        before = parts.now() - timedelta(seconds=LEFT_AFTER_S)
        left = await self._outbox.find_left(before, sorted(parts.subjects.standing))
        for batch in left:
            parts.counters.event("outbox_batch_left")
            await self.finish(batch)
        return len(left)

    async def finish(self, batch: Batch) -> None:
        """All steps of a batch. Each may be repeated, by anybody, whatever was done before."""
        standing = self._parts.subjects.standing[batch.template]
        entries = await self._outbox.claim(batch)
        places = await self._outbox.places(batch)
        if places is None:
            places = await self._outbox.decide(batch, await self._place(entries, standing))
        if places is None:
            return  # somebody else has finished it
        if places:
            await self._write(batch, places, standing)
        now = self._parts.now()
        await self._outbox.close(batch, now)
        self._parts.counters.event("outbox_was_late", sum(now - entry.due_at > LATE_AFTER for entry in entries))

    async def _place(self, entries: Sequence[Entry], standing: Standing) -> list[Place]:
        """Each person's division and channels now. Who does not exist any more has no place."""
        members = {m.id: m for m in await self._parts.citizens.by_id(sorted({entry.citizen for entry in entries}))}
        gone = sum(entry.citizen not in members for entry in entries)
        self._parts.counters.event("outbox_nobody", gone)
        return [
            Place(
                key=entry.key,
                citizen=entry.citizen,
                about=entry.about,
                expires_at=entry.expires_at,
                division=member.division,
                channels=first_channels(member.channels, standing.order, standing.policy, member.order)
                or (UNREACHABLE,),
            )
            for entry in entries
            if (member := members.get(entry.citizen)) is not None
        ]

    async def _write(self, batch: Batch, places: Sequence[Place], standing: Standing) -> None:
        """The standing broadcast if it is not there, the pages that are not there, and their hints."""
        parts = self._parts
        broadcast = await self._open(standing.broadcast(batch.day, parts.now()))
        pages = arrange(batch.id, broadcast, places)
        await parts.pages.insert(pages)
        for page in pages:
            if page.channel != UNREACHABLE:
                await parts.queue.push(page.channel, page.lane, [page.id])
        await parts.queue.mark_stale(stale_ranges(pages))

    async def _open(self, wanted: Broadcast) -> Broadcast:
        known = self._standing.get(wanted.id)
        if known is None:
            known = await self._parts.broadcasts.insert(wanted)
            await self._parts.broadcasts.cut(known)
            self._standing = {i: b for i, b in self._standing.items() if b.expires_at > self._parts.now()}
            self._standing[known.id] = known
        return known


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
