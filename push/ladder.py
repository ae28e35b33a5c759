"""One channel after the other, until a person is reached (yellow and below).

After a page has been sent, those whom this channel refused, or who switched it off, go on at once; those without word
of arrival go on when the wait is over. Each follow-up is a page of its own whose id is derived from its parent,
inserted if absent: a crash between insert and mark repeats it without effect. Quiet hours work the same way: the people
move to a page of a later time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from server.domain import ranks
from server.domain.broadcasts import Broadcast
from server.domain.delivery import next_channel
from server.domain.pages import Page, PageState, refused, unreached
from server.storage import pages as ledger
from server.storage.citizens import Citizens
from server.storage.pages import Pages
from server.storage.queue import Queue

AT_ONCE = "1"
AFTER_WAIT = "2"


class Ladder:
    """Derives follow-up pages."""

    def __init__(self, pages: Pages, citizens: Citizens, queue: Queue, now: Callable[[], datetime]) -> None:
        self._pages = pages
        self._citizens = citizens
        self._queue = queue
        self._now = now

    async def defer(self, page: Page, later: Mapping[datetime, Sequence[int]]) -> set[int]:
        """Move people in quiet hours to pages that are due when their quiet hours end; returns who has been moved.

        The first position is in the id: a later turn of the same page may move others to the same time. A turn that
        died after the insert may have moved fewer than this one wants to: the rest is for a turn after this.
        """
        moved: set[int] = set()
        for due_at, positions in later.items():
            id_ = f"{page.id}~{due_at:%d%H%M}.{positions[0]}"
            if await self._insert(page, id_, page.channel, positions, due_at):
                moved.update(positions)
            else:
                there = await self._pages.find_people(id_)
                moved.update(i for i in positions if page.to[i] in there)
        return moved

    async def after_sending(self, page: Page, broadcast: Broadcast) -> Mapping[str, Any]:
        """What happens to a page whose notices all have a final status: the change that gives it back."""
        if not broadcast.falls:
            return ledger.release(state=PageState.DONE)
        if page.is_fallen:
            return await self.after_waiting(page, broadcast)
        await self._fall(page, broadcast, refused(page), AT_ONCE)
        waits_until = self._now() + timedelta(seconds=broadcast.wait_s)
        is_last = not _rungs_left(page, broadcast)
        if not broadcast.waits or is_last or waits_until >= page.expires_at or not unreached(page):
            return ledger.release(state=PageState.DONE)
        return ledger.combine(ledger.release(not_before=waits_until), ledger.fallen(waits_until))

    async def go_on(self, page: Page, broadcast: Broadcast, positions: Sequence[int]) -> bool:
        """Let these people go on at once, whatever held them up here; False if there is no rung left for them."""
        if not broadcast.falls or not _rungs_left(page, broadcast):
            return False
        await self._fall(page, broadcast, [*refused(page), *positions], AT_ONCE)
        return True

    async def after_waiting(self, page: Page, broadcast: Broadcast) -> Mapping[str, Any]:
        """The wait is over: those of whom no receipt came go on."""
        await self._fall(page, broadcast, unreached(page), AFTER_WAIT)
        return ledger.release(state=PageState.DONE)

    async def _fall(self, page: Page, broadcast: Broadcast, positions: Sequence[int], step: str) -> None:
        """Put these people on the next rung of each: by the own order among the channels that they have."""
        left = _rungs_left(page, broadcast)
        if not positions or not left:
            return
        people = {m.id: m for m in await self._citizens.by_id([page.to[i] for i in positions])}
        by_channel: dict[str, list[int]] = {}
        for i in sorted({*positions}):
            person = people.get(page.to[i])
            if person and (channel := next_channel(person.channels, left, person.order)):
                by_channel.setdefault(channel, []).append(i)
        for channel, whom in by_channel.items():
            await self._insert(page, f"{page.id}+{channel}.{step}", channel, whom, self._now())

    async def _insert(self, parent: Page, id_: str, channel: str, positions: Sequence[int], due_at: datetime) -> bool:
        page = Page(
            id=id_,
            broadcast=parent.broadcast,
            channel=channel,
            number=parent.number,
            lane=parent.lane,
            state=PageState.OPEN,
            to=[parent.to[i] for i in positions],
            divisions=[parent.divisions[i] for i in positions],
            not_before=due_at,
            expires_at=parent.expires_at,
            outcomes=[ranks.PLANNED] * len(positions),
            about=[parent.about[i] for i in positions] if parent.about else (),
        )
        is_new = await self._pages.insert([page])
        if is_new and due_at <= self._now():
            await self._queue.push(channel, parent.lane, [id_])
        return is_new


def _rungs_left(page: Page, broadcast: Broadcast) -> list[str]:
    """The channels that this page's people have not been sent over yet: the page's id tells which they have."""
    tried = {page.id.split("/")[1], *(step.split(".")[0] for step in page.id.split("+")[1:])}
    return [c for c in broadcast.order if c not in tried]
