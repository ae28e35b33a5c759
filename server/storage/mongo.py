"""The way into MongoDB: one client, majority and journal on every acknowledged write, all indexes.

MongoDB is the truth. Reads that decide go to the primary; leases and deadlines use the database's clock (`$$NOW`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from bson import CodecOptions
from pymongo import AsyncMongoClient, IndexModel, ReadPreference, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import CollectionInvalid, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from server.storage.indexes import INDEXES

# Pages are written a few times and read once: a denser compressor saves a third of the disk, 21 for 34 bytes a person.
DENSE = {"wiredTiger": {"configString": "block_compressor=zstd"}}
MongoError = PyMongoError  # a broken database; the floors above need not know the driver
Document = dict[str, Any]
Database = AsyncDatabase[Document]
Collection = AsyncCollection[Document]
Session = AsyncClientSession  # of a transaction that several stores take part in
T = TypeVar("T")

DURABLE = WriteConcern(w="majority", j=True, wtimeout=10_000)
AWARE: CodecOptions[Document] = CodecOptions(tz_aware=True)

INDEX_OPTIONS_CONFLICT = 85


def client(url: str, *, pool: int = 64) -> AsyncMongoClient[Document]:
    """A client with bounded pools and time-outs: no call hangs longer than a few seconds."""
    return AsyncMongoClient(
        url,
        maxPoolSize=pool,
        serverSelectionTimeoutMS=5_000,
        connectTimeoutMS=3_000,
        socketTimeoutMS=20_000,
        waitQueueTimeoutMS=10_000,
        retryWrites=True,
        retryReads=True,
        appname="huimin",
    )


def database(mongo: AsyncMongoClient[Document], name: str) -> Database:
    """The product's database with its write and read concerns."""
    return mongo.get_database(
        name,
        codec_options=AWARE,
        read_preference=ReadPreference.PRIMARY,
        write_concern=DURABLE,
        read_concern=ReadConcern("local"),
    )


async def prepare(db: Database) -> None:
    """Create what is missing: the ledger, and indexes of every collection. A second call changes nothing.

    A database of an older version learns how long this one keeps things.
    """
    with suppress(CollectionInvalid):  # it is there
        await db.create_collection("pages", storageEngine=DENSE)
    for name, indexes in INDEXES.items():
        try:
            await db[name].create_indexes(indexes)
        except OperationFailure as error:
            if error.code != INDEX_OPTIONS_CONFLICT:
                raise
            await _set_expiry(db, name, indexes)
            await db[name].create_indexes(indexes)


async def _set_expiry(db: Database, name: str, indexes: list[IndexModel]) -> None:
    there = await db[name].index_information()
    for index in indexes:
        wanted = index.document.get("expireAfterSeconds")
        if wanted is not None and index.document["name"] in there:
            await db.command("collMod", name, index={"name": index.document["name"], "expireAfterSeconds": wanted})


async def in_transaction(db: Database, work: Callable[[Session], Awaitable[T]]) -> T:
    """Do all of `work` or nothing: durable when it returns. `work` is repeated after a conflict with another writer."""
    async with db.client.start_session() as session:
        return await session.with_transaction(work, ReadConcern("snapshot"), DURABLE)
