"""Group commit: who shares a bulk with a wrong write is not told of its fault."""

from __future__ import annotations

import asyncio

import pytest

from server.storage.commit import GroupCommit, RefusedError, Write
from server.storage.mongo import Database

WRONG = {"$set": {"_id": "another"}}  # an _id never changes: the server refuses the operation


async def test_a_refused_write_fails_alone_and_its_neighbours_are_durable(db: Database):
    pages = db["pages"]
    await pages.insert_many([{"_id": str(n)} for n in range(6)])
    commit = GroupCommit(pages)
    writes = [Write(str(n), WRONG if n == 3 else {"$set": {"n": n}}) for n in range(6)]
    told = await asyncio.gather(*(commit.write(w) for w in writes), return_exceptions=True)
    assert isinstance(told.pop(3), RefusedError)
    assert told == [True] * 5
    assert await pages.count_documents({"n": {"$exists": True}}) == 5


async def test_an_urgent_write_is_refused_in_the_same_way(db: Database):
    await db["pages"].insert_one({"_id": "0"})
    with pytest.raises(RefusedError):
        await GroupCommit(db["pages"]).write(Write("0", WRONG), is_urgent=True)
