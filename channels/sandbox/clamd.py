"""A virus scanner that speaks clamd's protocol and finds one thing: the EICAR test string, anywhere in a file.

PING, VERSION and INSTREAM, ended by NUL (z...) or a line end (n...). A real clamd finds EICAR only where a real virus
would be; this one is for trying and testing what happens then.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct

from channels.sandbox.book import Book
from channels.sandbox.faults import Fate

# In two parts, or scanners would find this file.
EICAR = b"".join((rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR", b"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"))
MAX_BYTES = 100 << 20  # StreamMaxLength
READ_TIMEOUT_S = 120.0
TOO_LARGE = b"INSTREAM size limit exceeded. ERROR"


class Clamd:
    """One scanner. `book` holds its faults and counts."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self._peers: set[asyncio.StreamWriter] = set()

    async def listen(self, port: int) -> asyncio.Server:
        """On loopback; 0 = any free port."""
        return await asyncio.start_server(self._serve, "127.0.0.1", port)

    def close(self) -> None:
        """Hang up on everybody."""
        for peer in tuple(self._peers):
            peer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection carries one command, as without IDSESSION."""
        self._peers.add(writer)
        try:
            with contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
                async with asyncio.timeout(READ_TIMEOUT_S):
                    end = b"\0" if await reader.readexactly(1) == b"z" else b"\n"
                    command = (await reader.readuntil(end))[:-1]
                    answer = await self._answer(command, reader)
                if answer:
                    writer.write(answer + end)
                    await writer.drain()
        finally:
            self._peers.discard(writer)
            writer.close()

    async def _answer(self, command: bytes, reader: asyncio.StreamReader) -> bytes:
        """b"" = hang up."""
        dice = self.book.dice
        if dice.is_down(self.book.clock()):
            self.book.counts["faults DOWN"] += 1
            return b""
        if command == b"PING":
            return b"PONG"
        if command == b"VERSION":
            return b"ClamAV sandbox/0"
        if command != b"INSTREAM":
            return b"UNKNOWN COMMAND"
        fate = dice.fate()
        if fate is Fate.FAIR:
            answer = await self._scan(reader)
        else:
            self.book.counts[f"faults {fate.name}"] += 1
            answer = {Fate.UNKNOWN_CODE: b"stream: MAYBE", Fate.BUSY: b"Can't allocate memory ERROR"}.get(fate, b"")
        hangs = fate in {Fate.HANG, Fate.HANG_AFTER}
        await asyncio.sleep(dice.faults.hang_s if hangs else dice.latency_s())
        return answer

    async def _scan(self, reader: asyncio.StreamReader) -> bytes:
        """Read the chunks; the string may lie across their borders."""
        size, tail, is_found = 0, b"", False
        while length := struct.unpack("!I", await reader.readexactly(4))[0]:
            size += length
            if size > MAX_BYTES:
                self.book.refuse("too large")
                return TOO_LARGE
            seen = tail + await reader.readexactly(length)
            is_found = is_found or EICAR in seen
            tail = seen[-len(EICAR) + 1 :]
        self.book.counts["found" if is_found else "clean"] += 1
        return b"stream: Eicar-Test-Signature FOUND" if is_found else b"stream: OK"
