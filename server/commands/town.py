"""A whole small city on this machine: sandbox providers, API and workers as real processes.

The demo, `run`, the tests and the bench stand on it. Processes are started with the settings as HUIMIN_* variables, can
be killed and started again one by one, and end with their owner.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom
from typing import Any

from pydantic import BaseModel, SecretStr
from tornado.httpclient import AsyncHTTPClient

from channels.sandbox import journal
from channels.sandbox.accounts import Accounts, accounts, aids
from channels.sandbox.faults import FaultScript
from push.worker import Share
from server.domain.errors import UnavailableError
from server.processes import FIRST_PORT, PORTS, owned
from server.settings import Settings
from server.storage.catalogues import load_source_policy
from server.storage.citizens import Citizens

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
CHANNEL_OF = {"wechat": "wechat", "fcm": "push", "sms_aliyun": "sms", "sms_tencent": "sms"}


class Process:
    """One `python -m server ...` that says in one JSON line when it is ready."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self.arguments = list(arguments)
        self._environ = environ
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self.facts: dict[str, Any] = {}

    @property
    def pid(self) -> int | None:
        """None when it does not run."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def exited(self) -> int | None:
        """Wait until it ends, however it does; its exit code. Not running: at once."""
        return await self._process.wait() if self._process else None

    async def start(self) -> None:
        """Start, or start again, and wait for its ready line; UnavailableError names the log."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HUIMIN_")}
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *owned([sys.executable, "-m", "server", *self.arguments]),
                env=inherited | dict(self._environ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), START_TIMEOUT_S)
        except TimeoutError:
            line = b""
        except asyncio.CancelledError:
            await self.kill()
            raise
        if not line:
            await self.kill()
            what = " ".join(self.arguments)
            raise UnavailableError(
                "process_failed", zh=f"{what} 启动失败，见 {self._log}", en=f"{what} ended; see {self._log}"
            )
        self.facts = json.loads(line)

    async def stop(self) -> int | None:
        """SIGTERM and wait; its exit code."""
        if self._process is None or self._process.returncode is not None:
            return self._process.returncode if self._process else None
        self._process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int | None:
        """Kill -9 and wait."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        return self._process.returncode if self._process else None


@dataclass(slots=True)
class Town:
    """What runs. `settings` name databases and accounts."""

    settings: Settings
    home: Path
    sandbox: Process
    api: Process
    workers: list[Process] = field(default_factory=list)

    @property
    def journal_path(self) -> Path:
        """The providers' own book."""
        return self.home / "sandbox" / "journal.tsv"

    def new_worker(self) -> Process:
        """Another worker, not started yet. The first one of a town is for what is urgent."""
        share = Share.REST if self.workers else Share.URGENT
        log = self.home / "log" / f"worker{len(self.workers)}.log"
        own_port = {"admin_port": 0}  # health and metrics are each process's own
        worker = Process(["worker", "--share", share], environment(self.settings.model_copy(update=own_port)), log)
        self.workers.append(worker)
        return worker

    async def stop_workers(self) -> None:
        """SIGTERM to all of them, and wait."""
        await asyncio.gather(*(worker.stop() for worker in self.workers))

    async def control(self, path: str, body: Any = None, *, method: str = "PUT") -> Any:
        """Ask the sandbox's control page: faults, grants, counts, flush."""
        url = f"http://127.0.0.1:{self.sandbox.facts['port']}/_sandbox/{path}"
        data = None if method == "GET" else json.dumps(body)
        answer = await AsyncHTTPClient().fetch(url, method=method, body=data, request_timeout=120)
        return json.loads(answer.body or b"null")

    def entries(self) -> list[journal.Entry]:
        """All accepts so far."""
        return list(journal.read(self.journal_path))


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the API listens, for everyone and for health and metrics; 0 = any free one."""

    public: int = 0
    admin: int = 0


@asynccontextmanager
async def town(
    settings: Settings,
    home: Path,
    *,
    workers: int = 2,  # beside the one for what is urgent
    faults: FaultScript | None = None,
    rate_per_s: float = 50_000.0,
    ports: Ports = Ports(),
) -> AsyncIterator[Town]:
    """Start sandbox, API and workers on the databases that `settings` name; stop them in reverse.

    `rate_per_s` is what every account is allowed, in recipients a second.
    """
    (home / "sandbox").mkdir(parents=True, exist_ok=True)
    script = home / "faults.json"
    script.write_text((faults or FaultScript()).model_dump_json())
    async with AsyncExitStack() as stack:
        port, admin_port = ports.public or free_port(), ports.admin or free_port()
        callback = f"http://127.0.0.1:{port}/v1/receipts"
        sandbox_home = str(home / "sandbox")
        arguments = ["sandbox", "--port", "0", "--clamd-port", "0", "--home", sandbox_home]
        arguments += ["--callback", callback, "--faults", str(script)]
        sandbox = Process(arguments, {}, home / "log" / "sandbox.log")
        stack.push_async_callback(sandbox.stop)
        await sandbox.start()
        # The accounts know its ports: they have to be the same after a restart.
        sandbox.arguments[2], sandbox.arguments[4] = str(sandbox.facts["port"]), str(sandbox.facts["clamd_port"])
        url = f"http://127.0.0.1:{sandbox.facts['port']}"
        paced = _paced(accounts(url, home / "sandbox"), rate_per_s)
        served = [rule.source for rule in load_source_policy().sources]
        helpers = aids(url, sandbox.facts["clamd_port"], home / "sandbox", served)
        full = settings.model_copy(update={**paced, **helpers, "port": port, "admin_port": admin_port, "home": home})
        api = Process(["api"], environment(full), home / "log" / "api.log")
        stack.push_async_callback(api.stop)
        found = Town(full, home, sandbox, api)
        stack.push_async_callback(found.stop_workers)
        await asyncio.gather(
            *(process.start() for process in (api, *(found.new_worker() for _ in range(workers and 1 + workers))))
        )
        yield found


def _paced(found: Accounts, rate_per_s: float) -> dict[str, Any]:
    """The accounts with another rate."""
    paced = {"rate_per_s": rate_per_s}
    return {
        "wechat": found["wechat"].model_copy(update=paced),
        "fcm": found["fcm"].model_copy(update=paced),
        "sms": tuple(account.model_copy(update=paced) for account in found["sms"]),
        "weather": found["weather"],
    }


def environment(settings: Settings) -> dict[str, str]:
    """The settings as HUIMIN_* variables, secrets in clear: for a child process only."""
    values: dict[str, str] = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if value is None or value == ():
            continue
        plain = _plain(value)
        values[f"HUIMIN_{name.upper()}"] = plain if isinstance(plain, str) else json.dumps(plain)
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, BaseModel):
        return {
            name: _plain(getattr(value, name)) for name in type(value).model_fields if getattr(value, name) is not None
        }
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value


async def accepts(entries: Sequence[journal.Entry], citizens: Citizens) -> Counter[tuple[str, int]]:
    """The journal by (channel, citizen); an address that belongs to nobody is counted under citizen -1."""
    by_channel: dict[str, list[str]] = {}
    for entry in entries:
        by_channel.setdefault(CHANNEL_OF[entry.provider], []).append(entry.address)
    counted: Counter[tuple[str, int]] = Counter()
    for channel, addresses in by_channel.items():
        owners: dict[str, int] = {}
        unique = sorted(set(addresses))
        for start in range(0, len(unique), 2_000):
            owners |= await citizens.find_by_address(channel, unique[start : start + 2_000])
        counted.update((channel, owners.get(address, -1)) for address in addresses)
    return counted


def free_port() -> int:
    """A port that nobody uses, outside the range of outgoing connections: those of the workers must not take it."""
    random = SystemRandom()
    while True:
        port = FIRST_PORT + random.randrange(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
