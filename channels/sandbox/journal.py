"""The journal: what the providers took, written before they say so.

Every accept is one line of tab-separated text, appended and fsynced in groups *before* the answers of that group leave,
so whatever a client was told survives a kill -9 of this process. Tests and the demo compare the product's report with
it: it is the judge, so it knows nothing of the product. Addresses stand in clear; it is the provider's own book.

    at <TAB> provider <TAB> account <TAB> address <TAB> template <TAB> our reference <TAB> provider's reference
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_FIELDS = 7


@dataclass(frozen=True, slots=True)
class Entry:
    """One accept. `at` is when the provider took it; `ours` is what we sent along (tag, OutId, SessionContext)."""

    at: datetime
    provider: str
    account: str
    address: str
    template: str
    ours: str
    theirs: str


def read(path: Path) -> Iterator[Entry]:
    """The accepts of the journal at `path`, oldest first; none if there is no file.

    The last line is left out while it has no line end: the process died while writing it, so nobody was told.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                at, *rest = line[:-1].decode().split("\t")
                yield Entry(datetime.fromisoformat(at), *rest)


def stamp(at_s: float) -> str:
    """A Unix time as the journal writes it: UTC with milliseconds."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at_s))}.{int(at_s * 1000) % 1000:03d}+00:00"


def clean(text: str) -> str:
    r"""`text` as one field of a line: what is not printable is written as its escape (\x09)."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


class Journal:
    """Appends to one file, which no other process may write meanwhile: BlockingIOError.

    Group commit: lines that come while one write is out go in the next, and each group is one write and one
    fsync in a thread of its own. So a slow disk costs latency, not the event loop (measured against the same calls
    inline: as much processor time, and on a busy machine up to twice the answers).
    """

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._fd = _open_whole(path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._lines: list[bytes] = []
        self._then: list[Callable[[], None]] = []
        self._is_busy = False
        self._idle = asyncio.Event()
        self._second = 0
        self._prefix = ""

    def stamp(self, at_s: float) -> str:
        """`stamp`, with the text of the current second kept."""
        second = int(at_s)
        if second != self._second:
            self._second = second
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_s))
        return f"{self._prefix}.{int((at_s - second) * 1000):03d}+00:00"

    def add(self, lines: bytes, then: Callable[[], None]) -> None:
        """Append whole lines; `then` is called on the loop once they are on the disk."""
        self._lines.append(lines)
        self._then.append(then)
        if not self._is_busy:
            self._is_busy = True
            self._loop.call_soon(self._commit)

    def _commit(self) -> None:
        lines, self._lines = self._lines, []
        then, self._then = self._then, []
        self._loop.run_in_executor(self._thread, self._write, b"".join(lines)).add_done_callback(
            lambda done: self._committed(done, then)
        )

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        os.fsync(self._fd)

    def _committed(self, done: asyncio.Future[None], then: list[Callable[[], None]]) -> None:
        done.result()  # a full disk must be loud: the answers of this group never leave
        for call in then:
            call()
        if self._lines:
            self._commit()
        else:
            self._is_busy = False
            self._idle.set()

    async def close(self) -> None:
        """Wait for the last group and close the file."""
        if self._is_busy:
            self._idle.clear()
            await self._idle.wait()
        self._thread.shutdown()
        os.close(self._fd)


def _open_whole(path: Path) -> int:
    """Open for appending, with a torn last line of a killed process cut off; BlockingIOError if another has it open."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however it ends
    except BlockingIOError:
        os.close(fd)
        raise
    size = os.fstat(fd).st_size
    tail = os.pread(fd, 65_536, max(0, size - 65_536))
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(fd, size - len(tail) + tail.rfind(b"\n") + 1)
    return fd
