"""The sandbox as a whole: hostile input never breaks it, and it is fast enough never to be the bottleneck."""

from __future__ import annotations

import asyncio
import os
import select
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels.sandbox import fcm, templates, wechat
from channels.sandbox.control import Control
from channels.sandbox.http import Reply, Request
from channels.sandbox.process import SandboxFailedError, SandboxProcess
from channels.sandbox.server import JOURNAL, Sandbox
from server.commands import sandbox as sandbox_command
from server.domain.errors import InvalidInputError
from tests.channels.sandbox_world import COMMAND, Caller, message, openid, push

ROUNDS = 300
BARE = """
import asyncio, uvloop
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"
class Bare(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(ANSWER)
async def main():
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().connect_read_pipe(asyncio.Protocol, open(0, "rb"))
    await server.serve_forever()
uvloop.run(main())
"""


class Deaf:
    """Stands for a connection."""

    def __init__(self) -> None:
        self.calls = 0

    def flush(self) -> None:
        """An answer is ready."""
        self.calls += 1

    def reset(self) -> None:
        """The connection breaks."""
        self.calls += 1


@pytest.fixture(scope="module")
async def inside(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A sandbox in this process, asked without a network."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"), templates.load(sandbox_command.TEMPLATES), seed=1)
    sandbox.wechat._tokens[b"t"] = sandbox.fcm._tokens[b"t"] = time.time() + 9e6  # noqa: SLF001 - past the token checks
    return sandbox


PATHS = [
    wechat.SEND.encode() + b"?access_token=t",
    b"/cgi-bin/stable_token",
    b"/cgi-bin/token?appid=1&secret=\xff",
    b"/sns/jscode2session?appid=1",
    b"/cgi-bin/openapi/quota/get?x=1&access_token=t",
    fcm.SEND.encode(),
    b"/token",
    b"/",
    b"/?x=%FF\xff",
    b"/v1/projects/other/messages:send",
    b"/nowhere",
    *(f"/_sandbox/{name}".encode() for name in ("faults", "limits", "grants", "counts", "callback", "expire-tokens")),
]
HEADS = [
    b"",
    b"\r\nAuthorization: Bearer t",
    b"\r\nX-TC-Action: SendSms\r\nX-TC-Timestamp: 99999999999\r\n"
    b"Authorization: TC3-HMAC-SHA256 Credential=a/2026-11-24/sms/"
    b"tc3_request, SignedHeaders=host;\xff, Signature=" + b"0" * 64,
    b"\r\nx-acs-action: SendSms\r\nAuthorization: ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature="
    + b"0" * 64,
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def spoiled(good: dict[str, Any], key: str, value: Any) -> bytes:
    """A good request with one member replaced, at whatever depth it is."""
    changed = {k: (orjson.loads(spoiled(v, key, value)) if isinstance(v, dict) else v) for k, v in good.items()}
    return orjson.dumps(changed | ({key: value} if key in good else {}))


KEYS = ("touser", "template_id", "data", "page", "lang", "miniprogram_state", "thing1", "value", "message", "token",
        "notification", "android", "ttl", "priority", "tag", "title")  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    path=st.sampled_from(PATHS),
    head=st.sampled_from(HEADS),
    body=st.binary(max_size=60)
    | JSON.map(orjson.dumps)
    | st.builds(spoiled, st.sampled_from([message(openid(1)), push("d" * 30)]), st.sampled_from(KEYS), JSON),
    method=st.sampled_from([b"GET", b"POST", b"PUT", b"\xff"]),
)
def test_no_request_can_raise(inside: Sandbox, path: bytes, head: bytes, body: bytes, method: bytes):
    connection: Any = Deaf()
    reply = Reply(connection)
    control = Control(inside, time.time)
    inside._otherwise = control.serve  # noqa: SLF001 - as serve() sets it
    head = method + b" " + path + b" HTTP/1.1" + head
    inside.answer(Request(method, path, head, head.lower(), body), reply)
    assert connection.calls == 1 or b'errcode":0' in reply.data or b"name" in reply.data


class Witness(Deaf):
    """Stands for a connection and looks into the journal when the answer leaves."""

    def __init__(self, journal: Path) -> None:
        super().__init__()
        self._journal = journal
        self.seen = b""
        self.left = asyncio.Event()

    def flush(self) -> None:
        """The answer leaves now."""
        self.calls += 1
        self.seen = self._journal.read_bytes()
        self.left.set()


async def test_an_accept_is_in_the_journal_before_its_answer_leaves(tmp_path: Path):
    sandbox = Sandbox(tmp_path, templates.load(sandbox_command.TEMPLATES), seed=1)
    sandbox.fcm._tokens[b"t"] = time.time() + 60  # noqa: SLF001 - past the token check
    witness: Any = Witness(tmp_path / JOURNAL)
    head = b"POST " + fcm.SEND.encode() + b" HTTP/1.1\r\nAuthorization: Bearer t"
    asked = Request(b"POST", fcm.SEND.encode(), head, head.lower(), orjson.dumps(push("d" * 30)))
    sandbox.answer(asked, Reply(witness))
    assert witness.calls == 0
    async with asyncio.timeout(5):
        await witness.left.wait()
    assert b"d" * 30 in witness.seen


class Client(asyncio.Protocol):
    """Sends one request after the other, `left` times."""

    def __init__(self, request: bytes, left: int, done: asyncio.Semaphore) -> None:
        self._request, self._left, self._done = request, left, done
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first."""
        self._transport = transport
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Send the next."""
        assert data.startswith(b"HTTP/1.1 200 OK")
        self._left -= 1
        if self._left:
            self._transport.write(self._request)
        else:
            self._transport.close()
            self._done.release()


async def answers_per_cpu_second(port: int, pid: int, request: bytes) -> float:
    """Answers of a server in a second of its own processor time (Linux), over 64 connections."""
    loop, done = asyncio.get_running_loop(), asyncio.Semaphore(0)
    start = cpu_s(pid)
    for _ in range(64):
        await loop.create_connection(lambda: Client(request, ROUNDS, done), "127.0.0.1", port)
    for _ in range(64):
        await done.acquire()
    return 64 * ROUNDS / max(0.01, cpu_s(pid) - start)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.fixture
async def bare() -> AsyncIterator[tuple[int, int]]:
    """(port, pid) of a server that reads nothing and always answers ok."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", BARE, stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    yield int(await process.stdout.readline()), process.pid
    process.kill()
    await process.wait()


async def test_a_message_costs_at_most_six_times_a_bare_answer(bare: tuple[int, int], tmp_path: Path):
    sandbox = await SandboxProcess.start(COMMAND, tmp_path)
    caller = Caller(sandbox.base_url)
    path, body = await caller.wechat_path(), orjson.dumps(message(openid(1)))
    request = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    ours = await answers_per_cpu_second(sandbox.port, sandbox.pid, request)
    theirs = await answers_per_cpu_second(*bare, request)
    caller.close()
    assert await sandbox.stop() == 0
    assert (tmp_path / JOURNAL).read_bytes().count(b"\n") == 64 * ROUNDS
    assert theirs / ours < 6, f"{ours:.0f} against {theirs:.0f} answers a processor second"


@pytest.mark.parametrize(
    ("option", "field"),
    [
        ({"callback": "ftp://x"}, "callback"),
        ({"callback": "http://127.0.0.1:99999/x"}, "callback"),
        ({"faults": Path("/nowhere.json")}, "faults"),
        ({"rate": -1.0}, "faults"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, option: dict[str, Any], field: str):
    with pytest.raises(InvalidInputError) as caught:
        sandbox_command.sandbox(port=0, home=tmp_path, **option)
    assert caught.value.field == field


async def test_two_sandboxes_never_share_a_journal(tmp_path: Path):
    sandbox = await SandboxProcess.start(COMMAND, tmp_path)
    with pytest.raises(SandboxFailedError, match="ended with 1"):
        await SandboxProcess.start(COMMAND, tmp_path)
    await sandbox.kill()
    again = await SandboxProcess.start(COMMAND, tmp_path)
    assert await again.stop() == 0


async def test_a_sandbox_does_not_outlive_its_starter(tmp_path: Path):
    script = (
        "import asyncio, pathlib, sys\n"
        "from channels.sandbox.process import SandboxProcess\n"
        "from tests.channels.sandbox_world import COMMAND\n"
        "sandbox = asyncio.run(SandboxProcess.start(COMMAND, pathlib.Path(sys.argv[1])))\n"
        "print(sandbox.pid, flush=True)\n"
        "import os; os.kill(os.getpid(), 9)\n"
    )
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(tmp_path), stdout=PIPE)
    out, _error = await starter.communicate()
    assert await asyncio.to_thread(ends_within, 5.0, int(out))


def ends_within(timeout_s: float, pid: int) -> bool:
    """Whether the process `pid` (not a child of ours) ends in time."""
    try:
        with os.fdopen(os.pidfd_open(pid), "rb") as process:
            return bool(select.select([process], [], [], timeout_s)[0])
    except ProcessLookupError:
        return True
