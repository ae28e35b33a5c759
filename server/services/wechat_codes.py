"""One-time codes that the mini-program gets from WeChat: each is asked about once, whatever comes of it.

WeChat itself takes a code once, and for five minutes; we remember it for ten, so that a code which somebody has seen
is worth nothing even if WeChat were slow to forget. Codes are kept as hashes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol, TypeVar

from server.domain.errors import UnauthenticatedError, UnavailableError
from server.domain.log_in import WeChatSession
from server.storage.log_ins import UsedCodes

T = TypeVar("T")


class WeChat(Protocol):
    """The provider.

    UnauthenticatedError `wechat_code_invalid` or `wechat_code_used`, ForbiddenError `wechat_blocked`, TooManyError
    `wechat_busy`, UnavailableError `wechat_unavailable`.
    """

    async def session(self, code: str) -> WeChatSession:
        """Who got this `wx.login` code."""
        ...

    async def phone(self, code: str) -> str:
        """The E.164 number that the owner of this phone-number code has shown WeChat."""
        ...


class WeChatCodes:
    """The verbs. Without a `wechat` account everything is UnavailableError."""

    def __init__(self, wechat: WeChat | None, used: UsedCodes, now: Callable[[], datetime]) -> None:
        self._wechat = wechat
        self._used = used
        self._now = now

    async def session(self, code: str) -> WeChatSession:
        """Use up a `wx.login` code."""
        return await self._once("session", code, self._provider.session)

    async def openid(self, code: str) -> str:
        """The same, if only the openid is wanted."""
        return (await self.session(code)).openid

    async def phone(self, code: str) -> str:
        """Use up a phone-number code (`getPhoneNumber`)."""
        return await self._once("phone", code, self._provider.phone)

    @property
    def _provider(self) -> WeChat:
        if self._wechat is None:
            raise UnavailableError("wechat_unavailable", zh="未开通微信登录", en="there is no WeChat account here")
        return self._wechat

    async def _once(self, kind: str, code: str, ask: Callable[[str], Awaitable[T]]) -> T:
        name = f"{kind}|{code}"
        if not await self._used.claim(name, self._now()):
            raise UnauthenticatedError(
                "wechat_code_used",
                zh="微信登录凭证已使用，请重新获取",
                en="this code of WeChat was used before",
                field="code",
            )
        try:
            return await ask(code)
        except UnavailableError:
            await self._used.release(name)
            raise
