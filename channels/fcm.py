"""Push by Firebase Cloud Messaging, HTTP v1: firebase-admin's messages and credentials on our own transport.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages. One message a request. The body of a window is
computed once by firebase-admin's own encoder: only the device token differs. A 503 may have been delivered all the
same, so collapse key, APNs collapse id and Android tag are our tag: a repeated message replaces the first.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import orjson
from firebase_admin import credentials, messaging
from google.auth import jwt

from channels.base import Fault, Kind, Outcome, PushContent, Scope, Settle, Verdict, Window
from channels.call import Call, Reply
from channels.replies import BUSY, LOST, UNLISTED, failure, judged, read_object, unreadable
from channels.tokens import Clock, Token, TokenKeeper, TokenStore
from channels.transport import Transport
from server.domain.errors import ConfigurationError
from server.settings import FcmAccount

_AUTH = Fault(Kind.AUTH)
_CONFIG = Fault(Kind.CONFIG)
_DEAD = Fault(Kind.ADDRESS_DEAD)
_QUOTA = Fault(Kind.QUOTA, Scope.ACCOUNT, reset_s=60.0)

ERRORS: dict[str, Fault] = {
    # FcmError.errorCode
    "UNREGISTERED": _DEAD,
    "SENDER_ID_MISMATCH": _DEAD,
    "INVALID_ARGUMENT": _CONFIG,  # of the payload; `_fault` tells it from a bad device token
    "QUOTA_EXCEEDED": _QUOTA,
    "UNAVAILABLE": LOST,  # has been said of messages that were delivered
    "INTERNAL": LOST,
    "THIRD_PARTY_AUTH_ERROR": _AUTH,
    "APNS_AUTH_ERROR": _AUTH,
    "UNSPECIFIED_ERROR": UNLISTED,
    # google.rpc.Status, where no FcmError is given
    "UNAUTHENTICATED": _AUTH,
    "PERMISSION_DENIED": _AUTH,
    "RESOURCE_EXHAUSTED": _QUOTA,
    "NOT_FOUND": _CONFIG,  # the project, for a dead token says UNREGISTERED
    "DEADLINE_EXCEEDED": LOST,
    "FAILED_PRECONDITION": _CONFIG,
}
STALE_TOKEN = "UNAUTHENTICATED"  # noqa: S105 - an error's name

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
AUDIENCE = "https://oauth2.googleapis.com/token"  # the same for every token_uri, as in google-auth
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"

_ASSERTION_S = 3600
_MAX_COLLAPSE_BYTES = 64
_GOOD_CONTENTS = 256  # how many contents are remembered as accepted before
_FORM = ("Content-Type: application/x-www-form-urlencoded",)


class FcmChannel:
    """One Firebase project. `store` shares the access token between processes."""

    channel = "push"
    provider = "fcm"
    per_request = 1

    def __init__(self, account: FcmAccount, transport: Transport, store: TokenStore, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._url = f"{account.base_url}/v1/projects/{account.project_id}/messages:send"
        self._certificate, self._token_uri = _certificate(account.credentials.get_secret_value())
        self._keeper = TokenKeeper(f"fcm/{account.project_id}", store, self._fetch_token, clock)
        self._good: deque[bytes] = deque(maxlen=_GOOD_CONTENTS)
        self._headers: tuple[str, tuple[str, ...]] = ("", ())

    async def ready(self) -> Fault | None:
        """Have a fresh token."""
        return await self._keeper.ready()

    def send(self, window: Window, settle: Settle) -> None:
        """One request per device; a stale access token settles as RETRY and makes the next `ready()` fetch another."""
        content = window.content
        assert isinstance(content, PushContent)
        token = self._keeper.value
        start, end = message_frame(content, self._clock())
        name = _fingerprint(content)

        def done(index: int, reply: Reply) -> None:
            outcome = outcome_of(reply, is_known_good=name in self._good)
            if outcome.verdict is Verdict.ACCEPTED:
                if name not in self._good:
                    self._good.append(name)
            elif outcome.code == STALE_TOKEN:
                self._keeper.spoil(token)
            settle(index, outcome)

        call = Call(self._url, self._headers_for(token), window.start_by, window.deadline_s, done, window.is_urgent)
        for index, device in enumerate(window.addresses):
            self._transport.post(call, b"%b%b%b" % (start, orjson.dumps(device), end), index)

    def _headers_for(self, token: str) -> tuple[str, ...]:
        if self._headers[0] != token:
            self._headers = (token, (f"Authorization: Bearer {token}", "Content-Type: application/json"))
        return self._headers[1]

    async def _fetch_token(self, _stale: str) -> Token | Fault:
        """An OAuth access token by the JWT-bearer grant of RFC 7523."""
        now = self._clock()
        form = urlencode({"grant_type": GRANT_TYPE, "assertion": assertion(self._certificate, now)}).encode()
        return token_of(await self._transport.fetch(self._token_uri, _FORM, form), now)


def assertion(certificate: credentials.Certificate, now: datetime) -> str:
    """The signed claim that this service account asks for the messaging scope, valid for an hour."""
    issued = int(now.timestamp())
    claims = {
        "iat": issued,
        "exp": issued + _ASSERTION_S,
        "iss": certificate.service_account_email,
        "aud": AUDIENCE,
        "scope": SCOPE,
    }
    encode: Callable[..., bytes] = jwt.encode
    return encode(certificate.signer, claims).decode()


def token_of(reply: Reply, now: datetime) -> Token | Fault:
    """The access token in an OAuth answer, or why there is none (RFC 6749 section 5)."""
    match read_object(reply.body):
        case {"access_token": str(value), "expires_in": int(expires_in_s)} if value.isprintable() and expires_in_s > 0:
            return Token.lasting(value, expires_in_s, now)
        case {"error": str()} if 400 <= reply.status < 500:
            return _AUTH
        case _:
            return BUSY


def message_of(content: PushContent, now: datetime) -> messaging.Message:
    """The message as firebase-admin models it, to a topic that stands for the device token."""
    sound = "default" if content.is_loud else None
    tag = collapse_id(content.tag)
    expires_at_s = int(now.astimezone(UTC).timestamp()) + content.ttl_s
    android = messaging.AndroidConfig(
        priority="high" if content.is_loud else "normal",
        ttl=content.ttl_s,
        collapse_key=tag,
        notification=messaging.AndroidNotification(channel_id=content.channel_id, tag=tag, sound=sound),
    )
    apns = messaging.APNSConfig(
        headers={
            "apns-priority": "10" if content.is_loud else "5",
            "apns-expiration": str(expires_at_s),
            "apns-collapse-id": tag,
        },
        payload=messaging.APNSPayload(aps=messaging.Aps(sound=sound)),
    )
    return messaging.Message(
        topic="t",
        notification=messaging.Notification(title=content.title, body=content.body),
        data=dict(content.data) or None,
        android=android,
        apns=apns,
    )


def message_frame(content: PushContent, now: datetime) -> tuple[bytes, bytes]:
    """The body of a request before and after the quoted device token."""
    message = orjson.loads(str(message_of(content, now)))
    del message["topic"]
    return b'{"validate_only":false,"message":{"token":', b"," + orjson.dumps(message)[1:] + b"}"


def collapse_id(tag: str) -> str:
    """`tag`, or its hash where it is longer than the 64 bytes that APNs allows."""
    return tag if len(tag.encode()) <= _MAX_COLLAPSE_BYTES else hashlib.sha256(tag.encode()).hexdigest()


def outcome_of(reply: Reply, *, is_known_good: bool) -> Outcome:
    """What FCM said. Only HTTP 200 with a message name is ACCEPTED."""
    lost = failure(reply)
    if lost is not None:
        return lost
    match read_object(reply.body):
        case {"name": str(name)} if reply.status == 200 and name.startswith("projects/"):
            return Outcome(Verdict.ACCEPTED, reference=name.rpartition("/")[2][:128])
        case {"error": {"status": str(status)} as error} if reply.status >= 400:
            code, fault = _fault(error, status, is_known_good=is_known_good)
            return judged(code, fault, reply)
        case _:
            return unreadable(reply)


def _fault(error: Mapping[str, Any], status: str, *, is_known_good: bool) -> tuple[str, Fault | None]:
    """The code and its meaning. INVALID_ARGUMENT may be the device token's fault or ours.

    It is the token's if FCM names no field, or only the token, and the same content was accepted for somebody else: a
    broken payload must not retire a city's devices. Before the first acceptance it is retried a little (UNLISTED).
    """
    details = error.get("details")
    details = [d for d in details if isinstance(d, dict)] if isinstance(details, list) else []
    code = next((d["errorCode"] for d in details if isinstance(d.get("errorCode"), str)), "")
    if code != "INVALID_ARGUMENT":
        return code or status, ERRORS.get(code or status)
    violations = [v for d in details if isinstance(d.get("fieldViolations"), list) for v in d["fieldViolations"]]
    if any(not isinstance(v, dict) or v.get("field") != "message.token" for v in violations):
        return code, ERRORS[code]
    return code, _DEAD if is_known_good else UNLISTED


def _fingerprint(content: PushContent) -> bytes:
    parts = [content.title, content.body, content.tag, content.channel_id, content.ttl_s, dict(content.data)]
    return hashlib.sha256(orjson.dumps(parts)).digest()


def _certificate(text: str) -> tuple[credentials.Certificate, str]:
    """The service account of the settings and where it gets its tokens; raises ConfigurationError."""
    try:
        account = orjson.loads(text)
        return credentials.Certificate(account), str(account["token_uri"])
    except (ValueError, TypeError, KeyError) as error:
        what = f"HUIMIN_FCM__CREDENTIALS: {type(error).__name__}"
        raise ConfigurationError(
            "fcm_credentials", zh=f"FCM 服务账号无效：{what}", en=f"no service account in {what}"
        ) from None
