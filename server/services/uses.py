"""Who used my data: noted before the data is shown, read by the person it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from server.domain.officers import Officer
from server.domain.uses import Use, User, mark_of, office_of
from server.storage.mongo import Session
from server.storage.uses import UseStore


class Uses:
    """The verbs. Also a `Holding`: the list is part of an export."""

    name = "uses"
    collections = ("uses",)

    def __init__(self, store: UseStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def note(
        self, citizens: Iterable[int], user: User, purpose: str, fields: Sequence[str], *, about: str = ""
    ) -> None:
        """Write down that `user` is about to see these fields of these people. Durable when it returns: then show.

        One write for many people. `purpose` is what the user said, and the people read it; `about` names the thing.
        """
        use = Use(user.unit, user.office, purpose, tuple(fields), about, self._now())
        await self._store.append(citizens, user, use)

    async def page(self, citizen: int, cursor: str, limit: int) -> tuple[Sequence[Use], str]:
        """Uses of one person's data, newest first, and the cursor of what follows ("": nothing).

        InvalidInputError `cursor_invalid`.
        """
        uses, mark = await self._store.page(citizen, mark_of(cursor) if cursor else None, limit)
        return uses, str(mark) if mark else ""

    async def export(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """The whole list, oldest first."""
        return [
            {
                "at": use.at.isoformat(),
                "unit": use.unit,
                "office": use.office[0],
                "purpose": use.purpose,
                "fields": list(use.fields),
                "about": use.about,
            }
            for use in await self._store.find_all(citizen)
        ]

    async def move(self, source: int, target: int, session: Session) -> None:
        """The lists become one."""
        await self._store.move(source, target, session)

    async def erase(self, citizen: int) -> None:
        """All of it: the log of officers' deeds still has each look, without the person."""
        await self._store.delete(citizen)


def user_of(officer: Officer) -> User:
    """An officer as a person may see who looked: unit and office, no name."""
    return User(officer.id, officer.unit.name, office_of(officer.roles))
