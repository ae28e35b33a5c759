"""Officers' accounts and sessions: invite, activate, log in, confirm the second factor, end, lock, recover.

Promises. Whatever is wrong with a log-in, the answer, its cost and the slowing-down are the same: nobody learns whether
a name exists. Failures slow down the next try by account and by origin; strangers cannot lock out an officer at an
origin that the officer has used before. A code of the second factor is used once. A lock, a change of roles or a
recovery acts on the next request of every session. Tokens are 256 random bits and only their hashes are stored. Every
log-in, failure and change of an account is in the audit log before it is answered.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from server.domain import passwords, totp
from server.domain.access import Deed, refuse
from server.domain.audit import NOBODY, OPERATOR, Detail, Event
from server.domain.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    TooManyError,
    UnauthenticatedError,
)
from server.domain.officers import Account, AccountState, NewOfficer, Officer, Role, refuse_mixed_powers
from server.domain.sessions import ACCOUNT_DELAYS_S, LINK_LIFE, ORIGIN_DELAYS_S, TOUCH_EVERY, Session, is_over
from server.services.audit import Audit
from server.storage.attempts import Attempts
from server.storage.officers import Credentials, OfficerStore
from server.storage.sessions import SessionStore

TOKEN_BYTES = 32


class Hasher(Protocol):
    """Hashes passwords off the loop."""

    async def hash(self, password: str) -> str:
        """The encoded hash."""
        ...

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether it matches; None takes as long and is False."""
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
        """A new session and the token that opens it. UnauthenticatedError `login_failed`, TooManyError `login_delayed`."""
        raise NotImplementedError

    async def session(self, token: str) -> Session:
        """The live session of a token, its officer as of now; UnauthenticatedError `session_unknown`."""
        raise NotImplementedError

    async def confirm_totp(self, session: Session, code: str) -> Session:
        """The session with its second factor shown now; UnauthenticatedError `totp_wrong`, TooManyError `login_delayed`."""
        raise NotImplementedError

    async def sessions(self, officer_id: str) -> list[Session]:
        """The live sessions of an officer, newest first."""
        raise NotImplementedError

    async def end(self, by: Session, session_id: str) -> None:
        """End one of the own sessions (log out: the session itself); NotFoundError `session_unknown`."""
        raise NotImplementedError

    async def end_all(self, by: Officer | None, officer_id: str) -> int:
        """End all sessions of an officer: one's own, or another's as an administrator; how many there were."""
        raise NotImplementedError

    async def accounts(self, by: Officer | None) -> list[Account]:
        """The accounts within reach, by name. `by` None is the operator at the server's own command line."""
        raise NotImplementedError

    async def create(self, by: Officer | None, new: NewOfficer) -> tuple[Account, str]:
        """Invite an officer; the second value is the one-time link token. ConflictError `name_taken`, `powers_mixed`."""
        raise NotImplementedError

    async def activate(self, link: str, password: str) -> Activation:
        """Use a link: set the password, get the second factor. UnauthenticatedError `link_unknown`."""
        raise NotImplementedError

    async def recover(self, by: Officer | None, officer_id: str) -> str:
        """A new one-time link; password, second factor and sessions of before are void."""
        raise NotImplementedError

    async def lock(self, by: Officer | None, officer_id: str) -> Account:
        """Keep an officer out, at once; a second call changes nothing."""
        raise NotImplementedError

    async def unlock(self, by: Officer | None, officer_id: str) -> Account:
        """Let an officer in again, and forget its failures."""
        raise NotImplementedError

    async def change(self, by: Officer | None, officer_id: str, roles: frozenset[Role]) -> Account:
        """Give other roles; they hold from the next request on."""
        raise NotImplementedError
