"""Seats as a schedule sees them: free ones that are to go, and what slots they stand in."""

from __future__ import annotations

from collections.abc import Sequence

from pymongo import DeleteOne

from server.domain.booking import Seat, Slot
from server.storage.mongo import Database


class LaidSeats:
    """The collection `seats` again."""

    def __init__(self, db: Database) -> None:
        self._seats = db["seats"]

    async def remove_free(self, seats: Sequence[Seat]) -> int:
        """Take these away, each only if it still is what was read; how many went."""
        if not seats:
            return 0
        deletes = [DeleteOne({"_id": seat.id, "version": seat.version}) for seat in seats]
        return (await self._seats.bulk_write(deletes, ordered=False)).deleted_count

    async def find_slots(self, slots: Sequence[str]) -> dict[str, Slot]:
        """The slots that seats stand in, whether a schedule still knows them or not."""
        fields = dict.fromkeys(("slot", "resource", "unit", "group", "begins_at", "ends_at"), 1)
        found: dict[str, Slot] = {}
        async for d in self._seats.find({"slot": {"$in": list(slots)}}, fields):
            found[d["slot"]] = Slot(d["resource"], d["unit"], d["group"], d["begins_at"], d["ends_at"])
        return found
