"""Seats by person, in every place where a person's number stands: for an export, a join and an erasure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from server.domain.booking import Seat
from server.storage.mongo import Database, Session
from server.storage.seats import Pair, from_document, update_of


class SeatPeople:
    """The collection `seats` once more. `stamp` names each write."""

    def __init__(self, db: Database, stamp: Callable[[], int]) -> None:
        self._seats = db["seats"]
        self._stamp = stamp

    async def find(self, citizen: int, session: Session | None = None, limit: int = 0) -> list[Seat]:
        """Seats that this person has or had, or made for somebody, by time; 0: all."""
        query = {
            "$or": [
                *({f"{place}.{who}": citizen} for place in ("booking", "past") for who in ("citizen", "holder")),
                {"transit.booking.citizen": citizen},
                {"transit.booking.holder": citizen, "transit.until": {"$exists": True}},
            ]
        }
        cursor = self._seats.find(query, session=session).sort([("begins_at", 1), ("_id", 1)]).limit(limit)
        return [from_document(d) for d in await cursor.to_list()]

    async def write(self, pairs: Sequence[Pair], session: Session | None = None) -> int:
        """Write seats one after the other, each only if it is as it was read; how many were."""
        done = 0
        for old, new in pairs:
            result = await self._seats.update_one(*update_of(old, new, self._stamp()), session=session)
            done += result.matched_count
        return done
