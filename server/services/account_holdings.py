"""The holdings of accounts themselves: verified name, addresses, relations, joins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.storage.accounts import Accounts
from server.storage.address_book import AddressBook
from server.storage.joins import JoinStore
from server.storage.mongo import Session
from server.storage.person_keys import PersonVault
from server.storage.real_names import RealNameStore
from server.storage.relations import RelationStore

Rows = Sequence[Mapping[str, Any]]


class AccountHolding:
    """The account with its verified name. To be moved and erased after all others: its key opens what they hold."""

    name = "account"
    collections = ("accounts",)  # and person_keys

    def __init__(self, accounts: Accounts, names: RealNameStore, people: PersonVault, joins: JoinStore) -> None:
        self._accounts = accounts
        self._names = names
        self._people = people
        self._joins = joins

    async def export(self, citizen: int) -> Rows:
        """One row."""
        account, found = await self._accounts.get(citizen), await self._names.find(citizen)
        return [
            {
                "id": account.public,
                "created_at": account.created_at.isoformat(),
                "language": account.language,
                "is_elder_mode": account.is_elder_mode,
                "name": found.name if found else None,
                "number": found.number if found else None,
            }
        ]

    async def move(self, source: int, target: int, session: Session) -> None:
        """The verified name, if the target has none; settings are the target's own."""
        await self._names.move(source, target, session)

    async def erase(self, citizen: int) -> None:
        """Name and keys, also those of accounts that went into this one."""
        await self._names.clear(citizen)
        for each in (citizen, *await self._joins.absorbed_by(citizen)):
            await self._people.shred(each)


class AddressesHolding:
    """Addresses. To be moved and erased after what else stands in the same two documents (places, grants, wishes)."""

    name = "addresses"
    collections = ("addresses", "citizens")

    def __init__(self, book: AddressBook) -> None:
        self._book = book

    async def export(self, citizen: int) -> Rows:
        """Channel and value."""
        return await self._book.export_addresses(citizen)

    async def move(self, source: int, target: int, session: Session) -> None:
        """All of them; the two documents go."""
        await self._book.move(source, target, session)

    async def erase(self, citizen: int) -> None:
        """Both documents."""
        await self._book.erase(citizen)


class RelationsHolding:
    """For whom somebody acts, and who acts for them."""

    name = "relations"
    collections = ("relations",)

    def __init__(self, store: RelationStore) -> None:
        self._store = store

    async def export(self, citizen: int) -> Rows:
        """Both directions."""
        return await self._store.export(citizen)

    async def move(self, source: int, target: int, session: Session) -> None:
        """Two relations of the same two people become one."""
        await self._store.move(source, target, session)

    async def erase(self, citizen: int) -> None:
        """On both sides."""
        await self._store.erase(citizen)


class JoinsHolding:
    """Joins of accounts."""

    name = "joins"
    collections = ("joins",)

    def __init__(self, store: JoinStore) -> None:
        self._store = store

    async def export(self, citizen: int) -> Rows:
        """When, and by which means."""
        return await self._store.export(citizen)

    async def move(self, source: int, target: int, session: Session) -> None:
        """Accounts that were joined before lead on."""
        await self._store.move(source, target, session)

    async def erase(self, citizen: int) -> None:
        """All of them."""
        await self._store.erase(citizen)
