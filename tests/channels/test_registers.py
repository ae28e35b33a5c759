"""Departments: asked as agreed, signed, and believed only if the answer is one to what was asked; a dead one rests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import SecretStr

from channels.registers import FAILURES, MAX_TEXT, Breaker, Department, Departments
from channels.sandbox.process import SandboxProcess
from channels.transport import Transport, transport_for
from server.domain.errors import UnavailableError
from server.domain.partners import signature
from server.domain.real_name import RealName
from server.domain.sources import Question
from server.settings import DepartmentAccount
from tests.channels.sandbox_world import COMMAND
from tests.channels.scripted import Provider, Request, Serve, http
from tests.domain.numbers import id_number

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ANN = RealName("张三", id_number("101"))
AS_OF = "2026-11-23T02:00:00Z"
GOOD = {"as_of": AS_OF, "values": {"name": "张三", "months": 7, "is_owner": False}}


def question(*fields: str, source: str = "population") -> Question:
    names = frozenset(fields or ("name", "months", "is_owner"))
    return Question(source, names, frozenset({"identity_check"}), MappingProxyType({}), ())


@dataclass
class Desk:
    """A department whose answer a test sets, and what it was asked."""

    said: list[bytes] = field(default_factory=lambda: [ok(GOOD)])
    asked: list[Request] = field(default_factory=list)

    def __call__(self, request: Request) -> bytes:
        """Answer."""
        self.asked.append(request)
        return self.said[0]


def ok(body: Any, status: int = 200) -> bytes:
    return http(body if isinstance(body, bytes) else json.dumps(body).encode(), status)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def provider(serve: Serve, desk: Desk) -> Provider:
    return await serve(desk)


@pytest.fixture
async def department(provider: Provider) -> AsyncIterator[Department]:
    account = DepartmentAccount(
        base_url=f"{provider.url}/v1/", sources=("population", "marriage"), key=SecretStr(KEY), timeout_s=0.5
    )
    transport = transport_for(account)
    yield Department(account, transport, lambda: NOW, lambda size: b"\x01" * size)
    transport.close()


async def test_what_is_known_comes_back_and_the_question_is_signed_as_our_webhooks_are(
    department: Department, desk: Desk
):
    answer = await department.ask(question(), ANN)
    assert answer is not None
    assert (dict(answer.values), answer.as_of_at) == (GOOD["values"], datetime(2026, 11, 23, 2, tzinfo=UTC))
    [request] = desk.asked
    assert request.head.startswith("POST /v1/ask ")
    assert json.loads(request.body) == {
        "request": "01" * 16,
        "source": "population",
        "purposes": ["identity_check"],
        "fields": ["is_owner", "months", "name"],
        "person": {"name": "张三", "id_number": ANN.number},
    }
    told = [request.header(name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")]
    assert told == ["01" * 16, str(int(NOW.timestamp())), signature(KEY, "01" * 16, int(told[1]), request.body)]


@pytest.mark.parametrize("known", [ok({"error": "nobody"}, 404), ok({"as_of": AS_OF, "values": {}})])
async def test_a_source_that_knows_nothing_says_none_and_counts_as_well(
    department: Department, desk: Desk, known: bytes
):
    desk.said = [known]
    assert [await department.ask(question(), ANN) for _ in range(FAILURES + 1)] == [None] * (FAILURES + 1)


@pytest.mark.parametrize(
    "said",
    [
        ok(GOOD, 500),
        ok(GOOD, 401),
        ok(GOOD, 400),
        ok(b""),
        ok(b"<html>ok</html>"),
        ok([GOOD]),
        ok({"values": GOOD["values"]}),
        ok({**GOOD, "as_of": "2026-11-23T02:00:00"}),  # whose clock?
        ok({**GOOD, "as_of": "2026-11-24T02:06:00Z"}),  # not yet
        ok({**GOOD, "as_of": 1_795_000_000}),
        ok({**GOOD, "as_of": "0001-01-01T00:00:00+14:00"}),  # no day of UTC: it could not be kept
        ok({**GOOD, "values": {"name": "张三", "religion": "x"}}),  # not asked
        ok({**GOOD, "values": {"name": None}}),
        ok({**GOOD, "values": {"months": 7.5}}),
        ok({**GOOD, "values": {"months": 2**60}}),
        ok({**GOOD, "values": {"name": ["张三"]}}),
        ok({**GOOD, "values": {"name": "x" * (MAX_TEXT + 1)}}),
        ok(json.dumps(GOOD).encode() + b" " * 300_000),
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_what_is_not_an_answer_to_the_question_is_away(department: Department, desk: Desk, said: bytes):
    desk.said = [said]
    with pytest.raises(UnavailableError, match="source_away"):
        await department.ask(question(), ANN)


async def test_a_true_stays_a_true_and_a_one_a_one(department: Department, desk: Desk):
    desk.said = [ok({"as_of": AS_OF, "values": {"is_owner": True, "months": 1, "name": "1"}})]
    answer = await department.ask(question(), ANN)
    assert answer is not None
    assert [type(answer.values[name]) for name in ("is_owner", "months", "name")] == [bool, int, str]


async def test_a_dead_source_is_left_alone_and_its_neighbour_is_still_asked(department: Department, desk: Desk):
    desk.said = [ok({}, 503)]
    for _ in range(FAILURES + 2):
        with pytest.raises(UnavailableError):
            await department.ask(question(), ANN)
    assert len(desk.asked) == FAILURES
    desk.said = [ok(GOOD)]
    assert await department.ask(question(source="marriage"), ANN)


async def test_questions_that_are_refused_one_by_one_close_nothing(department: Department, desk: Desk):
    desk.said = [ok({}, 422)]
    for _ in range(FAILURES + 1):
        with pytest.raises(UnavailableError):
            await department.ask(question(), ANN)
    desk.said = [ok(GOOD)]
    assert await department.ask(question(), ANN)


def test_after_a_rest_one_tries_and_what_it_hears_is_for_all():
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(0.0)
    assert [breaker.may_try(at) for at in (29.0, 30.0, 31.0, 59.0)] == [False, True, False, False]
    breaker.worked()
    assert breaker.may_try(31.0)


async def test_a_department_that_is_silent_or_not_there_is_away_in_time(transport: Transport):
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read()  # until they hang up
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    loop, port = asyncio.get_running_loop(), server.sockets[0].getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "http://127.0.0.1:9"):
        account = DepartmentAccount(base_url=url, sources=("population",), key=SecretStr(KEY), timeout_s=0.2)
        began = loop.time()
        with pytest.raises(UnavailableError):
            await Department(account, transport, lambda: NOW, bytes).ask(question(), ANN)
        assert loop.time() - began < 0.9
    server.close()


async def test_a_source_that_no_department_serves_is_away():
    with pytest.raises(UnavailableError, match="source_away"):
        await Departments({}).ask(question(), ANN)


# -- the sandbox's department


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxProcess]:
    process = await SandboxProcess.start(COMMAND, tmp_path_factory.mktemp("registers"))
    yield process
    assert await process.stop() == 0


@pytest.fixture
def at_sandbox(sandbox: SandboxProcess, transport: Transport) -> Callable[..., Department]:
    """The adapter against it, with this key."""

    def made(key: str | None = None, timeout_s: float = 2.0) -> Department:
        keys = sandbox.aids(["population"])["department_keys"]
        account = DepartmentAccount(
            base_url=f"{sandbox.base_url}/registers",
            sources=("population",),
            key=SecretStr(key) if key else keys["sandbox"],
            timeout_s=timeout_s,
        )
        return Department(account, transport, lambda: datetime.now(UTC), lambda size: b"\x07" * size)

    return made


async def test_the_sandbox_knows_everybody_and_says_the_same_again(at_sandbox: Callable[..., Department]):
    asked = question("name", "id_number", "household_address", "insured_months", "is_owner", "moved_in_on")
    one, two = [await at_sandbox().ask(asked, ANN) for _ in range(2)]
    assert one is not None
    assert two is not None
    assert one.values == two.values
    assert (one.values["name"], one.values["id_number"]) == (ANN.name, ANN.number)
    kinds = [type(one.values[name]) for name in ("household_address", "insured_months", "is_owner", "moved_in_on")]
    assert kinds == [str, int, bool, str]


async def test_the_sandbox_keeps_to_the_order_code_and_to_signatures(at_sandbox: Callable[..., Department]):
    assert await at_sandbox().ask(question(), RealName("某人", id_number("404"))) is None
    with pytest.raises(UnavailableError):
        await at_sandbox().ask(question(), RealName("某人", id_number("503")))
    with pytest.raises(UnavailableError):
        await at_sandbox(KEY).ask(question(), ANN)


@pytest.mark.parametrize(
    "faults",
    [{"latency_ms": 600}, {"down": [{"from_s": 0, "to_s": 60}]}, {"unknown_code": 1}, {"server_error": 1}, {"busy": 1}],
    ids=["slow", "down", "wrong-answers", "error", "busy"],
)
async def test_the_sandbox_can_be_slow_down_and_wrong(
    sandbox: SandboxProcess, at_sandbox: Callable[..., Department], faults: dict[str, Any]
):
    await sandbox.control("PUT", "faults", {"registers": faults})
    with pytest.raises(UnavailableError):
        await at_sandbox(timeout_s=0.3).ask(question(), ANN)
    await sandbox.control("PUT", "faults", {})
    assert await at_sandbox().ask(question(), ANN)
