"""SMS by Aliyun against a scripted provider, with Aliyun's SDK as the reference for signatures."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace
from urllib.parse import parse_qs

import pytest
from alibabacloud_tea_openapi.utils import Utils
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from channels.base import Fault, Kind, Outcome, Scope, SmsContent, SmsTemplate, Verdict
from channels.call import Reply, State
from channels.sms_aliyun import ALGORITHM, ERRORS, AliyunSmsChannel, authorization, outcome_of
from channels.transport import Transport
from server.settings import AliyunSmsAccount
from tests.channels.scripted import MovedClock, Request, Send, Serve, http

CONTENT = SmsContent("暴雨红色预警", {"sms_aliyun": SmsTemplate("SMS_1", "惠民", (("area", "福田"), ("n", "1")))})
OK = http(b'{"Code":"OK","Message":"OK","RequestId":"R","BizId":"900619746936498440^0"}')
NUMBERS = [f"+8613800{n:06d}" for n in range(450)]

values = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20)


def channel_at(url: str, transport: Transport, clock: MovedClock) -> AliyunSmsChannel:
    account = AliyunSmsAccount(
        base_url=url,
        access_key_id="AK",
        access_key_secret=SecretStr("sandbox-secret"),
        receipt_key=SecretStr("sandbox-key"),
    )
    nonces = iter(f"nonce-{n}" for n in range(1_000_000))
    return AliyunSmsChannel(account, transport, clock, lambda: next(nonces))


def refusal(code: str) -> bytes:
    return http(json.dumps({"Code": code, "Message": "x", "RequestId": "R"}).encode())


def numbers_of(request: Request) -> list[str]:
    return parse_qs(request.body.decode())["PhoneNumbers"][0].split(",")


@given(st.dictionaries(st.sampled_from(["A", "B", "c-d", "_", "~"]), values), st.binary(max_size=50), values)
def test_our_signature_is_the_sdks(query: dict[str, str], body: bytes, secret: str):
    digest = hashlib.sha256(body).hexdigest()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "host": "dysmsapi.aliyuncs.com",
        "x-acs-action": "SendSms",
        "x-acs-content-sha256": digest,
        "x-acs-date": "2026-11-24T07:00:00Z",
        "x-acs-signature-nonce": "n",
        "x-acs-version": "2017-05-25",
    }
    request = SimpleNamespace(method="POST", pathname="/", query=query, headers=headers)
    theirs = Utils.get_authorization(request, ALGORITHM, digest, "AK", secret)
    assert authorization(headers, query, "AK", secret) == theirs


async def test_450_numbers_leave_in_three_signed_requests_and_nonces_are_used_once(
    serve: Serve, transport: Transport, clock: MovedClock, send: Send
):
    provider = await serve(lambda _: OK)
    channel = channel_at(provider.url, transport, clock)
    assert await channel.ready() is None
    outcomes = await send(channel, CONTENT, NUMBERS)
    assert outcomes == [Outcome(Verdict.ACCEPTED, "OK", reference="900619746936498440^0")] * 450
    assert sorted(len(numbers_of(r)) for r in provider.requests) == [50, 200, 200]
    fields = parse_qs(provider.requests[0].body.decode())
    assert json.loads(fields["TemplateParam"][0]) == {"area": "福田", "n": "1"}
    assert (fields["SignName"], fields["OutId"]) == (["惠民"], ["page-1"])
    assert {r.target for r in provider.requests} == {"/"}
    assert len({r.header("x-acs-signature-nonce") for r in provider.requests}) == 3
    for request in provider.requests:
        assert request.header("x-acs-content-sha256") == hashlib.sha256(request.body).hexdigest()


async def test_a_bad_number_is_found_by_halving_and_only_it_is_refused(
    serve: Serve, transport: Transport, clock: MovedClock, send: Send
):
    dead = {NUMBERS[17][3:], NUMBERS[118][3:]}
    accepted: list[str] = []

    def answer(request: Request) -> bytes:
        if dead & set(numbers_of(request)):
            return refusal("isv.MOBILE_NUMBER_ILLEGAL")
        accepted.extend(numbers_of(request))
        return OK

    provider = await serve(answer)
    outcomes = await send(channel_at(provider.url, transport, clock), CONTENT, NUMBERS[:200])
    assert [i for i, o in enumerate(outcomes) if o.verdict is Verdict.REFUSED] == [17, 118]
    assert outcomes[17].fault == Fault(Kind.ADDRESS_DEAD)
    assert sorted(accepted) == sorted(set(accepted)) == sorted(n[3:] for n in NUMBERS[:200] if n[3:] not in dead)
    assert len(provider.requests) <= 1 + 2 * 2 * 8


async def test_a_broken_half_is_unknown_for_that_half_only(
    serve: Serve, transport: Transport, clock: MovedClock, send: Send
):
    answers = [refusal("isv.BUSINESS_LIMIT_CONTROL"), OK, None]
    provider = await serve(lambda r: answers[r.number])
    outcomes = await send(channel_at(provider.url, transport, clock), CONTENT, NUMBERS[:2])
    assert sorted(o.verdict for o in outcomes) == [Verdict.ACCEPTED, Verdict.UNKNOWN]


@pytest.mark.parametrize("code", ERRORS)
def test_every_listed_code_becomes_its_fault_and_never_accepted(code: str):
    body = refusal(code).partition(b"\r\n\r\n")[2]
    for status in (200, 400, 403):
        outcome = outcome_of(Reply(State.ANSWERED, status, body))
        assert (outcome.fault, outcome.code) == (ERRORS[code], code)
        assert outcome.verdict is not Verdict.ACCEPTED


CONFIG = """SMS_TEMPLATE_ILLEGAL SMS_SIGNATURE_ILLEGAL SMS_SIGN_ILLEGAL SIGN_STATE_ILLEGAL SMS_SIGNATURE_SCENE_ILLEGAL
TEMPLATE_MISSING_PARAMETERS INVALID_PARAMETERS INVALID_JSON_PARAM PARAM_LENGTH_LIMIT PARAM_NOT_SUPPORT_URL
BLACK_KEY_CONTROL_LIMIT SMS_CONTENT_ILLEGAL EXTEND_CODE_ERROR DOMESTIC_NUMBER_NOT_SUPPORTED MOBILE_COUNT_OVER_LIMIT"""
AUTH = """isp.RAM_PERMISSION_DENY isv.DENY_IP_RANGE isv.ACCOUNT_NOT_EXISTS isv.ACCOUNT_ABNORMAL isv.OUT_OF_SERVICE
isv.PRODUCT_UN_SUBSCRIPT isv.PRODUCT_UNSUBSCRIBE isv.AMOUNT_NOT_ENOUGH SignatureDoesNotMatch
InvalidAccessKeyId.NotFound"""


def test_the_table_holds_the_vendors_codes_in_their_classes():
    assert {ERRORS[f"isv.{name}"].kind for name in CONFIG.split()} == {Kind.CONFIG}
    assert {ERRORS[name].kind for name in AUTH.split()} == {Kind.AUTH}
    assert ERRORS["isv.BUSINESS_LIMIT_CONTROL"].scope is Scope.PERSON
    assert {ERRORS[f"isv.{n}_LIMIT_CONTROL"].scope for n in ("DAY", "MONTH")} == {Scope.ACCOUNT}
    assert ERRORS["isp.SYSTEM_ERROR"].verdict is Verdict.RETRY
    assert ERRORS["ServiceUnavailable"].verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("code", ["OK", "isv.NEW", *ERRORS])
def test_http_5xx_may_have_been_taken_whatever_the_code(code: str):
    body = refusal(code).partition(b"\r\n\r\n")[2]
    assert outcome_of(Reply(State.ANSWERED, 503, body)).verdict is Verdict.UNKNOWN


def test_an_unknown_code_is_unlisted():
    outcome = outcome_of(Reply(State.ANSWERED, 200, b'{"Code":"isv.NEW"}'))
    assert outcome == Outcome(Verdict.RETRY, "isv.NEW", Fault(Kind.UNLISTED))


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>"), (200, b""), (200, b'{"Code":1}'), (200, b'{"Code":"OK"}'), (200, b'{"Code":NaN}'),
     (502, b'{"Code":"OK","BizId":"1"}'), (200, b'{"Code":"OK","BizId":7}'), (200, b'["OK"]')],
)  # fmt: skip
def test_what_is_not_clearly_an_answer_is_unknown(status: int, body: bytes):
    assert outcome_of(Reply(State.ANSWERED, status, body)).verdict is Verdict.UNKNOWN
