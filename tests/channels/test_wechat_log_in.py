"""Codes of WeChat: who somebody is, which number they have, and every refusal in a citizen's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr

from channels.transport import Transport
from channels.wechat import token_keeper
from channels.wechat_api import WeChatApi
from channels.wechat_log_in import WeChatLogIn
from server.domain.errors import HuiminError
from server.domain.log_in import WeChatSession
from server.settings import WeChatAccount
from tests.channels.scripted import MemoryTokens, MovedClock, Provider, Request, Serve, http

OPENID = "o" + "A" * 27
PHONE: dict[str, Any] = {
    "phoneNumber": "13800000001", "purePhoneNumber": "13800000001", "countryCode": "86",
    "watermark": {"timestamp": 1, "appid": "wx1"},
}  # fmt: skip


@pytest.fixture
async def log_in(serve: Serve, transport: Transport, tokens: MemoryTokens, clock: MovedClock) -> Any:
    """Asks a provider that answers with this."""

    async def at(answer: object) -> WeChatLogIn:
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()

        def serve_one(request: Request) -> bytes:
            if "stable_token" in request.target:
                return http(b'{"access_token":"T","expires_in":7200}')
            return http(body)

        provider: Provider = await serve(serve_one)
        account = WeChatAccount(
            base_url=provider.url, appid="wx1", secret=SecretStr("s"), callback_token=SecretStr("t"),
            callback_aes_key=SecretStr("c" * 43),
        )  # fmt: skip
        keeper = token_keeper(account, transport, tokens, clock)
        return WeChatLogIn(WeChatApi(account, transport, keeper), "wx1")

    return at


async def code_of(call: Any) -> str:
    with pytest.raises(HuiminError) as caught:
        await call
    return caught.value.code


async def test_a_code_tells_who_somebody_is_and_the_key_is_not_printed(log_in: Any):
    session = await (await log_in({"openid": OPENID, "session_key": "a2V5a2V5a2V5a2V5"})).session("c")
    assert session == WeChatSession(OPENID, "a2V5a2V5a2V5a2V5")
    assert "a2V5" not in repr(session)


async def test_a_code_tells_the_number_in_full(log_in: Any):
    assert await (await log_in({"errcode": 0, "phone_info": PHONE})).phone("c") == "+8613800000001"


@pytest.mark.parametrize(
    ("errcode", "code"),
    [
        (40029, "wechat_code_invalid"), (40163, "wechat_code_used"), (45011, "wechat_busy"), (40226, "wechat_blocked"),
        (-1, "wechat_unavailable"), (40125, "wechat_unavailable"), (61999, "wechat_unavailable"),
    ],
)  # fmt: skip
async def test_every_refusal_has_a_word_of_its_own(log_in: Any, errcode: int, code: str):
    found = await log_in({"errcode": errcode, "errmsg": "x rid: 1-2-3"})
    assert await code_of(found.session("c")) == code
    assert await code_of(found.phone("c")) == code


@pytest.mark.parametrize(
    "answer",
    [
        {}, {"openid": OPENID}, {"openid": 7, "session_key": "a2V5a2V5"}, {"openid": "", "session_key": "a2V5a2V5"},
        {"openid": "o' || 1", "session_key": "a2V5a2V5"}, {"openid": OPENID, "session_key": None}, [], b"<html>", b"",
        {"openid": [OPENID], "session_key": "a2V5a2V5"},
    ],
    ids=str,
)  # fmt: skip
async def test_an_odd_answer_logs_nobody_in(log_in: Any, answer: object):
    assert await code_of((await log_in(answer)).session("c")) == "wechat_unavailable"


@pytest.mark.parametrize(
    "changes",
    [
        {"purePhoneNumber": None}, {"purePhoneNumber": "1380000000x"}, {"countryCode": "0"}, {"countryCode": None},
        {"watermark": {"appid": "wx2"}}, {"watermark": None}, {"purePhoneNumber": "1" * 20},
    ],
    ids=str,
)  # fmt: skip
async def test_an_odd_number_binds_nothing(log_in: Any, changes: dict[str, Any]):
    found = await log_in({"errcode": 0, "phone_info": PHONE | changes})
    assert await code_of(found.phone("c")) == "wechat_unavailable"
