"""The edge of the API: what it logs about a request and how it answers errors that nobody expected there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from structlog.testing import capture_logs
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from handlers.base import ApiHandler
from server.app import Entry, Route, make_app
from server.domain.errors import ConfigurationError, UnavailableError


class AwayHandler(ApiHandler):
    """The database is away."""

    def post(self, _provider: str, _key: str) -> None:
        """503."""
        raise UnavailableError("away", zh="不可用", en="away")


class WrongHandler(ApiHandler):
    """An error that is not in the table of statuses."""

    def get(self) -> None:
        """Raise it."""
        raise ConfigurationError("settings_invalid", zh="配置有误", en="settings")


@pytest.fixture
async def ask() -> AsyncIterator[Callable[..., object]]:
    routes = [
        Route(r"/v1/receipts/([a-z_]+)/(.+)", AwayHandler, Entry.PROVIDER),
        Route(r"/wrong", WrongHandler, Entry.OPERATOR),
    ]
    server = HTTPServer(make_app(routes))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)

    async def fetch(path: str, **options: object) -> HTTPResponse:
        url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}{path}"
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
