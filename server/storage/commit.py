"""Group commit: all ledger writes that wait while one bulk is out go together in the next one.

Every write is still w:majority and journaled before its caller goes on; callers only share the round trip and the
journal flush. Urgent writes do not queue behind a bulk: they go out at once on their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, WriteError

from server.storage.mongo import Collection

MAX_BULK = 500
# Of an operation, yet no fault of it: no primary, stepping down, shutting down, a conflict, out of time. Asked again.
PASSING = frozenset({6, 7, 46, 50, 64, 89, 91, 112, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436})


class RefusedError(Exception):
    """The database will never take this write: too large, or not allowed. To ask again is of no use."""


@dataclass(frozen=True, slots=True)
class Fence:
    """The lease that a write relies on: if somebody took the page over, the write must not match."""

    owner: str
    attempt: int

    def query(self) -> dict[str, Any]:
        """As a part of the filter."""
        return {"lease.owner": self.owner, "lease.attempt": self.attempt}


@dataclass(frozen=True, slots=True)
class Write:
    """One update of one document. Without a fence it always applies (outcomes, receipts: ranks only rise)."""

    id: str
    update: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    fence: Fence | None = None

    def operation(self) -> UpdateOne:
        """For the driver."""
        return UpdateOne({"_id": self.id, **(self.fence.query() if self.fence else {})}, self.update)


class GroupCommit:
    """Merges waiting writes of one collection; one bulk is out at a time."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._waiting: list[tuple[Write, asyncio.Future[bool]]] = []
        self._turn = asyncio.Lock()

    async def write(self, write: Write, *, is_urgent: bool = False) -> bool:
        """True when it is durable; False when the fence did not match. A broken database raises PyMongoError.

        RefusedError: this write is wrong, and only its caller is told.
        """
        if is_urgent:
            query = {"_id": write.id, **(write.fence.query() if write.fence else {})}
            try:
                return bool((await self._collection.update_one(query, write.update)).matched_count)
            except WriteError as error:
                raise _refused(write, error.code, str(error)) if error.code not in PASSING else error from None
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((write, future))
        async with self._turn:  # first come, first served: nobody drives for others after its own write is done
            while not future.done():
                await self._send_waiting()
        return await future

    async def _send_waiting(self) -> None:
        """One bulk of what waits, oldest first; each future gets its answer or the error."""
        batch, self._waiting = self._waiting[:MAX_BULK], self._waiting[MAX_BULK:]
        try:
            applied = await self._send([write for write, _ in batch])
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else ConnectionError("stopped"))
                    future.exception()
            if not isinstance(error, Exception):
                raise
        else:
            for (_, future), matched in zip(batch, applied, strict=True):
                if future.done():
                    continue
                if isinstance(matched, RefusedError):
                    future.set_exception(matched)
                    future.exception()
                else:
                    future.set_result(matched)

    async def _send(self, writes: list[Write]) -> list[bool | RefusedError]:
        refused: dict[int, RefusedError] = {}
        try:
            result = await self._collection.bulk_write([w.operation() for w in writes], ordered=False)
            if result.matched_count == len(writes):
                return [True] * len(writes)
        except BulkWriteError as error:
            wrong = error.details["writeErrors"]
            if not wrong or error.details["writeConcernErrors"] or any(e["code"] in PASSING for e in wrong):
                raise
            refused = {e["index"]: _refused(writes[e["index"]], e["code"], e["errmsg"]) for e in wrong}
        # Some fence did not match. Ask which pages are still ours: a lease never comes back to the same attempt,
        # so "ours now" proves "ours then"; "not ours now" is answered False, which only ever stops a sender.
        fenced = {w.id for w in writes if w.fence}
        held = {
            d["_id"]: (d["lease"].get("owner"), d["lease"].get("attempt"))
            async for d in self._collection.find({"_id": {"$in": list(fenced)}, "lease": {"$ne": None}}, {"lease": 1})
        }
        return [
            refused.get(i) or w.fence is None or held.get(w.id) == (w.fence.owner, w.fence.attempt)
            for i, w in enumerate(writes)
        ]


def _refused(write: Write, code: int | None, why: str) -> RefusedError:
    return RefusedError(f"{write.id}: {code} {why[:200]}")
