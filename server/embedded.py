"""The embedded databases: a real mongod and a real Valkey that the product starts and stops itself.

They exist so that a fresh machine needs two commands and no root; production names its own servers in the settings, and
then nothing here runs. What is promised:

- Loopback only, durable (journal; AOF every second), bounded memory, no unix sockets (a deep home would not fit).
- One home directory owns one pair of servers on ports of its own. Two checkouts never clash; two processes of one
  checkout share: the first one owns the servers, the others use them while it lives.
- Ctrl-C in a terminal reaches only the owner, which drains first and stops them last. They die with an owner that is
  killed -9, and what it left behind is recovered from (processes.py).
- Where no binary fits or a library is missing, one ConfigurationError says what to install.
"""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure
from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError

from server.binaries import MONGOD, VALKEY, find
from server.domain.errors import UnavailableError
from server.processes import START_TIMEOUT_S, Kind, Server, home_unusable, is_ours, recall
from server.settings import Settings

REPLICA_SET = "huimin"
NOT_YET_INITIALIZED = 94  # mongod listens, but has not read its replica set's configuration yet


@dataclass(frozen=True, slots=True)
class Databases:
    """Where the databases are. The servers are None where the settings name them or another process owns them."""

    mongo_url: str
    redis_url: str
    mongod: Server | None = None
    valkey: Server | None = None


def mongod(
    home: Path, binary: Path, *, cache_gb: float = 0.5, is_member: bool = False, further: Sequence[str] = ()
) -> Server:
    """A mongod under `home`: replica set of one, `cache_gb` (at least 0.25) of WiredTiger cache.

    `is_member`: of a set of several; it is ready when it listens, and somebody else initiates the set.
    `further`: options of mongod's own.
    """

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
            *further,
        ]

    return Server(_MEMBER if is_member else _MONGOD, home, command)


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
            "--set-proc-title": "no",  # the command line must keep naming the data directory: is_ours reads it
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


def running(home: Path, name: str) -> str | None:
    """The URL of this home's embedded server ("mongod" or "valkey") if it runs now."""
    kind = {"mongod": _MONGOD, "valkey": _VALKEY}[name]
    port, pid = recall(home.resolve() / f"{name}.json")
    return kind.url(port) if pid is not None and is_ours(pid, home.resolve() / name) else None


@contextmanager
def _ownership(home: Path) -> Iterator[bool]:
    """Whether this process owns the servers of `home`; the kernel takes ownership back when the process ends."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (home / "owner.lock").open("ab")
    except OSError as error:
        raise home_unusable(home, error) from None
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
        port, pid = recall(home / f"{kind.name}.json")
        if pid is not None and is_ours(pid, home / kind.name):
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
        while not (await client.admin.command("hello"))["isWritablePrimary"]:
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
_MEMBER = Kind("mongod", _until_it_listens, _mongo_url)
_VALKEY = Kind("valkey", _answers_ping, _redis_url)
