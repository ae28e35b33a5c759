"""Firebase Cloud Messaging as a server sees it: the OAuth token endpoint and HTTP v1 `messages:send`.

Errors are google.rpc.Status bodies; what is about the token carries FcmError details, what is about the payload carries
BadRequest field violations. FCM sends no receipts.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import jwt
import orjson
from pydantic import BaseModel, ConfigDict, Field

from channels.sandbox import accounts
from channels.sandbox.book import Answer, Book
from channels.sandbox.http import Request, response

SEND = f"/v1/projects/{accounts.PROJECT}/messages:send"
SCOPES = frozenset(
    {"https://www.googleapis.com/auth/firebase.messaging", "https://www.googleapis.com/auth/cloud-platform"}
)
AUDIENCE = "https://oauth2.googleapis.com/token"  # google-auth signs for this one, whatever the token_uri is
MAX_PAYLOAD_BYTES = 4096
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
_TARGET = re.compile(r"[A-Za-z0-9_:-]{20,4096}|/topics/[A-Za-z0-9_.~%-]{1,900}")
_TTL = re.compile(r"\d{1,10}(?:\.\d{1,9})?s")
_KEYS = frozenset(
    {"name", "data", "notification", "android", "webpush", "apns", "fcm_options", "fid", "token", "topic", "condition"}
)
_ANDROID_KEYS = frozenset(
    {
        "collapse_key", "priority", "ttl", "restricted_package_name", "data", "notification", "fcm_options",
        "direct_boot_ok", "bandwidth_constrained_ok", "restricted_satellite_ok",
    }
)  # fmt: skip
_TARGETS = ("fid", "token", "topic", "condition")
_OBJECTS = ("data", "notification", "android", "webpush", "apns", "fcm_options")
_PRIORITIES = frozenset({"HIGH", "NORMAL", "high", "normal"})
_RESERVED = ("google.", "gcm.")
_JSON = "application/json; charset=UTF-8"
_NAME = f"projects/{accounts.PROJECT}/messages/"
_SUFFIX = "%31bd1c9631bd1c96"
_BODY = '{{"name":"{}0:{}{}"}}'
_OK = response(200, _BODY.format(_NAME, "0" * 16, _SUFFIX).encode(), content_type=_JSON)
_OK_HEAD = _OK[: _OK.index(b"0:0000") + 2]


_Violation = tuple[str, str]  # field, description


class FcmLimits(BaseModel):
    """What the vendor allows."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    token_ttl_s: int = Field(default=3600, ge=1, le=3600)


class Fcm:
    """One Firebase project. `public_key` (PEM) belongs to its service account."""

    def __init__(self, book: Book, public_key: bytes) -> None:
        self.book = book
        self.limits = FcmLimits()
        self._public_key = public_key
        self._tokens: dict[bytes, float] = {}
        self._next_id = int(book.clock() * 1_000_000)
        self.routes: Mapping[bytes, Callable[[Request], Answer]] = {b"/token": self.token}

    def send(self, request: Request) -> Answer:
        """messages:send."""
        if not self._is_authorised(request.header(b"authorization")):
            return self._error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        if self.book.is_over_rate(1):
            return Answer(self.too_many(self.book.dice.faults.retry_after_s))
        body = _parsed(request.body)
        message: Any = body.get("message")
        wrong = _payload_fault(message, len(request.body))
        if wrong:
            return self._violation(*wrong)
        target = _target(message)
        refusal = self._target_refusal(target)
        if refusal:
            return refusal
        if body.get("validate_only") is True:
            return Answer(response(200, b'{"name":"%b"}' % f"{_NAME}fake_message_id".encode(), content_type=_JSON))
        self._next_id += 1
        theirs = f"{self._next_id}{_SUFFIX}"
        line = self.book.accept(target, "", _tag(message), f"0:{theirs}")
        return Answer(_OK_HEAD + theirs.encode() + b'"}', line)

    def _is_authorised(self, bearer: bytes) -> bool:
        expires = self._tokens.get(bearer[7:], 0.0)
        return self.book.clock() < expires and bearer[:7].lower() == b"bearer "

    def _target_refusal(self, target: str) -> Answer | None:
        if not _TARGET.fullmatch(target):
            text = "The registration token is not a valid FCM registration token"
            return self._error(400, "INVALID_ARGUMENT", text, "INVALID_ARGUMENT")
        if self.book.dice.has_dead and self.book.dice.is_dead(target):
            return self._error(404, "NOT_FOUND", "Requested entity was not found.", "UNREGISTERED")
        return None

    def elsewhere(self, _request: Request) -> Answer:
        """A project that the service account has no right to."""
        return self._error(403, "PERMISSION_DENIED", "Permission denied on resource project.")

    def token(self, request: Request) -> Answer:
        """The JWT-bearer grant of RFC 7523: an assertion signed by the service account buys an access token."""
        form = {k: v[-1] for k, v in parse_qs(request.body.decode("ascii", errors="replace")).items()}
        if form.get("grant_type") != _GRANT:
            return self._oauth_error("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")
        host = request.header(b"host").decode("latin-1")
        try:
            claims = jwt.decode(
                form.get("assertion", ""),
                self._public_key,
                algorithms=["RS256"],
                audience=[AUDIENCE, f"http://{host}/token", f"https://{host}/token"],
                issuer=accounts.CLIENT_EMAIL,
                leeway=300,
                options={"require": ["iat", "exp", "iss", "aud"]},
            )
        except jwt.InvalidTokenError as error:
            return self._oauth_error("invalid_grant", f"Invalid JWT: {error}")
        if not SCOPES.intersection(str(claims.get("scope", "")).split()):
            return self._oauth_error("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        token = f"ya29.c.{secrets.token_urlsafe(48)}"
        self._tokens[token.encode()] = self.book.clock() + self.limits.token_ttl_s
        granted = {"access_token": token, "expires_in": self.limits.token_ttl_s, "token_type": "Bearer"}
        return Answer(response(200, orjson.dumps(granted)))

    def expire_tokens(self) -> None:
        """Every token given out is expired from now on."""
        self._tokens.clear()

    # -- words

    def _oauth_error(self, error: str, description: str) -> Answer:
        self.book.refuse(error)
        return Answer(response(400, orjson.dumps({"error": error, "error_description": description})))

    def _violation(self, field: str, text: str) -> Answer:
        detail = {"@type": _BAD_REQUEST, "fieldViolations": [{"field": field, "description": text}]}
        self.book.refuse("INVALID_ARGUMENT payload")
        return Answer(_status(400, "INVALID_ARGUMENT", text, [detail]))

    def _error(self, http: int, status: str, text: str, code: str = "", headers: str = "") -> Answer:
        self.book.refuse(code or status)
        details = [{"@type": _FCM_ERROR, "errorCode": code}] if code else []
        return Answer(_status(http, status, text, details, headers))

    def busy(self) -> bytes:
        """UNAVAILABLE."""
        return self._error(503, "UNAVAILABLE", "The service is currently unavailable.", "UNAVAILABLE").data

    def over_quota(self) -> bytes:
        """QUOTA_EXCEEDED with a minute to wait."""
        return self.too_many(60)

    def too_many(self, retry_after_s: int) -> bytes:
        """QUOTA_EXCEEDED."""
        text = "Quota exceeded for quota metric 'Send requests' of service 'fcm.googleapis.com'."
        headers = f"Retry-After: {retry_after_s}\r\n"
        return self._error(429, "RESOURCE_EXHAUSTED", text, "QUOTA_EXCEEDED", headers).data

    def server_error(self) -> bytes:
        """INTERNAL."""
        return self._error(500, "INTERNAL", "Internal error encountered.", "INTERNAL").data

    def unknown(self) -> bytes:
        """An errorCode nobody has seen."""
        return self._error(400, "SANDBOX_STATUS", "A code that stands in no documentation.", "SANDBOX_UNSEEN").data


def _status(http: int, status: str, text: str, details: list[dict[str, Any]], headers: str = "") -> bytes:
    error: dict[str, Any] = {"code": http, "message": text, "status": status}
    if details:
        error["details"] = details
    return response(http, orjson.dumps({"error": error}), headers=headers, content_type=_JSON)


def _parsed(body: bytes) -> dict[str, Any]:
    """The JSON object of a body; an empty one if it is none, which the payload check refuses."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if type(value) is dict else {}


def _tag(message: Mapping[str, Any]) -> str:
    """What a later message of the same chain carries too: Android tag, else collapse key, else APNs collapse id."""
    android = message.get("android") or {}
    tag = android.get("notification", {}).get("tag") or android.get("collapse_key")
    return str(tag or message.get("apns", {}).get("headers", {}).get("apns-collapse-id") or "")


def _target(message: Mapping[str, Any]) -> str:
    """Whom a message is for: a token or installation id as it is, a topic as /topics/..."""
    token = message.get("token") or message.get("fid")
    return token if type(token) is str else f"/topics/{message.get('topic')}"


def _payload_fault(message: Any, body_bytes: int) -> _Violation | None:
    """(field, what is wrong) of a message, or None."""
    if type(message) is not dict or not message:
        return "message", "Invalid JSON payload received."
    if not message.keys() <= _KEYS:
        name = min(message.keys() - _KEYS)
        return "message", f"Invalid JSON payload received. Unknown name {name!r} at 'message': Cannot find field."
    if sum(key in message for key in _TARGETS) != 1:
        return "message", "Exactly one of fid, token, topic or condition is required."
    if not all(type(message.get(key, {})) is dict for key in _OBJECTS):
        return "message", "Invalid value at 'message': an object is required."
    if body_bytes > MAX_PAYLOAD_BYTES and _payload_bytes(message) > MAX_PAYLOAD_BYTES:
        return "message", "Message too big. The limit is 4096 bytes."
    return _data_fault(message) or _android_fault(message.get("android", {})) or _apns_fault(message.get("apns", {}))


def _data_fault(message: Mapping[str, Any]) -> _Violation | None:
    for part in ("data", "notification"):
        if part in message and not all(type(value) is str for value in message[part].values()):
            return f"message.{part}", f"Invalid value at 'message.{part}' (TYPE_STRING)"
    for key in message.get("data", ()):
        if key in {"from", "message_type"} or key.startswith(_RESERVED):
            return "message.data", f"Invalid data payload key: {key}"
    return None


def _android_fault(android: Mapping[str, Any]) -> _Violation | None:
    if not android.keys() <= _ANDROID_KEYS:
        return "message.android", "Invalid JSON payload received. Unknown name: Cannot find field."
    if str(android.get("priority", "HIGH")) not in _PRIORITIES:
        return "message.android.priority", "Invalid value at 'message.android.priority'"
    if not _TTL.fullmatch(str(android.get("ttl", "0s"))):
        return "message.android.ttl", "Invalid value at 'message.android.ttl': Illegal duration format"
    if type(android.get("notification", {})) is not dict:
        return "message.android.notification", "Invalid value at 'message.android.notification'"
    return None


def _apns_fault(apns: Mapping[str, Any]) -> _Violation | None:
    headers = apns.get("headers", {})
    if type(headers) is not dict or not all(type(value) is str for value in headers.values()):
        return "message.apns.headers", "Invalid value at 'message.apns.headers' (TYPE_STRING)"
    return None


def _payload_bytes(message: Mapping[str, Any]) -> int:
    """The size that counts: everything but the target."""
    return len(orjson.dumps({key: value for key, value in message.items() if key not in _TARGETS}))
