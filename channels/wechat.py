r"""WeChat mini-program subscribe messages: subscribeMessage.send with a stable token.

https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-message-management/subscribe-message/sendMessage.html
One message a request; HTTP is always 200 and `errcode` decides. The body of a window is computed once: only the openid
differs. Text is UTF-8, never escaped to \uXXXX, which WeChat refuses (40033).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

import orjson

from channels.base import Fault, Kind, Outcome, Scope, Settle, Verdict, WeChatContent, Window
from channels.call import Call, Reply
from channels.replies import BUSY, UNLISTED, failure, judged, read_object, unreadable
from channels.tokens import Clock, Token, TokenKeeper, TokenStore
from channels.transport import Transport
from server.settings import WeChatAccount

_CONFIG = Fault(Kind.CONFIG)
_AUTH = Fault(Kind.AUTH)
_DEAD = Fault(Kind.ADDRESS_DEAD)

ERRORS: dict[int, Fault] = {
    -1: BUSY,  # system busy; comes in bursts on mass sends
    40001: _AUTH,  # token stale
    40014: _AUTH,  # token malformed
    42001: _AUTH,  # token expired
    41001: _AUTH,  # token missing
    40013: _AUTH,  # appid wrong
    40125: _AUTH,  # secret wrong
    40164: _AUTH,  # our IP is not on the list
    48004: _CONFIG,  # the API is banned
    48001: _CONFIG,  # the API is not authorised
    40003: _DEAD,  # not an openid of this mini-program
    43004: _DEAD,  # not following
    50005: _DEAD,  # not following
    43101: Fault(Kind.GRANT_GONE),  # refused, withdrawn, or the one-time grant is used up
    40033: _CONFIG,  # text escaped instead of UTF-8
    40037: _CONFIG,  # template id
    41030: _CONFIG,  # page is not in the live app.json
    47001: _CONFIG,  # not JSON
    47003: _CONFIG,  # a value does not fit its typed key
    45009: Fault(Kind.QUOTA, Scope.ACCOUNT, until_midnight=True),  # calls a day
    45011: Fault(Kind.QUOTA, Scope.ACCOUNT, reset_s=60.0),  # calls a minute
    50002: Fault(Kind.QUOTA, Scope.ACCOUNT, reset_s=3600.0),  # the account is limited
}
STALE_TOKEN = frozenset({40001, 40014, 42001})

_HEADERS = ("Content-Type: application/json",)
_OK = b'{"errcode":0,"errmsg":"ok"}'
_OK_WITH_ID = b'{"errcode":0,"errmsg":"ok","msgid":'
_ACCEPTED = Outcome(Verdict.ACCEPTED, "0")
_MAX_TOKEN_CHARS = 2048


class WeChatChannel:
    """One mini-program's subscribe messages. `store` shares the access token between processes."""

    channel = "wechat"
    provider = "wechat"
    per_request = 1

    def __init__(self, account: WeChatAccount, transport: Transport, store: TokenStore, clock: Clock) -> None:
        self._account = account
        self._transport = transport
        self._keeper = token_keeper(account, transport, store, clock)

    async def ready(self) -> Fault | None:
        """Have a fresh token."""
        return await self._keeper.ready()

    def send(self, window: Window, settle: Settle) -> None:
        """One request per openid; a stale token settles as RETRY and makes the next `ready()` fetch another."""
        token = self._keeper.value
        start, end = message_frame(window.content)

        def done(index: int, reply: Reply) -> None:
            outcome = outcome_of(reply)
            if outcome.fault is _AUTH and outcome.code in _STALE_CODES:
                self._keeper.spoil(token)
            settle(index, outcome)

        url = f"{self._account.base_url}/cgi-bin/message/subscribe/send?access_token={quote(token, safe='')}"
        call = Call(url, _HEADERS, window.start_by, window.deadline_s, done, window.is_urgent)
        post = self._transport.post
        for index, openid in enumerate(window.addresses):
            post(call, b"%b%b%b" % (start, orjson.dumps(openid), end), index)


def token_keeper(account: WeChatAccount, transport: Transport, store: TokenStore, clock: Clock) -> TokenKeeper:
    """The keeper of a mini-program's stable token, shared by all who call WeChat for it."""
    url = f"{account.base_url}/cgi-bin/stable_token"

    async def ask(*, is_forced: bool) -> Token | Fault:
        question = {
            "grant_type": "client_credential",
            "appid": account.appid,
            "secret": account.secret.get_secret_value(),
            "force_refresh": is_forced,
        }
        return token_of(await transport.fetch(url, _HEADERS, orjson.dumps(question)), clock())

    async def fetch(stale: str) -> Token | Fault:
        """Asked politely first; if WeChat offers the stale token again, it is made to replace it."""
        token = await ask(is_forced=False)
        return await ask(is_forced=True) if isinstance(token, Token) and token.value == stale else token

    return TokenKeeper(f"wechat/{account.appid}", store, fetch, clock)


_STALE_CODES = frozenset(str(code) for code in STALE_TOKEN)


def message_frame(content: object) -> tuple[bytes, bytes]:
    """The body of a message before and after the quoted openid."""
    assert isinstance(content, WeChatContent)
    rest: dict[str, Any] = {"template_id": content.template_id}
    if content.page:
        rest["page"] = content.page
    rest["miniprogram_state"] = content.miniprogram_state
    rest["lang"] = content.lang
    rest["data"] = {key: {"value": value} for key, value in content.data.items()}
    return b'{"touser":', b"," + orjson.dumps(rest)[1:]


def outcome_of(reply: Reply) -> Outcome:
    """What WeChat said. Only `errcode` 0, as an integer, in a JSON object, with HTTP 200, is ACCEPTED."""
    body = reply.body
    if reply.status == 200:
        if body == _OK:
            return _ACCEPTED
        if body.startswith(_OK_WITH_ID) and body.endswith(b"}") and (digits := body[len(_OK_WITH_ID) : -1]).isdigit():
            return Outcome(Verdict.ACCEPTED, "0", reference=digits.decode())
    lost = failure(reply)
    if lost is not None:
        return lost
    answer = read_object(body) if reply.status == 200 else None
    code = answer.get("errcode") if answer is not None else None
    if answer is None or type(code) is not int:
        return unreadable(reply)
    if code != 0:
        return judged(str(code), ERRORS.get(code), reply)
    message_id = answer.get("msgid")
    return Outcome(Verdict.ACCEPTED, "0", reference=str(message_id) if type(message_id) in (int, str) else "")


def token_of(reply: Reply, now: datetime) -> Token | Fault:
    """The access token in a stable_token answer, or why there is none."""
    match read_object(reply.body):
        case {"access_token": str(value), "expires_in": int(expires_in_s)} if (
            0 < len(value) <= _MAX_TOKEN_CHARS and expires_in_s > 0
        ):
            return Token.lasting(value, expires_in_s, now)
        case {"errcode": int(code)}:
            return ERRORS.get(code, UNLISTED)
        case _:
            return BUSY
