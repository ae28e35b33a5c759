"""An officer binds the own citizen's account, so that duty calls reach a telephone.

Promises. Both sides agree: the citizen's program asks for a code, the officer types it in with a fresh second factor.
One account an officer, one officer an account; either side ends it at once. The log says which officer has bound or
unbound and never which citizen; nobody else is told more than that an officer can be called. Guesses slow down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from server.domain.audit import SYSTEM, Event
from server.domain.citizens import Caller
from server.domain.duty import CODE_DIGITS, CODE_LASTS
from server.domain.errors import ConflictError, InvalidInputError, TooManyError, UnavailableError
from server.domain.officers import Officer
from server.domain.sessions import ACCOUNT_DELAYS_S
from server.services.audit import Audit
from server.storage.attempts import Attempts
from server.storage.duty import Bound, DutyPhones

TRIES = 5


@dataclass(frozen=True, slots=True)
class Code:
    """What the citizen's program shows, once."""

    code: str
    expires_at: datetime


class DutyBinding:
    """The verbs. `random` gives that many random bytes."""

    def __init__(
        self, phones: DutyPhones, attempts: Attempts, audit: Audit, *, now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:  # fmt: skip
        self._phones = phones
        self._attempts = attempts
        self._audit = audit
        self._now = now
        self._random = random

    async def offer(self, caller: Caller) -> Code:
        """A code for an officer to type in; an earlier one is void."""
        gone_at = self._at() + CODE_LASTS
        for _ in range(TRIES):
            code = f"{int.from_bytes(self._random(8), 'big') % 10**CODE_DIGITS:0{CODE_DIGITS}d}"
            if await self._phones.keep_code(caller.id, code, gone_at):
                return Code(code, gone_at)
        raise UnavailableError("officer_codes_busy", zh="请稍后再试", en="try again later")

    async def bind(self, officer: Officer, code: str) -> datetime:
        """Since when it is bound: now. What was bound before is not any more.

        InvalidInputError `officer_code_wrong`, whatever is wrong; TooManyError `officer_code_delayed`; ConflictError
        `citizen_bound`: another officer has it.
        """
        at = self._at()
        counter = self._attempts.key("officer_code", officer.id)
        if await self._attempts.charge(counter, at, ACCOUNT_DELAYS_S) is None:
            raise TooManyError(
                "officer_code_delayed", zh="尝试过于频繁，请稍后再试", en="too many tries; wait a little"
            )
        citizen = await self._phones.redeem(code, at)
        if citizen is None:
            await self._audit.record(Event(officer.id, "officer.bind", _object(officer.id), "failed"))
            raise InvalidInputError(
                "officer_code_wrong", zh="绑定码不正确或已过期", en="the code is wrong or too old", field="code"
            )
        await self._attempts.forgive(counter)
        if not await self._phones.bind(Bound(officer.id, citizen, at)):
            raise ConflictError(
                "citizen_bound", zh="该账号已绑定其他工作账号", en="this account is bound to another officer"
            )
        await self._audit.record(Event(officer.id, "officer.bind", _object(officer.id)))
        return at

    async def unbind(self, officer: Officer) -> None:
        """Duty calls are lines of a log from now on. A second call changes nothing."""
        if await self._phones.unbind(officer.id):
            await self._audit.record(Event(officer.id, "officer.unbind", _object(officer.id)))

    async def can_be_called_since(self, officer: Officer) -> datetime | None:
        """Since when the officer has a telephone bound; None: there is none."""
        found = await self._phones.of_officer(officer.id)
        return found.bound_at if found else None

    async def bound_since(self, caller: Caller) -> datetime | None:
        """Since when the caller's account is an officer's; None: it is not."""
        found = await self._phones.of_citizen(caller.id)
        return found.bound_at if found else None

    async def leave(self, caller: Caller) -> None:
        """The citizen's side ends it. The log does not say who that was. A second call changes nothing."""
        found = await self._phones.of_citizen(caller.id)
        if found and await self._phones.unbind(found.officer):
            await self._audit.record(Event(SYSTEM, "officer.unbind", _object(found.officer), details={"by": "citizen"}))

    def _at(self) -> datetime:
        """To the millisecond, as the database keeps it."""
        now = self._now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _object(officer: str) -> str:
    return f"officer/{officer}"
