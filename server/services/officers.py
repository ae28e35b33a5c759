"""Officers' accounts and sessions: invite, activate, log in, confirm the second factor, end, lock, recover.

Promises. Whatever is wrong with a log-in, the answer, its cost and the slowing-down are the same: nobody learns whether
a name exists. Failures slow down the next try by account and by origin; strangers cannot lock out an officer at an
origin that the officer has used before. A code of the second factor is used once. A lock, a change of roles or a
recovery acts on the next request of every session. Tokens are 256 random bits and only their hashes are stored. Every
log-in, failure and change of an account is in the audit log before it is answered.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from server.domain import passwords, totp
from server.domain.access import Deed, may, may_ask, refuse
from server.domain.audit import DONE, NOBODY, OPERATOR, Detail, Event
from server.domain.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    TooManyError,
    UnauthenticatedError,
)
from server.domain.officers import (
    WARNING,
    Account,
    AccountState,
    NewOfficer,
    Officer,
    Role,
    is_mixed,
    plain_name,
    refuse_mixed_powers,
)
from server.domain.origins import counted
from server.domain.passwords import MAX_CHARACTERS
from server.domain.sessions import ACCOUNT_DELAYS_S, LINK_LIFE, ORIGIN_DELAYS_S, TOUCH_EVERY, Session, is_over
from server.services.audit import Audit
from server.storage.attempts import Attempts
from server.storage.officers import Credentials, OfficerStore, officer_unknown
from server.storage.sessions import Kept, SessionStore

TOKEN_BYTES = 32
NO_SECRET = "A" * 32  # stands in for a second factor, so that a name without one takes as long


class Hasher(Protocol):
    """Hashes passwords off the loop."""

    async def hash(self, password: str) -> str:
        """The encoded hash."""
        ...

    async def verify(self, hashed: str | None, password: str, *, is_known: bool = False) -> bool:
        """Whether it matches; None takes as long and is False. Who `is_known` does not wait behind strangers."""
        ...


@dataclass(frozen=True, slots=True)
class Stores:
    """Where accounts, sessions and failures are kept."""

    officers: OfficerStore
    sessions: SessionStore
    attempts: Attempts


@dataclass(frozen=True, slots=True)
class LogIn:
    """What an officer gives to log in. `origin` is the network address of the request, as the edge sees it."""

    name: str
    password: str
    code: str
    origin: str


@dataclass(frozen=True, slots=True)
class Activation:
    """What a new officer has to scan, shown once."""

    name: str
    totp_secret: str
    otpauth_uri: str


class Officers:
    """The verbs. `random` gives that many random bytes; `now` is the database's clock."""

    def __init__(
        self, stores: Stores, audit: Audit, *, now: Callable[[], datetime], random: Callable[[int], bytes],
        hasher: Hasher,
    ) -> None:  # fmt: skip
        self._accounts = stores.officers
        self._sessions = stores.sessions
        self._attempts = stores.attempts
        self._audit = audit
        self._clock = now
        self._random = random
        self._hasher = hasher

    async def log_in(self, given: LogIn) -> tuple[Session, str]:
        """A new session and its token. UnauthenticatedError `login_failed`, TooManyError `login_delayed`."""
        at = self._now()
        name, origin = plain_name(given.name), counted(given.origin)
        known, by_origin = self._attempts.key("known", name, origin), self._attempts.key("origin", origin)
        is_known = await self._attempts.is_known(known, at)
        counter = self._attempts.key("pair", name, origin) if is_known else self._attempts.key("account", name)
        if await self._attempts.is_held(by_origin, at) and not is_known:
            raise _delayed()
        failures = await self._attempts.charge(counter, at, ACCOUNT_DELAYS_S)
        if failures is None:
            raise _delayed()
        found = await self._accounts.find_credentials(name)
        if not await self._is_right(found, given, at, is_known=is_known):
            await self._attempts.charge(by_origin, at, ORIGIN_DELAYS_S)
            what = f"officer/{found.account.officer.id}" if found else f"name/{counter}"
            details: dict[str, Detail] = {"failures": failures, "origin": by_origin}
            await self._audit.record(Event(NOBODY, "officer.log_in", what, "failed", details))
            raise UnauthenticatedError(
                "login_failed", zh="姓名、口令或动态口令不正确", en="name, password or code is wrong"
            )
        assert found is not None
        await self._attempts.forgive(counter)
        await self._attempts.know(known, at)
        return await self._begin(found.account.officer, given.origin, at)

    async def session(self, token: str) -> Session:
        """The live session of a token, its officer as of now; UnauthenticatedError `session_unknown`."""
        at = self._now()
        kept = await self._sessions.find(token)
        account = await self._accounts.find(kept.officer_id) if kept else None
        if kept is None or account is None or account.state is not AccountState.ACTIVE:
            raise _logged_out()
        session = _session(kept, account.officer)
        if is_over(session, at) or session.created_at < account.sessions_since:
            raise _logged_out()
        if at - session.seen_at >= TOUCH_EVERY:
            await self._sessions.touch(session.id, at)
        return replace(session, seen_at=max(session.seen_at, at))

    async def note_refusal(self, officer: Officer, action: str) -> None:
        """Put into the log that somebody asked for what no role of theirs allows."""
        await self._audit.record(Event(officer.id, action, "door", "role_missing"))

    async def confirm_totp(self, session: Session, code: str) -> Session:
        """The session, its second factor shown now. UnauthenticatedError `totp_wrong`, TooManyError `login_delayed`."""
        at = self._now()
        officer = session.officer
        counter = self._attempts.key("totp", officer.id)
        failures = await self._attempts.charge(counter, at, ACCOUNT_DELAYS_S)
        if failures is None:
            raise _delayed()
        found = await self._accounts.get_credentials(officer.id)
        if not await self._takes(found, code, at):
            await self._note(officer, "confirm", f"session/{session.id}", result="failed", failures=failures)
            raise UnauthenticatedError(
                "totp_wrong", zh="动态口令不正确或已用过", en="the code is wrong or was used before", field="code"
            )
        await self._attempts.forgive(counter)
        if not await self._sessions.confirm(session.id, at):
            raise _logged_out()
        await self._note(officer, "confirm", f"session/{session.id}")
        return replace(session, totp_at=at, seen_at=at)

    async def sessions(self, officer_id: str) -> list[Session]:
        """The live sessions of an officer, newest first; none of an account that may not log in."""
        account = await self._accounts.get(officer_id)
        if account.state is not AccountState.ACTIVE:
            return []
        return [_session(kept, account.officer) for kept in await self._sessions.list_live(officer_id, self._now())]

    async def end(self, by: Session, session_id: str) -> None:
        """End one of the own sessions (log out: the session itself); NotFoundError `session_unknown`."""
        if not await self._sessions.end(by.officer.id, session_id):
            raise NotFoundError("session_unknown", zh="没有这个会话", en="there is no such session", field="session")
        await self._note(by.officer, "log_out", f"session/{session_id}")

    async def end_all(self, by: Officer | None, officer_id: str) -> int:
        """End all sessions of an officer: one's own, or another's as an administrator; how many there were."""
        if by is None or by.id != officer_id:
            await self._managed(by, officer_id)
        ended = await self._sessions.end_all(officer_id)
        await self._note(by, "log_out", f"officer/{officer_id}", sessions=ended)
        return ended

    async def _is_right(self, found: Credentials | None, given: LogIn, at: datetime, *, is_known: bool) -> bool:
        """The same work whether or not the name exists and whatever is wrong."""
        hashed, password = (found.password if found else None), given.password[: MAX_CHARACTERS + 1]
        is_password = await self._hasher.verify(hashed, password, is_known=is_known)
        step = totp.step_of((found and found.totp_secret) or NO_SECRET, given.code, at)
        if found is None or not is_password or step is None or found.account.state is not AccountState.ACTIVE:
            return False
        return await self._accounts.use_step(found.account.officer.id, step)

    async def _takes(self, found: Credentials, code: str, at: datetime) -> bool:
        step = totp.step_of(found.totp_secret or NO_SECRET, code, at)
        return step is not None and await self._accounts.use_step(found.account.officer.id, step)

    async def _begin(self, officer: Officer, origin: str, at: datetime) -> tuple[Session, str]:
        token, kept = self._token(), Kept(self._random(16).hex(), officer.id, at, at, at, origin)
        await self._note(officer, "log_in", f"session/{kept.id}", origin=self._attempts.key("origin", counted(origin)))
        await self._sessions.insert(token, kept)
        return _session(kept, officer), token

    async def accounts(self, by: Officer | None) -> list[Account]:
        """The accounts within reach, oldest first. `by` None is the operator at the server's own command line."""
        found = await self._accounts.list_all()
        if by is None:
            return found
        refuse(by, Deed.OFFICER_READ, (by.division,))
        return [account for account in found if may(by, Deed.OFFICER_READ, _places(account.officer))]

    async def create(self, by: Officer | None, new: NewOfficer) -> tuple[Account, str]:
        """Invite an officer; the second value is the token of the one-time link.

        InvalidInputError `roles_mixed`; ConflictError `name_taken`, `powers_mixed` (the person holds another power).
        """
        refuse_mixed_powers(new.roles)
        self._refuse_management(by, new.roles, (new.division, new.unit.division))
        at, link = self._now(), self._token()
        officer = Officer(id=self._random(16).hex(), **{name: getattr(new, name) for name in NewOfficer.model_fields})
        account = Account(officer=officer, state=AccountState.INVITED, created_at=at, changed_at=at, sessions_since=at)
        roles = " ".join(sorted(new.roles))
        await self._note(by, "create", f"officer/{officer.id}", result="begun", roles=roles, division=new.division)
        if not await self._accounts.insert(account, link, at + LINK_LIFE):
            raise ConflictError("name_taken", zh="该姓名已有账号", en="there is an account of this name", field="name")
        if is_mixed(account.officer.roles for account in await self._accounts.list_all([officer.person])):
            await self._accounts.withdraw(officer.id, link)  # nobody has the link yet
            raise ConflictError(
                "powers_mixed",
                zh="此人已有另一类权限的账号",
                en="this person holds an account with another power",
                field="roles",
            )
        await self._note(by, "create", f"officer/{officer.id}")
        return account, link

    async def activate(self, link: str, password: str) -> Activation:
        """Use a link: set the password, get the second factor. UnauthenticatedError `link_unknown`.

        InvalidInputError `password_short`, `password_long`, `password_guessable`: the link stays good.
        """
        at = self._now()
        account = await self._accounts.find_link(link, at)
        if account is None or account.state is AccountState.LOCKED:
            raise _link_unknown()
        officer = account.officer
        own_words = (officer.name, officer.person, officer.unit.name, officer.unit.name_en, officer.unit.sender)
        await asyncio.to_thread(passwords.refuse_weak, password, own_words)
        hashed = await self._hasher.hash(password)
        secret = totp.secret_of(self._random(totp.SECRET_BYTES))
        await self._note(officer, "activate", f"officer/{officer.id}")
        if not await self._accounts.activate(officer.id, link, hashed, secret, at):
            raise _link_unknown()
        return Activation(officer.name, secret, totp.uri(secret, officer.name))

    async def recover(self, by: Officer | None, officer_id: str) -> str:
        """A new one-time link; password, second factor and sessions of before are void."""
        await self._managed(by, officer_id)
        at, link = self._now(), self._token()
        await self._note(by, "recover", f"officer/{officer_id}")
        await self._accounts.invite_again(officer_id, link, at + LINK_LIFE, at)
        await self._sessions.end_all(officer_id)
        return link

    async def lock(self, by: Officer | None, officer_id: str) -> Account:
        """Keep an officer out, at once; a second call changes nothing."""
        await self._managed(by, officer_id)
        await self._note(by, "lock", f"officer/{officer_id}")
        account = await self._accounts.lock(officer_id, self._now(), is_locked=True)
        await self._sessions.end_all(officer_id)
        return account

    async def unlock(self, by: Officer | None, officer_id: str) -> Account:
        """Let an officer in again, and forget the failures in its name."""
        account = await self._managed(by, officer_id)
        await self._note(by, "unlock", f"officer/{officer_id}")
        name = plain_name(account.officer.name)
        await self._attempts.forgive(self._attempts.key("account", name), self._attempts.key("totp", officer_id))
        return await self._accounts.lock(officer_id, self._now(), is_locked=False)

    async def change(self, by: Officer | None, officer_id: str, roles: frozenset[Role]) -> Account:
        """Give other roles of the same power; they hold from the next request on. InvalidInputError `roles_mixed`."""
        account = await self._managed(by, officer_id)
        refuse_mixed_powers(account.officer.roles | roles if roles else roles)
        await self._note(by, "change", f"officer/{officer_id}", roles=" ".join(sorted(roles)))
        return await self._accounts.change_roles(officer_id, roles, self._now())

    async def _managed(self, by: Officer | None, officer_id: str) -> Account:
        """The account, if `by` may manage it; what is out of reach is as unknown as what does not exist."""
        account = await self._accounts.get(officer_id)
        if by is not None and by.id == officer_id:
            raise ForbiddenError("own_account", zh="不能管理自己的账号", en="nobody manages the own account")
        places = _places(account.officer)
        if by is not None and may_ask(by, Deed.OFFICER_MANAGE) and not may(by, Deed.OFFICER_MANAGE, places):
            raise officer_unknown()
        self._refuse_management(by, account.officer.roles, places)
        return account

    def _refuse_management(self, by: Officer | None, roles: frozenset[Role], places: Sequence[str]) -> None:
        if by is None:
            return
        refuse(by, Deed.OFFICER_MANAGE, places)
        if not roles <= WARNING:  # or an administrator could make its own auditor, or silence one
            raise ForbiddenError(
                "operator_needed",
                zh="管理员和审计员账号只能由运维人员在服务器上管理",
                en="accounts of administrators and auditors are managed at the server's command line",
            )

    async def _note(self, by: Officer | None, verb: str, what: str, *, result: str = DONE, **details: Detail) -> None:
        actor = by.id if by else OPERATOR
        await self._audit.record(Event(actor, f"officer.{verb}", what, result, details))

    def _token(self) -> str:
        return base64.urlsafe_b64encode(self._random(TOKEN_BYTES)).decode().rstrip("=")

    def _now(self) -> datetime:
        """To the millisecond, as the database keeps it."""
        at = self._clock().astimezone(UTC)
        return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _session(kept: Kept, officer: Officer) -> Session:
    return Session(kept.id, officer, kept.created_at, kept.seen_at, kept.totp_at, kept.origin)


def _places(officer: Officer) -> tuple[str, str]:
    return officer.division, officer.unit.division


def _delayed() -> TooManyError:
    return TooManyError(
        "login_delayed", zh="尝试次数过多，请稍后再试", en="too many failures; wait before the next try"
    )


def _logged_out() -> UnauthenticatedError:
    return UnauthenticatedError("session_unknown", zh="请重新登录", en="log in again")


def _link_unknown() -> UnauthenticatedError:
    return UnauthenticatedError(
        "link_unknown", zh="链接无效、已使用或已过期", en="the link is unknown, used or expired"
    )
