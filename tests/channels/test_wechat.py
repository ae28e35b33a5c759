"""WeChat subscribe messages against a scripted provider: tokens, bodies, the error table, hostile answers."""

from __future__ import annotations

import asyncio
import json

import pytest
from pydantic import SecretStr

from channels.base import Fault, Kind, Outcome, Verdict, WeChatContent
from channels.call import Reply, State
from channels.transport import Transport
from channels.wechat import ERRORS, WeChatChannel, outcome_of
from server.settings import WeChatAccount
from tests.channels.scripted import MemoryTokens, MovedClock, Request, Send, Serve, http

CONTENT = WeChatContent("tmpl-1", {"thing1": "暴雨红色预警", "time2": "2026年11月24日 15:01"}, page="alert?id=1")
OK = b'{"errcode":0,"errmsg":"ok"}'


def channel_at(url: str, transport: Transport, tokens: MemoryTokens, clock: MovedClock) -> WeChatChannel:
    account = WeChatAccount(
        base_url=url,
        appid="wx0123456789abcdef",
        secret=SecretStr("sandbox-secret"),
        callback_token=SecretStr("sandbox-token"),
        callback_aes_key=SecretStr("c" * 43),
    )
    return WeChatChannel(account, transport, tokens, clock)


async def test_a_window_is_sent_as_one_utf8_request_per_openid_with_the_token_in_the_url(
    serve: Serve, transport: Transport, tokens: MemoryTokens, clock: MovedClock, send: Send
):
    def answer(request: Request) -> bytes:
        if "stable_token" in request.target:
            return http(b'{"access_token":"T/1","expires_in":7200}')
        return http(b'{"errcode":0,"errmsg":"ok","msgid":4455667788}')

    provider = await serve(answer)
    channel = channel_at(provider.url, transport, tokens, clock)
    assert await channel.ready() is None
    outcomes = await send(channel, CONTENT, ["openid-a", "openid-b"])
    assert outcomes == [Outcome(Verdict.ACCEPTED, "0", reference="4455667788")] * 2
    sent = provider.requests[1:]
    assert {r.target for r in sent} == {"/cgi-bin/message/subscribe/send?access_token=T%2F1"}
    assert {json.loads(r.body)["touser"] for r in sent} == {"openid-a", "openid-b"}
    assert "暴雨红色预警".encode() in sent[0].body
    assert json.loads(sent[0].body)["data"]["thing1"] == {"value": "暴雨红色预警"}


async def test_a_stale_token_is_replaced_once_and_by_force_if_wechat_offers_the_same_again(
    serve: Serve, transport: Transport, tokens: MemoryTokens, clock: MovedClock, send: Send
):
    def answer(request: Request) -> bytes:
        if "stable_token" in request.target:
            name = b"new" if json.loads(request.body)["force_refresh"] else b"old"
            return http(b'{"access_token":"%b","expires_in":7200}' % name)
        return http(OK if request.target.endswith("=new") else b'{"errcode":42001,"errmsg":"expired rid: 1-2-3"}')

    provider = await serve(answer)
    channel = channel_at(provider.url, transport, tokens, clock)
    await channel.ready()
    outcomes = await send(channel, CONTENT, ["a", "b", "c"])
    assert outcomes == [Outcome(Verdict.RETRY, "42001", Fault(Kind.AUTH))] * 3
    assert await asyncio.gather(*(channel.ready() for _ in range(20))) == [None] * 20
    assert await send(channel, CONTENT, ["a", "b", "c"]) == [Outcome(Verdict.ACCEPTED, "0")] * 3
    assert sum("stable_token" in r.target for r in provider.requests) == 3


async def test_two_processes_share_one_token(
    serve: Serve, transport: Transport, tokens: MemoryTokens, clock: MovedClock
):
    provider = await serve(lambda _: http(b'{"access_token":"T","expires_in":7200}'))
    channels = [channel_at(provider.url, transport, tokens, clock) for _ in range(2)]
    assert await asyncio.gather(*(c.ready() for c in channels)) == [None, None]
    assert len(provider.requests) == 1
    clock.pass_s(7_100)
    await channels[0].ready()
    assert len(provider.requests) == 2


async def test_a_refused_token_closes_the_account_and_is_not_asked_for_in_a_loop(
    serve: Serve, transport: Transport, tokens: MemoryTokens, clock: MovedClock
):
    provider = await serve(lambda _: http(b'{"errcode":40164,"errmsg":"invalid ip"}'))
    channel = channel_at(provider.url, transport, tokens, clock)
    assert [await channel.ready() for _ in range(5)] == [Fault(Kind.AUTH)] * 5
    assert len(provider.requests) == 1
    clock.pass_s(1.1)
    await channel.ready()
    assert len(provider.requests) == 2


@pytest.mark.parametrize("code", ERRORS)
def test_every_listed_code_becomes_its_fault_and_never_accepted(code: int):
    outcome = outcome_of(Reply(State.ANSWERED, 200, b'{"errcode":%d,"errmsg":"x rid: 1-2-3"}' % code))
    assert outcome.fault == ERRORS[code]
    assert outcome.code == str(code)
    assert outcome.verdict is ERRORS[code].verdict is not Verdict.ACCEPTED


LISTED = {40003, 43004, 50005, 43101, 40037, 41030, 47003, 47001, 48001, 48004, 40001, 40014, 42001, -1, 45009, 45011}


def test_the_table_holds_every_code_the_vendor_documents_for_this_call():
    assert LISTED | {50002, 40013, 40125, 40164, 40033} <= ERRORS.keys()


def test_an_unknown_code_is_unlisted_and_retried():
    outcome = outcome_of(Reply(State.ANSWERED, 200, b'{"errcode":99999,"errmsg":"new"}'))
    assert (outcome.verdict, outcome.fault) == (Verdict.RETRY, Fault(Kind.UNLISTED))


@pytest.mark.parametrize(
    "body",
    [
        b"<html>502</html>", b"", b"[]", b"null", b"{}", b'{"errcode":NaN}', b'{"errcode":"0"}', b'{"errcode":false}',
        b'{"errcode":0.0}', b'{"errcode":null}', b'{"errcode":0', b'{"errcode":0,"errmsg":"ok","msgid":12', b"\xff\xfe",
        b'{"errcode":0,"errmsg":"ok","msgid":}', b"[" * 60_000,
    ],
)  # fmt: skip
def test_what_is_not_clearly_an_answer_is_unknown(body: bytes):
    assert outcome_of(Reply(State.ANSWERED, 200, body)).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("status", [301, 400, 403, 404, 429, 500, 502, 503, 504])
def test_no_other_http_status_is_ever_accepted(status: int):
    assert outcome_of(Reply(State.ANSWERED, status, OK)).verdict in {Verdict.RETRY, Verdict.UNKNOWN}


async def test_an_answer_of_10_mb_is_unknown(
    serve: Serve, transport: Transport, tokens: MemoryTokens, clock: MovedClock, send: Send
):
    huge = http(b'{"errcode":0,"errmsg":"' + b"x" * 10_000_000 + b'"}')
    provider = await serve(lambda r: http(b'{"access_token":"T","expires_in":7200}') if r.number == 0 else huge)
    channel = channel_at(provider.url, transport, tokens, clock)
    await channel.ready()
    assert [o.verdict for o in await send(channel, CONTENT, ["a"])] == [Verdict.UNKNOWN]


async def test_a_hostile_address_cannot_leave_its_json_string(
    serve: Serve, transport: Transport, tokens: MemoryTokens, clock: MovedClock, send: Send
):
    provider = await serve(lambda r: http(b'{"access_token":"T","expires_in":7200}') if r.number == 0 else http(OK))
    channel = channel_at(provider.url, transport, tokens, clock)
    await channel.ready()
    hostile = 'a","template_id":"other\n'
    await send(channel, CONTENT, [hostile])
    sent = json.loads(provider.requests[1].body)
    assert (sent["touser"], sent["template_id"]) == (hostile, "tmpl-1")


async def test_a_provider_that_is_not_there_is_a_clean_retry(
    serve: Serve, transport: Transport, tokens: MemoryTokens, clock: MovedClock, send: Send
):
    provider = await serve(lambda _: http(b'{"access_token":"T","expires_in":7200}'))
    channel = channel_at(provider.url, transport, tokens, clock)
    await channel.ready()
    await provider.stop()
    assert [o.code for o in await send(channel, CONTENT, ["a", "b"])] == ["no_connection"] * 2
    await provider.start()
    assert [o.verdict for o in await send(channel, CONTENT, ["a"])] == [Verdict.UNKNOWN]
