"""What duty calls need from MongoDB: whose telephone an officer is called on, and which open cases have a card.

`officers.phone`: {citizen, bound_at}, a part of the officer's own document: an officer has one, and no citizen's
account is bound to two (unique index). `officer_codes`: {_id: citizen, code: blind index, gone_at}: one a citizen, used
once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from server.domain.deadlines import Card
from server.domain.duty import Case, Ticket
from server.domain.ratings import TicketState
from server.storage.mongo import Database, Document, Session
from server.storage.vault import Vault

WAITING = (TicketState.OPEN.value, TicketState.APPEALED.value)


@dataclass(frozen=True, slots=True)
class Bound:
    """An officer and the citizen's account on which duty calls them."""

    officer: str
    citizen: int
    bound_at: datetime


class DutyPhones:
    """Binds citizens' accounts to officers. As a store of its own it answers for what it holds about a citizen."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._officers = db["officers"]
        self._codes = db["officer_codes"]
        self._vault = vault

    async def keep_code(self, citizen: int, code: str, gone_at: datetime) -> bool:
        """The citizen's code from now on; False: another one has the same by chance."""
        fields = {"code": self._index(code), "gone_at": gone_at}
        try:
            await self._codes.update_one({"_id": citizen}, {"$set": fields}, upsert=True)
        except DuplicateKeyError:
            return False
        return True

    async def redeem(self, code: str, now: datetime) -> int | None:
        """Use a code up: whose it is; None for whatever reason it is not right."""
        found = await self._codes.find_one_and_delete({"code": self._index(code), "gone_at": {"$gt": now}})
        return int(found["_id"]) if found else None

    async def bind(self, bound: Bound) -> bool:
        """Instead of what the officer had before; False: the citizen's account is bound to another officer."""
        phone = {"citizen": bound.citizen, "bound_at": bound.bound_at}
        try:
            await self._officers.update_one({"_id": bound.officer}, {"$set": {"phone": phone}})
        except DuplicateKeyError:
            return False
        return True

    async def unbind(self, officer: str) -> bool:
        """Whether there was anything to take away."""
        taken = await self._officers.update_one({"_id": officer, "phone": {"$exists": True}}, {"$unset": {"phone": ""}})
        return taken.modified_count == 1

    async def of_citizen(self, citizen: int) -> Bound | None:
        """Which officer this account is bound to."""
        found = await self._officers.find_one({"phone.citizen": citizen}, {"phone": 1})
        return _bound(found) if found else None

    async def of_officer(self, officer: str) -> Bound | None:
        """Which account this officer is called on."""
        found = await self._officers.find_one({"_id": officer, "phone": {"$exists": True}}, {"phone": 1})
        return _bound(found) if found else None

    async def of_officers(self, officers: Iterable[str]) -> Mapping[str, int]:
        """The citizens' accounts of those of these officers who have one."""
        query = {"_id": {"$in": list(officers)}, "phone": {"$exists": True}}
        return {d["_id"]: d["phone"]["citizen"] async for d in self._officers.find(query, {"phone": 1})}

    async def export(self, citizen: int) -> list[dict[str, Any]]:
        """Since when it is bound; who the officer is the citizen knows."""
        found = await self.of_citizen(citizen)
        return [{"bound_at": found.bound_at.isoformat()}] if found else []

    async def move(self, source: int, target: int, session: Session) -> None:
        """It goes along, unless the target is bound itself. May be repeated."""
        has_own = await self._officers.find_one({"phone.citizen": target}, {"_id": 1}, session=session)
        change = {"$unset": {"phone": ""}} if has_own else {"$set": {"phone.citizen": target}}
        await self._officers.update_one({"phone.citizen": source}, change, session=session)
        await self._codes.delete_one({"_id": source}, session=session)

    async def erase(self, citizen: int) -> None:
        """The officer has none any more. May be repeated."""
        await self._officers.update_one({"phone.citizen": citizen}, {"$unset": {"phone": ""}})
        await self._codes.delete_one({"_id": citizen})

    def _index(self, code: str) -> bytes:
        return self._vault.index(code, field="officer_codes.code")


class CardBoard:
    """Counts what has a card, and bad ratings whose answer is due; never opens anything."""

    def __init__(self, db: Database) -> None:
        self._applications = db["applications"]
        self._ratings = db["ratings"]

    async def cases(self) -> list[Case]:
        """All that is open and has a card, counted by what the rules look at: a few rows a unit and day."""
        by = {name: f"${name}" for name in ("units", "division", "owner", "card")} | {"due_on": "$clock.due_on"}
        found = await self._applications.aggregate(
            [
                {"$match": {"is_open": True, "card": {"$gt": Card.NONE.value}}},
                {"$group": {"_id": by, "count": {"$sum": 1}}},
            ]
        )
        return [_case(d["_id"], d["count"]) async for d in found]

    async def tickets(self, units: Sequence[str], due_by: date) -> list[Ticket]:
        """Bad ratings of these units that wait for an answer or a decision, due by this day."""
        query: Document = {
            "unit": {"$in": list(units)}, "state": {"$in": list(WAITING)}, "due_on": {"$lte": due_by.isoformat()},
        }  # fmt: skip
        by = {"unit": "$unit", "division": "$division", "handlers": "$handlers"}
        found = await self._ratings.aggregate([{"$match": query}, {"$group": {"_id": by, "count": {"$sum": 1}}}])
        return [
            Ticket(d["_id"]["unit"], d["_id"]["division"], frozenset(d["_id"]["handlers"]), d["count"])
            async for d in found
        ]


def _bound(d: Document) -> Bound:
    return Bound(d["_id"], d["phone"]["citizen"], d["phone"]["bound_at"])


def _case(by: Document, count: int) -> Case:
    due_on = date.fromisoformat(by["due_on"])
    return Case(tuple(by["units"]), by["division"], by["owner"], Card(by["card"]), due_on, count)
