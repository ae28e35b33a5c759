"""Citizens say yes or no to a purpose; features ask `has` before they use data for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from server.domain.consents import Act, Purposes, Standing, purpose_of, refuse_old_text, standings
from server.storage.consents import ConsentStore
from server.storage.mongo import Session

Forget = Callable[[int], Awaitable[None]]  # citizen


async def _nothing(_: int) -> None:
    """What is done about a new consent if nobody waits for it."""


NONE: Mapping[str, Forget] = MappingProxyType({})


class Consents:
    """The verbs. Also a `Holding`: the history is part of an export."""

    name = "consents"
    collections = ("consents",)

    def __init__(
        self,
        store: ConsentStore,
        purposes: Purposes,
        now: Callable[[], datetime],
        forgets: Mapping[str, Forget] = NONE,
        welcome: Forget = _nothing,
    ) -> None:
        """`forgets`: what goes with a consent that is taken back, by purpose; `welcome`: what comes with a new one.

        Both may be repeated.
        """
        self._store = store
        self._purposes = purposes
        self._now = now
        self._forgets = forgets
        self._welcome = welcome

    async def has(self, citizen: int, purpose: str) -> bool:
        """Whether their data may be used for this now: they agreed to the version in force and did not withdraw.

        Read from the database at every call, so a withdrawal holds at once. NotFoundError `purpose_unknown`.
        """
        found = purpose_of(self._purposes, purpose)
        return Standing(found, await self._store.find_latest(citizen, purpose)).is_given

    async def given_by(self, citizens: Iterable[int], purpose: str) -> frozenset[int]:
        """Those of these people whose data may be used for this now: `has` for many, in one query."""
        found = purpose_of(self._purposes, purpose)
        return await self._store.find_given(citizens, purpose, found.current.version)

    async def standings(self, citizen: int) -> Sequence[Standing]:
        """Where they stand with every purpose."""
        return standings(self._purposes, await self._store.find_all(citizen))

    async def give(self, citizen: int, purpose: str, version: int) -> Standing:
        """Agree to a version; again changes nothing. NotFoundError; ConflictError `consent_outdated`."""
        found = purpose_of(self._purposes, purpose)
        refuse_old_text(found, version)
        act = Act(purpose, version, is_given=True, at=self._now())
        standing = Standing(found, await self._store.append(citizen, act))
        await self._welcome(citizen)
        return standing

    async def withdraw(self, citizen: int, purpose: str) -> Standing:
        """Take it back, which holds when this returns; what was never given stays so. NotFoundError."""
        found = purpose_of(self._purposes, purpose)
        latest = await self._store.find_latest(citizen, purpose)
        if latest is not None and latest.is_given:
            act = Act(purpose, latest.version, is_given=False, at=self._now())
            latest = await self._store.append(citizen, act)
        if purpose in self._forgets:
            await self._forgets[purpose](citizen)
        return Standing(found, latest)

    async def export(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """Every act, oldest first, with the title of what was read."""
        rows = []
        for act in await self._store.find_all(citizen):
            known = self._purposes.get(act.purpose)
            wording = next((w for w in known.versions if w.version == act.version), None) if known else None
            rows.append(
                {
                    "purpose": act.purpose,
                    "version": act.version,
                    "title": wording.title.zh if wording else "",
                    "is_given": act.is_given,
                    "at": act.at.isoformat(),
                }
            )
        return rows

    async def move(self, source: int, target: int, session: Session) -> None:
        """The histories become one; the later word counts, whichever account it was said in."""
        await self._store.move(source, target, session)

    async def erase(self, citizen: int) -> None:
        """All of it: without a person there is nobody who agreed."""
        await self._store.delete(citizen)
