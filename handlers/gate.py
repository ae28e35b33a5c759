"""The door: from a bearer token or a key to somebody who may enter, or a 401 or 403 that says why.

Roles are asked here, before anything is read or found; what depends on the thing itself (division, state, second
person) is asked by the services. Here stands how a request carries a credential.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from handlers.routing import Entry, Who
from server.domain.access import Deed, may_ask
from server.domain.citizens import Caller
from server.domain.errors import ForbiddenError, UnauthenticatedError
from server.domain.officers import Officer
from server.domain.sessions import Session, refuse_stale

MAX_CREDENTIAL = 2_048  # characters


class Sessions(Protocol):
    """The officers' counter, as much of it as the door needs."""

    async def session(self, token: str) -> Session:
        """The live session of a token; UnauthenticatedError."""
        ...

    async def note_refusal(self, officer: Officer, action: str) -> None:
        """Put into the log that somebody asked for what no role of theirs allows."""
        ...


class Citizens(Protocol):
    """The citizens' counter, as much of it as the door needs."""

    async def caller(self, token: str) -> Caller:
        """Who holds this access token; UnauthenticatedError for one that is void, over, or not for this API."""
        ...


class Partners(Protocol):
    """The partners' counter, as much of it as the door needs."""

    async def enter(self, key: str, action: str) -> Any:
        """The partner of a key; UnauthenticatedError, or ForbiddenError if its key is not for this."""
        ...


@dataclass(frozen=True, slots=True)
class Entrant:
    """Who has entered: the one of these that the entry asks for, or nobody in particular."""

    session: Session | None = None
    partner: Any = None
    caller: Caller | None = None


NOBODY = Entrant()


@dataclass(frozen=True, slots=True)
class Gate:
    """Who guards an application. Whose counter is missing does not enter."""

    sessions: Sessions | None
    partners: Partners | None
    now: Callable[[], datetime]
    citizens: Citizens | None = None

    async def admit(self, authorization: str, entry: Entry) -> Entrant:
        """Who this is, as the entry asks for; the others' handlers verify for themselves."""
        match entry.who:
            case Who.CITIZEN:
                return Entrant(caller=await self._citizen(_bearer(authorization)))
            case Who.OFFICER:
                return Entrant(session=await self._officer(_bearer(authorization), entry))
            case Who.PARTNER:
                return Entrant(partner=await self._partner(_bearer(authorization), entry))
            case Who.PUBLIC | Who.PROVIDER | Who.OPERATOR:
                return NOBODY

    async def _citizen(self, token: str) -> Caller:
        if self.citizens is None:
            raise _missing()
        return await self.citizens.caller(token)

    async def _officer(self, token: str, entry: Entry) -> Session:
        if self.sessions is None:
            raise _missing()
        session = await self.sessions.session(token)
        if not may_ask(session.officer, Deed(entry.action)):
            await self.sessions.note_refusal(session.officer, entry.action)
            raise ForbiddenError("role_missing", zh="您没有此权限", en="you have no role for this")
        if entry.is_fresh:
            refuse_stale(session, self.now())
        return session

    async def _partner(self, key: str, entry: Entry) -> Any:
        if self.partners is None:
            raise _missing()
        return await self.partners.enter(key, entry.action)


def _bearer(authorization: str) -> str:
    """The token of `Bearer <token>` (RFC 6750)."""
    scheme, _, token = authorization.strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > MAX_CREDENTIAL or not token.isascii():
        raise _missing()
    return token


def _missing() -> UnauthenticatedError:
    return UnauthenticatedError("credential_missing", zh="请先登录", en="log in first")
