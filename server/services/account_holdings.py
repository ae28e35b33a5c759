"""The holdings of accounts themselves: verified name, addresses, relations, joins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from server.storage.accounts import Accounts
from server.storage.joins import JoinStore
from server.storage.mongo import Session
from server.storage.person_keys import PersonVault
from server.storage.real_names import RealNameStore

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


class Store(Protocol):
    """What a feature's store has if it can answer for a person by itself."""

    async def export(self, citizen: int) -> Rows:
        """As a holding's."""
        ...

    async def move(self, source: int, target: int, session: Session) -> None:
        """As a holding's."""
        ...

    async def erase(self, citizen: int) -> None:
        """As a holding's."""
        ...


class StoreHolding:
    """A holding that is its store and no more: addresses, relations, joins."""

    def __init__(self, name: str, collections: Sequence[str], store: Store) -> None:
        self.name = name
        self.collections = collections
        self._store = store

    async def export(self, citizen: int) -> Rows:
        """The store's rows."""
        return await self._store.export(citizen)

    async def move(self, source: int, target: int, session: Session) -> None:
        """As the store does."""
        await self._store.move(source, target, session)

    async def erase(self, citizen: int) -> None:
        """As the store does."""
        await self._store.erase(citizen)
