"""Verified people who agreed to this or that, and files of what departments state of them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from server.domain.audit import Event
from server.services.facts import Feed, Ground, Importing
from server.storage.catalogues import load_facts
from server.storage.citizens import Citizens
from server.storage.fact_imports import FactImportStore, Import
from server.storage.facts import FactStore
from server.storage.mongo import Database
from server.storage.person_keys import PersonVault
from server.storage.real_names import RealNameStore
from server.storage.vault import Vault
from tests.domain.numbers import id_number

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
REGISTERED = frozenset({"population", "residence", "vehicle", "health_record"})
HEAD = "id_number,fact,value,as_of\n"


def number_of(n: int) -> str:
    """The ID number of the n-th person."""
    return id_number(f"{n % 900 + 100}", born=f"{1950 + n // 900}0101")


@dataclass
class World:
    """`withdrawn` and `log` are what a test looks at or sets; `on_ask` is run when consents are asked for."""

    db: Database
    folder: Path
    withdrawn: set[tuple[int, str]] = field(default_factory=set)
    log: list[Event] = field(default_factory=list)
    on_ask: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.vault = Vault({1: bytes(32)}, bytes(range(32)), os.urandom)
        self.names = RealNameStore(self.db, self.vault, PersonVault(self.db, self.vault, os.urandom))
        self.facts, self.imports = FactStore(self.db, load_facts()), FactImportStore(self.db)

    async def given_by(self, citizens: Collection[int], purpose: str) -> frozenset[int]:
        """Implements `Consenting`."""
        found = frozenset(each for each in citizens if (each, purpose) not in self.withdrawn)
        self.on_ask()
        return found

    async def record(self, *events: Event) -> None:
        """Implements `Audit`."""
        self.log += events

    @property
    def ground(self) -> Ground:
        """What importing stands on."""
        return Ground(
            facts=self.facts, names=self.names, citizens=Citizens(self.db, self.vault, lambda _: 3), consents=self,
            vault=self.vault, known=load_facts(), registered=REGISTERED, audit=self, now=lambda: NOW,
        )  # fmt: skip

    async def people(self, count: int) -> None:
        """Verified people 1 to `count`."""
        await self.db["accounts"].insert_many(
            [
                {"_id": n, "public": f"{n:032x}", "id_index": self.names.identity(number_of(n))}
                for n in range(1, count + 1)
            ]
        )

    def file(self, text: str | bytes, name: str = "feed.csv") -> Path:
        """A file with this in it."""
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    async def run(
        self, feed: Feed | Path, source: str = "population", tell: Callable[[Import], None] = lambda _: None
    ) -> Import:
        """Import a file."""
        given = Feed(feed, source) if isinstance(feed, Path) else feed
        return (await Importing(self.ground, self.imports).run(given, tell))[0]

    async def refused(self, done: Import) -> list[tuple[int, str]]:
        """The refused lines that were kept, with their reasons."""
        return [(each.number, each.why.value) async for each in self.imports.refusals(done.id)]


@asynccontextmanager
async def world(db: Database, folder: Path) -> AsyncIterator[World]:
    """One of them, with the indexes of facts."""
    found = World(db, folder)
    await found.facts.prepare()
    yield found
    await db["facts"].drop_indexes()
