"""Personal notices in a storm: workers and mongod killed, Valkey flushed, and each one still paged exactly once."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
from redis.asyncio import Redis

from push.judge import judge
from server.assemble import Assembly, assemble
from server.commands.town import Town, town
from server.domain.outbox import day_of
from server.domain.wording import Words
from server.embedded import Databases, databases
from server.services.notices import TEMPLATE
from server.settings import Settings
from server.storage.citizens import NewCitizen
from server.storage.mongo import MongoError
from tests.push.city import accepted, crowd, owners_of, pages_of
from tests.push.storm import weather

NOTICES, PEOPLE, PATIENCE_S = 3_000, 1_500, 60.0
TITLE, BODY = Words("您的证件已办好", "Your card is ready"), Words("请到政务服务中心领取", "")


async def tell_all(city: Assembly, people: Sequence[NewCitizen], random: Random) -> None:
    """One notice after the other; while the database is away each is told until it is durable."""
    for n in range(NOTICES):
        person = random.choice(people).id
        while True:
            try:
                await city.notices.tell(person, TITLE, BODY, key=f"n{n}")
                break
            except MongoError:
                await asyncio.sleep(0.2)
        if n % 20 == 0:
            await asyncio.sleep(0.05)


async def rage(place: Town, running: Databases, random: Random) -> None:
    """Kill workers for ever; flush Valkey after four seconds and kill mongod after six."""
    assert running.mongod is not None
    loop = asyncio.get_running_loop()
    began_s, is_flushed, is_struck = loop.time(), False, False
    while True:
        await asyncio.sleep(0.5 + random.random())
        worker = random.choice(place.workers)
        await worker.kill()
        await worker.start()
        if not is_flushed and loop.time() - began_s > 4:
            is_flushed = True
            async with Redis.from_url(running.redis_url) as redis:
                await redis.flushall()
        if not is_struck and loop.time() - began_s > 6:
            is_struck = True
            await running.mongod.kill()
            await asyncio.sleep(1.0)
            await running.mongod.start()


async def meanwhile(what: Coroutine[Any, Any, None], work: Coroutine[Any, Any, None]) -> None:
    """Do the work while the other goes on."""
    other = asyncio.create_task(what)
    await work
    await asyncio.sleep(8.0)
    assert not other.done(), other
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)


async def quiet(city: Assembly) -> None:
    """Wait until nothing is left to do but to wait for receipts (the ladder, two minutes a rung)."""
    async with asyncio.timeout(PATIENCE_S):
        while (
            await city.db["outbox"].count_documents({"state": {"$in": ["waiting", "taken"]}})
            or await city.db["batches"].count_documents({})
            or await city.db["pages"].count_documents({"state": "open", "is_fallen": None})
        ):
            await asyncio.sleep(0.5)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", [7, secrets.randbelow(1_000_000)], ids=["fixed", "fresh"])
async def test_each_notice_is_paged_exactly_once_and_the_ledger_equals_the_journal(seed: int, tmp_path: Path):
    own = Settings(home=tmp_path, mongo_url=None, redis_url=None, mongo_db="huimin_storm")
    people, random = crowd(PEOPLE, seed, has_all_channels=False), Random(seed)  # noqa: S311 - a storm to be repeated
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(databases(own, mongo_cache_gb=0.25))
        named = own.model_copy(update={"mongo_url": running.mongo_url, "redis_url": running.redis_url})
        city = await stack.enter_async_context(assemble(named))
        await city.citizens.add(people)
        bad_day = weather(seed)
        place = await stack.enter_async_context(town(named, tmp_path, workers=2, faults=bad_day, rate_per_s=400))
        day = day_of(city.now())
        await meanwhile(rage(place, running, random), tell_all(city, people, random))
        await quiet(city)
        pages = [
            page for each in sorted({day, day_of(city.now())}) for page in await pages_of(city, f"{TEMPLATE}-{each}")
        ]
        first = Counter(about for page in pages if not {"+", "~"} & set(page.id) for about in page.about)
        assert first == {f"n{n}": 1 for n in range(NOTICES)}, seed
        finding = judge(pages, accepted(place.entries(), owners_of(people)))
        assert finding.is_equal, (seed, finding.summary())
