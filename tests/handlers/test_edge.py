"""The edge of the API: what it logs about a request and how it answers errors that nobody expected there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from structlog.testing import capture_logs
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from handlers.base import ApiHandler
from handlers.bounds import listen
from handlers.gate import Gate
from handlers.routing import OPERATOR, PROVIDER, Operation, Route
from server.app import make_app
from server.domain.errors import ConfigurationError, UnavailableError
from tests.services.desk import Clock


class AwayHandler(ApiHandler):
    """The database is away."""

    def post(self, **_where: str) -> None:
        """503."""
        raise UnavailableError("away", zh="不可用", en="away")


class WrongHandler(ApiHandler):
    """An error that is not in the table of statuses."""

    def get(self) -> None:
        """Raise it."""
        raise ConfigurationError("settings_invalid", zh="配置有误", en="settings")


@pytest.fixture
async def ask() -> AsyncIterator[Callable[..., object]]:
    text = {"text/plain": "x"}
    taken = Operation(summary="away", entry=PROVIDER, takes_raw=("*/*",), gives_raw=text)
    wrong = Operation(summary="wrong", entry=OPERATOR, gives_raw=text)
    routes = [
        Route("/v1/receipts/{provider}/{key}", AwayHandler, {"POST": taken}),
        Route("/wrong", WrongHandler, {"GET": wrong}),
    ]
    server, port = listen(make_app(routes, Gate(None, None, Clock())), 0, "127.0.0.1")

    async def fetch(path: str, **options: object) -> HTTPResponse:
        url = f"http://127.0.0.1:{port}{path}"
        return await AsyncHTTPClient().fetch(url, raise_error=False, **options)

    yield fetch
    server.stop()
    await server.close_all_connections()


async def test_the_key_in_a_receipts_path_is_never_logged(ask: Callable[..., object]):
    with capture_logs() as lines:
        answer = await ask("/v1/receipts/sms_aliyun/unguessable-part", method="POST", body=b"[]")
    assert answer.code == 503
    assert [line["path"] for line in lines if line["event"] == "request"] == ["/v1/receipts/sms_aliyun/***"]
    assert "unguessable" not in str(lines)


async def test_an_error_outside_the_table_is_answered_too(ask: Callable[..., object]):
    answer = await ask("/wrong")
    assert answer.code == 500
    assert b"settings_invalid" in answer.body
