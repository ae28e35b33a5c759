"""Drafts that nobody goes on with: told of once, a week later thrown away with their files and sources' answers.

Promises. No draft is thrown away before its people were told of it and had a week, and none that was touched since. All
of it may be repeated, by several processes at once, and wherever one is killed: the reminder is one write with what it
changes, and of a draft that is gone no file can be reached; the sweep of loose files deletes what was left.
"""

from __future__ import annotations

import structlog

from server.domain.application_news import reminders
from server.domain.applications import Application
from server.domain.audit import SYSTEM, Event
from server.services.application_steps import Ground
from server.services.applications import Applications

AT_ONCE = 100

log = structlog.get_logger()


class Drafts:
    """A duty of workers."""

    def __init__(self, ground: Ground, counter: Applications, at_once: int = AT_ONCE) -> None:
        self._ground = ground
        self._counter = counter
        self._at_once = at_once

    async def sweep(self) -> tuple[int, int]:
        """One batch: how many people's drafts were told of, and how many were thrown away. To be called now and then.

        A draft that is being handed in just now is left alone.
        """
        now, told, gone = self._ground.at(), 0, 0
        for draft, was_told in await self._ground.store.find_idle(now, self._at_once):
            if draft.is_between:
                continue
            if was_told:
                gone += await self._throw_away(draft)
            else:
                dropped_at, entries = reminders(draft, now)
                told += await self._ground.store.remind(draft, entries, dropped_at)
        if told or gone:
            log.info("idle_drafts", told=told, thrown_away=gone)
        return told, gone

    async def _throw_away(self, draft: Application) -> bool:
        about = f"application/{draft.id}"
        if not await self._counter.discard(draft):
            return False
        await self._ground.audit.record(Event(SYSTEM, "application.idle", about, key=f"{about}/idle"))
        return True
