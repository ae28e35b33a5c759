"""The sandbox's SMS providers: a signature is good once, for its own bytes and at its own time."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from channels.sandbox import accounts, sms_aliyun, sms_tencent, templates
from channels.sandbox.book import Book
from channels.sandbox.faults import FaultScript
from channels.sandbox.http import Request
from channels.sandbox.journal import Journal
from channels.sandbox.phones import Phones
from server.commands.sandbox import TEMPLATES
from tests.channels.sandbox_world import ALIYUN_TEMPLATE, PARAMS, SIGN, TENCENT_TEMPLATE, phone


class Desk:
    """Both SMS providers with a clock that the test moves, asked without a network.

    Requests are signed by the sandbox's own functions; that those equal the vendors' is proven with their SDKs.
    """

    def __init__(self, journal: Journal) -> None:
        self.now = datetime(2026, 11, 24, 23, 58, tzinfo=UTC).timestamp()
        approved, phones = templates.load(TEMPLATES), Phones(lambda: self.now)
        self.aliyun = sms_aliyun.AliyunSms(Book("sms_aliyun", "a", journal, lambda: self.now), approved, phones)
        self.tencent = sms_tencent.TencentSms(Book("sms_tencent", "t", journal, lambda: self.now), approved, phones)

    def aliyun_request(self, nonce: str = "n1", method: bytes = b"POST", **changes: str) -> Request:
        """SendSms with parameters in a form (POST) or in the query (GET), signed now."""
        asked = {"PhoneNumbers": "13800000001", "SignName": SIGN, "TemplateCode": ALIYUN_TEMPLATE,
                 "TemplateParam": json.dumps(PARAMS), "OutId": "page-1"} | changes  # fmt: skip
        form = urlencode(asked).encode()
        body, target = (form, b"/") if method == b"POST" else (b"", b"/?" + form)
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "host": "sandbox",
            "x-acs-action": "SendSms",
            "x-acs-version": "2017-05-25",
            "x-acs-date": datetime.fromtimestamp(self.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": nonce,
            "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        }
        signature, _ = sms_aliyun.signature_v3(Request(method, target, b"", b"", body), headers)
        headers["authorization"] = (
            f"ACS3-HMAC-SHA256 Credential={accounts.ACCESS_KEY_ID},SignedHeaders={';'.join(sorted(headers))},"
            f"Signature={signature}"
        )
        return request(method, target, headers, body)

    def tencent_request(self, **changes: Any) -> Request:
        """SendSms, signed now."""
        asked = {"PhoneNumberSet": [phone(1)], "SmsSdkAppId": accounts.SDK_APP_ID, "SignName": SIGN,
                 "TemplateId": TENCENT_TEMPLATE, "TemplateParamSet": list(PARAMS.values())} | changes  # fmt: skip
        body, date = orjson.dumps(asked), datetime.fromtimestamp(self.now, UTC).date().isoformat()
        headers = {"content-type": "application/json", "host": "sandbox"}
        signed = Request(b"POST", b"/", b"", b"", body)
        signature = sms_tencent.signature_tc3(signed, headers, int(self.now), date)
        headers |= {
            "x-tc-action": "SendSms",
            "x-tc-version": "2021-01-11",
            "x-tc-timestamp": str(int(self.now)),
            "authorization": f"TC3-HMAC-SHA256 Credential={accounts.SECRET_ID}/{date}/sms/tc3_request, "
            f"SignedHeaders=content-type;host, Signature={signature}",
        }
        return request(b"POST", b"/", headers, body)

    def ask_aliyun(self, asked: Request) -> str:
        """The Code of the answer."""
        return str(answered(self.aliyun.answer(asked).data)["Code"])

    def ask_tencent(self, asked: Request) -> str:
        """The Code of the request, else of its first number."""
        answer = answered(self.tencent.answer(asked).data)["Response"]
        return str(answer["Error"]["Code"] if "Error" in answer else answer["SendStatusSet"][0]["Code"])


def request(method: bytes, target: bytes, headers: dict[str, str], body: bytes) -> Request:
    lines = "".join(f"\r\n{name}: {value}" for name, value in headers.items()).encode()
    head = method + b" " + target + b" HTTP/1.1" + lines
    return Request(method, target, head, head.lower(), body)


def answered(data: bytes) -> dict[str, Any]:
    return dict(orjson.loads(data.partition(b"\r\n\r\n")[2]))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    journal = Journal(tmp_path / "journal.tsv", asyncio.get_running_loop())
    yield Desk(journal)
    await journal.close()


@pytest.mark.parametrize("method", [b"POST", b"GET"])
async def test_aliyun_takes_a_form_and_a_query(desk: Desk, method: bytes):
    assert desk.ask_aliyun(desk.aliyun_request(method=method)) == "OK"


async def test_aliyun_takes_a_nonce_once(desk: Desk):
    asked = desk.aliyun_request()
    assert [desk.ask_aliyun(asked) for _ in range(2)] == ["OK", "SignatureNonceUsed"]
    assert desk.aliyun.book.counts["accepted"] == 1


async def test_aliyun_refuses_a_request_of_more_than_fifteen_minutes_ago(desk: Desk):
    early, late = desk.aliyun_request("n1"), desk.aliyun_request("n2")
    desk.now += 900
    assert desk.ask_aliyun(early) == "OK"
    desk.now += 1
    assert desk.ask_aliyun(late) == "InvalidTimeStamp.Expired"


async def test_aliyun_refuses_a_body_that_was_changed_after_signing(desk: Desk):
    asked = desk.aliyun_request()
    asked.body = asked.body.replace(b"13800000001", b"13800000002")
    assert desk.ask_aliyun(asked) == "SignatureDoesNotMatch"


async def test_aliyun_limits_a_number_a_day_only_if_told_to(desk: Desk):
    assert {desk.ask_aliyun(desk.aliyun_request(f"n{n}")) for n in range(60)} == {"OK"}
    desk.aliyun.limits = sms_aliyun.AliyunLimits(per_number_per_day=1)
    codes = [desk.ask_aliyun(desk.aliyun_request(f"m{n}")) for n in range(2)]
    assert codes == ["OK", "isv.BUSINESS_LIMIT_CONTROL"]


async def test_aliyun_refuses_a_text_over_500_characters(desk: Desk):
    desk.aliyun.limits = sms_aliyun.AliyunLimits(max_param_chars=600)
    long = json.dumps(PARAMS | {"area": "长" * 500})
    assert desk.ask_aliyun(desk.aliyun_request(TemplateParam=long)) == "isv.PARAM_LENGTH_LIMIT"


async def test_tencent_refuses_a_request_of_more_than_five_minutes_ago_even_over_midnight(desk: Desk):
    early, late = desk.tencent_request(), desk.tencent_request()
    desk.now += 300
    assert desk.ask_tencent(early) == "Ok"
    desk.now += 1
    assert desk.ask_tencent(late) == "AuthFailure.SignatureExpire"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"TemplateParamSet": ["南山区"]}, "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"),
        ({"TemplateParamSet": ["长" * 7, "a", "b"]}, "InvalidParameterValue.TemplateParameterLengthLimit"),
        ({"SignName": "别人"}, "FailedOperation.SignatureIncorrectOrUnapproved"),
        ({"SmsSdkAppId": "1"}, "UnauthorizedOperation.SmsSdkAppIdVerifyFail"),
        ({"SessionContext": "x" * 513}, "InvalidParameterValue.SessionContextLengthLimit"),
        ({"PhoneNumberSet": []}, "InvalidParameterValue.IncorrectPhoneNumber"),
        ({"PhoneNumberSet": ["+85291234567"]}, "UnsupportedOperation.UnsupportedRegion"),
        ({"PhoneNumberSet": "+8613800000001"}, "InvalidParameter"),
        ({"TemplateId": 1900001}, "MissingParameter"),
    ],
)
async def test_tencent_says_what_is_wrong_and_takes_nothing(desk: Desk, changes: dict[str, Any], code: str):
    assert desk.ask_tencent(desk.tencent_request(**changes)) == code
    assert desk.tencent.book.counts["accepted"] == 0


async def test_tencent_can_take_a_part_of_a_request(desk: Desk):
    desk.tencent.book.script(FaultScript.model_validate({"sms_tencent": {"partial": 0.5}}))
    answer = desk.tencent.answer(desk.tencent_request(PhoneNumberSet=[phone(n) for n in range(100)]))
    codes = [row["Code"] for row in answered(answer.data)["Response"]["SendStatusSet"]]
    assert set(codes) == {"Ok", "FailedOperation.OtherError"}
    assert answer.lines.count(b"\n") == codes.count("Ok")
