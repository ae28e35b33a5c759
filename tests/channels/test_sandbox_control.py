"""The sandbox's control page changes what it names and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from channels.sandbox.process import SandboxFailedError, SandboxProcess
from tests.channels.sandbox_world import COMMAND, ONE_TIME_TEMPLATE, WECHAT_TEMPLATE, Caller, message, openid


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxProcess]:
    process = await SandboxProcess.start(COMMAND, tmp_path_factory.mktemp("sandbox"))
    yield process
    assert await process.stop() == 0


async def codes(sandbox: SandboxProcess, template: str, *numbers: int) -> list[int]:
    caller = Caller(sandbox.base_url)
    path = await caller.wechat_path()
    answers = [await caller.json(path, message(openid(number), template)) for number in numbers]
    caller.close()
    return [answer["errcode"] for answer in answers]


async def test_credits_can_be_given_to_some_and_to_everybody(sandbox: SandboxProcess):
    assert await codes(sandbox, ONE_TIME_TEMPLATE, 1) == [43101]
    await sandbox.control("PUT", "grants", {"template_id": ONE_TIME_TEMPLATE, "openids": [openid(1)], "credits": 2})
    assert await codes(sandbox, ONE_TIME_TEMPLATE, 1, 1, 1, 2) == [0, 0, 43101, 43101]
    await sandbox.control("PUT", "grants", {"template_id": ONE_TIME_TEMPLATE, "credits": 1})
    assert await codes(sandbox, ONE_TIME_TEMPLATE, 3, 3, 1) == [0, 43101, 43101]


async def test_a_withdrawn_template_is_withdrawn_for_that_citizen_only(sandbox: SandboxProcess):
    asked = {"template_id": WECHAT_TEMPLATE, "openids": [openid(4)], "is_accepted": False}
    await sandbox.control("PUT", "grants", asked)
    assert await codes(sandbox, WECHAT_TEMPLATE, 4, 5) == [43101, 0]


async def test_limits_change_where_they_are_named(sandbox: SandboxProcess):
    await sandbox.control("PUT", "limits", {"wechat": {"per_day": 1}})
    await sandbox.control("PUT", "limits", {"fcm": {"token_ttl_s": 60}})
    assert 45009 in await codes(sandbox, WECHAT_TEMPLATE, 6, 7)
    await sandbox.control("PUT", "limits", {"wechat": {}})
    assert await codes(sandbox, WECHAT_TEMPLATE, 6) == [0]


@pytest.mark.parametrize(
    ("method", "name", "body"),
    [
        ("PUT", "grants", {"template_id": "unknown"}),
        ("PUT", "grants", {}),
        ("PUT", "limits", {"wechat": {"per_day": -1}}),
        ("PUT", "callback", {"url": "https://elsewhere"}),
        ("POST", "flush", {"timeout_s": 0}),
        ("GET", "nowhere", {}),
    ],
)
async def test_a_wrong_control_request_is_refused(
    sandbox: SandboxProcess, method: str, name: str, body: dict[str, object]
):
    with pytest.raises(SandboxFailedError, match=r"40[04]"):
        await sandbox.control(method, name, body)
