"""The authority for names: its answers are read strictly, everything else is "away"; the sandbox keeps to its rules."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from channels.authority import Authority
from channels.authority_sandbox import NoAuthority, SandboxAuthority
from channels.transport import transport_for
from server.domain.errors import UnavailableError
from server.domain.real_name import Verdict
from server.settings import AuthorityAccount
from tests.domain.numbers import id_number, uscc_of

ANN, CHILD = id_number("101"), id_number("102", born="20150101")
Serve = Callable[[int, bytes], Authority]


class Scripted(RequestHandler):
    """Answers what the test says and remembers what was asked."""

    def initialize(self, answer: list[tuple[int, bytes]], asked: list[tuple[str, str, bytes]]) -> None:
        """What to answer, and where to write down what was asked."""
        self.answer = answer
        self.asked = asked

    def post(self) -> None:
        """Answer."""
        request = self.request
        self.asked.append((request.path, request.headers["Authorization"], request.body))
        status, body = self.answer[0]
        self.set_status(status)
        self.finish(body)


@pytest.fixture
def asked() -> list[tuple[str, str, bytes]]:
    return []


@pytest.fixture
async def serve(asked: list[tuple[str, str, bytes]]) -> AsyncIterator[Serve]:
    answer: list[tuple[int, bytes]] = []
    socket, port = bind_unused_port()
    server = HTTPServer(Application([(".*", Scripted, {"answer": answer, "asked": asked})]))
    server.add_socket(socket)
    account = AuthorityAccount(base_url=f"http://127.0.0.1:{port}/v1/", key="the-key", timeout_s=2)
    transport = transport_for(account)

    def authority(status: int, body: bytes) -> Authority:
        answer[:] = [(status, body)]
        return Authority(account, transport)

    yield authority
    transport.close()
    server.stop()
    await server.close_all_connections()


@pytest.mark.parametrize("verdict", list(Verdict))
async def test_a_verdict_is_passed_on_and_numbers_go_in_the_body_only(
    serve: Serve, asked: list[tuple[str, str, bytes]], verdict: Verdict
):
    assert await serve(200, json.dumps({"verdict": verdict, "trace": 1}).encode()).verify("张三", ANN) is verdict
    [(path, key, body)] = asked
    assert (path, key, json.loads(body)) == ("/v1/verify", "Bearer the-key", {"name": "张三", "id_number": ANN})


async def test_kinship_and_representation_are_asked_for(serve: Serve, asked: list[tuple[str, str, bytes]]):
    assert await serve(200, b'{"is_kin": true}').kinship(ANN, CHILD)
    assert await serve(200, b'{"verdict": "match"}').represents(ANN, "示范公司", uscc_of()) is Verdict.MATCH
    assert [path for path, _, _ in asked] == ["/v1/kinship", "/v1/represents"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b'{"verdict": "match"}'),
        (302, b""),
        (201, b'{"verdict": "match"}'),
        (200, b""),
        (200, b"<html>ok</html>"),
        (200, b'{"verdict": "yes"}'),
        (200, b'{"verdict": true}'),
        (200, b"[]"),
        (200, b'{"verdict": "match"' + b" " * 2_000_000 + b"}"),
    ],
)
async def test_what_is_not_understood_verifies_nobody(serve: Serve, status: int, body: bytes):
    with pytest.raises(UnavailableError) as caught:
        await serve(status, body).verify("张三", ANN)
    assert caught.value.code == "verifier_away"


async def test_a_kinship_that_is_no_boolean_is_none(serve: Serve):
    with pytest.raises(UnavailableError):
        await serve(200, b'{"is_kin": "true"}').kinship(ANN, CHILD)


async def test_an_authority_that_is_not_there_is_away():
    account = AuthorityAccount(base_url="http://127.0.0.1:9", key="the-key", timeout_s=1)
    transport = transport_for(account)
    with pytest.raises(UnavailableError):
        await Authority(account, transport).verify("张三", ANN)
    transport.close()


async def test_the_sandbox_keeps_to_its_rules():
    sandbox = SandboxAuthority()
    verdicts = [await sandbox.verify("张三", id_number(order)) for order in ("101", "403", "404")]
    assert verdicts == [Verdict.MATCH, Verdict.MISMATCH, Verdict.UNKNOWN]
    assert await sandbox.kinship(ANN, CHILD)
    assert not await sandbox.kinship(CHILD, ANN)
    assert not await sandbox.kinship(id_number("101", region="130102"), CHILD)
    assert await sandbox.represents(ANN, "示范公司", uscc_of("101")) is Verdict.MATCH
    assert await sandbox.represents(ANN, "示范公司", uscc_of("102")) is Verdict.MISMATCH
    assert await sandbox.represents(ANN, "示范公司注销", uscc_of("101")) is Verdict.UNKNOWN


Ask = Callable[[], Awaitable[object]]


async def test_an_authority_that_is_down_or_missing_says_so():
    down, nobody = SandboxAuthority(), NoAuthority()
    asks: list[Ask] = [
        lambda: down.verify("张三", id_number("503")),
        lambda: down.kinship(ANN, id_number("503")),
        lambda: nobody.verify("张三", ANN),
        lambda: nobody.kinship(ANN, CHILD),
        lambda: nobody.represents(ANN, "示范公司", uscc_of()),
    ]
    for ask in asks:
        with pytest.raises(UnavailableError):
            await ask()
