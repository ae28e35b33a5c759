"""The door: from a bearer token or a key to somebody who may enter, or a 401 or 403 that says why.

The services behind it are the officers' sessions and the partners' keys; the policy is theirs. Here stands only how a
request carries a credential.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from handlers.routing import Entry, Who
from server.domain.errors import ForbiddenError, UnauthenticatedError
from server.domain.officers import Officer

FRESH = timedelta(minutes=5)
MAX_CREDENTIAL = 512  # characters


class Session(Protocol):
    """An officer who has logged in. `totp_at`: when the second factor was last given."""

    @property
    def officer(self) -> Officer:
        """Who it is."""
        ...

    @property
    def totp_at(self) -> datetime:
        """Aware UTC."""
        ...


class Sessions(Protocol):
    """The officers' counter, as much of it as the door needs."""

    async def session(self, token: str) -> Session:
        """The session of a token; UnauthenticatedError."""
        ...

    def refuse(self, session: Session, action: str) -> None:
        """ForbiddenError unless the policy table allows the action; a missing rule is a no."""
        ...


class Partners(Protocol):
    """The partners' counter, as much of it as the door needs."""

    async def enter(self, key: str, action: str) -> Any:
        """The partner of a key; UnauthenticatedError, or ForbiddenError if its key is not for this."""
        ...


@dataclass(frozen=True, slots=True)
class Gate:
    """Who guards an application. Without `sessions` no officer enters, without `partners` no partner."""

    sessions: Sessions | None
    partners: Partners | None
    now: Callable[[], datetime]

    async def officer(self, authorization: str, entry: Entry) -> Session:
        """The session that an Authorization header stands for."""
        token = _bearer(authorization)
        if self.sessions is None:
            raise _unknown()
        session = await self.sessions.session(token)
        self.sessions.refuse(session, entry.action)
        if entry.is_fresh and self.now() - session.totp_at > FRESH:
            raise ForbiddenError(
                "totp_stale",
                zh="此操作需要最近五分钟内的动态口令",
                en="this needs a one-time code of the last five minutes",
            )
        return session

    async def partner(self, authorization: str, entry: Entry) -> Any:
        """The partner that an Authorization header stands for."""
        token = _bearer(authorization)
        if self.partners is None:
            raise _unknown()
        return await self.partners.enter(token, entry.action)

    async def admit(self, authorization: str, entry: Entry) -> tuple[Session | None, Any]:
        """The session and the partner, whichever this entry asks for; the others' handlers verify for themselves."""
        match entry.who:
            case Who.OFFICER:
                return await self.officer(authorization, entry), None
            case Who.PARTNER:
                return None, await self.partner(authorization, entry)
            case Who.PUBLIC | Who.PROVIDER | Who.OPERATOR:
                return None, None


def _bearer(authorization: str) -> str:
    """The token of `Bearer <token>` (RFC 6750)."""
    scheme, _, token = authorization.strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > MAX_CREDENTIAL or not token.isascii():
        raise _unknown()
    return token


def _unknown() -> UnauthenticatedError:
    return UnauthenticatedError("credential_missing", zh="请先登录", en="log in first")
