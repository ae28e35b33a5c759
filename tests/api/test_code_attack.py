"""Floods: a machine that asks for codes to thousands of strangers gets next to none, and a citizen still gets one."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from redis.asyncio import Redis

from channels.sandbox.process import SandboxProcess
from server.assemble import Assembly
from server.assemble_codes import texting
from server.domain.errors import TooManyError, WorkNeededError
from server.domain.one_time_codes import Purpose, rules
from server.services.one_time_codes import Asking, OneTimeCodes
from server.storage.one_time_codes import CodeStore
from tests.api.client import Client
from tests.channels.sandbox_world import COMMAND
from tests.services.code_world import solved
from tests.services.desk import Clock

REQUESTS, NETWORKS, AT_ONCE = 2_000, 200, 24
PER_HOUR = 150
CITIZEN = Asking("18900000001", Purpose.LOG_IN, origin="203.0.113.5")


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxProcess]:
    process = await SandboxProcess.start(COMMAND, tmp_path_factory.mktemp("attack"))
    yield process
    await process.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


Open = Callable[[int], OneTimeCodes]  # by the city's budget of a minute


@pytest.fixture
async def open_counter(assembly: Assembly, sandbox: SandboxProcess, clock: Clock) -> AsyncIterator[Open]:
    """Opens the product's counter on the sandbox's providers, with a clock that the test moves."""
    settings = assembly.settings.model_copy(update={"sms": sandbox.accounts()["sms"]})
    async with AsyncExitStack() as stack:
        texts = texting(replace(assembly, settings=settings, stack=stack))

        def build(per_minute: int) -> OneTimeCodes:
            table = rules(per_minute=per_minute, per_hour=PER_HOUR, per_day=10 * PER_HOUR)
            store = CodeStore(assembly.db, assembly.vault)
            return OneTimeCodes(store, texts, table, regions=["CN"], now=clock, random=os.urandom)

        yield build


async def attack(codes: OneTimeCodes, number_of: Callable[[int], str], redis: Redis) -> None:
    """Everybody at once; in the middle Redis forgets everything."""
    left = iter(range(REQUESTS))

    async def ask() -> None:
        for n in left:
            if n == REQUESTS // 2:
                await redis.flushall()
            network = n % NETWORKS
            with suppress(TooManyError, WorkNeededError):
                await codes.send(Asking(number_of(n), Purpose.LOG_IN, origin=f"10.{network}.{network}.{n % 250}"))

    await asyncio.gather(*(ask() for _ in range(AT_ONCE)))


async def served_within_s(codes: OneTimeCodes, clock: Clock, wish: Asking) -> float:
    """How long an honest client, which does the work and waits as told, is kept until it has a code."""
    began = clock.at
    while True:
        try:
            await codes.send(wish)
        except WorkNeededError as error:
            wish = replace(wish, proof=solved(error))
        except TooManyError as error:
            clock.pass_by(seconds=error.retry_after_s or 1)
        else:
            return (clock.at - began) / timedelta(seconds=1)


@pytest.mark.parametrize(
    "number_of",
    [lambda n: f"1380000{n:04d}", lambda n: f"138{(n * 7_919) % 10_000:04d}{n:04d}"],
    ids=["sequential numbers", "numbers all over"],
)
async def test_a_flood_stays_far_below_the_budget_and_a_citizen_has_a_code_within_a_minute(
    open_counter: Open, clock: Clock, sandbox: SandboxProcess, redis: Redis, number_of: Callable[[int], str]
) -> None:
    codes = open_counter(PER_HOUR)
    before = len(list(sandbox.journal()))
    await attack(codes, number_of, redis)
    taken = list(sandbox.journal())[before:]
    assert 0 < len(taken) < PER_HOUR
    assert await served_within_s(codes, clock, CITIZEN) <= 60
    assert list(sandbox.journal())[-1].address == f"+86{CITIZEN.phone}"


async def test_who_uses_up_the_citys_minute_keeps_others_waiting_for_that_minute(
    open_counter: Open, clock: Clock
) -> None:
    codes = open_counter(30)
    asked = [codes.send(Asking(f"138{n:04d}0000", Purpose.LOG_IN)) for n in range(60)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, TooManyError) for answer in answers) == 30
    assert 0 < await served_within_s(codes, clock, CITIZEN) <= 60


def posted(path: str, body: object) -> bytes:
    """A whole request, after which the server hangs up."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


async def probes(ops: Client, number: int) -> list[float]:
    """How long `/readyz` takes, in seconds, shortest first."""
    took = []
    for _ in range(number):
        began = time.perf_counter()
        answer = await ops.raw(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", wait_s=10)
        took.append(time.perf_counter() - began)
        assert b" 200 " in answer.split(b"\r\n")[0]
        await asyncio.sleep(0.01)
    return sorted(took)


async def test_a_flood_of_log_ins_does_not_slow_readyz(api: Client, ops: Client) -> None:
    """A hundred a second, half of them for codes and half with passwords, on the process that answers `/readyz`."""
    stop = asyncio.Event()

    async def flood(kind: int) -> int:
        for n in count():
            if stop.is_set():
                return n
            phone, name = f"138{kind:04d}{n:04d}", f"{kind}-{n}"
            code = posted("/v1/codes", {"phone": phone, "purpose": "log_in"})
            password = posted("/v1/staff/session", {"name": name, "password": "wrong", "code": "000000"})
            await asyncio.gather(asyncio.sleep(0.2), api.raw(code if kind % 2 else password, wait_s=30))
        raise AssertionError

    calm = await probes(ops, 40)
    async with asyncio.TaskGroup() as group:
        storm = [group.create_task(flood(kind)) for kind in range(20)]
        await asyncio.sleep(0.3)
        stormy = await probes(ops, 100)
        stop.set()
    assert sum(task.result() for task in storm) > 100
    assert stormy[50] < max(0.1, 10 * calm[20])  # a password on the loop would make it seconds
    assert stormy[97] < max(1.0, 50 * calm[20])
