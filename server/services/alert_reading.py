"""What an officer may see of the desk: one alert, or a list of them page by page.

Promise: what lies outside an officer's reach is not there for that officer, and says nothing else than what does not
exist at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from server.domain.access import Deed, may
from server.domain.alerts.desk import DeskAlert
from server.domain.alerts.states import State
from server.domain.errors import InvalidInputError, NotFoundError
from server.domain.officers import Officer
from server.storage.alerts import AlertStore, Shelf

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which alerts: in these states (none = all), of this division ("" = all in reach), after this cursor."""

    states: tuple[State, ...] = ()
    division: str = ""
    cursor: str = ""
    limit: int = 50


class AlertReading:
    """Reads what others have written."""

    def __init__(self, store: AlertStore) -> None:
        self._store = store

    async def one(self, officer: Officer, identifier: str) -> DeskAlert:
        """One alert within reach; NotFoundError `alert_unknown`."""
        desk = await self._store.get(identifier)
        if not may(officer, Deed.ALERT_READ, desk.facts.divisions):
            raise NotFoundError(
                "alert_unknown", zh="没有这条预警", en=f"no such alert: {identifier[:80]}", field="identifier"
            )
        return desk

    async def page(self, officer: Officer, wanted: Wanted) -> tuple[Sequence[DeskAlert], str]:
        """The newest drafts first, and the cursor of the next page ("" = this is the last)."""
        within = (officer.division, wanted.division) if wanted.division else (officer.division,)
        found = await self._store.find_page(
            Shelf(within, wanted.states), _read_cursor(wanted.cursor) if wanted.cursor else None, wanted.limit + 1
        )
        page = found[: wanted.limit]
        return page, _cursor(page[-1]) if len(found) > wanted.limit else ""


def _cursor(desk: DeskAlert) -> str:
    ms = (desk.steps[0].at - _EPOCH) // timedelta(milliseconds=1)
    return f"{ms}.{desk.identifier}"


def _read_cursor(text: str) -> tuple[datetime, str]:
    ms, _, identifier = text.partition(".")
    if not (ms.isascii() and ms.isdigit() and len(ms) <= 14 and identifier):
        raise InvalidInputError("cursor_invalid", zh="翻页标记无效", en="the cursor is wrong", field="cursor")
    return _EPOCH + timedelta(milliseconds=int(ms)), identifier[:80]
