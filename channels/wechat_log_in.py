"""What WeChat says of the codes that a mini-program gets: whose they are, and which number.

https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-login/code2Session.html
https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-info/phone-number/getPhoneNumber.html
What cannot be right in an answer is no answer: UnavailableError, and nobody is logged in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import structlog
from wechatpy.exceptions import WeChatClientException

from channels.wechat_api import VENDOR, WeChatApi
from server.domain.errors import ForbiddenError, HuiminError, TooManyError, UnauthenticatedError, UnavailableError
from server.domain.log_in import WeChatSession

OPENID = re.compile(r"[A-Za-z0-9_-]{16,64}")
SESSION_KEY = re.compile(r"[A-Za-z0-9+/=_-]{8,128}")
E164 = re.compile(r"\+[1-9][0-9]{6,14}")

log = structlog.get_logger()


class WeChatLogIn:
    """The codes of one mini-program."""

    def __init__(self, api: WeChatApi, appid: str) -> None:
        self._api = api
        self._appid = appid

    async def session(self, code: str) -> WeChatSession:
        """Who got this `wx.login` code (code2Session)."""
        answer = await self._asked(self._api.wxa.code_to_session(code))
        openid, key = answer.get("openid"), answer.get("session_key")
        if not (type(openid) is str and OPENID.fullmatch(openid) and type(key) is str and SESSION_KEY.fullmatch(key)):
            raise _away()
        return WeChatSession(openid, key)

    async def phone(self, code: str) -> str:
        """The E.164 number behind a phone-number code (getuserphonenumber)."""
        # Not below /cgi-bin/, where wechatpy looks for what is named without its host.
        answer = await self._asked(self._api.post(f"{VENDOR}/wxa/business/getuserphonenumber", data={"code": code}))
        match answer.get("phone_info"):
            case {
                "purePhoneNumber": str(number),
                "countryCode": str() | int() as country,
                "watermark": {"appid": self._appid},
            } if E164.fullmatch(f"+{country}{number}"):
                return f"+{country}{number}"
        raise _away()

    async def _asked(self, call: Any) -> Mapping[str, Any]:
        try:
            answer = await call
        except WeChatClientException as error:
            raise _meaning(error.errcode) from None
        return answer if isinstance(answer, Mapping) else {}


def _meaning(code: object) -> HuiminError:
    """What an errcode says to the one who wants to log in."""
    match code:
        case 40029 | 41008:
            return UnauthenticatedError(
                "wechat_code_invalid",
                zh="微信登录凭证无效，请重新获取",
                en="WeChat does not know this code",
                field="code",
            )
        case 40163:
            return UnauthenticatedError(
                "wechat_code_used",
                zh="微信登录凭证已使用，请重新获取",
                en="this code of WeChat was used before",
                field="code",
            )
        case 40226:
            return ForbiddenError(
                "wechat_blocked",
                zh="微信判定此账号存在风险，暂不能登录",
                en="WeChat has blocked this account for its risk",
            )
        case 45011 | 45009:
            return TooManyError(
                "wechat_busy", zh="登录过于频繁，请稍后再试", en="too many log-ins by WeChat: wait a minute"
            )
        case -1:
            return _away()
        case _:
            log.error("wechat_log_in_refused", code=code)
            return _away()


def _away() -> UnavailableError:
    return UnavailableError(
        "wechat_unavailable", zh="微信服务暂时不可用，请稍后再试", en="WeChat is not available: try again soon"
    )
