"""The message push of WeChat: real encryption by wechatpy, forged, replayed and hostile pushes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from wechatpy.crypto import WeChatCrypto

from channels.base import CallbackRequest, Fault, ForgedCallbackError, GrantChange, Kind, Receipt, ReceiptVerdict
from channels.wechat_events import WeChatReceiptReader
from server.settings import SANDBOX_AES_KEY, WeChatAccount

APPID = "wx0123456789abcdef"
TOKEN = "AAAAA"
NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
AT = datetime.fromtimestamp(int(STAMP) - 5, UTC)
READER = WeChatReceiptReader(
    WeChatAccount(
        appid=APPID,
        secret=SecretStr("sandbox-secret"),
        callback_token=SecretStr(TOKEN),
        callback_aes_key=SecretStr(SANDBOX_AES_KEY),
    )
)
HEAD = (
    f"<ToUserName>gh</ToUserName><FromUserName>openid-1</FromUserName><CreateTime>{int(STAMP) - 5}</CreateTime>"
    "<MsgType>event</MsgType>"
)
SENT_XML = (
    f"<xml>{HEAD}<Event>subscribe_msg_sent_event</Event><SubscribeMsgSentEvent><List><TemplateId>t1</TemplateId>"
    "<MsgID>1700827132819554304</MsgID><ErrorCode>0</ErrorCode><ErrorStatus>success</ErrorStatus></List>"
    "</SubscribeMsgSentEvent></xml>"
)
DELIVERED = Receipt("openid-1", ReceiptVerdict.DELIVERED, "0", "1700827132819554304", AT)


def signed(*parts: str) -> str:
    return hashlib.sha1("".join(sorted((TOKEN, *parts))).encode()).hexdigest()  # noqa: S324 - WeChat's choice


def plain(body: str | bytes, stamp: str = STAMP, nonce: str = "n1") -> CallbackRequest:
    query = {"timestamp": stamp, "nonce": nonce, "signature": signed(stamp, nonce)}
    return CallbackRequest("POST", query, {}, body.encode() if isinstance(body, str) else body)


def safe(body: str, appid: str = APPID, nonce: str = "n1") -> CallbackRequest:
    crypto = WeChatCrypto(TOKEN, SANDBOX_AES_KEY, appid)
    xml = crypto.encrypt_message(body, nonce, STAMP)
    encrypted = xml.split("<Encrypt><![CDATA[")[1].split("]]>")[0]
    query = {
        "timestamp": STAMP,
        "nonce": nonce,
        "msg_signature": signed(STAMP, nonce, encrypted),
        "encrypt_type": "aes",
    }
    return CallbackRequest("POST", query, {}, xml.encode())


Pack = Callable[[str], CallbackRequest]


def event_json(event: str, items: object) -> str:
    head = {"ToUserName": "gh", "FromUserName": "openid-1", "CreateTime": int(STAMP) - 5, "MsgType": "event"}
    return json.dumps({**head, "Event": event, "List": items})


@pytest.mark.parametrize("pack", [plain, safe])
def test_a_sent_event_is_a_delivered_receipt_in_both_modes(pack: Pack):
    callback = READER.read(pack(SENT_XML), NOW)
    assert list(callback.receipts) == [DELIVERED]
    assert callback.answer == b"success"


@pytest.mark.parametrize("pack", [plain, safe])
@pytest.mark.parametrize("wrap", [lambda item: item, lambda item: [item]], ids=["object", "array"])
def test_json_events_carry_their_list_as_array_or_object(pack: Pack, wrap: Callable[[object], object]):
    item = {"TemplateId": "t1", "MsgID": 1700827132819554304, "ErrorCode": 43101, "ErrorStatus": "reject"}
    body = event_json("subscribe_msg_sent_event", wrap(item))
    (receipt,) = READER.read(pack(body), NOW).receipts
    assert receipt == Receipt(
        "openid-1", ReceiptVerdict.UNDELIVERED, "43101", "1700827132819554304", AT, Fault(Kind.GRANT_GONE)
    )


def test_accepts_and_rejects_are_grant_changes():
    items = [
        {"TemplateId": "t1", "SubscribeStatusString": "accept", "PopupScene": 0},
        {"TemplateId": "t2", "SubscribeStatusString": "reject", "PopupScene": 0},
    ]
    callback = READER.read(plain(event_json("subscribe_msg_popup_event", items)), NOW)
    assert list(callback.grants) == [
        GrantChange("openid-1", "t1", is_accepted=True, at=AT),
        GrantChange("openid-1", "t2", is_accepted=False, at=AT),
    ]
    change = (
        f"<xml>{HEAD}<Event>subscribe_msg_change_event</Event><SubscribeMsgChangeEvent>"
        "<List><TemplateId>t1</TemplateId><SubscribeStatusString>reject</SubscribeStatusString></List>"
        "<List><TemplateId>t2</TemplateId><SubscribeStatusString>reject</SubscribeStatusString></List>"
        "</SubscribeMsgChangeEvent></xml>"
    )
    assert [grant.template_id for grant in READER.read(safe(change), NOW).grants] == ["t1", "t2"]


def test_an_unknown_error_code_is_undelivered_and_unlisted():
    item = {"TemplateId": "t1", "MsgID": "9", "ErrorCode": "77777", "ErrorStatus": "new"}
    (receipt,) = READER.read(plain(event_json("subscribe_msg_sent_event", item)), NOW).receipts
    assert (receipt.verdict, receipt.fault) == (ReceiptVerdict.UNDELIVERED, Fault(Kind.UNLISTED))


def test_the_address_check_echoes_with_the_documented_vector():
    query = {
        "timestamp": "1714036504",
        "nonce": "1514711492",
        "signature": "f464b24fc39322e44b38aa78f5edd27bd1441696",
        "echostr": "4375120948345356249",
    }
    request = CallbackRequest("GET", query, {}, b"")
    at = datetime.fromtimestamp(1714036504, UTC) + timedelta(seconds=20)
    assert READER.read(request, at).answer == b"4375120948345356249"
    with pytest.raises(ForgedCallbackError):
        READER.read(CallbackRequest("GET", {**query, "nonce": "1"}, {}, b""), at)


def test_verified_events_of_other_kinds_are_answered_and_change_nothing():
    callback = READER.read(plain(f"<xml>{HEAD}<Event>subscribe</Event></xml>"), NOW)
    assert (callback.answer, callback.receipts, callback.grants) == (b"success", [], [])


def test_two_requests_with_different_nonces_have_different_replay_keys():
    first, second = (READER.read(plain(SENT_XML, nonce=nonce), NOW) for nonce in ("n1", "n2"))
    assert first.replay_key != second.replay_key
    assert list(first.receipts) == list(second.receipts)


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_an_old_or_future_timestamp_is_forged(seconds: int):
    with pytest.raises(ForgedCallbackError, match="timestamp"):
        READER.read(plain(SENT_XML), NOW + timedelta(seconds=seconds))


def test_a_message_for_another_appid_is_forged():
    with pytest.raises(ForgedCallbackError, match="appid"):
        READER.read(safe(SENT_XML, appid="wxother"), NOW)


def test_changed_cipher_text_is_forged():
    request = safe(SENT_XML)
    changed = request.body.replace(b"<Encrypt><![CDATA[", b"<Encrypt><![CDATA[A")
    with pytest.raises(ForgedCallbackError, match="signature"):
        READER.read(CallbackRequest("POST", request.query, {}, changed), NOW)


LAUGHS = '<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><xml><MsgType>&b;</MsgType></xml>'
FILE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><Event>&a;</Event></xml>'


@pytest.mark.parametrize(
    "body",
    [LAUGHS, FILE, "<!DOCTYPE xml><xml/>", "", "<xml>", "<xml/>", "{", "[]", '{"a":NaN}', b"\xff\xfe<", "<a>" * 200_000,
     b"x" * 2_000_000, LAUGHS.encode("utf-16")],
)  # fmt: skip
def test_hostile_bodies_with_a_good_signature_are_forged(body: str | bytes):
    with pytest.raises(ForgedCallbackError):
        READER.read(plain(body), NOW)


@given(
    st.sampled_from(["GET", "POST"]),
    st.dictionaries(st.sampled_from(["timestamp", "nonce", "signature", "msg_signature", "echostr"]), st.text()),
    st.binary() | st.just(SENT_XML.encode()),
)
def test_whatever_the_bytes_are_an_unsigned_request_is_forged(method: str, query: dict[str, str], body: bytes):
    with pytest.raises(ForgedCallbackError):
        READER.read(CallbackRequest(method, {"timestamp": STAMP, **query}, {}, body), NOW)


@given(st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
    lambda v: event_json("subscribe_msg_sent_event", v).encode()
))  # fmt: skip
def test_whatever_is_signed_is_read_or_forged_and_nothing_else(body: bytes):
    try:
        callback = READER.read(plain(body), NOW)
    except ForgedCallbackError:
        return
    assert callback.answer == b"success"


@given(st.text(alphabet="ABCDwxyz0123+/=", max_size=120))
def test_whatever_is_encrypted_and_signed_is_read_or_forged(encrypted: str):
    query = {"timestamp": STAMP, "nonce": "n", "msg_signature": signed(STAMP, "n", encrypted)}
    body = json.dumps({"Encrypt": encrypted}).encode()
    with pytest.raises(ForgedCallbackError):
        READER.read(CallbackRequest("POST", query, {}, body), NOW)
