"""Joins of accounts in MongoDB: {_id, survivor, absorbed, means, state, proved_at, due_at, gone_at}.

Promises. A join is done in one transaction: the absorbed account leaves `active` by compare-and-set in it, so of two
that are confirmed at once one does the work, and a crash leaves both accounts as they were.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from server.domain.citizens import AccountState
from server.domain.joining import Join, JoinState, Means
from server.storage.mongo import Database, Document, Session, in_transaction


class JoinStore:
    """The collection `joins`; the database forgets them after `gone_at`, done ones after a year."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._joins = db["joins"]
        self._accounts = db["accounts"]

    async def insert(self, join: Join) -> None:
        """A new one; an older one of the same two that was not done is stopped."""
        older = {"survivor": join.survivor, "absorbed": join.absorbed, "state": JoinState.PROVED.value}
        await self._joins.update_many(older, {"$set": {"state": JoinState.STOPPED.value}})
        await self._joins.insert_one(_to_document(join))

    async def find(self, join: str) -> Join | None:
        """One of them."""
        document = await self._joins.find_one({"_id": join})
        return _to_join(document) if document else None

    async def find_same(self, survivor: int, absorbed: int) -> Join | None:
        """A proved one of these two whose time is not up."""
        document = await self._joins.find_one(
            {"survivor": survivor, "absorbed": absorbed, "state": JoinState.PROVED.value}
        )
        return _to_join(document) if document else None

    async def waiting(self, citizen: int) -> Sequence[Join]:
        """Those that are proved and concern this account, on either side; newest first."""
        sides = [{"survivor": citizen}, {"absorbed": citizen}]
        cursor = self._joins.find({"$or": sides, "state": JoinState.PROVED.value}).sort("proved_at", -1).limit(20)
        return [_to_join(d) async for d in cursor]

    async def stop(self, join: str) -> bool:
        """Nothing will come of it; False if it is done or stopped already."""
        result = await self._joins.update_one(
            {"_id": join, "state": JoinState.PROVED.value}, {"$set": {"state": JoinState.STOPPED.value}}
        )
        return bool(result.modified_count)

    async def do(
        self, join: Join, seen: Mapping[int, int], gone_at: datetime, move: Callable[[Session], Awaitable[None]]
    ) -> bool:
        """Make one account of the two; `move` gives everything over within the transaction.

        False: it is not proved any more, or one of the accounts is not of the version in `seen`, by which it was
        decided; then nothing has happened.
        """

        async def work(session: Session) -> bool:
            done: dict[str, Any] = {"state": JoinState.DONE.value, "gone_at": gone_at}
            proved = {"_id": join.id, "state": JoinState.PROVED.value}
            if not (await self._joins.update_one(proved, {"$set": done}, session=session)).modified_count:
                return False
            left = await self._leave(join, seen, session)
            if not left:
                await session.abort_transaction()
                return False
            await move(session)
            return True

        return await in_transaction(self._db, work)

    async def move(self, source: int, target: int, session: Session) -> None:
        """Joins that were done before keep leading to the account that is left."""
        await self._joins.update_many({"survivor": source}, {"$set": {"survivor": target}}, session=session)
        await self._accounts.update_many({"joined_into": source}, {"$set": {"joined_into": target}}, session=session)

    async def absorbed_by(self, citizen: int) -> list[int]:
        """The accounts that went into this one."""
        return [d["_id"] async for d in self._accounts.find({"joined_into": citizen}, {"_id": 1})]

    async def export(self, citizen: int) -> list[dict[str, Any]]:
        """When which way was joined, oldest first."""
        cursor = self._joins.find({"survivor": citizen}).sort("proved_at", 1)
        return [{"means": d["means"], "state": d["state"], "at": d["proved_at"].isoformat()} async for d in cursor]

    async def erase(self, citizen: int) -> None:
        """Delete them. May be repeated."""
        await self._joins.delete_many({"$or": [{"survivor": citizen}, {"absorbed": citizen}]})

    async def _leave(self, join: Join, seen: Mapping[int, int], session: Session) -> bool:
        """The absorbed account ends, with its log-ins; False if one of the two has changed.

        The survivor is touched, so that a lock or an erasure of it at the same time conflicts instead of slipping past.
        """
        active = AccountState.ACTIVE.value
        gone: Document = {"state": AccountState.JOINED.value, "joined_into": join.survivor, "log_ins": []}
        left = await self._accounts.update_one(
            {"_id": join.absorbed, "state": active, "version": seen[join.absorbed]},
            {"$set": gone, "$inc": {"session_version": 1, "version": 1}},
            session=session,
        )
        stays = await self._accounts.update_one(
            {"_id": join.survivor, "state": active, "version": seen[join.survivor]},
            {"$inc": {"version": 1}},
            session=session,
        )
        return bool(left.modified_count and stays.modified_count)


def _to_document(join: Join) -> Document:
    return {
        "_id": join.id,
        "survivor": join.survivor,
        "absorbed": join.absorbed,
        "means": join.means.value,
        "proof": join.proof,
        "state": join.state.value,
        "proved_at": join.proved_at,
        "due_at": join.due_at,
        "gone_at": join.gone_at,
    }


def _to_join(d: Document) -> Join:
    return Join(
        id=d["_id"],
        survivor=d["survivor"],
        absorbed=d["absorbed"],
        means=Means(d["means"]),
        proof=bytes(d["proof"]),
        state=JoinState(d["state"]),
        proved_at=d["proved_at"],
        due_at=d["due_at"],
        gone_at=d["gone_at"],
    )
