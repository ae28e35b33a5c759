"""docs/departments.md is true: its example is what the adapter sends and its commands work against the sandbox."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import pytest
from pydantic import SecretStr

from channels.registers import Department
from channels.sandbox.process import SandboxProcess
from channels.transport import Transport
from server.domain.real_name import RealName
from server.domain.sources import Question
from server.settings import DepartmentAccount
from tests.channels.sandbox_world import COMMAND
from tests.channels.scripted import Serve, http

PAGE = (Path(__file__).parents[2] / "docs/departments.md").read_text()
QUESTION, ANSWER = re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)


def told(word: str) -> str:
    """A value of the worked example."""
    found = re.search(rf"^{word} +(\S+)$", PAGE, re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_signature_of_the_page_is_that_of_its_body():
    asked = f"{json.loads(QUESTION)['request']}.{told('timestamp')}.{QUESTION}".encode()
    key = base64.b64decode(told("secret").removeprefix("whsec_"))
    assert told("signature") == "v1," + base64.b64encode(hmac.digest(key, asked, hashlib.sha256)).decode()


async def test_the_adapter_sends_the_question_of_the_page_and_understands_its_answer(
    serve: Serve, transport: Transport
):
    provider = await serve(lambda _: http(ANSWER.encode()))
    page = json.loads(QUESTION)
    account = DepartmentAccount(base_url=provider.url, sources=("population",), key=SecretStr(told("secret")))
    at = datetime.fromtimestamp(int(told("timestamp")), UTC)
    department = Department(account, transport, lambda: at, lambda _: bytes.fromhex(page["request"]))
    person = RealName(page["person"]["name"], page["person"]["id_number"])
    fields, purposes = frozenset(page["fields"]), frozenset(page["purposes"])
    answer = await department.ask(Question("population", fields, purposes, MappingProxyType({}), ()), person)
    assert answer is not None
    assert dict(answer.values) == json.loads(ANSWER)["values"]
    [request] = provider.requests
    assert request.body.decode() == QUESTION
    assert request.header("webhook-signature") == told("signature")


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxProcess]:
    process = await SandboxProcess.start(COMMAND, tmp_path)
    yield process
    await process.kill()


async def test_the_commands_of_the_page_get_an_answer_from_the_sandbox(sandbox: SandboxProcess):
    [commands] = re.findall(r"```sh\n(.*?)\n```", PAGE, re.DOTALL)
    process = await asyncio.create_subprocess_exec(
        "bash", "-euc", f"SANDBOX={sandbox.base_url}\n{commands}", stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert json.loads(said)["values"]["name"] == "王小明"
