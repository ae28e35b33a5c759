"""Push by FCM against a scripted provider, with firebase-admin and google-auth as the reference."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from firebase_admin import credentials, messaging
from google.auth import jwt
from google.oauth2 import service_account
from pydantic import SecretStr

from channels.base import Fault, Kind, Outcome, PushContent, Scope, Verdict
from channels.call import Reply, State
from channels.fcm import ERRORS, SCOPE, FcmChannel, assertion, collapse_id, message_frame, outcome_of
from channels.transport import Transport
from server.domain.errors import ConfigurationError
from server.settings import FcmAccount
from tests.channels.scripted import MemoryTokens, MovedClock, Request, Send, Serve, http

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
LOUD = PushContent(
    "暴雨红色预警", "请立即转移", "alert-1", 3600, is_loud=True, channel_id="alert_red", data={"id": "1"}
)
SILENT = PushContent("Title", "Body", "x" * 80, 60, is_loud=False)
TOKEN = http(b'{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}')
NAME = b'{\n  "name": "projects/p1/messages/0:1500415314455276%31bd1c9631bd1c96"\n}\n'


@pytest.fixture(scope="module")
def key_file() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return {
        "type": "service_account",
        "project_id": "p1",
        "private_key_id": "k1",
        "private_key": pem,
        "client_email": "a@p1.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }


def channel_at(
    url: str, key: dict[str, str], transport: Transport, tokens: MemoryTokens, clock: MovedClock
) -> FcmChannel:
    text = json.dumps({**key, "token_uri": f"{url}/token"})
    account = FcmAccount(base_url=url, project_id="p1", http2=False, credentials=SecretStr(text))
    return FcmChannel(account, transport, tokens, clock)


@pytest.mark.parametrize("content", [LOUD, SILENT])
def test_our_body_is_what_firebase_admin_encodes(content: PushContent):
    start, end = message_frame(content, NOW)
    ours = json.loads(start + b'"device-1"' + end)
    tag, sound = collapse_id(content.tag), "default" if content.is_loud else None
    with pytest.warns(DeprecationWarning, match="Message.token"):
        theirs = messaging.Message(
            token="device-1",
            notification=messaging.Notification(title=content.title, body=content.body),
            data=dict(content.data) or None,
            android=messaging.AndroidConfig(
                priority="high" if content.is_loud else "normal",
                ttl=content.ttl_s,
                collapse_key=tag,
                notification=messaging.AndroidNotification(channel_id=content.channel_id, tag=tag, sound=sound),
            ),
            apns=messaging.APNSConfig(
                headers={
                    "apns-priority": "10" if content.is_loud else "5",
                    "apns-expiration": str(int(NOW.timestamp()) + content.ttl_s),
                    "apns-collapse-id": tag,
                },
                payload=messaging.APNSPayload(aps=messaging.Aps(sound=sound)),
            ),
        )
    assert ours == {"validate_only": False, "message": json.loads(str(theirs))}
    assert content.title.encode() in end


def test_our_assertion_is_google_auths(key_file: dict[str, str]):
    certificate = credentials.Certificate(key_file)
    theirs = service_account.Credentials.from_service_account_info(key_file, scopes=[SCOPE])
    reference = theirs._make_authorization_grant_assertion()  # noqa: SLF001 - the reference is private
    wanted = jwt.decode(reference, verify=False)
    issued_at = datetime.fromtimestamp(wanted["iat"], UTC)
    ours = assertion(certificate, issued_at)
    assert jwt.decode(ours, verify=False) == wanted
    assert ours == reference.decode()


async def test_devices_get_one_request_each_with_a_token_fetched_once(
    serve: Serve, key_file: dict[str, str], transport: Transport, tokens: MemoryTokens, clock: MovedClock, send: Send
):
    provider = await serve(lambda r: TOKEN if r.target == "/token" else http(NAME))
    channel = channel_at(provider.url, key_file, transport, tokens, clock)
    assert await asyncio.gather(channel.ready(), channel.ready()) == [None, None]
    outcomes = await send(channel, LOUD, ["d1", "d2"])
    assert outcomes == [Outcome(Verdict.ACCEPTED, reference="0:1500415314455276%31bd1c9631bd1c96")] * 2
    grant, *sent = provider.requests
    assert parse_qs(grant.body.decode())["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assert {r.target for r in sent} == {"/v1/projects/p1/messages:send"}
    assert {r.header("authorization") for r in sent} == {"Bearer ya29.x"}
    assert {json.loads(r.body)["message"]["token"] for r in sent} == {"d1", "d2"}


async def test_an_expired_access_token_is_replaced_once(
    serve: Serve, key_file: dict[str, str], transport: Transport, tokens: MemoryTokens, clock: MovedClock, send: Send
):
    def answer(request: Request) -> bytes:
        if request.target == "/token":
            return http(b'{"access_token":"t%d","expires_in":3599}' % request.number)
        return http(NAME) if request.header("authorization") != "Bearer t0" else error(401, "UNAUTHENTICATED")

    provider = await serve(answer)
    channel = channel_at(provider.url, key_file, transport, tokens, clock)
    await channel.ready()
    assert [o.fault for o in await send(channel, LOUD, ["a", "b"])] == [Fault(Kind.AUTH)] * 2
    await asyncio.gather(*(channel.ready() for _ in range(5)))
    assert [o.verdict for o in await send(channel, LOUD, ["a", "b"])] == [Verdict.ACCEPTED] * 2
    assert sum(r.target == "/token" for r in provider.requests) == 2


def error(http_status: int, status: str, *details: dict[str, object]) -> bytes:
    body = {"error": {"code": http_status, "message": "x", "status": status, "details": list(details)}}
    return http(json.dumps(body).encode(), http_status)


def answered(http_status: int, status: str, *details: dict[str, object], is_known_good: bool = True) -> Outcome:
    body = error(http_status, status, *details).partition(b"\r\n\r\n")[2]
    return outcome_of(Reply(State.ANSWERED, http_status, body, 7.0), is_known_good=is_known_good)


def fcm(code: str) -> dict[str, object]:
    return {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}


def bad(*fields: str) -> dict[str, object]:
    violations = [{"field": field, "description": "x"} for field in fields]
    return {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (answered(404, "NOT_FOUND", fcm("UNREGISTERED")), Kind.ADDRESS_DEAD),
        (answered(403, "PERMISSION_DENIED", fcm("SENDER_ID_MISMATCH")), Kind.ADDRESS_DEAD),
        (answered(400, "INVALID_ARGUMENT", fcm("INVALID_ARGUMENT")), Kind.ADDRESS_DEAD),
        (answered(400, "INVALID_ARGUMENT", fcm("INVALID_ARGUMENT"), bad("message.token")), Kind.ADDRESS_DEAD),
        (answered(400, "INVALID_ARGUMENT", fcm("INVALID_ARGUMENT"), is_known_good=False), Kind.UNLISTED),
        (answered(400, "INVALID_ARGUMENT", fcm("INVALID_ARGUMENT"), bad("message.android.ttl")), Kind.CONFIG),
        (answered(400, "INVALID_ARGUMENT", bad("message.token")), Kind.CONFIG),
        (answered(401, "UNAUTHENTICATED"), Kind.AUTH),
        (answered(401, "UNAUTHENTICATED", fcm("THIRD_PARTY_AUTH_ERROR")), Kind.AUTH),
        (answered(403, "PERMISSION_DENIED"), Kind.AUTH),
        (answered(429, "RESOURCE_EXHAUSTED", fcm("QUOTA_EXCEEDED")), Kind.QUOTA),
        (answered(503, "UNAVAILABLE", fcm("UNAVAILABLE")), Kind.UNKNOWN),
        (answered(500, "INTERNAL", fcm("INTERNAL")), Kind.UNKNOWN),
        (answered(418, "TEAPOT", fcm("TEAPOT")), Kind.UNLISTED),
    ],
)
def test_refusals_mean_what_the_table_says(outcome: Outcome, kind: Kind):
    assert outcome.fault is not None
    assert outcome.fault.kind is kind
    assert outcome.verdict is not Verdict.ACCEPTED
    assert outcome.retry_after_s == 7.0


def test_a_quota_stops_the_account_for_as_long_as_fcm_says():
    outcome = answered(429, "RESOURCE_EXHAUSTED", fcm("QUOTA_EXCEEDED"))
    assert outcome.fault == Fault(Kind.QUOTA, Scope.ACCOUNT, reset_s=60.0)


def test_the_table_holds_every_code_of_firebase_admin_and_of_the_documentation():
    theirs = set(messaging._MessagingService.FCM_ERROR_TYPES)  # noqa: SLF001 - the reference is private
    documented = {"UNREGISTERED", "SENDER_ID_MISMATCH", "INVALID_ARGUMENT", "QUOTA_EXCEEDED", "UNAVAILABLE", "INTERNAL"}
    assert theirs | documented | {"THIRD_PARTY_AUTH_ERROR", "UNAUTHENTICATED", "PERMISSION_DENIED"} <= ERRORS.keys()


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"", b"[]", b"null", b'{"name":1}', b'{"name":"x"}', b'{"name":NaN}', b'{"error":"x"}', b"\xff",
     b'{"error":{"status":1}}', b'{"name":"projects/'],
)  # fmt: skip
@pytest.mark.parametrize("status", [200, 204, 302, 400, 404, 429, 500, 502, 503])
def test_what_is_not_clearly_an_answer_is_never_accepted(status: int, body: bytes):
    assert outcome_of(Reply(State.ANSWERED, status, body), is_known_good=True).verdict in {
        Verdict.RETRY,
        Verdict.UNKNOWN,
    }


@pytest.mark.parametrize("details", [None, "x", [None], [{"errorCode": 5}], [{"fieldViolations": [1]}], {}])
def test_damaged_details_do_not_stop_us(details: object):
    body = json.dumps({"error": {"status": "INVALID_ARGUMENT", "details": details}}).encode()
    outcome = outcome_of(Reply(State.ANSWERED, 400, body), is_known_good=True)
    assert outcome.fault == Fault(Kind.CONFIG)


def test_credentials_that_are_none_are_a_configuration_error(
    transport: Transport, tokens: MemoryTokens, clock: MovedClock
):
    with pytest.raises(ConfigurationError, match="service account"):
        FcmChannel(FcmAccount(project_id="p1", credentials=SecretStr("{}")), transport, tokens, clock)
