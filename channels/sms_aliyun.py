"""SMS by Aliyun: SendSms of version 2017-05-25 with signature V3, and its delivery reports.

https://help.aliyun.com/zh/sms/developer-reference/api-dysmsapi-2017-05-25-sendsms
https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature
A request carries up to 200 numbers and gets one Code for all: nobody got it, or all did. When that code is about a
person, one of them is the reason and the others are innocent: the channel halves the batch and sends the halves, until
the person stands alone. Halves obey `start_by` like everything else; what it cuts off settles as NOT_STARTED.
The numbers travel in the body, not in the URL that servers write to their logs.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote, urlencode, urlsplit

import orjson

from channels.base import Callback, CallbackRequest, Fault, Kind, Outcome, Scope, Settle, SmsContent, Verdict, Window
from channels.call import Call, Reply
from channels.carriers import china_time, mainland, report, reports_in, text
from channels.replies import BUSY, LOST, failure, judged, read_object, unreadable
from channels.tokens import Clock
from channels.transport import Transport
from server.settings import AliyunSmsAccount

_AUTH = Fault(Kind.AUTH)
_CONFIG = Fault(Kind.CONFIG)
_DAY = Fault(Kind.QUOTA, Scope.ACCOUNT, until_midnight=True)

ERRORS: dict[str, Fault] = {
    "isv.MOBILE_NUMBER_ILLEGAL": Fault(Kind.ADDRESS_DEAD),
    "isv.BUSINESS_LIMIT_CONTROL": Fault(Kind.QUOTA, Scope.PERSON, until_midnight=True),
    "isv.DAY_LIMIT_CONTROL": _DAY,
    "isv.MONTH_LIMIT_CONTROL": _DAY,  # asked again every day: a human may raise it
    "Throttling": Fault(Kind.QUOTA, Scope.ACCOUNT, reset_s=1.0),
    "Throttling.User": Fault(Kind.QUOTA, Scope.ACCOUNT, reset_s=1.0),
    "isv.SMS_TEMPLATE_ILLEGAL": _CONFIG,
    "isv.SMS_SIGNATURE_ILLEGAL": _CONFIG,
    "isv.SMS_SIGN_ILLEGAL": _CONFIG,
    "isv.SIGN_STATE_ILLEGAL": _CONFIG,
    "isv.SMS_SIGNATURE_SCENE_ILLEGAL": _CONFIG,
    "isv.TEMPLATE_MISSING_PARAMETERS": _CONFIG,
    "isv.INVALID_PARAMETERS": _CONFIG,
    "isv.INVALID_JSON_PARAM": _CONFIG,
    "isv.PARAM_LENGTH_LIMIT": _CONFIG,
    "isv.PARAM_NOT_SUPPORT_URL": _CONFIG,
    "isv.BLACK_KEY_CONTROL_LIMIT": _CONFIG,
    "isv.SMS_CONTENT_ILLEGAL": _CONFIG,
    "isv.EXTEND_CODE_ERROR": _CONFIG,
    "isv.DOMESTIC_NUMBER_NOT_SUPPORTED": _CONFIG,
    "isv.MOBILE_COUNT_OVER_LIMIT": _CONFIG,
    "isp.RAM_PERMISSION_DENY": _AUTH,
    "isv.DENY_IP_RANGE": _AUTH,
    "isv.ACCOUNT_NOT_EXISTS": _AUTH,
    "isv.ACCOUNT_ABNORMAL": _AUTH,
    "isv.PRODUCT_UN_SUBSCRIPT": _AUTH,
    "isv.PRODUCT_UNSUBSCRIBE": _AUTH,
    "isv.OUT_OF_SERVICE": _AUTH,
    "isv.AMOUNT_NOT_ENOUGH": _AUTH,
    "SignatureDoesNotMatch": _AUTH,
    "SignatureNonceUsed": BUSY,  # ours are random: something on the way repeated the request, and nobody got this one
    "IncompleteSignature": _AUTH,
    "InvalidTimeStamp.Expired": _AUTH,  # our clock
    "InvalidAccessKeyId.NotFound": _AUTH,
    "InvalidAccessKeyId.Inactive": _AUTH,
    "isp.SYSTEM_ERROR": BUSY,
    "ServiceUnavailable": LOST,
}

ALGORITHM = "ACS3-HMAC-SHA256"
MAX_REFERENCE_CHARS = 255
_FORM = "application/x-www-form-urlencoded"


class AliyunSmsChannel:
    """One Aliyun account. `nonce` yields text that is never used twice."""

    channel = "sms"
    provider = "sms_aliyun"
    per_request = 200

    def __init__(self, account: AliyunSmsAccount, transport: Transport, clock: Clock, nonce: Callable[[], str]) -> None:
        self._account = account
        self._transport = transport
        self._clock = clock
        self._nonce = nonce

    async def ready(self) -> Fault | None:
        """Requests are signed one by one: there is nothing to make ready."""
        return None

    def send(self, window: Window, settle: Settle) -> None:
        """Requests of up to 200 numbers."""
        for start in range(0, len(window.addresses), self.per_request):
            end = min(start + self.per_request, len(window.addresses))
            self._send(window, range(start, end), settle)

    def _send(self, window: Window, part: range, settle: Settle) -> None:
        body = form(window.content, [window.addresses[index] for index in part], window.reference)

        def done(_: int, reply: Reply) -> None:
            outcome = outcome_of(reply)
            if is_about_a_person(outcome.fault) and len(part) > 1:
                middle = part.start + len(part) // 2
                self._send(window, range(part.start, middle), settle)
                self._send(window, range(middle, part.stop), settle)
                return
            for index in part:
                settle(index, outcome)

        headers = self._headers(body)
        call = Call(self._account.base_url, headers, window.start_by, window.deadline_s, done, window.is_urgent)
        self._transport.post(call, body)

    def _headers(self, body: bytes) -> Sequence[str]:
        fields = {
            "content-type": _FORM,
            "host": urlsplit(self._account.base_url).netloc,
            "x-acs-action": "SendSms",
            "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
            "x-acs-date": self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": self._nonce(),
            "x-acs-version": "2017-05-25",
        }
        secret = self._account.access_key_secret.get_secret_value()
        proof = authorization(fields, {}, self._account.access_key_id, secret)
        return [*(f"{name}: {value}" for name, value in fields.items()), f"Authorization: {proof}"]


def form(content: object, numbers: Sequence[str], reference: str) -> bytes:
    """The form of SendSms. Template values are strings in a JSON object; mainland numbers go without +86."""
    assert isinstance(content, SmsContent)
    template = content.templates[AliyunSmsChannel.provider]
    fields = {
        "PhoneNumbers": ",".join(number.removeprefix("+86") for number in numbers),
        "SignName": template.sign,
        "TemplateCode": template.template_id,
        "TemplateParam": orjson.dumps(dict(template.params)).decode(),
        "OutId": reference[:MAX_REFERENCE_CHARS],
    }
    return urlencode(fields).encode()


def authorization(headers: Mapping[str, str], query: Mapping[str, str], key_id: str, secret: str) -> str:
    """The Authorization header of signature V3 for a POST to "/" whose lower-case `headers` are all signed."""
    names = sorted(headers)
    canonical = "\n".join(
        [
            "POST",
            "/",
            "&".join(f"{quote(name, safe='~')}={quote(query[name], safe='~')}" for name in sorted(query)),
            "".join(f"{name}:{headers[name].strip()}\n" for name in names),
            ";".join(names),
            headers["x-acs-content-sha256"],
        ]
    )
    to_sign = f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(secret.encode(), to_sign.encode(), "sha256").hex()
    return f"{ALGORITHM} Credential={key_id},SignedHeaders={';'.join(names)},Signature={signature}"


def outcome_of(reply: Reply) -> Outcome:
    """What Aliyun said about every number of a request. Only HTTP 200 with Code OK is ACCEPTED."""
    lost = failure(reply)
    if lost is not None:
        return lost
    match read_object(reply.body):
        case {"Code": "OK", "BizId": str(biz_id)} if reply.status == 200:
            return Outcome(Verdict.ACCEPTED, "OK", reference=biz_id[:128])
        case {"Code": str(code)} if code != "OK":
            return judged(code, ERRORS.get(code), reply)
        case _:
            return unreadable(reply)


def is_about_a_person(fault: Fault | None) -> bool:
    """A refusal that one number of a batch brought on all."""
    return fault is not None and (fault.kind is Kind.ADDRESS_DEAD or fault.scope is Scope.PERSON)


class AliyunReceiptReader:
    """Reads the delivery reports of one account (SmsReport by HTTP, a JSON array)."""

    provider = "sms_aliyun"

    def __init__(self, account: AliyunSmsAccount) -> None:
        self._key = account.receipt_key.get_secret_value()

    def read(self, request: CallbackRequest, now: datetime) -> Callback:
        """The reports of a POST with the right key; a report without a number or BizId is left out."""
        receipts = [
            report(
                mainland(text(item, "phone_number")),
                text(item, "err_code"),
                text(item, "biz_id"),
                china_time(text(item, "report_time"), now),
                is_success=item.get("success") is True,
            )
            for item in reports_in(request, self._key)
            if text(item, "phone_number") and text(item, "biz_id")
        ]
        answer = '{"code":0,"msg":"接收成功"}'.encode()
        return Callback(answer, "application/json", receipts)
