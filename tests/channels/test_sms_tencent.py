"""SMS by Tencent Cloud against a scripted provider, with Tencent's SDK as the reference."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from tencentcloud.common import credential
from tencentcloud.sms.v20210111 import errorcodes
from tencentcloud.sms.v20210111.sms_client import SmsClient

from channels.base import Fault, Kind, Outcome, Scope, SmsContent, SmsTemplate, Verdict
from channels.call import Reply, State
from channels.sms_tencent import ERRORS, TencentSmsChannel, authorization, fault_of, outcomes_of
from channels.transport import Transport
from server.settings import TencentSmsAccount
from tests.channels.scripted import MovedClock, Request, Send, Serve, http

CONTENT = SmsContent("暴雨", {"sms_tencent": SmsTemplate("1110", "惠民", (("area", "福田"), ("n", "1")))})
NUMBERS = [f"+8613800{n:06d}" for n in range(450)]


def channel_at(url: str, transport: Transport, clock: MovedClock) -> TencentSmsChannel:
    account = TencentSmsAccount(
        base_url=url,
        secret_id="AKID",
        secret_key=SecretStr("sandbox-secret"),
        sdk_app_id="1400006666",
        receipt_key=SecretStr("sandbox-key"),
    )
    return TencentSmsChannel(account, transport, clock)


def statuses(codes: dict[str, str]) -> bytes:
    rows = [{"SerialNo": f"s{n}", "PhoneNumber": n, "Fee": 1, "Code": code} for n, code in codes.items()]
    return json.dumps({"Response": {"SendStatusSet": rows, "RequestId": "r"}}).encode()


@given(st.binary(max_size=100), st.integers(0, 4_000_000_000), st.text(max_size=20).filter(str.isprintable))
def test_our_signature_is_the_sdks(body: bytes, timestamp: int, secret: str):
    sdk = SmsClient(credential.Credential("AKID", "unused"), "ap-guangzhou")
    header = {
        "Content-Type": "application/json",
        "Host": "sms.tencentcloudapi.com",
        "X-TC-Timestamp": str(timestamp),
    }
    request = SimpleNamespace(method="POST", uri="/", data=body, header=header)
    ours = authorization(body, "sms.tencentcloudapi.com", timestamp, "AKID", secret)
    date = ours.split("/")[1]
    theirs = sdk._get_tc3_signature({}, request, date, "sms", secret)  # noqa: SLF001 - the reference is private
    assert ours.endswith(f"Signature={theirs}")


async def test_450_numbers_leave_in_three_requests_and_each_gets_its_own_code(
    serve: Serve, transport: Transport, clock: MovedClock, send: Send
):
    bad = {
        NUMBERS[3]: "InvalidParameterValue.IncorrectPhoneNumber",
        NUMBERS[250]: "LimitExceeded.PhoneNumberDailyLimit",
        NUMBERS[449]: "Brand.NewCode",
    }

    def answer(request: Request) -> bytes:
        numbers = json.loads(request.body)["PhoneNumberSet"]
        return http(statuses({number: bad.get(number, "Ok") for number in reversed(numbers)}))

    provider = await serve(answer)
    outcomes = await send(channel_at(provider.url, transport, clock), CONTENT, NUMBERS)
    assert outcomes[0] == Outcome(Verdict.ACCEPTED, "Ok", reference=f"s{NUMBERS[0]}")
    assert outcomes[3] == Outcome(Verdict.REFUSED, bad[NUMBERS[3]], Fault(Kind.ADDRESS_DEAD))
    assert outcomes[250].verdict is Verdict.REFUSED
    assert outcomes[449] == Outcome(Verdict.RETRY, "Brand.NewCode", Fault(Kind.UNLISTED))
    assert sum(o.verdict is Verdict.ACCEPTED for o in outcomes) == 447
    assert sorted(len(json.loads(r.body)["PhoneNumberSet"]) for r in provider.requests) == [50, 200, 200]
    body = json.loads(provider.requests[0].body)
    assert (body["TemplateParamSet"], body["SessionContext"], body["SignName"]) == (["福田", "1"], "page-1", "惠民")


def codes_of_the_sdk() -> list[str]:
    return sorted(value for name, value in vars(errorcodes).items() if name.isupper())


@pytest.mark.parametrize("code", [*codes_of_the_sdk(), *ERRORS])
def test_every_code_of_the_sdk_has_a_row_and_is_never_accepted(code: str):
    assert code in ERRORS
    error = json.dumps({"Response": {"Error": {"Code": code, "Message": "x"}}}).encode()
    for body in (error, statuses({"+8613800000000": code})):
        (outcome,) = outcomes_of(Reply(State.ANSWERED, 200, body), ["+8613800000000"])
        assert (outcome.code, outcome.fault, outcome.verdict) == (code, ERRORS[code], ERRORS[code].verdict)
        assert outcome.verdict is not Verdict.ACCEPTED


CLASSES = {
    Kind.ADDRESS_DEAD: """
        InvalidParameterValue.IncorrectPhoneNumber
        FailedOperation.PhoneNumberParseFail
        FailedOperation.PhoneNumberInBlacklist
        UnsupportedOperation.UnsupportedRegion
    """,
    Kind.CONFIG: """
        FailedOperation.ContainSensitiveWord
        FailedOperation.SignatureIncorrectOrUnapproved
        FailedOperation.TemplateIncorrectOrUnapproved
        FailedOperation.TemplateUnapprovedOrNotExist
        FailedOperation.TemplateIdNotExist
        FailedOperation.TemplateParamSetNotMatchApprovedTemplate
        FailedOperation.MarketingSendTimeConstraint
        InvalidParameterValue.ContentLengthLimit
        InvalidParameterValue.TemplateParameterLengthLimit
        InvalidParameterValue.TemplateParameterFormatError
        InvalidParameterValue.ProhibitedUseUrlInTemplateParameter
        InvalidParameterValue.SdkAppIdNotExist
        UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber
        MissingParameter
        MissingParameter.New
        LimitExceeded.PhoneNumberCountLimit
    """,
    Kind.QUOTA: """
        LimitExceeded.PhoneNumberThirtySecondLimit
        LimitExceeded.PhoneNumberOneHourLimit
        LimitExceeded.PhoneNumberDailyLimit
        LimitExceeded.PhoneNumberSameContentDailyLimit
        LimitExceeded.DeliveryFrequencyLimit
        LimitExceeded.AppDailyLimit
        LimitExceeded.AppMainlandChinaDailyLimit
        LimitExceeded.DailyLimit
        RequestLimitExceeded
        RequestLimitExceeded.UinLimitExceeded
    """,
    Kind.AUTH: """
        AuthFailure.SignatureFailure
        AuthFailure.SignatureExpire
        AuthFailure.New
        UnauthorizedOperation.RequestIpNotInWhitelist
        UnauthorizedOperation.RequestPermissionDeny
        UnauthorizedOperation.SdkAppIdIsDisabled
        UnauthorizedOperation.ServiceSuspendDueToArrears
        UnauthorizedOperation.SmsSdkAppIdVerifyFail
        FailedOperation.InsufficientBalanceInSmsPackage
        InternalError.RequestTimeException
    """,
    Kind.RETRY: """
        InternalError.OtherError
        InternalError.UnknownError
        FailedOperation.OtherError
    """,
    Kind.UNKNOWN: """
        InternalError.Timeout
        InternalError.SendAndRecvFail
        InternalError.ParseBackendResponseFail
    """,
}


@pytest.mark.parametrize(("kind", "codes"), CLASSES.items())
def test_codes_are_in_their_classes(kind: Kind, codes: str):
    for code in codes.split():
        fault = fault_of(code)
        assert fault is not None
        assert fault.kind is kind, code


def test_an_error_about_one_person_does_not_retire_a_whole_request():
    body = b'{"Response":{"Error":{"Code":"InvalidParameterValue.IncorrectPhoneNumber","Message":"x"}}}'
    outcomes = outcomes_of(Reply(State.ANSWERED, 200, body), NUMBERS[:3])
    assert {outcome.fault for outcome in outcomes} == {Fault(Kind.UNLISTED)}


def test_a_limit_answered_with_429_stops_the_account():
    body = b'{"Response":{"Error":{"Code":"RequestLimitExceeded","Message":"x"}}}'
    (outcome,) = outcomes_of(Reply(State.ANSWERED, 429, body, 3.0), NUMBERS[:1])
    assert outcome.fault is not None
    assert (outcome.fault.kind, outcome.fault.scope, outcome.retry_after_s) == (Kind.QUOTA, Scope.ACCOUNT, 3.0)


def test_numbers_without_a_status_are_unknown_and_a_number_asked_twice_needs_two():
    body = statuses({"+861": "Ok"})
    outcomes = outcomes_of(Reply(State.ANSWERED, 200, body), ["+861", "+861", "+862"])
    assert [outcome.verdict for outcome in outcomes] == [Verdict.ACCEPTED, Verdict.UNKNOWN, Verdict.UNKNOWN]


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>"), (200, b""), (200, b"{}"), (200, b'{"Response":[]}'), (200, b'{"Response":{"SendStatusSet":{}}}'),
     (200, b'{"Response":{"SendStatusSet":[1,{"PhoneNumber":5},{"PhoneNumber":"+861"}]}}'), (200, b'{"Response":NaN}'),
     (502, statuses({"+861": "Ok"})), (200, b'{"Response":{"Error":{"Code":5}}}')],
)  # fmt: skip
def test_what_is_not_clearly_an_answer_is_unknown(status: int, body: bytes):
    assert [o.verdict for o in outcomes_of(Reply(State.ANSWERED, status, body), ["+861"])] == [Verdict.UNKNOWN]
