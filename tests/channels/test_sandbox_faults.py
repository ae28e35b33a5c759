"""The fault script: what it breaks it breaks as told, and the journal holds exactly what was accepted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from channels.sandbox.client import PostFailedError
from channels.sandbox.faults import Dice, Fate, FaultScript, ProviderFaults
from channels.sandbox.process import SandboxFailedError, SandboxProcess
from tests.channels.sandbox_world import COMMAND, Caller, message, openid


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxProcess]:
    process = await SandboxProcess.start(COMMAND, tmp_path_factory.mktemp("sandbox"))
    yield process
    assert await process.stop() == 0


@pytest.fixture
async def caller(sandbox: SandboxProcess) -> AsyncIterator[Caller]:
    await sandbox.control("PUT", "faults", {})
    caller = Caller(sandbox.base_url)
    yield caller
    caller.close()


def is_journaled(sandbox: SandboxProcess, who: str) -> bool:
    return any(entry.address == who for entry in sandbox.journal())


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        ("too_many", 429, ""),
        ("server_error", 500, "500"),
        ("busy", 200, '"errcode":-1'),
        ("quota", 200, '"errcode":45009'),
        ("unknown_code", 200, '"errcode":61999'),
    ],
)
async def test_a_refusal_by_script_accepts_nothing(
    sandbox: SandboxProcess, caller: Caller, fault: str, status: int, body: str
):
    path = await caller.wechat_path()
    await sandbox.control("PUT", "faults", {"wechat": {fault: 1}})
    got, answer = await caller.post(path, message(openid(1001)))
    assert (got, body in answer.decode()) == (status, True)
    assert not is_journaled(sandbox, openid(1001))


async def test_too_many_says_when_to_come_back(sandbox: SandboxProcess):
    await sandbox.control("PUT", "faults", {"fcm": {"too_many": 1, "retry_after_s": 7}})
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.port)
    writer.write(b"POST /v1/projects/huimin-sandbox/messages:send HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert b"\r\nRetry-After: 7\r\n" in await reader.read()
    writer.close()


@pytest.mark.parametrize(
    ("fault", "is_accepted"), [("reset", False), ("hang", False), ("reset_after", True), ("hang_after", True)]
)
async def test_without_an_answer_the_journal_knows_whether_it_was_accepted(
    sandbox: SandboxProcess, caller: Caller, fault: str, *, is_accepted: bool
):
    path, who = await caller.wechat_path(), f"o-{fault:-<26}"
    await sandbox.control("PUT", "faults", {"wechat": {fault: 1, "hang_s": 0.1}})
    with pytest.raises(PostFailedError):
        await caller.post(path, message(who))
    assert is_journaled(sandbox, who) is is_accepted


async def test_an_error_after_the_accept_is_in_the_journal(sandbox: SandboxProcess, caller: Caller):
    path = await caller.wechat_path()
    await sandbox.control("PUT", "faults", {"wechat": {"error_after": 1}})
    status, _body = await caller.post(path, message(openid(1003)))
    assert status == 503
    assert is_journaled(sandbox, openid(1003))


async def test_latency_delays_the_answer(sandbox: SandboxProcess, caller: Caller):
    path = await caller.wechat_path()
    await sandbox.control("PUT", "faults", {"wechat": {"latency_ms": 80}})
    start = time.monotonic()
    assert (await caller.json(path, message(openid(1004))))["errcode"] == 0
    assert time.monotonic() - start >= 0.08


async def test_an_outage_resets_every_connection_until_it_is_over(sandbox: SandboxProcess, caller: Caller):
    path = await caller.wechat_path()
    await sandbox.control("PUT", "faults", {"wechat": {"down": [{"from_s": 0, "to_s": 0.3}]}})
    with pytest.raises(PostFailedError):
        await caller.json(path, message(openid(1005)))
    await asyncio.sleep(0.35)
    assert (await caller.json(path, message(openid(1005))))["errcode"] == 0


async def test_over_the_announced_rate_is_refused_and_counted(sandbox: SandboxProcess, caller: Caller):
    path = await caller.wechat_path()
    await sandbox.control("PUT", "faults", {"wechat": {"rate_per_s": 5}})
    statuses = [(await caller.post(path, message(openid(n))))[0] for n in range(10)]
    assert statuses[:5] == [200] * 5
    assert 429 in statuses
    assert (await sandbox.control("GET", "counts"))["wechat"]["over rate"] == statuses.count(429)


async def test_in_a_storm_the_journal_holds_what_was_accepted_and_nothing_that_was_refused(
    sandbox: SandboxProcess, caller: Caller
):
    path = await caller.wechat_path()
    storm = {"too_many": 0.3, "server_error": 0.1, "hang": 0.05, "hang_s": 0.02, "reset": 0.05, "busy": 0.05}
    after = {"quota": 0.05, "reset_after": 0.05, "error_after": 0.05, "hang_after": 0.05, "grant_gone": 0.2}
    await sandbox.control("PUT", "faults", {"seed": 3, "wechat": storm | after})
    accepted, refused, unknown = set[str](), set[str](), set[str]()

    async def ask(numbers: range) -> None:
        own = Caller(sandbox.base_url)
        for who in map(openid, numbers):
            try:
                status, body = await own.post(path, message(who))
            except PostFailedError:
                unknown.add(who)
                continue
            is_taken = b'"errcode":0,' in body
            (unknown if status >= 500 else accepted if is_taken else refused).add(who)
        own.close()

    async with asyncio.TaskGroup() as group:
        for start in range(20_000, 20_800, 100):
            group.create_task(ask(range(start, start + 100)))
    held = {entry.address for entry in sandbox.journal()} & (accepted | refused | unknown)
    assert min(len(accepted), len(refused), len(unknown & held), len(unknown - held)) > 10, "the storm had every kind"
    assert accepted <= held
    assert not refused & held
    assert held - accepted <= unknown


async def test_expired_tokens_are_noticed(sandbox: SandboxProcess, caller: Caller):
    path = await caller.wechat_path()
    await sandbox.control("POST", "expire-tokens")
    assert (await caller.json(path, message(openid(1))))["errcode"] == 42001


@pytest.mark.parametrize("script", [{"wechat": {"too_many": 2}}, {"wehcat": {}}, {"seed": -1}])
async def test_a_wrong_script_is_refused(sandbox: SandboxProcess, script: dict[str, object]):
    with pytest.raises(SandboxFailedError, match="400"):
        await sandbox.control("PUT", "faults", script)


def test_what_is_decided_by_address_is_the_same_for_ever_and_near_its_share():
    faults = ProviderFaults(dead=0.2)
    first, second = (Dice(7, "fcm", faults, start) for start in (0.0, 9.0))
    other = Dice(8, "fcm", faults, 0.0)
    addresses = [f"address-{n}" for n in range(5_000)]
    dead = [first.is_dead(address) for address in addresses]
    assert dead == [second.is_dead(address) for address in addresses]
    assert dead != [other.is_dead(address) for address in addresses]
    assert 0.17 < sum(dead) / len(dead) < 0.23


def test_the_same_seed_draws_the_same_fates_near_their_shares():
    faults = ProviderFaults(too_many=0.3, reset_after=0.05)
    draws = [[dice.fate() for _ in range(5_000)] for dice in (Dice(7, "fcm", faults, 0), Dice(7, "fcm", faults, 0))]
    assert draws[0] == draws[1]
    assert set(draws[0]) == {Fate.FAIR, Fate.TOO_MANY, Fate.RESET_AFTER}
    assert 0.27 < draws[0].count(Fate.TOO_MANY) / 5_000 < 0.33


def test_the_example_of_the_documentation_is_a_script():
    example = """{"seed": 7, "wechat": {"latency_ms": 50, "too_many": 0.3, "retry_after_s": 1, "grant_gone": 0.05},
      "sms_tencent": {"partial": 0.1, "receipts": {"undelivered": 0.1, "doubled": 0.2}},
      "fcm": {"down": [{"from_s": 5, "to_s": 65}]}}"""
    assert FaultScript.model_validate_json(example).wechat.grant_gone == 0.05
