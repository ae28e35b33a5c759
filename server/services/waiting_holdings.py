"""What the waiting list and visits of several seats hold about one person: see `holdings`. Seats are bookings'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from server.storage.chains import ChainStore
from server.storage.mongo import Session
from server.storage.waiting import WaitingStore

FROM_THE_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class WaitingHolding:
    """Wishes for somebody and by somebody."""

    name = "waiting"
    collections = ("waiting",)

    def __init__(self, waiting: WaitingStore) -> None:
        self._waiting = waiting

    async def export(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """One row a wish."""
        return [
            {
                "id": entry.id,
                "for": "me" if entry.citizen == citizen else "another",
                "made_by": "me" if entry.holder == citizen else "another",
                "group": entry.group,
                "resource": entry.resource,
                "quota": entry.quota,
                "first_day": entry.first_day.isoformat(),
                "last_day": entry.last_day.isoformat(),
                "asked_at": entry.asked_at.isoformat(),
                "state": entry.stage.value,
                "replaces": entry.replaces,
                "offers": [{"slot": offer.slot, "until": offer.until.isoformat()} for offer in entry.offers],
            }
            for entry in reversed(await self._waiting.find_of(citizen))
        ]

    async def move(self, source: int, target: int, session: Session) -> None:
        """All of them."""
        await self._waiting.move(source, target, session)

    async def erase(self, citizen: int) -> None:
        """All of them; what was being offered runs out, or goes with the bookings."""
        await self._waiting.erase(citizen)


class VisitsHolding:
    """Visits for somebody and by somebody."""

    name = "visits"
    collections = ("chains",)

    def __init__(self, chains: ChainStore) -> None:
        self._chains = chains

    async def export(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """One row a visit."""
        return [
            {
                "id": chain.code,
                "for": "me" if chain.citizen == citizen else "another",
                "made_by": "me" if chain.holder == citizen else "another",
                "slots": list(chain.slots),
                "services": list(chain.services),
                "bookings": chain.codes,
                "begins_at": chain.begins_at.isoformat(),
                "state": chain.stage.value,
                "outcome": chain.outcome.value if chain.outcome else None,
                "ended_at": chain.ended_at.isoformat() if chain.ended_at else None,
            }
            for chain in reversed(await self._chains.find_of(citizen, FROM_THE_BEGINNING))
        ]

    async def move(self, source: int, target: int, session: Session) -> None:
        """All of them."""
        await self._chains.move(source, target, session)

    async def erase(self, citizen: int) -> None:
        """All of them; their seats go with the bookings."""
        await self._chains.erase(citizen)
