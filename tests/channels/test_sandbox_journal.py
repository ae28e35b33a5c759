"""The journal is the judge: what a client was told is in it, whatever happened to the process."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from channels.sandbox import journal
from channels.sandbox.client import PostFailedError
from channels.sandbox.process import SandboxProcess
from tests.channels.sandbox_world import COMMAND, Caller, message, openid

LINE = b"2026-11-24T04:00:00.000+00:00\tfcm\tproject\tdevice\t\tchain-1\t0:1\n"


async def test_what_was_answered_before_a_kill_is_in_the_journal(tmp_path: Path):
    sandbox = await SandboxProcess.start(COMMAND, tmp_path)
    first = Caller(sandbox.base_url)
    path = await first.wechat_path()
    told: set[tuple[str, str]] = set()

    async def ask(client: int) -> None:
        caller = Caller(sandbox.base_url)
        for n in range(100_000):
            who = openid(client * 100_000 + n)
            try:
                answer = await caller.json(path, message(who))
            except PostFailedError:
                return
            told.add((who, str(answer["msgid"])))

    async with asyncio.TaskGroup() as group:
        for client in range(16):
            group.create_task(ask(client))
        await asyncio.sleep(0.5)
        await sandbox.kill()
    first.close()
    assert len(told) > 100
    assert told <= {(entry.address, entry.theirs) for entry in sandbox.journal()}


def test_a_torn_last_line_is_not_read(tmp_path: Path):
    path = tmp_path / "journal.tsv"
    path.write_bytes(LINE + LINE[:30])
    assert [entry.ours for entry in journal.read(path)] == ["chain-1"]


async def test_a_torn_last_line_is_cut_off_before_the_next_is_written(tmp_path: Path):
    path = tmp_path / "journal.tsv"
    path.write_bytes(LINE + LINE[:30])
    book = journal.Journal(path, asyncio.get_running_loop())
    done = asyncio.Event()
    book.add(LINE, done.set)
    await done.wait()
    await book.close()
    assert path.read_bytes() == LINE * 2


async def test_nobody_is_called_before_the_line_is_in_the_file(tmp_path: Path):
    path = tmp_path / "journal.tsv"
    book = journal.Journal(path, asyncio.get_running_loop())
    sizes: list[int] = []
    for count in range(1, 6):
        book.add(LINE, lambda count=count: sizes.append(path.stat().st_size - count * len(LINE)))  # type: ignore[misc]
        await asyncio.sleep(0)
    await book.close()
    assert len(sizes) == 5
    assert all(size >= 0 for size in sizes)


def test_no_journal_is_an_empty_one(tmp_path: Path):
    assert list(journal.read(tmp_path / "none.tsv")) == []


@given(text=st.text(max_size=60))
def test_no_reference_of_a_client_can_break_a_line(text: str):
    assert not set(journal.clean(text)) & set("\t\n\r\x0b\x0c\x1c\x85\u2028")


@given(at_ms=st.integers(0, 4_000_000_000_000))
def test_times_are_written_to_the_millisecond(at_ms: int):
    entry_at = datetime.fromisoformat(journal.stamp(at_ms / 1000 + 0.000_01))
    assert abs(entry_at.timestamp() - at_ms / 1000) < 0.001
    assert entry_at.utcoffset() == timedelta(0)
