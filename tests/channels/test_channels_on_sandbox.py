"""The four channels against the shipped sandbox, its journal as the judge: what we say is what the provider wrote."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from channels.base import (
    CallbackRequest,
    Channel,
    Content,
    Kind,
    Outcome,
    PushContent,
    ReceiptReader,
    ReceiptVerdict,
    SmsContent,
    SmsTemplate,
    Verdict,
    WeChatContent,
)
from channels.fcm import FcmChannel
from channels.sandbox.http import Request
from channels.sandbox.process import SandboxProcess
from channels.sms_aliyun import AliyunReceiptReader, AliyunSmsChannel
from channels.sms_tencent import TencentReceiptReader, TencentSmsChannel
from channels.transport import Transport, transport_for
from channels.wechat import WeChatChannel
from channels.wechat_events import WeChatReceiptReader
from server.settings import Account, AliyunSmsAccount, TencentSmsAccount
from tests.channels.sandbox_world import (
    ALIYUN_TEMPLATE,
    COMMAND,
    FIELDS,
    PARAMS,
    SIGN,
    TENCENT_TEMPLATE,
    WECHAT_TEMPLATE,
    City,
    agree,
    device,
    openid,
    phone,
)
from tests.channels.scripted import MemoryTokens, Send

PARAMETERS = tuple(PARAMS.items())
SMS = SmsContent(
    "暴雨红色预警",
    {
        "sms_aliyun": SmsTemplate(ALIYUN_TEMPLATE, SIGN, PARAMETERS),
        "sms_tencent": SmsTemplate(TENCENT_TEMPLATE, SIGN, PARAMETERS),
    },
)
PUSH = PushContent("暴雨红色预警", "请勿外出", "chain-1", 600, is_loud=True, channel_id="alert_red", data={"id": "1"})
WECHAT = WeChatContent(WECHAT_TEMPLATE, FIELDS, page="pages/alert/index?id=1")
PROVIDERS = ("wechat", "fcm", "sms_aliyun", "sms_tencent")


@dataclass
class Line:
    """One channel with what it sends and to whom."""

    channel: Channel
    content: Content
    address: Callable[[int], str]


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxProcess]:
    process = await SandboxProcess.start(COMMAND, tmp_path_factory.mktemp("sandbox"))
    yield process
    assert await process.stop() == 0


@pytest.fixture
async def lines(sandbox: SandboxProcess) -> AsyncIterator[dict[str, Line]]:
    """The four channels, made from the accounts that the sandbox hands out."""
    await sandbox.control("PUT", "faults", {})
    accounts, tokens = sandbox.accounts(), MemoryTokens()
    with_aliyun, with_tencent = accounts["sms"]
    assert isinstance(with_aliyun, AliyunSmsAccount)
    assert isinstance(with_tencent, TencentSmsAccount)
    async with AsyncExitStack() as stack:

        def transport(account: Account) -> Transport:
            made = transport_for(account)
            stack.callback(made.close)
            return made

        aliyun = AliyunSmsChannel(with_aliyun, transport(with_aliyun), now, lambda: secrets.token_hex(16))
        tencent = TencentSmsChannel(with_tencent, transport(with_tencent), now)
        wechat = WeChatChannel(accounts["wechat"], transport(accounts["wechat"]), tokens, now)
        fcm = FcmChannel(accounts["fcm"], transport(accounts["fcm"]), tokens, now)
        yield {
            "wechat": Line(wechat, WECHAT, openid),
            "fcm": Line(fcm, PUSH, device),
            "sms_aliyun": Line(aliyun, SMS, phone),
            "sms_tencent": Line(tencent, SMS, phone),
        }


def now() -> datetime:
    return datetime.now(UTC)


def as_callback(request: Request) -> CallbackRequest:
    """A request as the city's front door would hand it on: the last part of an SMS receipt's path is its key."""
    path = request.path.decode()
    query = dict(parse_qsl(request.query.decode())) | {"key": path.rpartition("/")[2]}
    return CallbackRequest(request.method.decode(), query, {}, request.body)


def accepted_by(sandbox: SandboxProcess, provider: str, among: Sequence[str]) -> list[tuple[str, str]]:
    wanted = set(among)
    return sorted((e.address, e.theirs) for e in sandbox.journal() if e.provider == provider and e.address in wanted)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_on_a_good_day_everybody_is_accepted_once_with_the_providers_reference(
    sandbox: SandboxProcess, lines: dict[str, Line], send: Send, provider: str
):
    line = lines[provider]
    addresses = [line.address(number) for number in range(1_000, 1_450)]
    assert await line.channel.ready() is None
    outcomes = await send(line.channel, line.content, addresses)
    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
    ours = sorted((a, o.reference) for a, o in zip(addresses, outcomes, strict=True))
    assert accepted_by(sandbox, provider, addresses) == ours


BAD_DAY = {
    "latency_ms": 2, "jitter_ms": 5, "too_many": 0.08, "server_error": 0.08, "hang": 0.02, "hang_s": 2, "reset": 0.08,
    "busy": 0.08, "quota": 0.05, "unknown_code": 0.05, "error_after": 0.08, "hang_after": 0.02, "reset_after": 0.08,
    "partial": 0.1, "dead": 0.2, "grant_gone": 0.05,
}  # fmt: skip


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_on_the_worst_day_what_we_say_never_contradicts_the_journal(
    sandbox: SandboxProcess, lines: dict[str, Line], send: Send, provider: str
):
    line = lines[provider]
    await line.channel.ready()
    await sandbox.control("PUT", "faults", {"seed": secrets.randbits(32), provider: BAD_DAY})
    is_batch = line.channel.per_request > 1
    windows = [range(5_000 + n * 3, 5_003 + n * 3) for n in range(200)] if is_batch else [range(5_000, 5_400)]
    outcomes: dict[str, Outcome] = {}

    async def one(numbers: range) -> None:
        addresses = [line.address(number) for number in numbers]
        if provider == "sms_aliyun":  # it takes dead numbers and tells later: only what is no number is refused
            addresses = [a.replace("+861", "+862") if a.endswith("0") else a for a in addresses]
        said = await send(line.channel, line.content, addresses, deadline_s=0.5)
        outcomes.update(zip(addresses, said, strict=True))

    await asyncio.gather(*(one(numbers) for numbers in windows))
    written = [address for address, _ in accepted_by(sandbox, provider, list(outcomes))]
    assert len(written) == len(set(written)), "somebody was handed over twice"
    by_verdict = {v: {a for a, o in outcomes.items() if o.verdict is v} for v in Verdict}
    assert by_verdict[Verdict.ACCEPTED] <= set(written)
    assert not (by_verdict[Verdict.REFUSED] | by_verdict[Verdict.RETRY]) & set(written)
    assert set(written) - by_verdict[Verdict.ACCEPTED] <= by_verdict[Verdict.UNKNOWN]
    assert {verdict for verdict in Verdict if not by_verdict[verdict]} == set(), "the day was not bad enough"


@pytest.mark.parametrize("provider", ["wechat", "fcm"])
async def test_tokens_that_expire_in_the_middle_are_replaced(
    sandbox: SandboxProcess, lines: dict[str, Line], send: Send, provider: str
):
    line = lines[provider]
    addresses = [line.address(number) for number in range(9_000, 9_020)]
    await line.channel.ready()
    await sandbox.control("POST", "expire-tokens")
    outcomes = await send(line.channel, line.content, addresses)
    assert {(o.verdict, o.fault.kind if o.fault else None) for o in outcomes} == {(Verdict.RETRY, Kind.AUTH)}
    assert await line.channel.ready() is None
    assert {o.verdict for o in await send(line.channel, line.content, addresses)} == {Verdict.ACCEPTED}


async def test_receipts_of_the_sandbox_are_verified_and_name_every_accepted_notice(
    sandbox: SandboxProcess, lines: dict[str, Line], send: Send
):
    city = City(agree)
    await city.start()
    await sandbox.control("PUT", "callback", {"url": city.url})
    wanted: set[tuple[str, str, str]] = set()
    for provider in ("wechat", "sms_aliyun", "sms_tencent"):
        line = lines[provider]
        addresses = [line.address(number) for number in range(20_000, 20_050)]
        await line.channel.ready()
        outcomes = await send(line.channel, line.content, addresses)
        wanted |= {(provider, a, o.reference) for a, o in zip(addresses, outcomes, strict=True)}
    await sandbox.control("POST", "flush")
    await sandbox.control("PUT", "callback", {"url": ""})
    await city.stop()
    accounts = sandbox.accounts()
    with_aliyun, with_tencent = accounts["sms"]
    assert isinstance(with_aliyun, AliyunSmsAccount)
    assert isinstance(with_tencent, TencentSmsAccount)
    readers: list[ReceiptReader] = [
        WeChatReceiptReader(accounts["wechat"]),
        AliyunReceiptReader(with_aliyun),
        TencentReceiptReader(with_tencent),
    ]
    found: set[tuple[str, str, str]] = set()
    for request in city.requests:
        reader = next(r for r in readers if r.provider in request.path.decode())
        for receipt in reader.read(as_callback(request), now()).receipts:
            assert receipt.verdict is ReceiptVerdict.DELIVERED
            found.add((reader.provider, receipt.address, receipt.reference))
    assert found == wanted


async def test_a_killed_provider_costs_no_honesty_and_is_used_again_when_it_is_back(
    tmp_path: Path, tokens: MemoryTokens, send: Send
):
    async with AsyncExitStack() as stack:
        sandbox = await SandboxProcess.start(COMMAND, tmp_path)
        stack.push_async_callback(sandbox.kill)
        account = sandbox.accounts()["wechat"]
        transport = transport_for(account)
        stack.callback(transport.close)
        channel = WeChatChannel(account, transport, tokens, now)
        addresses = [openid(number) for number in range(20_000)]
        await channel.ready()
        sending = asyncio.ensure_future(send(channel, WECHAT, addresses))
        await asyncio.sleep(0.1)
        await sandbox.kill()
        outcomes = await sending
        again = await SandboxProcess.start(COMMAND, tmp_path, port=sandbox.port)
        stack.push_async_callback(again.kill)
        by_verdict = {v: {a for a, o in zip(addresses, outcomes, strict=True) if o.verdict is v} for v in Verdict}
        written = {address for address, _ in accepted_by(again, "wechat", addresses)}
        assert by_verdict[Verdict.ACCEPTED] <= written
        assert written <= by_verdict[Verdict.ACCEPTED] | by_verdict[Verdict.UNKNOWN]
        left = sorted(by_verdict[Verdict.RETRY])[:200]
        assert len(left) == 200
        for _ in range(2):  # the new process does not know the old token
            await channel.ready()
            outcomes = await send(channel, WECHAT, left)
        assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
