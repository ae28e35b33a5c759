"""POST /v1/codes over HTTP: a text that can be read on the sandbox's phone, true waits, failover, and quiet logs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from channels.sandbox.faults import FaultScript, ProviderFaults
from channels.sandbox.process import SandboxProcess
from handlers.bounds import listen
from server.app import make_app
from server.assemble import Assembly
from server.assemble_citizens import CitizenParts, citizens
from server.domain.errors import UnavailableError
from server.domain.one_time_codes import Purpose
from server.routes import codes
from server.services.one_time_codes import Asking
from tests.api.client import Client, Officers, client_of
from tests.channels.sandbox_world import COMMAND

PHONE = "+8613800138000"
WISH = {"phone": "138 0013 8000", "purpose": "log_in"}


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxProcess]:
    process = await SandboxProcess.start(COMMAND, tmp_path_factory.mktemp("codes"))
    yield process
    await process.stop()


@dataclass(frozen=True, slots=True)
class Town:
    """An API with SMS accounts at the sandbox."""

    api: Client
    parts: CitizenParts
    sandbox: SandboxProcess

    async def texts(self, phone: str = PHONE) -> list[dict[str, str]]:
        """What a phone shows."""
        answer = await self.sandbox.control("GET", f"texts?phone={quote(phone)}")
        return list(answer["texts"])

    async def faults(self, **providers: ProviderFaults) -> None:
        """Put a fault script in force."""
        await self.sandbox.control("PUT", "faults", FaultScript(**providers).model_dump(mode="json"))

    async def accepted(self) -> int:
        """Texts taken so far."""
        counts = await self.sandbox.control("GET", "counts")
        return sum(counts[name].get("accepted", 0) for name in ("sms_aliyun", "sms_tencent"))


@pytest.fixture
async def town(assembly: Assembly, officers: Officers, sandbox: SandboxProcess) -> AsyncIterator[Town]:
    settings = assembly.settings.model_copy(update={"sms": sandbox.accounts()["sms"]})
    async with AsyncExitStack() as stack:
        parts = citizens(replace(assembly, settings=settings, stack=stack))
        server, port = listen(make_app(codes.routes(parts), officers.gate()), 0, "127.0.0.1")
        town = Town(client_of(port), parts, sandbox)
        await town.faults()
        yield town
        server.stop()
        await server.close_all_connections()


def code_in(text: dict[str, str]) -> str:
    return "".join(char for char in text["text"].split("，")[0] if char.isdigit())


async def test_a_code_is_asked_for_read_on_the_phone_and_checked(town: Town) -> None:
    answer = await town.api("POST", "/v1/codes", WISH)
    assert (answer.status, answer.json.keys()) == (202, {"request", "expires_at", "retry_after_s"})
    text = (await town.texts())[0]
    assert "登录" in text["text"]
    assert await town.parts.codes.check(answer.json["request"], code_in(text), Purpose.LOG_IN) == PHONE


async def test_the_text_is_in_the_language_of_who_asks(town: Town) -> None:
    await town.api("POST", "/v1/codes", WISH | {"phone": "13800138001"}, Accept_Language="en")
    assert "Tell nobody" in (await town.texts("+8613800138001"))[0]["text"]


async def test_who_asks_again_too_soon_is_told_how_long_to_wait(town: Town) -> None:
    await town.api("POST", "/v1/codes", WISH)
    again = await town.api("POST", "/v1/codes", WISH)
    assert (again.status, again.code) == (429, "code_too_soon")
    assert 50 < int(again.headers["Retry-After"]) <= 60


async def test_a_puzzle_comes_with_the_refusal(town: Town) -> None:
    for n in range(20):
        await town.api("POST", "/v1/codes", WISH | {"phone": f"1390000{n:04d}"})
    refused = await town.api("POST", "/v1/codes", WISH | {"phone": "13900000099"}, Accept_Language="en")
    assert (refused.status, refused.code) == (403, "proof_of_work_needed")
    assert refused.json["work"].keys() == {"challenge", "bits"}
    assert "work" in refused.json["detail"]


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"phone": "010-62345678"}, "phone_invalid", "phone"),
        ({"phone": "+16502530000"}, "phone_invalid", "phone"),
        ({"phone": 13800138000}, "input_invalid", "phone"),
        ({"phone": {"a": ""}}, "input_invalid", "phone"),
        ({"phone": "1" * 25}, "input_invalid", "phone"),
        ({"purpose": "anything"}, "input_invalid", "purpose"),
        ({"role": "officer"}, "input_invalid", "role"),
        ({"proof": {"challenge": "x" * 121, "solution": ""}}, "input_invalid", "proof.challenge"),
    ],
)
async def test_a_bad_wish_is_refused_and_named(town: Town, change: dict[str, Any], code: str, field: str) -> None:
    answer = await town.api("POST", "/v1/codes", WISH | change)
    assert (answer.status, answer.code, answer.json["field"]) == (422, code, field)


@pytest.mark.parametrize("fault", [{"too_many": 1.0}, {"server_error": 1.0}, {"quota": 1.0}, {"busy": 1.0}], ids=str)
async def test_when_one_provider_fails_the_other_one_sends(town: Town, fault: dict[str, float]) -> None:
    await town.faults(sms_aliyun=ProviderFaults(**fault))
    assert (await town.api("POST", "/v1/codes", WISH)).status == 202
    assert (await town.texts())[0]["provider"] == "sms_tencent"


async def test_when_nobody_can_send_it_is_said_and_costs_no_wait(town: Town) -> None:
    down = ProviderFaults(busy=1.0)
    await town.faults(sms_aliyun=down, sms_tencent=down)
    answer = await town.api("POST", "/v1/codes", WISH)
    assert (answer.status, answer.code) == (503, "sms_away")
    await town.faults()
    assert (await town.api("POST", "/v1/codes", WISH)).status == 202


async def test_a_city_without_sms_accounts_says_so(api: Client) -> None:
    answer = await api("POST", "/v1/codes", WISH)
    assert (answer.status, answer.code) == (503, "sms_away")


async def test_codes_leave_alone_what_red_has_reserved_of_the_rate(assembly: Assembly, sandbox: SandboxProcess) -> None:
    account = sandbox.accounts()["sms"][0].model_copy(update={"rate_per_s": 10.0})
    name = f"sms_aliyun/{sandbox.accounts()['sms'][0].model_dump()['access_key_id']}"
    async with AsyncExitStack() as stack:
        settings = assembly.settings.model_copy(update={"sms": (account,)})
        counter = citizens(replace(assembly, settings=settings, stack=stack)).codes
        wishes = [Asking(f"1380000{n:04d}", Purpose.LOG_IN) for n in range(19)]
        flood = [asyncio.create_task(counter.send(wish)) for wish in wishes]
        await asyncio.sleep(0.15)  # they have taken what they may, and wait for more
        assert not all(task.done() for task in flood)
        assert await assembly.queue.take(name, 1, rate_per_s=10.0, floor=0.0) == 1
        refused = [r for r in await asyncio.gather(*flood, return_exceptions=True) if isinstance(r, UnavailableError)]
    assert refused


async def test_logs_tell_neither_number_nor_code(town: Town) -> None:
    with capture_logs() as lines:
        await town.api("POST", "/v1/codes", WISH)
        await town.api("POST", "/v1/codes", WISH)
    code = code_in((await town.texts())[0])
    assert lines
    assert not any(secret in str(lines) for secret in ("13800138000", code, "138 0013"))


async def test_after_flushall_the_wait_is_still_on(town: Town, redis: Redis) -> None:
    await town.api("POST", "/v1/codes", WISH)
    await redis.flushall()
    assert (await town.api("POST", "/v1/codes", WISH)).code == "code_too_soon"


async def test_requests_for_one_number_at_once_are_one_text(town: Town) -> None:
    before = await town.accepted()
    answers = await asyncio.gather(*(town.api("POST", "/v1/codes", WISH) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [202, *[429] * 7]
    assert await town.accepted() == before + 1
