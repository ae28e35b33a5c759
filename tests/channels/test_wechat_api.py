"""wechatpy's API methods on our transport."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr
from wechatpy.exceptions import WeChatClientException

from channels.transport import Transport
from channels.wechat import token_keeper
from channels.wechat_api import WeChatApi
from server.domain.errors import UnavailableError
from server.settings import WeChatAccount
from tests.channels.scripted import MemoryTokens, MovedClock, Provider, Request, Serve, http


def api_at(provider: Provider, transport: Transport, tokens: MemoryTokens, clock: MovedClock) -> WeChatApi:
    account = WeChatAccount(
        base_url=provider.url,
        appid="wx1",
        secret=SecretStr("sandbox-secret"),
        callback_token=SecretStr("sandbox-token"),
        callback_aes_key=SecretStr("c" * 43),
    )
    return WeChatApi(account, transport, token_keeper(account, transport, tokens, clock))


def token(request: Request) -> bytes:
    return http(b'{"access_token":"T%d","expires_in":7200}' % request.number)


async def test_a_login_code_becomes_a_session_without_a_token(
    serve: Serve, transport: Transport, tokens: MemoryTokens, clock: MovedClock
):
    provider = await serve(lambda _: http(b'{"openid":"o1","session_key":"k"}'))
    api = api_at(provider, transport, tokens, clock)
    assert await api.wxa.code_to_session("code-1") == {"openid": "o1", "session_key": "k"}
    (request,) = provider.requests
    assert urlsplit(request.target).path == "/sns/jscode2session"
    assert parse_qs(urlsplit(request.target).query)["js_code"] == ["code-1"]


async def test_a_stale_token_is_replaced_once_and_the_call_made_again(
    serve: Serve, transport: Transport, tokens: MemoryTokens, clock: MovedClock
):
    def answer(request: Request) -> bytes:
        if "stable_token" in request.target:
            return token(request)
        return http(
            b'{"errcode":42001}' if request.target.endswith("=T0") else b'{"errcode":0,"quota":{"daily_limit":9}}'
        )

    provider = await serve(answer)
    api = api_at(provider, transport, tokens, clock)
    asked = {"cgi_path": "/cgi-bin/message/subscribe/send"}
    assert (await api.post("openapi/quota/get", data=asked))["quota"] == {"daily_limit": 9}
    assert json.loads(provider.requests[-1].body) == asked
    assert len(provider.requests) == 4


async def test_errors_carry_wechats_code(serve: Serve, transport: Transport, tokens: MemoryTokens, clock: MovedClock):
    provider = await serve(lambda r: token(r) if r.number == 0 else http(b'{"errcode":45009,"errmsg":"quota"}'))
    with pytest.raises(WeChatClientException) as caught:
        await api_at(provider, transport, tokens, clock).post("openapi/quota/get", data={})
    assert caught.value.errcode == 45009


@pytest.mark.parametrize("answer", [None, http(b"<html>"), http(b"[]"), http(b"{}", 502)])
async def test_what_is_no_answer_is_unavailable(
    serve: Serve, transport: Transport, tokens: MemoryTokens, clock: MovedClock, answer: bytes | None
):
    provider = await serve(lambda r: token(r) if r.number == 0 else answer)
    with pytest.raises(UnavailableError):
        await api_at(provider, transport, tokens, clock).post("openapi/quota/get", data={})


async def test_a_method_that_looks_into_its_result_at_once_says_so_and_sends_nothing(
    serve: Serve, transport: Transport, tokens: MemoryTokens, clock: MovedClock
):
    provider = await serve(token)
    with pytest.raises(TypeError, match="get\\(\\) or post\\(\\)"):
        api_at(provider, transport, tokens, clock).jsapi.get_jsapi_ticket()
    assert provider.requests == []
