"""The sandbox as a child process: what the demo, the tests and the bench start, steer and stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import orjson

from channels.sandbox import journal
from channels.sandbox.accounts import Accounts, Aids, accounts, aids
from channels.sandbox.client import Poster
from channels.sandbox.server import JOURNAL

COMMAND = (sys.executable, "-m", "server", "sandbox")  # needs the package installed, or its folder as cwd
_READY_TIMEOUT_S = 30.0


class SandboxFailedError(Exception):
    """The process did not start, or it refused a control request; the text says why."""


class SandboxProcess:
    """A running sandbox. Use `start`; `home` is the folder of its journal and FCM key."""

    def __init__(self, process: Process, ports: tuple[int, int], home: Path) -> None:
        port, self.clamd_port = ports
        self.port = port
        self.home = home
        self.base_url = f"http://127.0.0.1:{port}"
        self._process = process

    @classmethod
    async def start(cls, command: Sequence[str], home: Path, *options: str, port: int = 0) -> Self:
        """Run `command` (the `sandbox` command with its interpreter) and wait until it listens."""
        process = await asyncio.create_subprocess_exec(
            *command, "--port", str(port), "--clamd-port", "0", "--home", str(home), "--child", *options,
            stdin=PIPE, stdout=PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(_READY_TIMEOUT_S):
            line = await process.stdout.readline()
        if not line:
            raise SandboxFailedError(f"the sandbox ended with {await process.wait()} before it was ready")
        facts = orjson.loads(line)
        return cls(process, (facts["port"], facts["clamd_port"]), home)

    @property
    def pid(self) -> int:
        """The process id, for those who kill it."""
        return self._process.pid

    def accounts(self) -> Accounts:
        """Settings of the accounts that fit this sandbox."""
        return accounts(self.base_url, self.home)

    def aids(self, sources: Iterable[str]) -> Aids:
        """Settings of the department that serves these sources, and of the scanner."""
        return aids(self.base_url, self.clamd_port, self.home, sources)

    def journal(self) -> Iterator[journal.Entry]:
        """What was accepted so far."""
        return journal.read(self.home / JOURNAL)

    async def control(
        self, method: str, name: str, body: Mapping[str, Any] | None = None, timeout_s: float = 60
    ) -> Any:
        """One request below /_sandbox/ (see control.py); SandboxFailedError if it is refused."""
        poster = Poster(asyncio.get_running_loop())
        try:
            status, answer = await poster.request(
                method, f"{self.base_url}/_sandbox/{name}", orjson.dumps(body or {}), "application/json", timeout_s
            )
        finally:
            poster.close()
        if status != 200:
            raise SandboxFailedError(f"{method} {name}: {status} {answer.decode()}")
        return orjson.loads(answer)

    async def stop(self) -> int:
        """SIGTERM, then the exit code; due receipts are sent before it ends."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        return await self._process.wait()

    async def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
