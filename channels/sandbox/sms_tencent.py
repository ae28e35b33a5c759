"""Tencent Cloud SMS (2021-01-11): SendSms with signature TC3-HMAC-SHA256.

Every answer is HTTP 200. An Error speaks for the whole request; otherwise each number has its own Code, so a
request can succeed in part.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from channels.sandbox import accounts
from channels.sandbox.book import Answer, Book
from channels.sandbox.http import Request, response
from channels.sandbox.phones import Phones
from channels.sandbox.templates import Templates

MAX_NUMBERS = 200
_SKEW_S = 300
_AUTH = re.compile(
    r"TC3-HMAC-SHA256 Credential=([^/,]+)/(\d{4}-\d\d-\d\d)/sms/tc3_request, ?SignedHeaders=([^,]+), ?"
    r"Signature=([0-9a-f]{64})"
)
_MAINLAND = re.compile(r"\+861[3-9]\d{9}")
_ABROAD = re.compile(r"\+(?!86)[1-9]\d{6,14}")


_Fault = tuple[str, str]  # Code, Message


class TencentLimits(BaseModel):
    """What the vendor allows. 0 = no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    max_param_chars: int = Field(
        default=6, ge=0, description="of each variable: 6 for accounts opened since 2024-01-25"
    )
    per_number_per_day: int = Field(default=0, ge=0)


class TencentSms:
    """One Tencent Cloud account with one SMS application."""

    def __init__(self, book: Book, templates: Templates, phones: Phones) -> None:
        self.book = book
        self.limits = TencentLimits()
        self._phones = phones
        self._texts = {t.id: t.text for t in templates.sms_tencent}
        self._sign = templates.sign
        self._params = {t.id: t.count for t in templates.sms_tencent}
        self._sent: dict[str, int] = {}
        self._day = 0
        self._next_id = int(book.clock() * 1000) * 10_000_000

    def answer(self, request: Request) -> Answer:
        """Any action at POST /; only SendSms exists."""
        wrong = self._signature_fault(request)
        if not wrong and request.header(b"x-tc-action") != b"SendSms":
            wrong = ("InvalidAction", "The request with action is not existed")
        if not wrong and request.header(b"x-tc-version") != b"2021-01-11":
            wrong = ("NoSuchVersion", "The version does not exist.")
        if wrong:
            return self._error(*wrong)
        asked = _parsed(request.body)
        wrong = _shape_fault(asked, asked.get("PhoneNumberSet")) or _application_fault(asked)
        if wrong:
            return self._error(*wrong)
        if self.book.is_over_rate(len(asked["PhoneNumberSet"])):
            return Answer(self._error("RequestLimitExceeded", "Your current request times exceeds the limit.").data)
        return self._send(asked, asked["PhoneNumberSet"])

    def _signature_fault(self, request: Request) -> _Fault | None:
        match = _AUTH.fullmatch(request.header(b"authorization").decode("latin-1"))
        stamp = request.header(b"x-tc-timestamp")
        if match is None or not stamp.isdigit() or len(stamp) > 12:
            return "AuthFailure.InvalidAuthorization", "The Authorization header does not conform to TC3-HMAC-SHA256."
        secret_id, date, names, signature = match.groups()
        if secret_id != accounts.SECRET_ID:
            return "AuthFailure.SecretIdNotFound", "The SecretId is not found."
        now = self.book.clock()
        if abs(int(stamp) - now) > _SKEW_S or datetime.fromtimestamp(int(stamp), UTC).date().isoformat() != date:
            return "AuthFailure.SignatureExpire", f"The signature expired: server time {int(now)}."
        headers = {name: request.header(name.encode("latin-1")).decode("latin-1") for name in names.split(";")}
        if not {"content-type", "host"} <= headers.keys():
            return "AuthFailure.SignatureFailure", "SignedHeaders must hold content-type and host."
        if not hmac.compare_digest(signature_tc3(request, headers, int(stamp), date), signature):
            return "AuthFailure.SignatureFailure", "The provided credentials could not be validated."
        return None

    def _content_code(self, asked: dict[str, Any]) -> str:
        """The Code that every number gets if content is not approved; empty if it is."""
        if asked.get("SignName") != self._sign:
            return "FailedOperation.SignatureIncorrectOrUnapproved"
        count = self._params.get(asked["TemplateId"])
        if count is None:
            return "FailedOperation.TemplateIncorrectOrUnapproved"
        params = asked.get("TemplateParamSet", [])
        if len(params) != count:
            return "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"
        limit = self.limits.max_param_chars
        if limit and any(len(param) > limit for param in params):
            return "InvalidParameterValue.TemplateParameterLengthLimit"
        if any("http" in param or "www." in param for param in params):
            return "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter"
        return ""

    def _send(self, asked: dict[str, Any], numbers: list[str]) -> Answer:
        content = self._content_code(asked)
        ours = asked.get("SessionContext", "")
        template = asked["TemplateId"]
        rows: list[dict[str, Any]] = []
        lines: list[bytes] = []
        for number in numbers:
            code = content or self._number_code(number)
            serial = ""
            if code:
                self.book.refuse(code)
            else:
                self._next_id += 1
                serial = f"5000:{self._next_id}"
                lines.append(self.book.accept(number, template, ours, serial))
                self._phones.show((number,), "sms_tencent", template, lambda: self._read(asked))
            rows.append(
                {
                    "SerialNo": serial,
                    "PhoneNumber": number,
                    "Fee": 0 if code else 1,
                    "SessionContext": ours,
                    "Code": code or "Ok",
                    "Message": _MESSAGES.get(code, code.rpartition(".")[2]) if code else "send success",
                    "IsoCode": "CN" if number.startswith("+86") else "",
                }
            )
        return Answer(_ok({"SendStatusSet": rows}), b"".join(lines))

    def _read(self, asked: Mapping[str, Any]) -> str:
        params = asked.get("TemplateParamSet", [])
        text = re.sub(r"\{(\d+)\}", lambda m: params[int(m[1]) - 1], self._texts[asked["TemplateId"]])
        return f"【{self._sign}】{text}"

    def _number_code(self, number: str) -> str:
        if not _MAINLAND.fullmatch(number):
            abroad = "UnsupportedOperation.UnsupportedRegion"
            return abroad if _ABROAD.fullmatch(number) else "InvalidParameterValue.IncorrectPhoneNumber"
        dice = self.book.dice
        if dice.has_dead and dice.is_dead(number):
            return "InvalidParameterValue.IncorrectPhoneNumber"
        if dice.is_partial():
            return "FailedOperation.OtherError"
        limit = self.limits.per_number_per_day
        if limit:
            day = int((self.book.clock() + 8 * 3600) // 86_400)
            if day != self._day:
                self._day = day
                self._sent.clear()
            if self._sent.get(number, 0) >= limit:
                return "LimitExceeded.PhoneNumberDailyLimit"
            self._sent[number] = self._sent.get(number, 0) + 1
        return ""

    # -- words

    def _error(self, code: str, text: str) -> Answer:
        self.book.refuse(code)
        return Answer(_ok({"Error": {"Code": code, "Message": text}}))

    def busy(self) -> bytes:
        """InternalError.OtherError."""
        return self._error("InternalError.OtherError", "other error").data

    def over_quota(self) -> bytes:
        """LimitExceeded.AppDailyLimit."""
        return self._error("LimitExceeded.AppDailyLimit", "the daily limit of the application is reached").data

    def too_many(self, retry_after_s: int) -> bytes:
        """RequestLimitExceeded as HTTP 429, as the gateway's guard does it."""
        self.book.refuse("RequestLimitExceeded")
        error = {"Code": "RequestLimitExceeded", "Message": "Your current request times exceeds the limit."}
        body = orjson.dumps({"Response": {"Error": error, "RequestId": str(uuid.uuid4())}})
        return response(429, body, headers=f"Retry-After: {retry_after_s}\r\n")

    def server_error(self) -> bytes:
        """HTTP 500."""
        return response(500, b"<html>500</html>", content_type="text/html")

    def unknown(self) -> bytes:
        """A code nobody has seen."""
        return self._error("FailedOperation.SandboxUnseen", "a code that stands in no documentation").data


_MESSAGES = {
    "InvalidParameterValue.IncorrectPhoneNumber": "phone number format error",
    "FailedOperation.TemplateParamSetNotMatchApprovedTemplate": "params do not match the approved template",
    "FailedOperation.TemplateIncorrectOrUnapproved": "template is not approved or does not exist",
    "FailedOperation.SignatureIncorrectOrUnapproved": "signature is not approved or does not exist",
}


def signature_tc3(request: Request, headers: Mapping[str, str], timestamp: int, date: str) -> str:
    """The hex signature of a request whose signed headers are `headers`."""
    names = sorted(headers)
    canonical = "\n".join(
        (
            request.method.decode("latin-1"),
            "/",
            request.query.decode("latin-1"),
            "".join(f"{name}:{headers[name]}\n" for name in names),
            ";".join(names),
            hashlib.sha256(request.body).hexdigest(),
        )
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"TC3-HMAC-SHA256\n{timestamp}\n{date}/sms/tc3_request\n{digest}"
    key = f"TC3{accounts.SECRET_KEY}".encode()
    for part in (date, "sms", "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def _parsed(body: bytes) -> dict[str, Any]:
    """The JSON object of a body; an empty one, which lacks every parameter, if it is none."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if type(value) is dict else {}


def _shape_fault(asked: Mapping[str, Any], numbers: Any) -> _Fault | None:
    """Whether types and counts are those of SendSms."""
    if not all(type(asked.get(name)) is str for name in ("SmsSdkAppId", "TemplateId")):
        return "MissingParameter", "The request is missing a required parameter."
    lists = (numbers, asked.get("TemplateParamSet", []))
    are_lists = all(type(one) is list and all(type(text) is str for text in one) for one in lists)
    if not are_lists or not all(type(asked.get(k, "")) is str for k in ("SignName", "SessionContext", "ExtendCode")):
        return "InvalidParameter", "Parameter type error."
    if not numbers:
        return "InvalidParameterValue.IncorrectPhoneNumber", "PhoneNumberSet is empty."
    if len(numbers) > MAX_NUMBERS:
        return "LimitExceeded.PhoneNumberCountLimit", "The number of phone numbers exceeds 200."
    if 0 < sum(1 for number in numbers if _ABROAD.fullmatch(number)) < len(numbers):
        code = "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber"
        return code, "Domestic and international numbers are mixed."
    return None


def _application_fault(asked: Mapping[str, Any]) -> _Fault | None:
    """Faults of the whole request: which application, and what it wants echoed."""
    if asked["SmsSdkAppId"] != accounts.SDK_APP_ID:
        return "UnauthorizedOperation.SmsSdkAppIdVerifyFail", "SmsSdkAppId verify fail."
    if len(asked.get("SessionContext", "").encode()) > 512:
        return "InvalidParameterValue.SessionContextLengthLimit", "SessionContext is too long."
    return None


def _ok(answer: dict[str, Any]) -> bytes:
    answer["RequestId"] = str(uuid.uuid4())
    return response(200, orjson.dumps({"Response": answer}))
