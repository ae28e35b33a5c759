"""A person leaves: locked at once, then everything about them goes, and their key is thrown away.

Promises. When `ask` returns, no log-in of the account works, no audience finds the person and nothing waits for them.
The rest is a duty of every worker: each step may be repeated, so what a killed worker left is finished by the next, and
two at once do no harm. Everything is swept twice, a minute apart, for a request that was under way when the account was
locked may still have written. What is left is a tombstone without anything personal; what a backup holds under the
person's key cannot be opened, if that key was not kept with it (docs/privacy.md).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.audit import SYSTEM, Event
from server.domain.citizens import Caller
from server.domain.erasure import Erasure as Case
from server.domain.erasure import refuse_unproved
from server.domain.freshness import refuse_stale_log_in
from server.services.audit import Audit
from server.services.holdings import Holding
from server.services.idempotency import Idempotency
from server.storage.accounts import Accounts
from server.storage.citizens import Citizens
from server.storage.erasures import ErasureStore
from server.storage.outbox import Outbox
from server.storage.person_keys import PersonVault

ASKED, DONE = "citizen.erase", "citizen.erased"


@dataclass(frozen=True, slots=True)
class Shelves:
    """Where a person is found beside the holdings."""

    erasures: ErasureStore
    accounts: Accounts
    citizens: Citizens
    outbox: Outbox
    answers: Idempotency  # what they were answered, kept for a day in case they ask again
    keys: PersonVault


class Erasure:
    """The verbs."""

    def __init__(
        self, shelves: Shelves, holdings: Sequence[Holding], audit: Audit, now: Callable[[], datetime]
    ) -> None:
        self._shelves = shelves
        self._holdings = holdings
        self._audit = audit
        self._now = now

    async def ask(self, caller: Caller, prove: Callable[[], Awaitable[str]] | None) -> Case:
        """The caller leaves, and is out when this returns. `prove` uses a one-time code up: the number it was sent to.

        ForbiddenError `log_in_stale`, `erase_code_needed` (whoever has a phone); InvalidInputError `code_wrong`.
        """
        now = self._now()
        refuse_stale_log_in(caller, now)
        if phones := await self._shelves.citizens.addresses_of(caller.id, "sms"):
            refuse_unproved(phones, await prove() if prove else None)
        public = caller.account.public
        await self._audit.record(Event(public, ASKED, public))
        case = await self._shelves.erasures.open(caller.id, public, now)  # from here on it will be finished
        await self._stop(caller.id)
        return case

    async def finish_open(self) -> int:
        """The duty: take every open erasure a step further; how many were completed here."""
        now = self._now()
        completed = 0
        for case in await self._shelves.erasures.find_open():
            if case.is_due(now):
                await self._sweep(case.citizen)
                if case.swept_at is None:
                    await self._shelves.erasures.mark_swept(case.citizen, now)
                elif await self._complete(case, now):
                    completed += 1
        return completed

    async def _stop(self, citizen: int) -> None:
        """Nobody logs in, nothing more is planned, nothing waits, no address is left."""
        await self._shelves.accounts.lock(citizen)
        await self._shelves.citizens.erase(citizen)
        await self._shelves.outbox.withdraw_all(citizen)

    async def _sweep(self, citizen: int) -> None:
        """Everything; the account last, for as long as it is not erased somebody may see that this is not over."""
        await self._stop(citizen)
        for holding in self._holdings:
            await holding.erase(citizen)
        await self._shelves.answers.forget(f"citizen/{citizen}")
        await self._shelves.keys.shred(citizen)
        await self._shelves.accounts.erase(citizen)

    async def _complete(self, case: Case, now: datetime) -> bool:
        await self._audit.record(Event(SYSTEM, DONE, case.public, key=f"erased|{case.public}"))
        return await self._shelves.erasures.mark_done(case.citizen, now)
