"""The virus scanner: clamd's INSTREAM (https://docs.clamav.net/manual/Usage/Scanning.html). Implements a `Scanner`.

Promises. A file is clean only if clamd has said exactly that, in time. Everything else - no connection, another answer,
a file larger than is ever sent - is `scanner_away`, and then nothing is kept. A file goes nowhere but to clamd, whose
protocol has no secrecy: it belongs on the same machine or network. Own code, because aioclamd 1.1 knows no unix sockets
and goes through a thread for every kilobyte.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from urllib.parse import urlsplit

import structlog

from server.domain.errors import UnavailableError

TIMEOUT_S = 10.0  # from the wait for a turn to the answer
CHUNK_BYTES = 65_536
MAX_BYTES = 100 << 20  # clamd's own StreamMaxLength
MAX_REPLY_BYTES = 1_024
AT_ONCE = 8  # clamd's threads are ten
SILENCE = (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError)  # how no answer shows itself

log = structlog.get_logger()


class Clamd:
    """Asks one clamd at `tcp://host:port` or `unix:///path`; a connection for each file, as the protocol wants it."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S, max_bytes: int = MAX_BYTES) -> None:
        self._url = urlsplit(url)
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def is_clean(self, data: bytes) -> bool:
        """Whether clamd finds nothing; UnavailableError `scanner_away` if it does not say."""
        if len(data) > self._max_bytes:
            log.warning("scanner_away", why="larger than is sent", size=len(data))
            raise scanner_away()
        try:
            answer = await self._ask(b"zINSTREAM\0", data)
        except SILENCE as error:
            log.warning("scanner_away", why=type(error).__name__)
            raise scanner_away() from None
        if answer == b"stream: OK":
            return True
        if answer.startswith(b"stream: ") and answer.endswith(b" FOUND"):
            log.warning("virus_found", name=answer[8:-6].decode("ascii", "replace"), size=len(data))
            return False
        log.warning("scanner_away", why=answer.decode("ascii", "replace")[:100])
        raise scanner_away()

    async def ping(self) -> bool:
        """Whether it answers at all."""
        try:
            return await self._ask(b"zPING\0") == b"PONG"
        except SILENCE:
            return False

    async def _ask(self, command: bytes, data: bytes | None = None) -> bytes:
        """The answer without its NUL; one of SILENCE if there is none."""
        async with asyncio.timeout(self._timeout_s), self._turns:
            reader, writer = await self._connect()
            try:
                writer.write(command)
                for chunk in _chunks(data) if data is not None else ():
                    writer.write(chunk)
                    await writer.drain()
                return (await reader.readuntil(b"\0"))[:-1]
            finally:
                writer.transport.abort()  # all is said, or nothing more is believed

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._url.scheme == "unix":
            return await asyncio.open_unix_connection(self._url.path, limit=MAX_REPLY_BYTES)
        return await asyncio.open_connection(self._url.hostname, self._url.port, limit=MAX_REPLY_BYTES)


class NoClamd:
    """Production without a scanner: no file is taken until the city names one."""

    async def is_clean(self, data: bytes) -> bool:  # noqa: ARG002 - the contract's
        """UnavailableError `scanner_away`."""
        log.warning("scanner_away", why="HUIMIN_CLAMD_URL is not set")
        raise scanner_away()


def scanner_away() -> UnavailableError:
    """Nobody can say whether a file is clean."""
    return UnavailableError(
        "scanner_away",
        zh="文件安全检查暂时不可用，文件未保存，请稍后重新上传或到窗口提交",
        en="the virus scanner is away and nothing was kept: upload it again later, or bring it to a counter",
    )


def _chunks(data: bytes) -> Iterator[bytes]:
    """`data` as INSTREAM has it: each chunk behind its length, four bytes, big-endian; then an empty one."""
    for at in range(0, len(data), CHUNK_BYTES):
        chunk = data[at : at + CHUNK_BYTES]
        yield struct.pack("!I", len(chunk)) + chunk
    yield struct.pack("!I", 0)
