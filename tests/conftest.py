"""What every test may ask for: ONE real mongod and ONE real Valkey per test run, emptied between tests.

They are the product's own embedded databases in a home that is thrown away. HUIMIN_MONGO_URL and HUIMIN_REDIS_URL are
not followed here: tests empty what they use.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NoReturn

import pytest
import structlog
import uvloop
from redis.asyncio import Redis

from server.embedded import Databases, databases
from server.settings import Settings
from server.storage import mongo


def pytest_asyncio_loop_factories(
    config: pytest.Config,  # noqa: ARG001 - the hook's signature
    item: pytest.Item,  # noqa: ARG001
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on the loop that the product runs on."""
    return {"uvloop": uvloop.new_event_loop}


def pytest_sessionstart() -> None:
    """Ctrl-C is Python's own here, by another name.

    Where the default handler stands, `asyncio.Runner` puts its own in its place and back with each fixture and test,
    and `signal.signal` makes the text of both to throw it away: the task, and with it all of a city that it returned.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)


def _interrupted(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def pytest_collection_finish() -> None:
    """All modules are there and stay: the collector need not walk them again and again."""
    gc.collect()
    gc.freeze()


AT_ONCE = 32  # collections emptied side by side: there are more of them by now than the driver has connections


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """For a test that configures logging: afterwards all is as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []  # configure() closes what it finds
    yield
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


@pytest.fixture(scope="session")
async def _databases() -> AsyncIterator[Databases]:
    with TemporaryDirectory(prefix="huimin-test-") as home:
        async with databases(Settings(home=Path(home), mongo_url=None, redis_url=None), mongo_cache_gb=0.25) as found:
            yield found


@pytest.fixture(scope="session")
def mongo_url(_databases: Databases) -> str:
    """Where the test run's MongoDB is."""
    return _databases.mongo_url


@pytest.fixture(scope="session")
def redis_url(_databases: Databases) -> str:
    """Where the test run's Valkey is."""
    return _databases.redis_url


@pytest.fixture(scope="session")
async def _prepared(mongo_url: str) -> AsyncIterator[mongo.Database]:
    async with mongo.client(mongo_url) as client:
        # The clocks of tests stand in the past: what is to be forgotten then would be gone in mid-test.
        await client.admin.command("setParameter", 1, ttlMonitorEnabled=False)
        db = mongo.database(client, "huimin_test")
        await mongo.prepare(db)
        yield db


@pytest.fixture
async def db(_prepared: mongo.Database) -> AsyncIterator[mongo.Database]:
    """The product's database: durable writes, all indexes, no documents."""
    yield _prepared
    names = await _prepared.list_collection_names()
    for first in range(0, len(names), AT_ONCE):  # durable: majority reads see it too
        await asyncio.gather(*(_prepared[name].delete_many({}) for name in names[first : first + AT_ONCE]))


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of the empty Valkey; like the product's, it speaks RESP 3 and gets bytes."""
    async with Redis.from_url(redis_url, protocol=3) as client:
        yield client
        await client.flushall()
