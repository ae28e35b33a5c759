"""What a citizen logs in with: a verified phone, WeChat. Bind, replace, take away; never the last one.

A verified phone or openid belongs to one account. A new phone takes the place of the old one (its number may soon be
somebody else's); a second WeChat account stands beside the first. A change needs a fresh log-in (ASVS 7.5.1), for a
stolen token must not become a way in of its thief's; it is in the audit log and told to the person, so that nobody's
account changes hands without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.audit import Event
from server.domain.citizens import Caller
from server.domain.errors import ConflictError
from server.domain.freshness import refuse_stale_log_in
from server.domain.log_in import masked
from server.domain.wording import Words
from server.services.log_in import SAFETY, CheckCode, Counters, Stores

CHANGED = {
    "bind_phone": Words(
        zh="您的账户已绑定新的手机号。如非本人操作，请退出所有登录并联系我们。",
        en="A new phone was bound to your account. If it was not you, log out everywhere and call us.",
    ),
    "unbind_phone": Words(
        zh="您的账户已解绑手机号。如非本人操作，请退出所有登录并联系我们。",
        en="Your phone was taken off your account. If it was not you, log out everywhere and call us.",
    ),
    "bind_wechat": Words(
        zh="您的账户已绑定一个微信号。如非本人操作，请退出所有登录并联系我们。",
        en="A WeChat account was bound to your account. If it was not you, log out everywhere and call us.",
    ),
}
MAX_WECHAT = 3


@dataclass(frozen=True, slots=True)
class Held:
    """What somebody can log in with: phones as their owner may recognise them, how many WeChat accounts.

    One phone, unless accounts were joined.
    """

    phones: Sequence[str]
    wechat: int


class Means:
    """The verbs."""

    def __init__(
        self, stores: Stores, counters: Counters, check_code: CheckCode, *, now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:  # fmt: skip
        self._citizens = stores.citizens
        self._keys = stores.session_keys
        self._wechat = counters.wechat
        self._post = counters.post
        self._audit = counters.audit
        self._check_code = check_code
        self._now = now
        self._random = random

    async def held(self, caller: Caller) -> Held:
        """What there is."""
        phones = await self._citizens.addresses_of(caller.id, "sms")
        wechat = await self._citizens.addresses_of(caller.id, "wechat")
        return Held([masked(phone) for phone in phones], len(wechat))

    async def bind_phone(self, caller: Caller, request: str, code: str) -> Held:
        """The phone of a one-time code. ForbiddenError `log_in_stale`; ConflictError `address_taken`; as the code."""
        refuse_stale_log_in(caller, self._now())
        return await self._bind_phone(caller, await self._check_code(request, code))

    async def bind_phone_by_wechat(self, caller: Caller, code: str) -> Held:
        """The phone that WeChat has verified. As `bind_phone`; what `WeChatCodes` raises."""
        refuse_stale_log_in(caller, self._now())
        return await self._bind_phone(caller, await self._wechat.phone(code))

    async def unbind_phone(self, caller: Caller) -> None:
        """Take the phone away; a second call changes nothing. As above; ConflictError `last_means` without WeChat."""
        refuse_stale_log_in(caller, self._now())
        if not await self._citizens.addresses_of(caller.id, "sms"):
            return
        if not await self._citizens.unbind(caller.id, "sms", keeping="wechat"):
            raise ConflictError(
                "last_means",
                zh="手机号是您唯一的登录方式，请先绑定微信",
                en="you could not log in any more: bind WeChat first",
            )
        await self._tell(caller, "unbind_phone")

    async def bind_wechat(self, caller: Caller, code: str) -> Held:
        """The WeChat account of a `wx.login` code. As above; ConflictError `address_taken`, `means_full`."""
        refuse_stale_log_in(caller, self._now())
        session = await self._wechat.session(code)
        held = await self._citizens.addresses_of(caller.id, "wechat")
        if session.openid not in held:
            if len(held) >= MAX_WECHAT:
                raise ConflictError("means_full", zh="绑定的微信号已达上限", en="too many WeChat accounts are bound")
            if not await self._citizens.bind_also(caller.id, "wechat", session.openid):
                raise _taken()
            await self._tell(caller, "bind_wechat")
        await self._keys.put(caller.id, session.session_key, self._now())
        return await self.held(caller)

    async def _bind_phone(self, caller: Caller, phone: str) -> Held:
        if await self._citizens.addresses_of(caller.id, "sms") != [phone]:
            if not await self._citizens.bind(caller.id, "sms", phone):
                raise _taken()
            await self._tell(caller, "bind_phone")
        return await self.held(caller)

    async def _tell(self, caller: Caller, verb: str) -> None:
        await self._audit.record(Event(caller.account.public, f"citizen.{verb}", f"account/{caller.account.public}"))
        await self._post.tell(caller.id, SAFETY, CHANGED[verb], key=f"means/{self._random(16).hex()}")


def _taken() -> ConflictError:
    return ConflictError(
        "address_taken",
        zh="已绑定到另一个账户；如果那也是您的账户，可以合并两个账户",
        en="it belongs to another account; if that is yours too, the two accounts can be joined",
    )
