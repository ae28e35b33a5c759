"""The control room: what an officer may see of a broadcast on its way, and do to it.

Promises. Every verb asks the policy table with the divisions that the broadcast touches. Whoever pauses or resumes a
run is in the audit log; so is every look at telephone numbers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.domain.access import Deed, refuse
from server.domain.audit import Event
from server.domain.broadcasts import Broadcast
from server.domain.errors import ConflictError
from server.domain.officers import Officer
from server.domain.progress import BroadcastStanding
from server.domain.report import Report, UnreachedPage
from server.services.audit import Audit
from server.services.broadcasts import Broadcasts
from server.services.reports import Reports, Wanted
from server.services.watching import Feed, Watching
from server.storage.broadcasts import Broadcasts as Store


class Control:
    """The officers' verbs on broadcasts. All raise NotFoundError and ForbiddenError."""

    def __init__(self, store: Store, counter: Broadcasts, watching: Watching, reports: Reports, audit: Audit) -> None:
        self._store = store
        self._counter = counter
        self._watching = watching
        self._reports = reports
        self._audit = audit

    async def standing(self, officer: Officer, id_: str) -> BroadcastStanding:
        """Where it stands now."""
        await self._enter(officer, id_, Deed.BROADCAST_READ)
        return await self._watching.standing(id_)

    @asynccontextmanager
    async def reading(self, officer: Officer, id_: str) -> AsyncIterator[Feed]:
        """Its feed, for one reader; TooManyError."""
        await self._enter(officer, id_, Deed.BROADCAST_READ)
        with self._watching.reading(id_) as feed:
            yield feed

    async def pause(self, officer: Officer, id_: str) -> BroadcastStanding:
        """Stop the run for now: no hand-off starts later than a second after this. ConflictError unless it is live."""
        await self._enter(officer, id_, Deed.BROADCAST_STOP)
        if not await self._counter.pause(id_):
            raise _not_now("只有发送中的任务可以暂停", "only a live broadcast can be paused")
        await self._audit.record(Event(officer.id, Deed.BROADCAST_STOP, id_))
        return await self._watching.standing(id_)

    async def resume(self, officer: Officer, id_: str) -> BroadcastStanding:
        """Go on. ConflictError unless it is paused."""
        await self._enter(officer, id_, Deed.BROADCAST_RESUME)
        if not await self._counter.resume(id_):
            raise _not_now("只有已暂停的任务可以继续", "only a paused broadcast can be resumed")
        await self._audit.record(Event(officer.id, Deed.BROADCAST_RESUME, id_))
        return await self._watching.standing(id_)

    async def report(self, officer: Officer, id_: str) -> Report:
        """Its figures."""
        await self._enter(officer, id_, Deed.BROADCAST_READ)
        return await self._reports.report(id_)

    async def table(self, officer: Officer, id_: str) -> str:
        """Its figures as CSV."""
        await self._enter(officer, id_, Deed.BROADCAST_READ)
        return await self._reports.table(id_)

    async def unreached(self, officer: Officer, id_: str, wanted: Wanted) -> UnreachedPage:
        """Whom to telephone in a division of the officer's own."""
        await self._enter(officer, id_, Deed.BROADCAST_READ)
        refuse(officer, Deed.BROADCAST_UNREACHED, [wanted.division])
        return await self._reports.unreached(officer, id_, wanted)

    async def _enter(self, officer: Officer, id_: str, deed: Deed) -> None:
        refuse(officer, deed, _touches(await self._store.get(id_)))


def _touches(broadcast: Broadcast) -> list[str]:
    return sorted({*broadcast.audience.divisions, *broadcast.audience.shape_districts})


def _not_now(zh: str, en: str) -> ConflictError:
    return ConflictError("broadcast_state", zh=zh, en=en)
