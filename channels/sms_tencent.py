"""SMS by Tencent Cloud: SendSms of version 2021-01-11 with signature TC3-HMAC-SHA256, and its delivery reports.

https://cloud.tencent.com/document/api/382/55981 and .../382/52072 (signature)
A request carries up to 200 numbers and each has its own Code: partial success is normal. An Error speaks for all.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from channels.base import Callback, CallbackRequest, Fault, Kind, Outcome, Scope, Settle, SmsContent, Verdict, Window
from channels.call import Call, Reply
from channels.carriers import china_time, mainland, report, reports_in, text
from channels.replies import BUSY, LOST, UNLISTED, failure, judged, read_object, unreadable
from channels.tokens import Clock
from channels.transport import Transport
from server.settings import TencentSmsAccount

_CONFIG = Fault(Kind.CONFIG)
_AUTH = Fault(Kind.AUTH)
_DEAD = Fault(Kind.ADDRESS_DEAD)
_HALF_MINUTE = Fault(Kind.QUOTA, Scope.PERSON, reset_s=30.0)
_HOUR = Fault(Kind.QUOTA, Scope.PERSON, reset_s=3600.0)
_TODAY = Fault(Kind.QUOTA, Scope.PERSON, until_midnight=True)
_DAY = Fault(Kind.QUOTA, Scope.ACCOUNT, until_midnight=True)
_SECOND = Fault(Kind.QUOTA, Scope.ACCOUNT, reset_s=1.0)

ERRORS: dict[str, Fault] = {
    # the number
    "FailedOperation.PhoneNumberInBlacklist": _DEAD,
    "FailedOperation.PhoneNumberParseFail": _DEAD,
    "InvalidParameterValue.IncorrectPhoneNumber": _DEAD,
    "UnsupportedOperation.UnsupportedRegion": _DEAD,
    # too much for one person
    "LimitExceeded.DeliveryFrequencyLimit": _HALF_MINUTE,
    "LimitExceeded.PhoneNumberThirtySecondLimit": _HALF_MINUTE,
    "LimitExceeded.PhoneNumberOneHourLimit": _HOUR,
    "LimitExceeded.PhoneNumberDailyLimit": _TODAY,
    "LimitExceeded.PhoneNumberSameContentDailyLimit": _TODAY,
    # too much for the account
    "LimitExceeded.AppCountryOrRegionDailyLimit": _DAY,
    "LimitExceeded.AppDailyLimit": _DAY,
    "LimitExceeded.AppGlobalDailyLimit": _DAY,
    "LimitExceeded.AppMainlandChinaDailyLimit": _DAY,
    "LimitExceeded.DailyLimit": _DAY,
    "LimitExceeded.GlobalSmsSendingRateLimit": _SECOND,
    # credentials, IP list, arrears, our clock
    "FailedOperation.InsufficientBalanceInSmsPackage": _AUTH,
    "FailedOperation.NotEnterpriseCertification": _AUTH,
    "FailedOperation.ProhibitSubAccountUse": _AUTH,
    "InternalError.RequestTimeException": _AUTH,
    "InternalError.SigFieldMissing": _AUTH,
    "InternalError.SigVerificationFail": _AUTH,
    "UnauthorizedOperation.IndividualUserMarketingSmsPermissionDeny": _AUTH,
    "UnauthorizedOperation.RequestIpNotInWhitelist": _AUTH,
    "UnauthorizedOperation.RequestPermissionDeny": _AUTH,
    "UnauthorizedOperation.SdkAppIdIsDisabled": _AUTH,
    "UnauthorizedOperation.ServiceSuspendDueToArrears": _AUTH,
    "UnauthorizedOperation.SmsSdkAppIdVerifyFail": _AUTH,
    # busy
    "FailedOperation.OtherError": BUSY,
    "InternalError.OtherError": BUSY,
    "InternalError.UnknownError": BUSY,
    # taken or not, nobody knows
    "InternalError.ParseBackendResponseFail": LOST,
    "InternalError.SendAndRecvFail": LOST,
    "InternalError.Timeout": LOST,
    # our template, signature or payload (with the codes of other actions of the same API)
    "FailedOperation.ContainSensitiveWord": _CONFIG,
    "FailedOperation.FailResolvePacket": _CONFIG,
    "FailedOperation.ForbidAddMarketingTemplates": _CONFIG,
    "FailedOperation.JsonParseFail": _CONFIG,
    "FailedOperation.MarketingSendTimeConstraint": _CONFIG,
    "FailedOperation.MissingSignature": _CONFIG,
    "FailedOperation.MissingSignatureList": _CONFIG,
    "FailedOperation.MissingSignatureToModify": _CONFIG,
    "FailedOperation.MissingTemplateList": _CONFIG,
    "FailedOperation.MissingTemplateToModify": _CONFIG,
    "FailedOperation.ParametersOtherError": _CONFIG,
    "FailedOperation.QualificationIdNotApproved": _CONFIG,
    "FailedOperation.SignIdNotExist": _CONFIG,
    "FailedOperation.SignNumberLimit": _CONFIG,
    "FailedOperation.SignatureIncorrectOrUnapproved": _CONFIG,
    "FailedOperation.TemplateAlreadyPassedCheck": _CONFIG,
    "FailedOperation.TemplateIdNotExist": _CONFIG,
    "FailedOperation.TemplateIncorrectOrUnapproved": _CONFIG,
    "FailedOperation.TemplateNumberLimit": _CONFIG,
    "FailedOperation.TemplateParamSetNotMatchApprovedTemplate": _CONFIG,
    "FailedOperation.TemplateUnapprovedOrNotExist": _CONFIG,
    "InternalError.JsonParseFail": _CONFIG,
    "InternalError.RestApiInterfaceNotExist": _CONFIG,
    "InvalidParameter": _CONFIG,
    "InvalidParameter.AppidAndBizId": _CONFIG,
    "InvalidParameter.DirtyWordFound": _CONFIG,
    "InvalidParameter.InvalidParameters": _CONFIG,
    "InvalidParameterValue.BeginTimeVerifyFail": _CONFIG,
    "InvalidParameterValue.ContentLengthLimit": _CONFIG,
    "InvalidParameterValue.EndTimeVerifyFail": _CONFIG,
    "InvalidParameterValue.ImageInvalid": _CONFIG,
    "InvalidParameterValue.InvalidDocumentType": _CONFIG,
    "InvalidParameterValue.InvalidInternational": _CONFIG,
    "InvalidParameterValue.InvalidSignPurpose": _CONFIG,
    "InvalidParameterValue.InvalidSmsType": _CONFIG,
    "InvalidParameterValue.InvalidStartTime": _CONFIG,
    "InvalidParameterValue.InvalidTemplateFormat": _CONFIG,
    "InvalidParameterValue.InvalidUsedMethod": _CONFIG,
    "InvalidParameterValue.LimitVerifyFail": _CONFIG,
    "InvalidParameterValue.MarketingTemplateWithoutUnsubscribe": _CONFIG,
    "InvalidParameterValue.MultiSmsInfoSetEmpty": _CONFIG,
    "InvalidParameterValue.OffsetVerifyFail": _CONFIG,
    "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter": _CONFIG,
    "InvalidParameterValue.QualificationIdNotFound": _CONFIG,
    "InvalidParameterValue.SdkAppIdNotExist": _CONFIG,
    "InvalidParameterValue.SignAlreadyPassedCheck": _CONFIG,
    "InvalidParameterValue.SignExistAndUnapproved": _CONFIG,
    "InvalidParameterValue.SignNameLengthTooLong": _CONFIG,
    "InvalidParameterValue.TemplateParameterFormatError": _CONFIG,
    "InvalidParameterValue.TemplateParameterLengthLimit": _CONFIG,
    "InvalidParameterValue.TemplateWithDirtyWords": _CONFIG,
    "InvalidParameterValue.UnsupportedTemplateVariable": _CONFIG,
    "LimitExceeded.AppCountryOrRegionInBlacklist": _CONFIG,
    "LimitExceeded.PhoneNumberCountLimit": _CONFIG,
    "MissingParameter": _CONFIG,
    "MissingParameter.EmptyPhoneNumberSet": _CONFIG,
    "UnsupportedOperation": _CONFIG,
    "UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone": _CONFIG,
    "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber": _CONFIG,
    "UnsupportedOperation.ContainDomesticPhoneNumber": _CONFIG,
    "UnsupportedOperation.GlobalTemplateToChineseMainlandPhone": _CONFIG,
}
FAMILIES: dict[str, Fault] = {
    "AuthFailure": _AUTH,
    "UnauthorizedOperation": _AUTH,
    "RequestLimitExceeded": _SECOND,
    "MissingParameter": _CONFIG,
}

ALGORITHM = "TC3-HMAC-SHA256"
MAX_CONTEXT_BYTES = 512
_JSON = "application/json"


class TencentSmsChannel:
    """One SMS application at Tencent Cloud."""

    channel = "sms"
    provider = "sms_tencent"
    per_request = 200

    def __init__(self, account: TencentSmsAccount, transport: Transport, clock: Clock) -> None:
        self._account = account
        self._transport = transport
        self._clock = clock
        self._host = urlsplit(account.base_url).netloc

    async def ready(self) -> Fault | None:
        """Requests are signed one by one: there is nothing to make ready."""
        return None

    def send(self, window: Window, settle: Settle) -> None:
        """Requests of up to 200 numbers."""
        for start in range(0, len(window.addresses), self.per_request):
            self._send(window, range(start, min(start + self.per_request, len(window.addresses))), settle)

    def _send(self, window: Window, part: range, settle: Settle) -> None:
        numbers = [window.addresses[index] for index in part]

        def done(_: int, reply: Reply) -> None:
            for index, outcome in zip(part, outcomes_of(reply, numbers), strict=True):
                settle(index, outcome)

        body = request_body(window, numbers, self._account.sdk_app_id)
        headers = self._headers(body)
        call = Call(self._account.base_url, headers, window.start_by, window.deadline_s, done, window.is_urgent)
        self._transport.post(call, body)

    def _headers(self, body: bytes) -> Sequence[str]:
        timestamp = int(self._clock().timestamp())
        secret = self._account.secret_key.get_secret_value()
        return (
            f"Content-Type: {_JSON}",
            f"Host: {self._host}",
            "X-TC-Action: SendSms",
            "X-TC-Version: 2021-01-11",
            f"X-TC-Region: {self._account.region}",
            f"X-TC-Timestamp: {timestamp}",
            f"Authorization: {authorization(body, self._host, timestamp, self._account.secret_id, secret)}",
        )


def request_body(window: Window, numbers: Sequence[str], sdk_app_id: str) -> bytes:
    """The JSON of SendSms; `window.reference` comes back as SessionContext."""
    assert isinstance(window.content, SmsContent)
    template = window.content.templates[TencentSmsChannel.provider]
    fields = {
        "PhoneNumberSet": numbers,
        "SmsSdkAppId": sdk_app_id,
        "TemplateId": template.template_id,
        "SignName": template.sign,
        "TemplateParamSet": [value for _, value in template.params],
        "SessionContext": window.reference.encode()[:MAX_CONTEXT_BYTES].decode(errors="ignore"),
    }
    return orjson.dumps(fields)


def authorization(body: bytes, host: str, timestamp: int, secret_id: str, secret: str) -> str:
    """The Authorization header of TC3 for a JSON POST to "/" of the service sms."""
    date = datetime.fromtimestamp(timestamp, UTC).date().isoformat()
    scope = f"{date}/sms/tc3_request"
    content = hashlib.sha256(body).hexdigest()
    canonical = f"POST\n/\n\ncontent-type:{_JSON}\nhost:{host}\n\ncontent-type;host\n{content}"
    to_sign = f"{ALGORITHM}\n{timestamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"TC3{secret}".encode()
    for step in (date, "sms", "tc3_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    return f"{ALGORITHM} Credential={secret_id}/{scope}, SignedHeaders=content-type;host, Signature={signature}"


def outcomes_of(reply: Reply, numbers: Sequence[str]) -> Sequence[Outcome]:
    """What Tencent said about each number. Only HTTP 200 with Code "Ok" for that number is ACCEPTED."""
    lost = failure(reply)
    if lost is not None:
        return [lost] * len(numbers)
    match read_object(reply.body):
        case {"Response": {"Error": {"Code": str(code)}}}:
            return [judged(code, _fault_for_all(code, len(numbers)), reply)] * len(numbers)
        case {"Response": {"SendStatusSet": list(statuses)}} if reply.status == 200:
            return _each(statuses, numbers, reply)
        case _:
            return [unreadable(reply)] * len(numbers)


def fault_of(code: str) -> Fault | None:
    """The row of a code: itself, else its family's."""
    return ERRORS.get(code) or FAMILIES.get(code.partition(".")[0])


def _fault_for_all(code: str, count: int) -> Fault | None:
    """The meaning of an Error. One that names a person's fault must not retire everybody in the request."""
    fault = fault_of(code)
    is_about_a_person = fault is not None and (fault.kind is Kind.ADDRESS_DEAD or fault.scope is Scope.PERSON)
    return UNLISTED if is_about_a_person and count > 1 else fault


def _each(statuses: Sequence[Any], numbers: Sequence[str], reply: Reply) -> Sequence[Outcome]:
    """Statuses are matched by number, for nothing promises their order; a number without one is UNKNOWN."""
    found: defaultdict[str, list[Outcome]] = defaultdict(list)
    for status in statuses:
        if isinstance(status, dict) and isinstance(status.get("PhoneNumber"), str):
            found[status["PhoneNumber"]].append(_one(status, reply))
    missing = Outcome(Verdict.UNKNOWN, "no_status", LOST)
    return [found[number].pop(0) if found.get(number) else missing for number in numbers]


def _one(status: Mapping[str, Any], reply: Reply) -> Outcome:
    code = text(status, "Code")
    if code == "Ok":
        return Outcome(Verdict.ACCEPTED, "Ok", reference=text(status, "SerialNo"))
    return judged(code, fault_of(code), reply) if code else Outcome(Verdict.UNKNOWN, "no_code", LOST)


class TencentReceiptReader:
    """Reads the delivery reports of one application (a JSON array)."""

    provider = "sms_tencent"

    def __init__(self, account: TencentSmsAccount) -> None:
        self._key = account.receipt_key.get_secret_value()

    def read(self, request: CallbackRequest, now: datetime) -> Callback:
        """The reports of a POST with the right key; a report without a number or sid is left out."""
        receipts = [
            report(
                mainland(text(item, "nationcode") + text(item, "mobile")),
                text(item, "errmsg"),
                text(item, "sid"),
                china_time(text(item, "user_receive_time"), now),
                is_success=item.get("report_status") == "SUCCESS",
            )
            for item in reports_in(request, self._key)
            if text(item, "mobile") and text(item, "sid")
        ]
        return Callback(b'{"result":0,"errmsg":"OK"}', _JSON, receipts)
