"""WeChat as a mini-program's server sees it: tokens, subscribe messages, quotas, login.

Errors are HTTP 200 with an errcode; every errmsg ends in a ` rid: ` that the vendor can look up. What is checked of a
message, in this order: token, JSON, openid, template, state and language, fields, page, limits, grant.
"""

from __future__ import annotations

import hashlib
import random
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import orjson
from pydantic import BaseModel, ConfigDict, Field

from channels.sandbox import accounts, wechat_fields
from channels.sandbox.book import Answer, Book
from channels.sandbox.http import Request, response
from channels.sandbox.templates import WeChatTemplate
from server.domain.china import CHINA

SEND = "/cgi-bin/message/subscribe/send"
_OPENID = re.compile(r"[A-Za-z0-9_-]{16,64}")
_PAGE = re.compile(r"(?:/?[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*(?:\.html)?(?:\?[\x21-\x7e]*)?)?")
_PHONE_CODE = re.compile(r"(1[0-9]{10})\.[\x21-\x7e]{1,100}\Z")
_STATES = frozenset({"developer", "trial", "formal"})
_LANGS = frozenset({"zh_CN", "en_US", "zh_HK", "zh_TW"})
_OK = response(
    200, b'{"errcode":0,"errmsg":"ok","msgid":%b}' % bytes(19), content_type="application/json; encoding=utf-8"
)[:-20]


_Fault = tuple[int, str]  # errcode, errmsg without its rid


class WeChatLimits(BaseModel):
    """What the vendor allows. 0 = no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    token_ttl_s: int = Field(default=7200, ge=1, le=7200)
    per_day: int = Field(default=30_000_000, ge=0)
    per_minute: int = Field(default=0, ge=0)


class WeChat:
    """One mini-program."""

    def __init__(self, book: Book, templates: tuple[WeChatTemplate, ...], seed: int) -> None:
        self.book = book
        self.limits = WeChatLimits()
        self.grants = Grants(templates)
        self._fields = {t.id: {key: wechat_fields.kind_of(key) for key in t.fields} for t in templates}
        self._tokens: dict[bytes, float] = {}  # access token -> when it expires
        self._stable = b""
        self._plain = b""
        self._forced_at_s: list[float] = []  # forced refreshes of the last day
        self._codes: set[str] = set()
        self._random = random.Random(seed)  # noqa: S311 - request ids, not secrets
        self._next_id = int(book.clock() * 1000) * 1_000_000
        self._day = self._minute = 0
        self._today = self._this_minute = 0
        self.routes: Mapping[bytes, Callable[[Request], Answer]] = {
            b"/cgi-bin/stable_token": self.stable_token,
            b"/cgi-bin/token": self.token,
            b"/cgi-bin/openapi/quota/get": self.quota_get,
            b"/cgi-bin/clear_quota": self.clear_quota,
            b"/sns/jscode2session": self.session,
            b"/wxa/business/getuserphonenumber": self.phone,
        }

    # -- the hot path

    def send(self, request: Request) -> Answer:
        """subscribeMessage.send."""
        now = self.book.clock()
        wrong = self._token_fault(request.query, now)
        message = None if wrong else _message(request.body)
        if wrong or message is None:
            return self._error(*(wrong or _body_fault(request.body)))
        if self.book.is_over_rate(1):
            return Answer(self.too_many(self.book.dice.faults.retry_after_s))
        openid, template_id = message["touser"], message["template_id"]
        wrong = (
            self._openid_fault(openid)
            or self._message_fault(message, template_id)
            or self._limit_fault(now)
            or self._grant_fault(openid, template_id)
        )
        if wrong:
            return self._error(*wrong)
        self._next_id += 1
        msgid = str(self._next_id)
        return Answer(_OK + msgid.encode() + b"}", self.book.accept(openid, template_id, template_id, msgid))

    def _openid_fault(self, openid: str) -> _Fault | None:
        dice = self.book.dice
        is_good = _OPENID.fullmatch(openid) and not (dice.has_dead and dice.is_dead(openid))
        return None if is_good else (40003, "invalid openid")

    def _grant_fault(self, openid: str, template_id: str) -> _Fault | None:
        dice = self.book.dice
        is_gone = dice.has_grant_gone and dice.is_grant_gone(openid)
        may = not is_gone and self.grants.use(openid, template_id)
        return None if may else (43101, "user refuse to accept the msg")

    def _token_fault(self, query: bytes, now: float) -> _Fault | None:
        token = query[13:]
        if not query.startswith(b"access_token=") or b"&" in token:
            token = parse_qs(query.decode("latin-1")).get("access_token", [""])[0].encode()
        expires = self._tokens.get(token)
        if expires is None:
            return (
                (41001, "access_token missing")
                if not token
                else (40001, "invalid credential, access_token is invalid or not latest")
            )
        return (42001, "access_token expired") if now >= expires else None

    def _message_fault(self, message: Mapping[str, Any], template_id: str) -> _Fault | None:
        kinds = self._fields.get(template_id)
        if kinds is None:
            return 40037, "invalid template_id"
        if not (
            str(message.get("miniprogram_state", "formal")) in _STATES and str(message.get("lang", "zh_CN")) in _LANGS
        ):
            return 47003, "argument invalid! miniprogram_state or lang invalid"
        wrong = _data_fault(message["data"], kinds)
        page = message.get("page", "")
        if not wrong and page and not (type(page) is str and _PAGE.fullmatch(page)):
            return 41030, "invalid page"
        return wrong

    def _limit_fault(self, now: float) -> _Fault | None:
        minute = int(now // 60)
        if minute != self._minute:
            self._minute, self._this_minute = minute, 0
            day = datetime.fromtimestamp(now, CHINA).toordinal()
            if day != self._day:
                self._day, self._today = day, 0
        self._today += 1
        self._this_minute += 1
        if self.limits.per_day and self._today > self.limits.per_day:
            return 45009, "reach max api daily quota limit"
        if self.limits.per_minute and self._this_minute > self.limits.per_minute:
            return 45011, "api minute-quota reach limit must slower retry next minute"
        return None

    # -- the rest

    def stable_token(self, request: Request) -> Answer:
        """getStableAccessToken: the same token until its last five minutes; force_refresh makes the old one invalid."""
        try:
            asked = orjson.loads(request.body)
            appid, secret, is_forced = asked["appid"], asked["secret"], asked.get("force_refresh", False)
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return self._error(47001, "data format error")
        wrong = _credential_fault(appid, secret)
        if wrong:
            return self._error(*wrong)
        now = self.book.clock()
        left = self._tokens.get(self._stable, 0.0) - now
        if is_forced is True:
            wrong = self._forced_fault(now)
            if wrong:
                return self._error(*wrong)
            self._tokens.pop(self._stable, None)
        if is_forced is True or left <= min(300, self.limits.token_ttl_s / 2):
            self._stable = self._new_token(now)
        return self._json({"access_token": self._stable.decode(), "expires_in": int(self._tokens[self._stable] - now)})

    def _forced_fault(self, now: float) -> _Fault | None:
        """Forced refreshes: at least 30 s apart and 20 a day."""
        self._forced_at_s = [at_s for at_s in self._forced_at_s if now - at_s < 86_400]
        if self._forced_at_s and now - self._forced_at_s[-1] < 30:
            return 45011, "force refresh once in 30 seconds"
        if len(self._forced_at_s) >= 20:
            return 45009, "reach max force refresh daily quota limit"
        self._forced_at_s.append(now)
        return None

    def token(self, request: Request) -> Answer:
        """getAccessToken: each call makes a new token; the one before lives five minutes more."""
        query = {name: values[-1] for name, values in parse_qs(request.query.decode("latin-1")).items()}
        wrong = _credential_fault(query.get("appid"), query.get("secret"))
        if wrong:
            return self._error(*wrong)
        now = self.book.clock()
        if self._plain in self._tokens:
            self._tokens[self._plain] = min(self._tokens[self._plain], now + 300)
        self._plain = self._new_token(now)
        return self._json({"access_token": self._plain.decode(), "expires_in": self.limits.token_ttl_s})

    def quota_get(self, request: Request) -> Answer:
        """openapi.quota/get for the send path."""
        wrong = self._token_fault(request.query, self.book.clock())
        if wrong:
            return self._error(*wrong)
        limit = self.limits.per_day
        quota = {"daily_limit": limit, "used": self._today, "remain": max(0, limit - self._today)}
        return self._json({"errcode": 0, "errmsg": "ok", "quota": quota})

    def clear_quota(self, request: Request) -> Answer:
        """clear_quota: today's count begins anew."""
        wrong = self._token_fault(request.query, self.book.clock())
        if wrong:
            return self._error(*wrong)
        self._today = self._this_minute = 0
        return self._json({"errcode": 0, "errmsg": "ok"})

    def session(self, request: Request) -> Answer:
        """code2Session. A code works once; its part before the first dot is the citizen, who keeps one openid."""
        query = {name: values[-1] for name, values in parse_qs(request.query.decode("latin-1")).items()}
        wrong = _credential_fault(query.get("appid"), query.get("secret"))
        code = query.get("js_code", "")
        if not wrong and not 1 <= len(code) <= 128:
            wrong = (40029, "invalid code")
        if not wrong and code in self._codes:
            wrong = (40163, "code been used")
        if wrong:
            return self._error(*wrong)
        self._codes.add(code)
        key = secrets.token_urlsafe(16) + "=="
        return self._json({"openid": openid_of(code.split(".", 1)[0]), "session_key": key})

    def phone(self, request: Request) -> Answer:
        """A user's phone (getuserphonenumber). A code works once; what stands before its dot is the national number."""
        wrong = self._token_fault(request.query, self.book.clock())
        body = None if wrong else _object(request.body)
        code = (body or {}).get("code")
        if not wrong and body is None:
            wrong = (47001, "data format error")
        match = _PHONE_CODE.match(code) if type(code) is str else None
        if wrong or match is None or code in self._codes:
            return self._error(*(wrong or (40029, "invalid code")))
        self._codes.add(str(code))
        watermark = {"timestamp": int(self.book.clock()), "appid": accounts.APPID}
        told = {"phoneNumber": match[1], "purePhoneNumber": match[1], "countryCode": "86", "watermark": watermark}
        return self._json({"errcode": 0, "errmsg": "ok", "phone_info": told})

    def expire_tokens(self) -> None:
        """Every token given out is expired from now on (42001)."""
        self._tokens = dict.fromkeys(self._tokens, 0.0)
        self._stable = self._plain = b""

    def _new_token(self, now: float) -> bytes:
        token = f"{len(self._tokens) + 60}_{secrets.token_urlsafe(96)}".encode()
        self._tokens[token] = now + self.limits.token_ttl_s
        return token

    # -- words

    def _error(self, code: int, text: str) -> Answer:
        self.book.refuse(str(code))
        bits = self._random.getrandbits(96)
        rid = f"{bits >> 64:08x}-{bits >> 32 & 0xFFFFFFFF:08x}-{bits & 0xFFFFFFFF:08x}"
        return self._json({"errcode": code, "errmsg": f"{text} rid: {rid}"})

    def _json(self, value: dict[str, Any]) -> Answer:
        return Answer(response(200, orjson.dumps(value), content_type="application/json; encoding=utf-8"))

    def busy(self) -> bytes:
        """Errcode -1."""
        return self._error(-1, "system error").data

    def over_quota(self) -> bytes:
        """Errcode 45009."""
        return self._error(45009, "reach max api daily quota limit").data

    def too_many(self, retry_after_s: int) -> bytes:
        """HTTP 429."""
        return response(429, b"", headers=f"Retry-After: {retry_after_s}\r\n")

    def server_error(self) -> bytes:
        """HTTP 500."""
        return response(500, b"<html>500</html>", content_type="text/html")

    def unknown(self) -> bytes:
        """An errcode nobody has seen."""
        return self._error(61999, "sandbox: a code that stands in no documentation").data


class Grants:
    """Who has allowed which template: long-term ones are granted until revoked, one-time ones need a credit."""

    def __init__(self, templates: tuple[WeChatTemplate, ...]) -> None:
        self._is_long_term = {t.id: t.kind == "long_term" for t in templates}
        self._revoked: set[tuple[str, str]] = set()
        self._credits: dict[tuple[str, str], int] = {}
        self._default: dict[str, int] = {}  # credits of everybody who was not named, by template

    def use(self, openid: str, template_id: str) -> bool:
        """Whether a message may go; a one-time credit is used up."""
        key = (openid, template_id)
        if self._is_long_term[template_id]:
            return not self._revoked or key not in self._revoked
        left = self._credits.get(key)
        if left is None:
            left = self._default.get(template_id, 0)
        if left <= 0:
            return False
        self._credits[key] = left - 1
        return True

    def accept(self, openid: str, template_id: str, credits_: int) -> None:
        """The citizen accepted the template: long-term once, one-time so many times more."""
        key = (openid, template_id)
        self._revoked.discard(key)
        self._credits[key] = self._credits.get(key, self._default.get(template_id, 0)) + credits_

    def accept_all(self, template_id: str, credits_: int) -> None:
        """Everybody who is not named otherwise has so many credits."""
        self._default[template_id] = credits_

    def revoke(self, openid: str, template_id: str) -> None:
        """The citizen withdrew the template."""
        key = (openid, template_id)
        self._revoked.add(key)
        self._credits[key] = 0

    def knows(self, template_id: str) -> bool:
        """Whether there is such a template."""
        return template_id in self._is_long_term


def _object(body: bytes) -> dict[str, Any] | None:
    """The JSON object of a request body; None if it is not one."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return found if type(found) is dict else None


def _message(body: bytes) -> dict[str, Any] | None:
    """The message of a request body; None if it is not one."""
    message = _object(body)
    if message is None or b"\\u" in body:
        return None
    is_whole = type(message.get("touser")) is str and type(message.get("template_id")) is str
    return message if is_whole and type(message.get("data")) is dict else None


def _body_fault(body: bytes) -> _Fault:
    """Why `_message` found none."""
    if b"\\u" in body:
        return 40033, "invalid charset. please check your request, if include \\uxxxx will create fail!"
    return 47001, "data format error hint: [json with touser, template_id and data is required]"


def _data_fault(data: Mapping[str, Any], kinds: Mapping[str, str]) -> _Fault | None:
    """Whether the fields of a message are those of its template, each within the limits of its type."""
    for key, kind in kinds.items():
        field = data.get(key)
        value = field.get("value") if type(field) is dict else None
        fault = wechat_fields.fault(kind, value if type(value) is str else "")
        if fault:
            return 47003, f"argument invalid! data.{key}.value {fault}"
    if len(data) != len(kinds):
        extra = next(key for key in data if key not in kinds)
        return 47003, f"argument invalid! data.{extra[:64]} is not in the template"
    return None


def openid_of(citizen: str) -> str:
    """The openid of whoever logs in with codes that begin with `citizen`."""
    return "o" + hashlib.sha256(f"{accounts.APPID}/{citizen}".encode()).hexdigest()[:27]


def _credential_fault(appid: Any, secret: Any) -> _Fault | None:
    if appid != accounts.APPID:
        return 40013, "invalid appid"
    return None if secret == accounts.APP_SECRET else (40125, "invalid appsecret")
