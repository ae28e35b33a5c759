"""The scanner: a file is clean only if clamd has said so, whole and in time; the sandbox's finds EICAR anywhere."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from channels.clamd import CHUNK_BYTES, Clamd, NoClamd
from channels.sandbox.clamd import EICAR
from channels.sandbox.process import SandboxProcess
from server.domain.errors import UnavailableError
from tests.channels.sandbox_world import COMMAND

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxProcess]:
    process = await SandboxProcess.start(COMMAND, tmp_path_factory.mktemp("clamd"))
    yield process
    assert await process.stop() == 0


@pytest.fixture
def scanner(sandbox: SandboxProcess) -> Clamd:
    return Clamd(sandbox.aids([])["clamd_url"], timeout_s=2.0)


@asynccontextmanager
async def served(serve: Serve) -> AsyncIterator[Clamd]:
    """A scanner that behaves as the test says."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    yield Clamd(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_s=0.3)
    server.close()


def saying(answer: bytes) -> Serve:
    """Reads all of a small file, then says this."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\0\0\0\0")
        writer.write(answer)
        await writer.drain()

    return serve


@pytest.mark.parametrize("before", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES - 34, CHUNK_BYTES - 67, CHUNK_BYTES])
async def test_the_test_virus_is_found_wherever_chunks_are_cut(scanner: Clamd, before: int):
    assert await scanner.is_clean(b"x" * before + EICAR[:-1] + b"x" * 100)
    assert not await scanner.is_clean(b"x" * before + EICAR + b"x" * 100)


async def test_ten_megabytes_are_scanned_and_many_at_once(scanner: Clamd):
    files = [b"%PDF" + bytes([n]) * 10_485_760 for n in range(2)] + [EICAR] * 20
    assert await asyncio.gather(*map(scanner.is_clean, files)) == [True, True, *[False] * 20]


async def test_it_answers_a_ping(scanner: Clamd):
    assert await scanner.ping()
    assert not await Clamd("tcp://127.0.0.1:9").ping()


async def test_the_file_goes_out_as_chunks_behind_their_lengths():
    heard: list[bytes] = []

    async def listening(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\0"))
        while length := struct.unpack("!I", await reader.readexactly(4))[0]:
            heard.append(await reader.readexactly(length))
        writer.write(b"stream: OK\0")

    data = bytes(range(256)) * 600
    async with served(listening) as scanner:
        assert await scanner.is_clean(data)
    assert heard[0] == b"zINSTREAM\0"
    assert b"".join(heard[1:]) == data
    assert max(map(len, heard[1:])) == CHUNK_BYTES


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"stream: OK",  # cut off before its end
        b"OK\0",
        b"stream: ok\0",
        b"stream: OK FOUND? ERROR\0",
        b"INSTREAM size limit exceeded. ERROR\0",
        b"UNKNOWN COMMAND\0",
        b"x" * 5_000 + b"\0",
        b"\xff\xfe\0",
    ],
)
async def test_anything_else_than_its_word_is_away(answer: bytes):
    async with served(saying(answer)) as scanner:
        with pytest.raises(UnavailableError, match="scanner_away"):
            await scanner.is_clean(b"file")


async def test_a_scanner_that_is_slow_hangs_up_or_is_not_there_is_away():
    async def slow(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until they hang up

    async def gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1_000)
        writer.transport.abort()

    for serve in (slow, gone):
        async with served(serve) as scanner:
            with pytest.raises(UnavailableError, match="scanner_away"):
                await scanner.is_clean(b"y" * 10_000_000)
    for nobody in (Clamd("tcp://127.0.0.1:9"), Clamd("unix:///nowhere/clamd.ctl"), NoClamd()):
        with pytest.raises(UnavailableError, match="scanner_away"):
            await nobody.is_clean(b"file")


async def test_it_speaks_over_a_unix_socket_too():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(b"stream: Some.Virus-1 FOUND\0")(reader, writer)
        writer.close()

    with TemporaryDirectory(prefix="huimin-") as home:  # a socket's path is short, pytest's are not
        server = await asyncio.start_unix_server(serve, Path(home) / "clamd.ctl")
        assert not await Clamd(f"unix://{home}/clamd.ctl").is_clean(b"file")
        server.close()


async def test_a_file_that_is_too_large_is_never_sent(sandbox: SandboxProcess):
    bounded = Clamd(sandbox.aids([])["clamd_url"], max_bytes=3)
    assert await bounded.is_clean(b"two")
    with pytest.raises(UnavailableError, match="scanner_away"):
        await bounded.is_clean(b"four")


@pytest.mark.parametrize(
    "faults", [{"hang": 1, "hang_s": 1}, {"reset": 1}, {"unknown_code": 1}, {"busy": 1}, {"latency_ms": 900}]
)
async def test_the_sandbox_scanner_can_be_bad(sandbox: SandboxProcess, faults: dict[str, float]):
    url = sandbox.aids([])["clamd_url"]
    await sandbox.control("PUT", "faults", {"clamd": faults})
    with pytest.raises(UnavailableError):
        await Clamd(url, timeout_s=0.3).is_clean(b"file")
    await sandbox.control("PUT", "faults", {})
    assert await Clamd(url).is_clean(b"file")
