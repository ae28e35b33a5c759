"""Aliyun SMS (dysmsapi, 2017-05-25): SendSms with signature V3.

The gateway's errors (signature, clock, nonce, access key) are HTTP 4xx; the SMS service's own are HTTP 200 with a Code.
One BizId stands for the whole request: which number got it is only known from the receipts.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote

import orjson
from pydantic import BaseModel, ConfigDict, Field

from channels.sandbox import accounts
from channels.sandbox.book import Answer, Book
from channels.sandbox.http import Request, response
from channels.sandbox.phones import Phones
from channels.sandbox.templates import Templates

MAX_NUMBERS = 1000
_SKEW_S = 900
_MUST_BE_SIGNED = frozenset(
    {"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"}
)
_AUTH = re.compile(r"ACS3-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})")
_PHONE = re.compile(r"(?:\+?86|0086)?(1[3-9]\d{9})")
_URL = re.compile(r"https?://|www\.")


_Fault = tuple[str, str]  # Code, Message
_GatewayFault = tuple[int, str, str]  # HTTP status, Code, Message


class AliyunLimits(BaseModel):
    """What the vendor allows. Per number and template a day: 50 for notices; 0 = do not count, for benches."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    per_number_per_day: int = Field(default=0, ge=0)
    max_param_chars: int = Field(default=35, ge=1)


class AliyunSms:
    """One Aliyun account."""

    def __init__(self, book: Book, templates: Templates, phones: Phones) -> None:
        self.book = book
        self.limits = AliyunLimits()
        self._phones = phones
        self._sign = templates.sign
        self._names = {t.id: t.names for t in templates.sms_aliyun}
        self._texts = {t.id: t.text for t in templates.sms_aliyun}
        self._nonces: set[str] = set()
        self._nonce_order: deque[tuple[float, str]] = deque()
        self._sent: dict[tuple[str, str], int] = {}
        self._day = 0
        self._next_id = int(book.clock() * 1000) * 100_000

    def answer(self, request: Request) -> Answer:
        """Any action at POST / or GET /; only SendSms exists."""
        wrong = self._gateway_fault(request)
        if wrong:
            return self._gateway_error(*wrong)
        if request.header(b"x-acs-action") != b"SendSms":
            return self._gateway_error(404, "InvalidAction.NotFound", "Specified api is not found.")
        return self._send(_parameters(request))

    # -- the gateway: signature V3

    def _gateway_fault(self, request: Request) -> _GatewayFault | None:
        match = _AUTH.fullmatch(request.header(b"authorization").decode("latin-1"))
        if match is None:
            return 400, "IncompleteSignature", "The request signature does not conform to Aliyun standards."
        key_id, names, signature = match.groups()
        if key_id != accounts.ACCESS_KEY_ID:
            return 404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."
        headers = {name: request.header(name.encode("latin-1")).decode("latin-1") for name in names.split(";")}
        if _MUST_BE_SIGNED - headers.keys():
            return 400, "IncompleteSignature", "SignedHeaders must hold host and all x-acs- headers."
        if headers["x-acs-version"] != "2017-05-25":
            return 400, "InvalidVersion", "Specified parameter Version is not valid."
        return _signature_fault(request, headers, signature) or self._freshness_fault(
            headers["x-acs-date"], headers["x-acs-signature-nonce"]
        )

    def _freshness_fault(self, date: str, nonce: str) -> _GatewayFault | None:
        now = self.book.clock()
        try:
            at = datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            return 400, "InvalidTimeStamp.Format", "Specified time stamp is not well formatted."
        if abs(at.timestamp() - now) > _SKEW_S:
            return 400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."
        while self._nonce_order and self._nonce_order[0][0] < now - 2 * _SKEW_S:
            self._nonces.discard(self._nonce_order.popleft()[1])
        if not nonce or nonce in self._nonces:
            return 400, "SignatureNonceUsed", "Specified signature nonce was used already."
        self._nonces.add(nonce)
        self._nonce_order.append((now, nonce))
        return None

    # -- the SMS service

    def _send(self, asked: dict[str, str]) -> Answer:
        numbers = asked.get("PhoneNumbers", "").split(",")
        template = asked.get("TemplateCode", "")
        wrong = self._template_fault(asked) or self._numbers_fault(numbers, template)
        if wrong:
            return self._error(*wrong)
        if self.book.is_over_rate(len(numbers)):
            return Answer(self.too_many(self.book.dice.faults.retry_after_s))
        self._next_id += 1
        biz_id = f"{self._next_id}^0"
        ours = asked.get("OutId", "")
        lines = b"".join([self.book.accept(e164(number), template, ours, biz_id) for number in numbers])
        self._phones.show(map(e164, numbers), "sms_aliyun", template, lambda: self._read(asked))
        return Answer(_ok({"Code": "OK", "Message": "OK", "BizId": biz_id}), lines)

    def _template_fault(self, asked: Mapping[str, str]) -> _Fault | None:
        if asked.get("SignName") != self._sign:
            return "isv.SMS_SIGNATURE_ILLEGAL", "短信签名不合法"
        if asked.get("TemplateCode") not in self._names:
            return "isv.SMS_TEMPLATE_ILLEGAL", "短信模版不合法"
        if len(asked.get("OutId", "").encode()) > 255:
            return "isv.INVALID_PARAMETERS", "参数异常: OutId"
        try:
            params = orjson.loads(asked.get("TemplateParam") or "{}")
        except orjson.JSONDecodeError:
            params = None
        if type(params) is not dict or not all(type(value) is str for value in params.values()):
            return "isv.INVALID_JSON_PARAM", "JSON参数不合法，只接受字符串值"
        return self._params_fault(asked["TemplateCode"], params)

    def _params_fault(self, template: str, params: Mapping[str, str]) -> _Fault | None:
        missing = self._names[template] - params.keys()
        if missing:
            return "isv.TEMPLATE_MISSING_PARAMETERS", f"模版缺少变量{min(missing)}"
        if any(len(value) > self.limits.max_param_chars for value in params.values()):
            return "isv.PARAM_LENGTH_LIMIT", "参数超出长度限制"
        if any(_URL.search(value) for value in params.values()):
            return "isv.PARAM_NOT_SUPPORT_URL", "不支持变量传URL"
        if len(self._text(template, params)) > 500:
            return "isv.PARAM_LENGTH_LIMIT", "短信内容超出长度限制"
        return None

    def _text(self, template: str, params: Mapping[str, str]) -> str:
        text = re.sub(r"\$\{(\w+)\}", lambda m: params[m[1]], self._texts[template])
        return f"【{self._sign}】{text}"

    def _read(self, asked: Mapping[str, str]) -> str:
        return self._text(asked["TemplateCode"], orjson.loads(asked.get("TemplateParam") or "{}"))

    def _numbers_fault(self, numbers: list[str], template: str) -> _Fault | None:
        if len(numbers) > MAX_NUMBERS:
            return "isv.MOBILE_COUNT_OVER_LIMIT", "手机号码数量超过限制"
        for number in numbers:
            if not _PHONE.fullmatch(number):
                return "isv.MOBILE_NUMBER_ILLEGAL", f"非法手机号{number[:20]}"
        limit = self.limits.per_number_per_day
        return self._day_fault(numbers, template, limit) if limit else None

    def _day_fault(self, numbers: list[str], template: str, limit: int) -> _Fault | None:
        day = int((self.book.clock() + 8 * 3600) // 86_400)
        if day != self._day:
            self._day = day
            self._sent.clear()
        keys = [(number, template) for number in numbers]
        if any(self._sent.get(key, 0) >= limit for key in keys):
            return "isv.BUSINESS_LIMIT_CONTROL", f"触发天级流控Permits:{limit}"
        for key in keys:
            self._sent[key] = self._sent.get(key, 0) + 1
        return None

    # -- words

    def _error(self, code: str, text: str) -> Answer:
        self.book.refuse(code)
        return Answer(_ok({"Code": code, "Message": text}))

    def _gateway_error(self, http: int, code: str, text: str, headers: str = "") -> Answer:
        self.book.refuse(code)
        body = {"RequestId": _request_id(), "HostId": "dysmsapi.aliyuncs.com", "Code": code, "Message": text}
        return Answer(
            response(http, orjson.dumps(body), headers=headers, content_type="application/json;charset=utf-8")
        )

    def busy(self) -> bytes:
        """isp.SYSTEM_ERROR."""
        return self._error("isp.SYSTEM_ERROR", "isp.SYSTEM_ERROR").data

    def over_quota(self) -> bytes:
        """isv.DAY_LIMIT_CONTROL."""
        return self._error("isv.DAY_LIMIT_CONTROL", "触发日发送限额").data

    def too_many(self, retry_after_s: int) -> bytes:
        """Throttling.User as HTTP 429."""
        text = "Request was denied due to user flow control."
        return self._gateway_error(429, "Throttling.User", text, f"Retry-After: {retry_after_s}\r\n").data

    def server_error(self) -> bytes:
        """ServiceUnavailable."""
        return self._gateway_error(503, "ServiceUnavailable", "The request has failed due to a temporary failure.").data

    def unknown(self) -> bytes:
        """A code nobody has seen."""
        return self._error("isv.SANDBOX_UNSEEN", "a code that stands in no documentation").data


def _signature_fault(request: Request, headers: Mapping[str, str], signature: str) -> _GatewayFault | None:
    if headers["x-acs-content-sha256"] != hashlib.sha256(request.body).hexdigest():
        return 400, "SignatureDoesNotMatch", "x-acs-content-sha256 is not the hash of the body."
    expected, to_sign = signature_v3(request, headers)
    if not hmac.compare_digest(expected, signature):
        text = f"Specified signature is not matched with our calculation. server string to sign is: {to_sign!r}"
        return 400, "SignatureDoesNotMatch", text
    return None


def signature_v3(request: Request, headers: Mapping[str, str]) -> tuple[str, str]:
    """(hex signature, string to sign) of a request whose signed headers are `headers`."""
    query = sorted(parse_qsl(request.query.decode("latin-1"), keep_blank_values=True))
    names = sorted(headers)
    canonical = "\n".join(
        (
            request.method.decode("latin-1"),
            request.path.decode("latin-1"),
            "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in query),
            "".join(f"{name}:{headers[name]}\n" for name in names),
            ";".join(names),
            headers["x-acs-content-sha256"],
        )
    )
    to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    return hmac.digest(accounts.ACCESS_KEY_SECRET.encode(), to_sign.encode(), "sha256").hex(), to_sign


def e164(number: str) -> str:
    """A mainland number in any accepted spelling as +86..."""
    return f"+86{number[-11:]}"


def _parameters(request: Request) -> dict[str, str]:
    asked = dict(parse_qsl(request.query.decode("latin-1"), keep_blank_values=True))
    if request.header(b"content-type").lower().startswith(b"application/x-www-form-urlencoded"):
        asked.update(parse_qsl(request.body.decode("latin-1"), keep_blank_values=True))
    return asked


def _request_id() -> str:
    return str(uuid.uuid4()).upper()


def _ok(body: dict[str, Any]) -> bytes:
    body["RequestId"] = _request_id()
    return response(200, orjson.dumps(body), content_type="application/json;charset=utf-8")
