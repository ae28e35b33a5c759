"""Fill a database with invented citizens, fast: one process per core, unacknowledged by disk, indexes built at the end.

Seeding is not measured and nothing relies on it after a crash, so it may do what the product may not.
"""

from __future__ import annotations

import asyncio
import os
from base64 import b64decode
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context

import uvloop
from pymongo import WriteConcern

from server.domain.divisions import Divisions
from server.services.population import Recipe, people
from server.settings import Settings
from server.storage import mongo
from server.storage.catalogues import load_divisions
from server.storage.citizens import Citizens
from server.storage.vault import Vault

BATCH = 1_000
CHUNK = 25_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """People `first` .. `first + count - 1` of a city, for one process."""

    mongo_url: str
    db: str
    city: str
    first: int
    count: int


async def seed(settings: Settings, count: int, tell: Callable[[int], None]) -> None:
    """Make the database of `settings` a city of exactly `count` people, all with all channels, and build its indexes.

    A database that already has so many is left alone. `tell` hears how many were added.
    """
    assert settings.mongo_url is not None
    async with mongo.client(settings.mongo_url) as client:
        db = mongo.database(client, settings.mongo_db)
        if await db["citizens"].estimated_document_count() == count:
            tell(count)
            return
        await client.drop_database(settings.mongo_db)
        chunks = [
            Chunk(settings.mongo_url, settings.mongo_db, settings.city, first, min(CHUNK, count - first))
            for first in range(0, count, CHUNK)
        ]
        loop = asyncio.get_running_loop()
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
            running = [loop.run_in_executor(pool, add, chunk) for chunk in chunks]
            for done in asyncio.as_completed(running):
                tell(await done)
        await mongo.prepare(db)


def add(chunk: Chunk) -> int:
    """Add the people of one chunk; how many."""
    return uvloop.run(_add(chunk))


async def _add(chunk: Chunk) -> int:
    divisions = load_divisions(city=chunk.city)
    random_people = people(chunk.count, _recipe(divisions, chunk.first), divisions)
    async with mongo.client(chunk.mongo_url) as client:
        db = mongo.database(client, chunk.db).with_options(write_concern=WriteConcern(w=1))
        citizens = Citizens(db, vault(Settings()), divisions.index_of)
        while batch := list(islice(random_people, BATCH)):
            await citizens.add(batch)
    return chunk.count


def homes(divisions: Divisions) -> list[str]:
    """The communities in which the people of the bench live: all of them."""
    return [code for code in divisions.by_code if len(code) == 12]


def _recipe(divisions: Divisions, first: int) -> Recipe:
    return Recipe(homes(divisions), seed=first + 1, has_all_channels=True, first=first, point_share=0.5)


def vault(settings: Settings) -> Vault:
    """The vault that the processes of the town will open the addresses with."""
    keys = {version: key.get_secret_value() for version, key in settings.keys.items()}
    return Vault(keys, b64decode(settings.index_key.get_secret_value()), os.urandom)
