"""One server process of the embedded databases: started, watched, stopped or killed, and recovered after a killed run.

What is promised: a port and a data directory of its own per home. It dies with its starter (on Linux; elsewhere the
next start ends what was left). A process is only signalled after its command line has named our data directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from server.domain.errors import ConfigurationError, UnavailableError

FIRST_PORT, PORTS = 20_000, 12_000  # below the ports of outgoing connections: see _a_free_port
START_TIMEOUT_S = 120.0  # a journal left by kill -9 under full load is replayed first
STOP_TIMEOUT_S = 20.0
LOG_MAX_BYTES = 16 << 20

# Run by a bare interpreter that becomes the server: the kernel ends the server when its starter dies. Not a preexec_fn:
# that would run Python in a fork of a process with threads. The second line closes the gap before the first.
_BECOME = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
os.getppid() == int(sys.argv[1]) or sys.exit("the starter is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


def owned(command: list[str]) -> list[str]:
    """The command line that runs `command` (its first word a path) so that it ends with us; on Linux only."""
    if sys.platform != "linux":
        return command
    return [sys.executable, "-I", "-S", "-c", _BECOME, str(os.getpid()), *command]


@dataclass(frozen=True, slots=True)
class Kind:
    """What differs between the two servers, beside the command line: when one is ready, and its URL."""

    name: str
    ready: Callable[[int], Awaitable[None]]
    url: Callable[[int], str]


class Server:
    """One server process on a port and a data directory of its own, under `home`.

    Start it from a thread that lives as long as the server shall: the kernel counts the thread as the parent.
    """

    def __init__(self, kind: Kind, home: Path, command: Callable[[Path, int], list[str]]) -> None:
        self._kind = kind
        self._command = command
        self._home = home.resolve()
        self._data = self._home / kind.name
        self._state = self._home / f"{kind.name}.json"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where a client connects; the same over restarts of this object."""
        return self._kind.url(self._port)

    @property
    def pid(self) -> int | None:
        """The running process, or None."""
        return self._process.pid if self._process and self._process.poll() is None else None

    async def start(self) -> None:
        """Start, or start again on the same port and data, and return when it takes writes. Running: nothing happens.

        UnavailableError if it does not come up; the end of its log is in the text.
        """
        if self.pid:
            return
        self.prepare()
        await self._stop_orphan()
        for _ in range(5):
            self._port = self._a_free_port()
            self._process = self._spawn()
            self._remember(self._process.pid)
            try:
                async with asyncio.timeout(START_TIMEOUT_S):
                    if await self._comes_up(self._process):
                        return
            except BaseException as error:
                await self.kill()
                if isinstance(error, TimeoutError):
                    raise self._failed(f"not ready after {START_TIMEOUT_S:.0f} s") from None
                raise
            if _is_free(self._port):  # it ended for another reason than a lost race for the port
                break
        raise self._failed(f"ended with status {self._process.returncode if self._process else None}")

    async def stop(self) -> None:
        """End it cleanly, by force after STOP_TIMEOUT_S. Not running: nothing happens."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it as a power cut would (kill -9); `start` brings it back with what was durable."""
        await self._end(signal.SIGKILL)

    async def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how)
            if not await _passes(lambda: process.poll() is not None, STOP_TIMEOUT_S):
                process.kill()
                process.wait()
        self._remember(None)

    async def _comes_up(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until it is ready (True) or has ended (False)."""
        ready = asyncio.ensure_future(self._kind.ready(self._port))
        try:
            while not ready.done() and process.poll() is None:
                await asyncio.wait({ready}, timeout=0.02)
            if process.poll() is None:
                await ready
                return True
            return False
        finally:
            ready.cancel()
            await asyncio.gather(ready, return_exceptions=True)

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = owned(self._command(self._data, self._port))
        environ = {name: value for name, value in os.environ.items() if not name.startswith("HUIMIN_")}  # no secrets
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own command line, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._data,
                env=environ | {"LC_ALL": "C"},  # mongod ends at a locale that is not installed
                start_new_session=True,
            )

    def prepare(self) -> None:
        """Make the folders; ConfigurationError if that cannot be. `start` does it too."""
        try:
            for folder in (self._home, self._data, self._log.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._log.exists() and self._log.stat().st_size > LOG_MAX_BYTES:
                self._log.replace(self._log.with_suffix(".log.1"))
        except OSError as error:
            raise home_unusable(self._home, error) from None

    @property
    def _log(self) -> Path:
        return self._home / "log" / f"{self._kind.name}.log"

    def _a_free_port(self) -> int:
        """Our port of last time if it is free, else the next free one after a place that the home's name gives.

        Never from the range of outgoing connections: while a server is down, a client that keeps trying to reach such a
        port on loopback can be given that very port for itself, and then talks to its own echo.
        """
        last = self._port or recall(self._state)[0]
        first = zlib.crc32(os.fsencode(self._data)) % PORTS
        candidates = (last, *(FIRST_PORT + (first + i) % PORTS for i in range(PORTS)))
        return next(port for port in candidates if port and _is_free(port))

    def _remember(self, pid: int | None) -> None:
        draft = self._state.with_suffix(".json.new")
        draft.write_text(json.dumps({"port": self._port, "pid": pid}))
        draft.replace(self._state)

    async def _stop_orphan(self) -> None:
        """A server that a killed run left behind on this data: end it, for its starter is gone."""
        _, pid = recall(self._state)
        if pid is None or not is_ours(pid, self._data):
            return
        for how, patience_s in ((signal.SIGTERM, STOP_TIMEOUT_S), (signal.SIGKILL, 5.0)):
            if is_ours(pid, self._data):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, how)
            if await _passes(lambda: not is_ours(pid, self._data), patience_s):
                return
        raise self._failed(f"process {pid} of a killed run does not end")

    def _failed(self, what: str) -> UnavailableError:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        end = " | ".join(_readable(line) for line in lines[-3:])
        return UnavailableError(
            "database_down",
            zh=f"内置 {self._kind.name} 未能启动（{what}），日志 {self._log}：{end}",
            en=f"the embedded {self._kind.name} did not start ({what}); its log {self._log} ends: {end}",
        )


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the last run may still fade away
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
        return True


def recall(state: Path) -> tuple[int, int | None]:
    """(port, pid) of the last start; (0, None) if there was none or the file is torn."""
    try:
        told = json.loads(state.read_text())
        return int(told["port"]), None if told["pid"] is None else int(told["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, None


def is_ours(pid: int, data: Path) -> bool:
    """Whether the process lives and its command line names our data. A pid alone may be a stranger's by now."""
    if Path("/proc/self/cmdline").exists():
        try:
            return os.fsencode(data) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
    ps = subprocess.run(["/bin/ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True, check=False)  # noqa: S603
    return f" {data} " in f"{ps.stdout.strip()} "


async def _passes(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Whether the condition holds before the time is up."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while not condition():
        if loop.time() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


def _readable(line: str) -> str:
    """One line of a log: mongod writes JSON."""
    try:
        told = json.loads(line)
        return f"{told['msg']} {told.get('attr', '')}"[:300]
    except (ValueError, KeyError, TypeError):
        return line[:300]


def home_unusable(home: Path, error: OSError) -> ConfigurationError:
    """What to say when the home cannot be written."""
    return ConfigurationError(
        "home_unusable",
        zh=f"无法写入目录 {home}（{error.strerror}）；请用 HUIMIN_HOME 指定其他目录",
        en=f"cannot write to {home} ({error.strerror}); name another folder in HUIMIN_HOME",
    )
