"""How each provider words its receipts: WeChat's encrypted events, Aliyun's and Tencent's report arrays."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from collections.abc import Callable, Sequence
from datetime import datetime
from urllib.parse import quote

import orjson
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from channels.sandbox import accounts
from channels.sandbox.book import Owed
from channels.sandbox.receipts import Post, Style
from server.domain.china import CHINA
from server.settings import SANDBOX_AES_KEY


def wechat(clock: Callable[[], float]) -> Style:
    """subscribe_msg_sent_event, one a post, 1 + 3 tries; the answer must be `success`."""
    return Style(
        encode=lambda owed: wechat_event(owed[0].event or sent_event(owed[0], clock()), owed[0].address, clock()),
        is_taken=lambda body: body.strip() == b"success",
        per_post=1,
        connections=32,
        tries=4,
    )


def aliyun(clock: Callable[[], float]) -> Style:
    """SmsReport arrays; the answer must have code 0."""
    return Style(
        encode=lambda owed: _aliyun_post(owed, clock()),
        is_taken=lambda body: _is_zero(body, "code"),
        per_post=100,
        connections=4,
        tries=6,
    )


def tencent(clock: Callable[[], float]) -> Style:
    """Report arrays; the answer must have result 0."""
    return Style(
        encode=lambda owed: _tencent_post(owed, clock()),
        is_taken=lambda body: _is_zero(body, "result"),
        per_post=100,
        connections=4,
        tries=6,
    )


def sent_event(owed: Owed, now: float) -> str:
    """The XML of what became of one subscribe message."""
    status = f"failed:{owed.code}" if owed.code else "success"
    return _event(
        "subscribe_msg_sent_event",
        "SubscribeMsgSentEvent",
        owed.address,
        f"<List><TemplateId><![CDATA[{owed.template}]]></TemplateId><MsgID><![CDATA[{owed.theirs}]]></MsgID>"
        f"<ErrorCode><![CDATA[{1 if owed.code else 0}]]></ErrorCode>"
        f"<ErrorStatus><![CDATA[{status}]]></ErrorStatus></List>",
        now,
    )


def grant_event(openid: str, template_id: str, *, is_accepted: bool, now: float) -> str:
    """The XML of a citizen's answer to the pop-up (accept), or of a withdrawal in the settings (reject)."""
    name = "Popup" if is_accepted else "Change"
    word = "accept" if is_accepted else "reject"
    scene = "<PopupScene>0</PopupScene>" if is_accepted else ""
    return _event(
        f"subscribe_msg_{name.lower()}_event",
        f"SubscribeMsg{name}Event",
        openid,
        f"<List><TemplateId><![CDATA[{template_id}]]></TemplateId>"
        f"<SubscribeStatusString><![CDATA[{word}]]></SubscribeStatusString>{scene}</List>",
        now,
    )


def _event(event: str, element: str, openid: str, items: str, now: float) -> str:
    return (
        f"<xml><ToUserName><![CDATA[{accounts.ORIGINAL_ID}]]></ToUserName>"
        f"<FromUserName><![CDATA[{openid}]]></FromUserName><CreateTime>{int(now)}</CreateTime>"
        f"<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{event}]]></Event><{element}>{items}</{element}></xml>"
    )


def wechat_event(xml: str, openid: str, now: float) -> Post:
    """An event as WeChat's safe mode sends it: AES-256-CBC with PKCS#7 to 32 bytes, and both signatures."""
    key = base64.b64decode(SANDBOX_AES_KEY + "=")
    message = xml.encode()
    plain = os.urandom(16) + struct.pack(">I", len(message)) + message + accounts.APPID.encode()
    padding = 32 - len(plain) % 32
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    sealed = base64.b64encode(encryptor.update(plain + bytes([padding]) * padding) + encryptor.finalize()).decode()
    timestamp, nonce, token = str(int(now)), str(int.from_bytes(os.urandom(4))), accounts.CALLBACK_TOKEN
    query = (
        f"signature={_sha1(token, timestamp, nonce)}&timestamp={timestamp}&nonce={nonce}&openid={quote(openid)}"
        f"&encrypt_type=aes&msg_signature={_sha1(token, timestamp, nonce, sealed)}"
    )
    body = (
        f"<xml><ToUserName><![CDATA[{accounts.ORIGINAL_ID}]]></ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
    )
    return Post(f"/wechat?{query}", body.encode(), "text/xml")


def _sha1(*parts: str) -> str:
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()  # noqa: S324 - the vendor's choice


def _local(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, CHINA).strftime("%Y-%m-%d %H:%M:%S")


def _aliyun_post(batch: Sequence[Owed], now: float) -> Post:
    reports = [
        {
            "phone_number": owed.address[3:],
            "send_time": _local(owed.accepted_at_s),
            "report_time": _local(now),
            "success": not owed.code,
            "err_code": owed.code or "DELIVERED",
            "err_msg": "用户接收成功" if not owed.code else "发送失败",
            "sms_size": "1",
            "biz_id": owed.theirs,
            "out_id": owed.ours,
        }
        for owed in batch
    ]
    return Post(f"/sms_aliyun/{accounts.ALIYUN_RECEIPT_KEY}", orjson.dumps(reports), "application/json;charset=utf-8")


def _tencent_post(batch: Sequence[Owed], now: float) -> Post:
    reports = [
        {
            "user_receive_time": _local(now),
            "nationcode": "86",
            "mobile": owed.address[3:],
            "report_status": "FAIL" if owed.code else "SUCCESS",
            "errmsg": owed.code or "DELIVRD",
            "description": "用户短信接收失败" if owed.code else "用户短信送达成功",
            "sid": owed.theirs,
        }
        for owed in batch
    ]
    return Post(f"/sms_tencent/{accounts.TENCENT_RECEIPT_KEY}", orjson.dumps(reports), "application/json")


def _is_zero(body: bytes, name: str) -> bool:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(answer, dict) and answer.get(name) == 0
