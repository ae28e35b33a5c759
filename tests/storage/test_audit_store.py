"""The audit log's collection: one unbroken chain whoever writes, each key once."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from pathlib import Path

from server.domain.audit import GENESIS, Checkpoint, Event, Link, hash_of
from server.services.audit import AuditLog
from server.storage import mongo
from server.storage.audit import AuditStore, CheckpointFile
from server.storage.mongo import Database
from tests.services.desk import START, Clock, audit_of


def event(n: int, key: str = "") -> Event:
    return Event("o", "alert.edit", f"alert/{n}", details={"n": n, "hostile": "$where \u0000 {'a.b': 1}"}, key=key)


async def test_five_hundred_at_once_from_four_processes_are_one_unbroken_chain(
    db: Database, mongo_url: str, tmp_path: Path
):
    async with mongo.client(mongo_url) as other:  # a second connection pool, as another process has
        logs = [audit_of(base, Clock(), tmp_path) for base in (db, db, mongo.database(other, db.name))]
        await asyncio.gather(*(log.record(event(n)) for n, log in zip(range(500), itertools.cycle(logs), strict=False)))
    entries = [entry async for entry in AuditStore(db).stream("alert")]
    assert [entry.seq for entry in entries] == list(range(1, 501))
    assert {entry.details["n"] for entry in entries} == set(range(500))
    before = GENESIS
    for entry in entries:
        assert entry.hash == hash_of(before, entry)
        before = entry.hash
    assert await AuditStore(db).head("alert") == Link(500, before)


async def test_an_event_with_a_key_is_one_entry_however_often_it_is_recorded(db: Database, audit: AuditLog):
    await audit.record(event(1, "a"), event(2, "b"))
    await audit.record(event(0, "x"), event(2, "b"), event(1, "a"), event(3, "c"))
    await asyncio.gather(*(audit.record(event(3, "c"), event(4, f"d{n}")) for n in range(20)))
    keys = [entry.key async for entry in AuditStore(db).stream("alert")]
    assert keys[:4] == ["a", "b", "x", "c"]
    assert sorted(keys[4:]) == sorted(f"d{n}" for n in range(20))
    assert await audit.verify() == []


async def test_each_stream_is_a_chain_of_its_own(db: Database, audit: AuditLog):
    await audit.record(event(1), Event("o", "officer.log_in", "session/1"), event(2))
    assert [entry.seq async for entry in AuditStore(db).stream("alert")] == [1, 2]
    assert [entry.seq async for entry in AuditStore(db).stream("officer")] == [1]


async def test_what_is_written_comes_back_the_same(audit: AuditLog):
    await audit.record(event(7, "k"))
    (entry,) = await audit.latest("alert")
    assert (entry.key, entry.at, entry.details["hostile"]) == ("k", START, "$where \u0000 {'a.b': 1}")
    assert entry.hash == hash_of(GENESIS, entry)


async def test_the_newest_come_first_and_the_next_page_goes_on_where_one_ended(audit: AuditLog):
    await audit.record(*(event(n) for n in range(5)))
    first = await audit.latest("alert", limit=2)
    second = await audit.latest("alert", before=first[-1].seq, limit=2)
    assert [entry.seq for entry in (*first, *second)] == [5, 4, 3, 2]


def test_a_torn_last_line_of_the_file_costs_only_itself(tmp_path: Path):
    file = CheckpointFile(tmp_path / "deep" / "file.jsonl")
    assert file.read() == []
    checkpoint = Checkpoint("alert", Link(3, secrets.token_bytes(32)), START, "ab", b"signature")
    file.append(checkpoint)
    with (tmp_path / "deep" / "file.jsonl").open("ab") as torn:
        torn.write(b'{"stream":"alert","seq":4,"ha')
    assert file.read() == [checkpoint]
