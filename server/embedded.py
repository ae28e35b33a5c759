"""The embedded databases: a real mongod and a real Valkey that the product starts and stops itself.

They exist so that a fresh machine needs two commands and no root; production names its own servers in the settings, and
then nothing here runs. What is promised:

- Loopback only, durable (journal; AOF every second), bounded memory, no unix sockets (a deep home would not fit).
- One home directory owns one pair of servers on ports of its own. Two checkouts never clash; two processes of one
  checkout share: the first one owns the servers, the others use them while it lives.
- They die with their owner, also when that is killed -9 (on Linux; elsewhere the next start cleans up), and Ctrl-C in a
  terminal reaches only the owner, which drains first and stops them last.
- A killed run is recovered from. A process is only ever signalled after its command line has named our data directory.
- Where no binary fits or a library is missing, one ConfigurationError says what to install.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure
from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError

from server.binaries import MONGOD, VALKEY, find
from server.domain.errors import ConfigurationError, UnavailableError
from server.settings import Settings

REPLICA_SET = "huimin"
FIRST_PORT, PORTS = (
    20_000,
    12_000,
)  # below the ports that Linux and macOS give to outgoing connections: see _a_free_port
START_TIMEOUT_S = 120.0  # a journal left by kill -9 under full load is replayed first
STOP_TIMEOUT_S = 20.0
LOG_MAX_BYTES = 16 << 20
NOT_YET_INITIALIZED = 94  # mongod listens, but has not read its replica set's configuration yet

# Run by a bare interpreter that becomes the server: the kernel ends the server when its starter dies. Not a preexec_fn:
# that would run Python in a fork of a process with threads. The second line closes the gap before the first.
_BECOME = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
os.getppid() == int(sys.argv[1]) or sys.exit("the starter is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class Databases:
    """Where the databases are. The servers are None where the settings name them or another process owns them."""

    mongo_url: str
    redis_url: str
    mongod: Server | None = None
    valkey: Server | None = None


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
        command = self._command(self._data, self._port)
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", "-c", _BECOME, str(os.getpid()), *command]
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
            raise _home_unusable(self._home, error) from None

    @property
    def _log(self) -> Path:
        return self._home / "log" / f"{self._kind.name}.log"

    def _a_free_port(self) -> int:
        """Our port of last time if it is free, else the next free one after a place that the home's name gives.

        Never from the range of outgoing connections: while a server is down, a client that keeps trying to reach such a
        port on loopback can be given that very port for itself, and then talks to its own echo.
        """
        last = self._port or _recall(self._state)[0]
        first = zlib.crc32(os.fsencode(self._data)) % PORTS
        candidates = (last, *(FIRST_PORT + (first + i) % PORTS for i in range(PORTS)))
        return next(port for port in candidates if port and _is_free(port))

    def _remember(self, pid: int | None) -> None:
        draft = self._state.with_suffix(".json.new")
        draft.write_text(json.dumps({"port": self._port, "pid": pid}))
        draft.replace(self._state)

    async def _stop_orphan(self) -> None:
        """A server that a killed run left behind on this data: end it, for its starter is gone."""
        _, pid = _recall(self._state)
        if pid is None or not _is_ours(pid, self._data):
            return
        for how, patience_s in ((signal.SIGTERM, STOP_TIMEOUT_S), (signal.SIGKILL, 5.0)):
            if _is_ours(pid, self._data):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, how)
            if await _passes(lambda: not _is_ours(pid, self._data), patience_s):
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


def mongod(home: Path, binary: Path, *, cache_gb: float = 0.5) -> Server:
    """A mongod under `home`: replica set of one, `cache_gb` (at least 0.25) of WiredTiger cache."""

    def command(data: Path, port: int) -> list[str]:
        options: dict[str, object] = {
            "--dbpath": data,
            "--bind_ip": "127.0.0.1",
            "--port": port,
            "--replSet": REPLICA_SET,
            "--wiredTigerCacheSizeGB": cache_gb,
            "--oplogSize": 512,  # MB; nobody replicates from here, and the default is a twentieth of the disk
            "--networkMessageCompressors": "disabled",  # costs more than it saves on loopback
        }
        parameters = ("diagnosticDataCollectionEnabled=false", "shutdownTimeoutMillisForSignaledShutdown=0")
        flags = ["--nounixsocket", "--noscripting", "--quiet"]
        return [
            str(binary),
            *(str(part) for option in options.items() for part in option),
            *(part for parameter in parameters for part in ("--setParameter", parameter)),
            *flags,
        ]

    return Server(_MONGOD, home, command)


def valkey(home: Path, binary: Path) -> Server:
    """A Valkey (or Redis 7) under `home`: AOF every second, no snapshots."""

    def command(data: Path, port: int) -> list[str]:
        options = {
            "--dir": data,
            "--bind": "127.0.0.1",
            "--port": port,
            "--appendonly": "yes",
            "--appendfsync": "everysec",
            "--save": "",
            "--protected-mode": "yes",
            "--set-proc-title": "no",  # the command line must keep naming the data directory: _is_ours reads it
            "--databases": 1,
        }
        return [str(binary), *(str(part) for option in options.items() for part in option)]

    return Server(_VALKEY, home, command)


@asynccontextmanager
async def databases(settings: Settings, *, mongo_cache_gb: float = 0.5) -> AsyncIterator[Databases]:
    """Yield the URLs of both databases; start what the settings do not name, and stop what was started here."""
    mongo_url, redis_url = settings.mongo_url, settings.redis_url
    if mongo_url and redis_url:
        yield Databases(mongo_url, redis_url)
        return
    home = settings.home.resolve()
    async with AsyncExitStack() as stack:
        if not stack.enter_context(_ownership(home)):
            yield Databases(mongo_url or await _shared(home, _MONGOD), redis_url or await _shared(home, _VALKEY))
            return
        mongo = redis = None
        if not mongo_url:
            mongo = mongod(home, find(MONGOD, settings.mongod).path, cache_gb=mongo_cache_gb)
            stack.push_async_callback(mongo.stop)
            await mongo.start()
            mongo_url = mongo.url
        if not redis_url:
            redis = valkey(home, find(VALKEY, settings.valkey).path)
            stack.push_async_callback(redis.stop)
            await redis.start()
            redis_url = redis.url
        yield Databases(mongo_url, redis_url, mongo, redis)


@contextmanager
def _ownership(home: Path) -> Iterator[bool]:
    """Whether this process owns the servers of `home`; the kernel takes ownership back when the process ends."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (home / "owner.lock").open("ab")
    except OSError as error:
        raise _home_unusable(home, error) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


async def _shared(home: Path, kind: Kind) -> str:
    """The URL of a server that another process of this home owns, once it is up."""
    loop = asyncio.get_running_loop()
    patient_until = loop.time() + START_TIMEOUT_S
    while loop.time() < patient_until:
        port, pid = _recall(home / f"{kind.name}.json")
        if pid is not None and _is_ours(pid, home / kind.name):
            async with asyncio.timeout(START_TIMEOUT_S):
                await kind.ready(port)
            return kind.url(port)
        await asyncio.sleep(0.1)
    raise UnavailableError(
        "database_down",
        zh=f"另一个进程占用 {home}，但其 {kind.name} 没有运行",
        en=f"another process owns {home}, but its {kind.name} does not run",
    )


async def _become_primary(port: int) -> None:
    """Wait for mongod, make it a replica set of one under its present port, and wait until it takes writes."""
    member = {"_id": 0, "host": f"127.0.0.1:{port}"}
    async with AsyncMongoClient[dict[str, Any]]("127.0.0.1", port, directConnection=True) as client:
        await _until_it_listens(port)
        config = await client.local["system.replset"].find_one()
        if config is None:
            await client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})
        elif config["members"][0]["host"] != member["host"]:  # the old port was taken by a stranger
            config = config | {"members": [config["members"][0] | member], "version": config["version"] + 1}
            await _reconfigure(client, config)
        while not (await client.admin.command("hello"))["isWritablePrimary"]:  # noqa: ASYNC110 - mongod cannot call us
            await asyncio.sleep(0.01)


async def _reconfigure(client: AsyncMongoClient[dict[str, Any]], config: dict[str, Any]) -> None:
    while True:
        try:
            await client.admin.command("replSetReconfig", config, force=True)
        except OperationFailure as error:
            if error.code != NOT_YET_INITIALIZED:
                raise
            await asyncio.sleep(0.05)
        else:
            return


async def _answers_ping(port: int) -> None:
    """Wait until Valkey has read its append-only file."""
    await _until_it_listens(port)
    async with Redis(host="127.0.0.1", port=port) as client:
        while True:
            try:
                await client.ping()
            except BusyLoadingError:
                await asyncio.sleep(0.02)
            else:
                return


async def _until_it_listens(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return


def _mongo_url(port: int) -> str:
    return f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}"


def _redis_url(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0"


_MONGOD = Kind("mongod", _become_primary, _mongo_url)
_VALKEY = Kind("valkey", _answers_ping, _redis_url)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the last run may still fade away
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
        return True


def _recall(state: Path) -> tuple[int, int | None]:
    """(port, pid) of the last start; (0, None) if there was none or the file is torn."""
    try:
        told = json.loads(state.read_text())
        return int(told["port"]), None if told["pid"] is None else int(told["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, None


def _is_ours(pid: int, data: Path) -> bool:
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


def _home_unusable(home: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        "home_unusable",
        zh=f"无法写入目录 {home}（{error.strerror}）；请用 HUIMIN_HOME 指定其他目录",
        en=f"cannot write to {home} ({error.strerror}); name another folder in HUIMIN_HOME",
    )


def running(home: Path, name: str) -> str | None:
    """The URL of this home's embedded server ("mongod" or "valkey") if it runs now."""
    kind = {"mongod": _MONGOD, "valkey": _VALKEY}[name]
    port, pid = _recall(home.resolve() / f"{name}.json")
    return kind.url(port) if pid is not None and _is_ours(pid, home.resolve() / name) else None
