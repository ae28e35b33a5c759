"""The sandbox's receipts: worded, signed, repeated and lost as a vendor does it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
import xmltodict
from wechatpy.crypto import WeChatCrypto

from channels.sandbox.accounts import ALIYUN_RECEIPT_KEY, APPID, CALLBACK_TOKEN, TENCENT_RECEIPT_KEY
from channels.sandbox.http import Request, response
from channels.sandbox.process import SandboxProcess
from server.settings import SANDBOX_AES_KEY
from tests.channels.sandbox_world import COMMAND, WECHAT_TEMPLATE, Caller, City, agree, message, openid, phone
from tests.channels.test_sandbox_oracles import aliyun, aliyun_send, tencent, tencent_request

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # in the vendors' code

Start = Callable[..., Any]


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxProcess]:
    process = await SandboxProcess.start(COMMAND, tmp_path_factory.mktemp("sandbox"))
    yield process
    assert await process.stop() == 0


@pytest.fixture
async def start(sandbox: SandboxProcess) -> AsyncIterator[Start]:
    """Starts a city that hears of receipts, under a fault script."""
    cities: list[City] = []

    async def start(script: dict[str, Any], answer: Callable[[Request], bytes] = agree) -> City:
        city = City(answer)
        await city.start()
        cities.append(city)
        await sandbox.control("PUT", "faults", script)
        await sandbox.control("PUT", "callback", {"url": city.url})
        return city

    yield start
    await sandbox.control("PUT", "callback", {"url": ""})
    await sandbox.control("POST", "flush", {"timeout_s": 5})
    for city in cities:
        await city.stop()


async def send_wechat(sandbox: SandboxProcess, *numbers: int) -> list[str]:
    caller = Caller(sandbox.base_url)
    path = await caller.wechat_path()
    ids = [str((await caller.json(path, message(openid(number))))["msgid"]) for number in numbers]
    caller.close()
    return ids


def event(request: Request) -> dict[str, Any]:
    """The event in a WeChat callback, verified and decrypted by wechatpy."""
    query = {name: values[0] for name, values in parse_qs(request.query.decode()).items()}
    crypto = WeChatCrypto(CALLBACK_TOKEN, SANDBOX_AES_KEY, APPID)
    xml = crypto.decrypt_message(request.body, query["msg_signature"], query["timestamp"], query["nonce"])
    return dict(xmltodict.parse(xml)["xml"])


def told(city: City) -> list[tuple[str, str, str]]:
    """(openid, MsgID, status) of each sent event, as they came."""
    events = [event(request) for request in city.requests]
    lists = [(e["FromUserName"], e["SubscribeMsgSentEvent"]["List"]) for e in events]
    return [(who, item["MsgID"], item["ErrorStatus"]) for who, item in lists]


async def flush(sandbox: SandboxProcess) -> dict[str, int]:
    return dict(await sandbox.control("POST", "flush", {"timeout_s": 20}))


async def test_wechat_tells_of_each_message_in_an_event_that_wechatpy_can_verify(sandbox: SandboxProcess, start: Start):
    city = await start({})
    ids = await send_wechat(sandbox, 1, 2)
    assert (await flush(sandbox))["pending"] == 0
    assert sorted(told(city)) == [(openid(1), ids[0], "success"), (openid(2), ids[1], "success")]
    assert {request.path for request in city.requests} == {b"/v1/receipts/wechat"}


async def test_an_event_that_is_not_answered_with_success_comes_three_times_more(sandbox: SandboxProcess, start: Start):
    answers = itertools.chain([b"no"] * 3, itertools.repeat(b"success"))
    city = await start({}, lambda _request: response(200, next(answers)))
    (msgid,) = await send_wechat(sandbox, 1)
    await flush(sandbox)
    assert told(city) == [(openid(1), msgid, "success")] * 4
    assert len({request.query for request in city.requests}) == 4, "each try is signed anew"


async def test_lost_receipts_never_come(sandbox: SandboxProcess, start: Start):
    city = await start({"wechat": {"receipts": {"lost": 1}}})
    await send_wechat(sandbox, 1)
    await flush(sandbox)
    assert city.requests == []


async def test_doubled_receipts_come_twice(sandbox: SandboxProcess, start: Start):
    city = await start({"wechat": {"receipts": {"doubled": 1}}})
    (msgid,) = await send_wechat(sandbox, 1)
    await flush(sandbox)
    assert told(city) == [(openid(1), msgid, "success")] * 2


async def test_an_undelivered_address_is_told_of_as_failed(sandbox: SandboxProcess, start: Start):
    city = await start({"wechat": {"receipts": {"undelivered": 1}}})
    (msgid,) = await send_wechat(sandbox, 1)
    await flush(sandbox)
    assert told(city) == [(openid(1), msgid, "failed:user block")]


async def test_a_receipt_waits_for_its_time(sandbox: SandboxProcess, start: Start):
    city = await start({"wechat": {"receipts": {"delay_ms": 300, "jitter_ms": 0}}})
    await send_wechat(sandbox, 1)
    await asyncio.sleep(0.1)
    assert city.requests == []
    await asyncio.sleep(0.4)
    assert len(city.requests) == 1


async def test_sms_reports_come_as_arrays_with_the_references_of_the_answer(sandbox: SandboxProcess, start: Start):
    city = await start({"sms_tencent": {"receipts": {"undelivered": 1, "code": "MK:0001"}}})
    biz_id = aliyun_send(aliyun(sandbox), "13800000001,13800000002")["BizId"]
    answer = tencent(sandbox).SendSms(tencent_request(sandbox, [phone(3)]))
    await flush(sandbox)
    by_path = {request.path.decode(): orjson.loads(request.body) for request in city.requests}
    reports = by_path[f"/v1/receipts/sms_aliyun/{ALIYUN_RECEIPT_KEY}"]
    assert {(r["phone_number"], r["biz_id"], r["out_id"], r["success"]) for r in reports} == {
        ("13800000001", biz_id, "page-2", True),
        ("13800000002", biz_id, "page-2", True),
    }
    (report,) = by_path[f"/v1/receipts/sms_tencent/{TENCENT_RECEIPT_KEY}"]
    assert (report["mobile"], report["sid"]) == ("13800000003", answer.SendStatusSet[0].SerialNo)
    assert (report["report_status"], report["errmsg"]) == ("FAIL", "MK:0001")


async def test_a_dead_number_at_aliyun_is_taken_and_reported_as_no_such_number(sandbox: SandboxProcess, start: Start):
    city = await start({"sms_aliyun": {"dead": 1}})
    assert aliyun_send(aliyun(sandbox), "13800000007")["Code"] == "OK"
    await flush(sandbox)
    (report,) = orjson.loads(city.requests[0].body)
    assert (report["success"], report["err_code"]) == (False, "MK:0001")


async def test_a_change_of_a_grant_is_told_by_an_event(sandbox: SandboxProcess, start: Start):
    city = await start({})
    grant = {"template_id": WECHAT_TEMPLATE, "openids": [openid(5)], "notify": True}
    await sandbox.control("PUT", "grants", grant)
    await sandbox.control("PUT", "grants", grant | {"is_accepted": False})
    await flush(sandbox)
    events = {(e["Event"], e["FromUserName"]) for e in map(event, city.requests)}
    assert events == {("subscribe_msg_popup_event", openid(5)), ("subscribe_msg_change_event", openid(5))}


async def test_receipts_survive_a_city_that_is_down_for_a_moment(sandbox: SandboxProcess, start: Start):
    city = await start({})
    await city.stop()
    biz_id = aliyun_send(aliyun(sandbox), "13800000009")["BizId"]
    await asyncio.sleep(0.6)
    back = await start({})
    await flush(sandbox)
    assert [orjson.loads(request.body)[0]["biz_id"] for request in back.requests] == [biz_id]


async def test_a_stopped_sandbox_has_sent_its_receipts(tmp_path: Path):
    city = City(agree)
    await city.start()
    script = tmp_path / "faults.json"
    script.write_text('{"wechat": {"receipts": {"delay_ms": 60000}}}')
    sandbox = await SandboxProcess.start(COMMAND, tmp_path, "--callback", city.url, "--faults", str(script))
    await send_wechat(sandbox, 1)
    assert await sandbox.stop() == 0
    assert len(city.requests) == 1
    await city.stop()
