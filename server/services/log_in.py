"""Citizens' log-ins: begin one by WeChat or by phone, keep it with refresh tokens, end it, and say who is asking.

Promises. Whoever logs in for the first time becomes a citizen; an address belongs to one citizen however many come with
it at once. A refresh token works once: of any number of uses at the same time all get the same successor, and who shows
a used one more than ten seconds later ends the log-in, for it may be stolen. What is ended (log-out, lock, a new
session version) is over with the next request. A number alone does not open an account with a verified name on a device
that it does not know: numbers get new owners. Log-ins are in the audit log without a name in them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from server.domain.audit import DONE, NOBODY, Detail, Event
from server.domain.citizens import Account, AccountState, Caller, Kind, LogIn
from server.domain.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    TooManyError,
    UnauthenticatedError,
    UnavailableError,
)
from server.domain.log_in import (
    FAMILY_BYTES,
    GRACE,
    PROOF_DELAYS_S,
    REVIVED_WITHIN,
    SECRET_BYTES,
    RefreshToken,
    Terminal,
    is_over,
    is_same_tail,
)
from server.domain.wording import Words
from server.services.access_tokens import AccessTokens, Claims, token_invalid
from server.services.audit import Audit
from server.services.devices import Devices
from server.services.wechat_codes import WeChatCodes
from server.storage.accounts import Accounts
from server.storage.attempts import Attempts
from server.storage.citizens import Citizens, NewCitizen
from server.storage.log_ins import Family, LogInStore, Proof, Proofs, SessionKeys

RACES = 5  # lost in a row against others who log in with the same address for the first time
STOLEN = Words(
    zh="您的一处登录已被终止：它的凭证被重复使用，可能已泄露。如非本人操作，请检查登录设备。",
    en="One of your log-ins was ended: its token was used twice and may have leaked. Check where you are logged in.",
)
NUMBER_LEFT = Words(
    zh="您账户的手机号已由新机主使用，已从账户解绑。如号码仍属于您，请用微信登录后重新绑定。",
    en="Somebody showed that your phone number is theirs now: it left your account. If it is yours, bind it again.",
)
SAFETY = Words(zh="账户安全提醒", en="Your account")

CheckCode = Callable[
    [str, str], Awaitable[str]
]  # request, one-time code -> the E.164 number it was sent to, or an error


class Post(Protocol):
    """Notices to one person. The same key happens once."""

    async def tell(self, citizen: int, title: Words, body: Words, *, key: str) -> bool:
        """Durable when it returns."""
        ...


class Named(Protocol):
    """A verified name."""

    @property
    def number(self) -> str:
        """Its ID number."""
        ...


class RealNames(Protocol):
    """Verified names."""

    async def find(self, citizen: int) -> Named | None:
        """That of an account, if it has one."""
        ...


@dataclass(frozen=True, slots=True)
class Stores:
    """Where accounts, people and their log-ins are kept."""

    accounts: Accounts
    citizens: Citizens
    log_ins: LogInStore
    session_keys: SessionKeys
    proofs: Proofs
    attempts: Attempts


@dataclass(frozen=True, slots=True)
class Counters:
    """What logging in asks of others."""

    wechat: WeChatCodes
    real_names: RealNames
    devices: Devices
    post: Post
    audit: Audit


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """What a log-in or a refresh gives, once."""

    account: Account
    log_in: str
    access: str
    access_ends_at: datetime
    refresh: str
    is_new: bool = False  # this log-in made the citizen


@dataclass(frozen=True, slots=True)
class ProofNeeded:
    """The number was right and is not enough. `ticket` goes with the proof."""

    ticket: str
    expires_at: datetime


class LogIns:
    """The verbs. `random` gives that many random bytes; `now` is the database's clock."""

    def __init__(
        self, stores: Stores, counters: Counters, tokens: AccessTokens, check_code: CheckCode, *,
        now: Callable[[], datetime], random: Callable[[int], bytes],
    ) -> None:  # fmt: skip
        self._accounts = stores.accounts
        self._stores = stores
        self._counters = counters
        self._tokens = tokens
        self._check_code = check_code
        self._now = now
        self._random = random

    async def by_wechat(self, code: str, terminal: Terminal) -> LoggedIn:
        """Log in with a `wx.login` code. ForbiddenError `account_locked`; what `WeChatCodes` raises."""
        session = await self._counters.wechat.session(code)
        account, is_new = await self._account("wechat", session.openid)
        await self._stores.session_keys.put(account.id, session.session_key, self._now())
        return await self._begin(account, "wechat", terminal, is_new=is_new)

    async def by_phone(self, request: str, code: str, terminal: Terminal) -> LoggedIn | ProofNeeded:
        """Log in with a one-time code. ForbiddenError `account_locked`; what checking the code raises."""
        phone = await self._check_code(request, code)
        account, is_new = await self._account("sms", phone)
        if account.is_real_name and not await self._knows(account, terminal):
            ticket = self._random(SECRET_BYTES).hex()
            until = await self._stores.proofs.insert(ticket, Proof(account.id, phone, terminal), self._now())
            return ProofNeeded(ticket, until)
        return await self._begin(account, "phone", terminal, is_new=is_new)

    async def prove(self, ticket: str, tail: str, device: str | None) -> LoggedIn:
        """Log in with a ticket and the last four characters of the ID number.

        UnauthenticatedError `proof_wrong`, whatever is wrong; TooManyError `proof_delayed` after five wrong ones.
        """
        at = self._now()
        proof = await self._stores.proofs.charge(ticket, at)
        if proof is None:
            raise _proof_wrong()
        account = self._active(await self._accounts.get(proof.citizen))
        counter = self._stores.attempts.key("proof", account.public)
        if await self._stores.attempts.charge(counter, at, PROOF_DELAYS_S) is None:
            raise TooManyError(
                "proof_delayed", zh="核验失败次数过多，请明天再试", en="too many wrong tries: wait a day"
            )
        known = await self._counters.real_names.find(account.id)
        is_right = is_same_tail(known.number if known else None, tail)
        if not is_right or not await self._stores.proofs.use(ticket):
            await self._note(NOBODY, "prove", f"account/{account.public}", result="failed")
            raise _proof_wrong()
        await self._stores.attempts.forgive(counter)
        terminal = Terminal(proof.terminal.client, proof.terminal.label, device)
        return await self._begin(account, "phone", terminal, is_new=False)

    async def as_new_holder(self, ticket: str, device: str | None) -> LoggedIn:
        """Log in as somebody else than the account with this number: it leaves that account, which is told.

        UnauthenticatedError `proof_wrong`; ConflictError `number_held` if that account has no other means.
        """
        proof = await self._stores.proofs.charge(ticket, self._now())
        if proof is None:
            raise _proof_wrong()
        before = await self._accounts.get(proof.citizen)
        if not await self._stores.citizens.let_go(proof.citizen, "sms", proof.phone, keeping="wechat"):
            raise ConflictError(
                "number_held",
                zh="此号码是原账户唯一的登录方式，请到服务窗口办理",
                en="the other account has no other means of log-in: ask at a service counter",
            )
        await self._stores.proofs.use(ticket)
        await self._note(NOBODY, "number_left", f"account/{before.public}")
        key = f"number_left/{self._random(16).hex()}"
        await self._counters.post.tell(before.id, SAFETY, NUMBER_LEFT, key=key)
        account, is_new = await self._account("sms", proof.phone)
        terminal = Terminal(proof.terminal.client, proof.terminal.label, device)
        return await self._begin(account, "phone", terminal, is_new=is_new)

    async def refresh(self, text: str) -> LoggedIn:
        """Use up a refresh token: new tokens of the same log-in. UnauthenticatedError `refresh_invalid`."""
        at, token = self._now(), RefreshToken.read(text)
        family = await self._stores.log_ins.find(token) if token else None
        if token is None or family is None or at >= family.ends_at:
            raise _refresh_invalid()
        account = await self._alive(family)
        successor = RefreshToken(token.family, self._random(SECRET_BYTES))
        if not family.is_current or not await self._stores.log_ins.renew(token, successor, at):
            successor = await self._repeated(token, account, at)
        await self._accounts.touch_log_in(account.id, family.log_in, at)
        return self._told(account, family.log_in, successor)

    async def caller(self, token: str) -> Caller:
        """Who holds this access token; UnauthenticatedError `token_expired` or `token_invalid`."""
        claims = self._tokens.read(token)
        account = await self._accounts.find_public(claims.account)
        if account is None or account.state is not AccountState.ACTIVE:
            raise token_invalid()
        is_alive = any(log_in.id == claims.log_in for log_in in account.log_ins)
        if not is_alive or account.session_version != claims.session_version:
            raise token_invalid()
        return Caller(account, claims.log_in)

    def live(self, account: Account) -> Sequence[LogIn]:
        """Where somebody is logged in, what was used last first."""
        at = self._now()
        return sorted(
            (one for one in account.log_ins if not is_over(one, at)), key=lambda one: one.seen_at, reverse=True
        )

    async def end(self, caller: Caller, log_in: str) -> None:
        """End one of the own log-ins (log out: the caller's own), with its push notices; NotFoundError."""
        if not await self._accounts.end_log_in(caller.id, log_in):
            raise NotFoundError("log_in_unknown", zh="没有这个登录", en="there is no such log-in", field="log_in")
        await self._clear(caller.id, log_in)
        await self._note(caller.account.public, "log_out", f"log_in/{log_in}")

    async def end_all(self, caller: Caller) -> int:
        """End all of them, the caller's own too: how many there were."""
        ended = len(self.live(caller.account))
        await self._accounts.end_log_ins(caller.id)
        await self._stores.log_ins.end_all(caller.id)
        await self._stores.session_keys.delete(caller.id)
        await self._counters.devices.end_log_ins(caller.id)
        await self._note(caller.account.public, "log_out", f"account/{caller.account.public}", log_ins=ended)
        return ended

    async def _account(self, channel: str, value: str) -> tuple[Account, bool]:
        """The active account of whom this address belongs to, made with its citizen if need be; and if it was."""
        for _ in range(RACES):
            found = await self._stores.citizens.find_by_address(channel, [value])
            if value in found:
                return await self._open(found[value]), False
            if await self._stores.citizens.revive(channel, value, self._now() - REVIVED_WITHIN[channel]):
                continue
            new = NewCitizen(int.from_bytes(self._random(8)) >> 1, (), {channel: (value,)})
            if await self._stores.citizens.add_unless_taken(new):
                return await self._open(new.id), True
        raise UnavailableError("log_in_busy", zh="登录繁忙，请重试", en="others log in with this address: try again")

    async def _open(self, citizen: int) -> Account:
        opened = await self._accounts.open(citizen, self._random(16).hex(), kind=Kind.PERSON, now=self._now())
        return self._active(opened)

    def _active(self, account: Account) -> Account:
        if account.state is not AccountState.ACTIVE:
            raise ForbiddenError("account_locked", zh="此账户已停用", en="this account is locked")
        return account

    async def _begin(self, account: Account, way: str, terminal: Terminal, *, is_new: bool) -> LoggedIn:
        at, log_in = self._now(), self._random(16).hex()
        token = RefreshToken(self._random(FAMILY_BYTES), self._random(SECRET_BYTES))
        details: dict[str, Detail] = {"by": way, "client": terminal.client.value, "is_new": is_new}
        event = Event(account.public, "citizen.log_in", f"log_in/{log_in}", DONE, details)
        await self._counters.audit.record(event)
        await self._stores.log_ins.insert(log_in, account.id, token, at)
        await self._accounts.begin_log_in(account.id, LogIn(log_in, terminal.client, terminal.label, at, at))
        if terminal.device:
            await self._stores.attempts.know(self._device_key(account, terminal.device), at)
        return self._told(account, log_in, token, is_new=is_new)

    def _told(self, account: Account, log_in: str, token: RefreshToken, *, is_new: bool = False) -> LoggedIn:
        access, ends_at = self._tokens.write(Claims(account.public, account.session_version, log_in))
        return LoggedIn(account, log_in, access, ends_at, token.text, is_new)

    async def _alive(self, family: Family) -> Account:
        """The account of a log-in that has not been ended."""
        try:
            account = await self._accounts.get(family.citizen)
        except NotFoundError:
            raise _refresh_invalid() from None
        if account.state is not AccountState.ACTIVE or all(one.id != family.log_in for one in account.log_ins):
            await self._clear(family.citizen, family.log_in)
            raise _refresh_invalid()
        return account

    async def _repeated(self, token: RefreshToken, account: Account, at: datetime) -> RefreshToken:
        """The successor that a used token has within the grace; later the log-in ends."""
        family = await self._stores.log_ins.find(token)
        if family is None:
            raise _refresh_invalid()
        if family.successor and family.used_at and at - family.used_at <= GRACE:
            return family.successor
        log_in = family.log_in
        await self._accounts.end_log_in(account.id, log_in)
        await self._clear(account.id, log_in)
        event = Event(NOBODY, "citizen.reuse", f"log_in/{log_in}", "revoked", key=f"reuse/{log_in}")
        await self._counters.audit.record(event)
        await self._counters.post.tell(account.id, SAFETY, STOLEN, key=f"log_in_reuse/{log_in}")
        raise _refresh_invalid()

    async def _clear(self, citizen: int, log_in: str) -> None:
        """Take away what hangs on a log-in that has ended."""
        await self._stores.log_ins.end(citizen, log_in)
        await self._counters.devices.end_log_in(citizen, log_in)

    async def _knows(self, account: Account, terminal: Terminal) -> bool:
        if not terminal.device:
            return False
        return await self._stores.attempts.is_known(self._device_key(account, terminal.device), self._now())

    def _device_key(self, account: Account, device: str) -> str:
        return self._stores.attempts.key("device", account.public, device)

    async def _note(self, actor: str, verb: str, what: str, *, result: str = DONE, **details: Detail) -> None:
        await self._counters.audit.record(Event(actor, f"citizen.{verb}", what, result, details))


def _refresh_invalid() -> UnauthenticatedError:
    return UnauthenticatedError(
        "refresh_invalid", zh="登录已失效，请重新登录", en="log in again: this token is not valid"
    )


def _proof_wrong() -> UnauthenticatedError:
    return UnauthenticatedError(
        "proof_wrong", zh="核验不通过或已失效", en="this is not right, or the ticket is no longer good", field="id_tail"
    )
