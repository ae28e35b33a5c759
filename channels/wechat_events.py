"""What WeChat tells us: events of subscribe messages, verified and read.

https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html
Plain mode signs token, timestamp and nonce; safe mode signs the encrypted text as well. Bodies are XML or JSON. WeChat
repeats an event until it is answered "success", so the answer for a verified event of another kind is "success" too.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lxml import etree
from wechatpy.crypto import PrpCrypto, WeChatCrypto
from wechatpy.exceptions import InvalidAppIdException

from channels.base import (
    Callback,
    CallbackRequest,
    ForgedCallbackError,
    GrantChange,
    Receipt,
    ReceiptVerdict,
)
from channels.replies import UNLISTED, read_object
from channels.wechat import ERRORS
from server.settings import WeChatAccount

MAX_SKEW_S = 300
MAX_BODY_BYTES = 1_048_576
MAX_ECHO_CHARS = 512

_TEXT = "text/plain; charset=utf-8"
_SUCCESS = b"success"
_DELIVERED_CODES = frozenset({"0"})
_GRANT_EVENTS = frozenset({"subscribe_msg_popup_event", "subscribe_msg_change_event"})
_SENT_EVENT = "subscribe_msg_sent_event"
_NESTS = ("SubscribeMsgPopupEvent", "SubscribeMsgChangeEvent", "SubscribeMsgSentEvent")  # around List in XML


class WeChatReceiptReader:
    """Verifies and reads the message push of one mini-program."""

    provider = "wechat"

    def __init__(self, account: WeChatAccount) -> None:
        self._appid = account.appid
        self._token = account.callback_token.get_secret_value()
        self._key = WeChatCrypto(self._token, account.callback_aes_key.get_secret_value(), account.appid).key

    def read(self, request: CallbackRequest, now: datetime) -> Callback:
        """The events in a push, or the echo of WeChat's address check."""
        query = request.query
        timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
        _check_fresh(timestamp, now)
        if request.method == "GET":
            self._check(query.get("signature", ""), timestamp, nonce)
            return Callback(query.get("echostr", "")[:MAX_ECHO_CHARS].encode(errors="replace"), _TEXT)
        if len(request.body) > MAX_BODY_BYTES:
            raise ForgedCallbackError("body too large")
        message = _read_message(request.body)
        encrypted = message.get("Encrypt")
        if isinstance(encrypted, str):
            signature = query.get("msg_signature", "")
            self._check(signature, timestamp, nonce, encrypted)
            message = _read_message(self._decrypted(encrypted))
        else:
            signature = query.get("signature", "")
            self._check(signature, timestamp, nonce)
        return _callback(message, f"{timestamp}.{nonce}.{signature}")

    def _check(self, signature: str, *signed: str) -> None:
        text = "".join(sorted((self._token, *signed)))
        expected = hashlib.sha1(text.encode(errors="replace")).hexdigest()  # noqa: S324 - WeChat's choice
        if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
            raise ForgedCallbackError("signature")

    def _decrypted(self, encrypted: str) -> bytes:
        """The message in safe mode; the appid inside must be ours."""
        try:
            text: str = PrpCrypto(self._key).decrypt(encrypted, self._appid)
        except InvalidAppIdException:
            raise ForgedCallbackError("appid") from None
        except (ValueError, IndexError, struct.error) as error:  # what the library raises on damaged text
            raise ForgedCallbackError("cipher text") from error
        return text.encode()


def _check_fresh(timestamp: str, now: datetime) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise ForgedCallbackError("timestamp")
    if abs(now.timestamp() - int(timestamp)) > MAX_SKEW_S:
        raise ForgedCallbackError("timestamp too far from now")


def _read_message(body: bytes) -> Mapping[str, Any]:
    """The fields of a JSON or XML message; repeated XML elements become a list."""
    if body.lstrip()[:1] == b"{":
        message = read_object(body)
        if message is None:
            raise ForgedCallbackError("JSON")
        return message
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ForgedCallbackError("XML") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise ForgedCallbackError("DOCTYPE")
    fields = _fields(root)
    if not isinstance(fields, dict):
        raise ForgedCallbackError("XML without fields")
    return fields


def _fields(element: etree._Element) -> dict[str, Any] | str:
    children = [child for child in element if isinstance(child.tag, str)]
    if not children:
        return element.text or ""
    fields: dict[str, Any] = {}
    for child in children:
        value = _fields(child)
        if child.tag in fields:
            known = fields[child.tag]
            fields[child.tag] = [*known, value] if isinstance(known, list) else [known, value]
        else:
            fields[child.tag] = value
    return fields


def _callback(message: Mapping[str, Any], replay_key: str) -> Callback:
    """The receipts and grants of a verified message; without any if it is of another kind."""
    event, openid = _text(message, "Event"), _text(message, "FromUserName")
    at = _time(_text(message, "CreateTime"))
    receipts: list[Receipt] = []
    grants: list[GrantChange] = []
    if message.get("MsgType") == "event" and openid and at is not None:
        for item in _items(message):
            template_id = _text(item, "TemplateId")
            if event == _SENT_EVENT:
                receipts.append(_receipt(openid, item, at))
            elif event in _GRANT_EVENTS and template_id:
                is_accepted = _text(item, "SubscribeStatusString") == "accept"
                grants.append(GrantChange(openid, template_id, is_accepted, at))
    return Callback(_SUCCESS, _TEXT, receipts, grants, replay_key)


def _items(message: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The `List` of an event: an object or an array, at the top (JSON) or inside the event's own element (XML)."""
    found = message.get("List")
    for name in _NESTS:
        nested = message.get(name)
        if isinstance(nested, dict):
            found = nested.get("List")
    items = found if isinstance(found, list) else [found]
    return [item for item in items if isinstance(item, dict)]


def _receipt(openid: str, item: Mapping[str, Any], at: datetime) -> Receipt:
    code, reference = _text(item, "ErrorCode"), _text(item, "MsgID")
    if code in _DELIVERED_CODES:
        return Receipt(openid, ReceiptVerdict.DELIVERED, code, reference, at)
    known = ERRORS.get(int(code)) if code.lstrip("-").isdecimal() and len(code) < 12 else None
    return Receipt(openid, ReceiptVerdict.UNDELIVERED, code, reference, at, known or UNLISTED)


def _text(fields: Mapping[str, Any], name: str) -> str:
    """A field as text of at most 128 characters; numbers are written out, anything else is ""."""
    value = fields.get(name)
    if type(value) is int:
        return str(value)
    return value[:128] if isinstance(value, str) else ""


def _time(seconds: str) -> datetime | None:
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 11):
        return None
    return datetime.fromtimestamp(int(seconds), UTC)
