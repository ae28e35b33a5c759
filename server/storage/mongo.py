"""The way into MongoDB: one client, majority and journal on every acknowledged write, all indexes.

MongoDB is the truth. Reads that decide go to the primary; leases and deadlines use the database's clock (`$$NOW`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from bson import CodecOptions
from pymongo import ASCENDING, DESCENDING, AsyncMongoClient, IndexModel, ReadPreference, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import CollectionInvalid, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

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

DAY_S = 24 * 3600
INDEX_OPTIONS_CONFLICT = 85

INDEXES: dict[str, list[IndexModel]] = {
    "applications": [
        IndexModel(
            [("number", ASCENDING)], unique=True, partialFilterExpression={"number": {"$exists": True}}, name="number"
        ),
        IndexModel([("people", ASCENDING), ("changed_at", DESCENDING), ("_id", DESCENDING)], name="own"),
        IndexModel(  # the inbox of a unit, nearest deadline first
            [("units", ASCENDING), ("due_at", ASCENDING), ("_id", ASCENDING)],
            partialFilterExpression={"is_open": True},
            name="inbox",
        ),
        IndexModel([("card_at", ASCENDING)], partialFilterExpression={"card_at": {"$type": "date"}}, name="cards"),
        IndexModel([("changed_at", ASCENDING)], partialFilterExpression={"is_unlogged": True}, name="unlogged"),
        IndexModel([("seat.until", ASCENDING)], partialFilterExpression={"seat.until": {"$type": "date"}}, name="seat"),
    ],
    "accounts": [
        IndexModel([("public", ASCENDING)], unique=True),
        IndexModel([("id_index", ASCENDING)], unique=True, sparse=True),  # an ID number or USCC belongs to one account
    ],
    "attachments": [  # the files themselves are in the GridFS bucket attachment_data
        IndexModel([("application", ASCENDING)]),
        IndexModel([("citizen", ASCENDING)]),
        IndexModel([("at", ASCENDING)], partialFilterExpression={"is_loose": True}, name="loose"),
    ],
    "ratings": [
        IndexModel([("case", ASCENDING)], unique=True),  # one rating per case
        IndexModel([("unit", ASCENDING), ("state", ASCENDING), ("due_on", ASCENDING)]),
        IndexModel([("citizen", ASCENDING)]),
    ],
    "relations": [
        IndexModel(  # of two people one relation is alive; and one question waits
            [("actor", ASCENDING), ("subject", ASCENDING)],
            unique=True,
            partialFilterExpression={"state": "active"},
            name="one_alive",
        ),
        IndexModel(
            [("actor", ASCENDING), ("about", ASCENDING)],
            unique=True,
            partialFilterExpression={"state": "asked", "about": {"$exists": True}},
            name="one_question",
        ),
        IndexModel(
            [("actor", ASCENDING), ("subject", ASCENDING)],
            unique=True,
            partialFilterExpression={"state": "asked", "kind": "organisation"},
            name="one_invitation",
        ),
        IndexModel([("about", ASCENDING)], partialFilterExpression={"state": "asked"}, name="asked_of"),
        IndexModel([("actor", ASCENDING), ("asked_at", DESCENDING)]),
        IndexModel([("subject", ASCENDING), ("asked_at", DESCENDING)]),
    ],
    "joins": [
        IndexModel([("survivor", ASCENDING)]),
        IndexModel([("absorbed", ASCENDING)]),
        IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0),
    ],
    "citizens": [
        IndexModel([("places.divisions", ASCENDING), ("_id", ASCENDING)]),
        IndexModel([("is_tester", ASCENDING)], partialFilterExpression={"is_tester": True}),
    ],
    "addresses": [
        *(IndexModel([(f"{c}.index", ASCENDING)], unique=True, sparse=True) for c in ("wechat", "push", "sms")),
        IndexModel([("retired.index", ASCENDING)], sparse=True),
    ],
    "log_ins": [
        IndexModel([("family", ASCENDING)], unique=True),
        IndexModel([("citizen", ASCENDING)]),
        IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0),
    ],
    "devices": [
        IndexModel([("log_in", ASCENDING)], unique=True, sparse=True),  # an app has one token at a time
        IndexModel([("citizen", ASCENDING)]),
        IndexModel([("index", ASCENDING)]),
    ],
    "used_codes": [IndexModel([("at", ASCENDING)], expireAfterSeconds=600)],
    "wechat_sessions": [IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0)],
    "proofs": [IndexModel([("citizen", ASCENDING)]), IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0)],
    "broadcasts": [
        IndexModel([("state", ASCENDING), ("changed_at", ASCENDING)]),
        IndexModel([("chain", ASCENDING)]),
        IndexModel([("released_at", ASCENDING)]),
        IndexModel([("released_at", ASCENDING)], partialFilterExpression={"is_bare": False}, name="with_pages"),
    ],
    "ranges": [
        IndexModel([("broadcast", ASCENDING), ("number", ASCENDING)]),
        IndexModel([("lane", ASCENDING)], partialFilterExpression={"state": "open"}, name="open_ranges"),
    ],
    "pages": [
        IndexModel([(name, ASCENDING) for name in ("broadcast", "number", "channel", "lo", "hi")]),
        IndexModel(
            [("lane", ASCENDING), ("channel", ASCENDING), ("lease.at", ASCENDING), ("not_before", ASCENDING)],
            partialFilterExpression={"state": "open"},
            name="open_by_lane",
        ),
        IndexModel([("broadcast", ASCENDING)], partialFilterExpression={"state": "open"}, name="open_by_broadcast"),
        IndexModel([("state", ASCENDING)], partialFilterExpression={"state": "dead"}, name="dead_pages"),
    ],
    "alerts": [
        IndexModel(  # a chain never forks: of two released messages that follow the same one, one gets in
            [("follows", ASCENDING)],
            unique=True,
            partialFilterExpression={"follows": {"$type": "string"}, "released_at": {"$type": "date"}},
            name="one_successor",
        ),
        IndexModel([("chain", ASCENDING), ("released_at", ASCENDING)]),
        IndexModel([("state", ASCENDING), ("expires_at", ASCENDING)]),
        IndexModel([("steps.0.at", DESCENDING), ("_id", DESCENDING)], name="by_begin"),
        IndexModel([("released_at", ASCENDING)], partialFilterExpression={"is_unpublished": True}, name="unpublished"),
        IndexModel([("is_unlogged", ASCENDING)], partialFilterExpression={"is_unlogged": True}, name="unlogged"),
        *(  # what the public may see: the newest, what has not run out, and what followed what
            IndexModel([(field, ASCENDING)], partialFilterExpression={"is_public": True}, name=f"public_{field}")
            for field in ("released_at", "expires_at", "follows")
        ),
    ],
    "events": [IndexModel([("alert", ASCENDING)], unique=True)],
    "item_versions": [IndexModel([("item", ASCENDING), ("version", DESCENDING)], unique=True)],
    "items": [
        IndexModel([("code", ASCENDING)], unique=True),
        IndexModel([("seq", ASCENDING)]),
        IndexModel([("division", ASCENDING), ("_id", ASCENDING)]),
    ],
    "partners": [IndexModel([("key", ASCENDING)], unique=True)],
    "deliveries": [
        IndexModel([("partner", ASCENDING), ("due_at", ASCENDING)], partialFilterExpression={"state": "waiting"}),
        IndexModel([("done_at", ASCENDING)], expireAfterSeconds=30 * 24 * 3600),
    ],
    "idempotency": [IndexModel([("begun_at", ASCENDING)], expireAfterSeconds=DAY_S)],
    "intake": [
        IndexModel([("partner", ASCENDING), ("received_at", ASCENDING)]),
        IndexModel(  # an identifier is never used twice: of two messages that come at once, one is the first
            [("sender", ASCENDING), ("identifier", ASCENDING)],
            unique=True,
            partialFilterExpression={"is_first": True},
            name="first_of_identifier",
        ),
        IndexModel([("sender", ASCENDING), ("chain", ASCENDING)]),
        IndexModel([("received_at", ASCENDING)], expireAfterSeconds=180 * 24 * 3600),
    ],
    "resources": [
        IndexModel([("lay_on", ASCENDING)]),
        IndexModel([("spot", "2dsphere")]),
        *(IndexModel([(field, ASCENDING), ("_id", ASCENDING)]) for field in ("unit", "group", "kind", "division")),
    ],
    "rates": [
        IndexModel([("channel", ASCENDING), ("at", ASCENDING)]),
        IndexModel([("at", ASCENDING)], expireAfterSeconds=7 * 24 * 3600),
    ],
    "officers": [
        IndexModel([("index", ASCENDING)], unique=True),
        IndexModel([("person", ASCENDING)]),
        IndexModel([("link", ASCENDING)], unique=True, sparse=True),
    ],
    "sessions": [
        IndexModel([("id", ASCENDING)], unique=True),
        IndexModel([("officer", ASCENDING), ("created_at", ASCENDING)]),
        IndexModel([("created_at", ASCENDING)], expireAfterSeconds=13 * 3600, name="forgotten"),
    ],
    "attempts": [IndexModel([("at", ASCENDING)], expireAfterSeconds=2 * 24 * 3600)],
    "known_origins": [IndexModel([("at", ASCENDING)], expireAfterSeconds=31 * 24 * 3600)],
    "audit": [
        IndexModel([("stream", ASCENDING), ("seq", ASCENDING)], unique=True),
        IndexModel([("object", ASCENDING), ("at", ASCENDING)]),
    ],
    "audit_checkpoints": [IndexModel([("stream", ASCENDING), ("seq", ASCENDING)], unique=True)],
    "callbacks": [IndexModel([("at", ASCENDING)], expireAfterSeconds=3 * DAY_S)],
    "outbox": [
        IndexModel(
            [("lane", ASCENDING), ("due_at", ASCENDING), ("citizen", ASCENDING)],
            partialFilterExpression={"state": "waiting"},
            name="waiting",
        ),
        IndexModel([("citizen", ASCENDING), ("due_at", DESCENDING), ("item", DESCENDING)], name="inbox"),
        # As long as a cause may be handled again (a repeated request, a rule run twice), its key has to be known; and
        # as long as its citizen shall find it in the inbox.
        IndexModel([("done_at", ASCENDING)], expireAfterSeconds=90 * DAY_S),
    ],
    "notices": [
        IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0),
        IndexModel([("citizen", ASCENDING)]),
    ],
    "marks": [
        IndexModel([("citizen", ASCENDING), ("chain", ASCENDING)], unique=True),
        IndexModel([("at", ASCENDING)], expireAfterSeconds=90 * DAY_S),
    ],
    "acknowledgements": [
        IndexModel([("chain", ASCENDING), ("citizen", ASCENDING)], unique=True),
        IndexModel([("citizen", ASCENDING)]),
        IndexModel([("chain", ASCENDING), ("division", ASCENDING), ("state", ASCENDING)], name="counted"),
        IndexModel(
            [("chain", ASCENDING), ("since", ASCENDING), ("_id", ASCENDING)],
            partialFilterExpression={"state": "help"},
            name="help",
        ),
        IndexModel([("at", ASCENDING)], expireAfterSeconds=180 * DAY_S),
    ],
    "one_time_codes": [IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0)],
    "consents": [
        IndexModel(  # two devices at once: the second looks again
            [("citizen", ASCENDING), ("purpose", ASCENDING), ("at", ASCENDING)], unique=True
        )
    ],
    "erasures": [
        IndexModel([("asked_at", ASCENDING)], partialFilterExpression={"done_at": None}, name="open"),
        IndexModel([("done_at", ASCENDING)], expireAfterSeconds=3 * 365 * DAY_S, name="proved"),
    ],
    "uses": [
        IndexModel([("citizen", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)]),
        IndexModel([("at", ASCENDING)], expireAfterSeconds=3 * 365 * DAY_S, name="forgotten"),
    ],
    "batches": [IndexModel([("began_at", ASCENDING)])],
    "waiting": [
        IndexModel([("holder", ASCENDING), ("key", ASCENDING)], unique=True),
        IndexModel(  # so many at a time
            [("citizen", ASCENDING), ("place", ASCENDING)],
            unique=True,
            partialFilterExpression={"place": {"$exists": True}},
            name="one_per_place",
        ),
        IndexModel([("citizen", ASCENDING)]),
        IndexModel(
            [(name, ASCENDING) for name in ("group", "priority", "asked_at", "_id")],
            partialFilterExpression={"stage": "waiting"},
            name="order",
        ),
        IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0),
    ],
    "closures": [
        IndexModel([("seats", ASCENDING)], partialFilterExpression={"is_open": True}, name="open_by_seat"),
        IndexModel([("due_at", ASCENDING)], partialFilterExpression={"is_open": True}, name="open"),
        IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0),
    ],
    "chains": [
        IndexModel([("holder", ASCENDING), ("key", ASCENDING)], unique=True),
        IndexModel([("citizen", ASCENDING), ("begins_at", DESCENDING)]),
        IndexModel([("begins_at", ASCENDING)], expireAfterSeconds=2 * 365 * DAY_S, name="forgotten"),
        IndexModel([("until", ASCENDING)], partialFilterExpression={"until": {"$exists": True}}, name="unfinished"),
    ],
    "calendars": [IndexModel([("digest", ASCENDING)], unique=True)],
    "seats": [
        IndexModel([("ends_at", ASCENDING)], expireAfterSeconds=2 * 365 * DAY_S, name="forgotten"),
        IndexModel([("slot", ASCENDING), ("rank", ASCENDING)]),
        IndexModel(  # what can be taken from when on; counts per slot are read from this index alone
            [(name, ASCENDING) for name in ("slot", "quota", "open_at", "rank")],
            partialFilterExpression={"open_at": {"$exists": True}},
            name="open",
        ),
        IndexModel(
            [(name, ASCENDING) for name in ("booking.citizen", "group", "day", "booking.part")],
            unique=True,
            partialFilterExpression={"booking.citizen": {"$exists": True}},
            name="one_per_group_and_day",
        ),
        IndexModel(
            [("booking.holder", ASCENDING), ("group", ASCENDING), ("booking.part", ASCENDING)],
            unique=True,
            partialFilterExpression={"state": "held"},
            name="one_hold",
        ),
        IndexModel(
            [("booking.holder", ASCENDING), ("booking.key", ASCENDING)],
            unique=True,
            partialFilterExpression={"booking.holder": {"$exists": True}},
            name="one_per_key",
        ),
        IndexModel(
            [("booking.code", ASCENDING)],
            unique=True,
            partialFilterExpression={"booking.code": {"$exists": True}},
            name="code",
        ),
        IndexModel(  # what can be offered to those who wait
            [(name, ASCENDING) for name in ("group", "day", "open_at")],
            partialFilterExpression={"open_at": {"$exists": True}},
            name="comes_open",
        ),
        *(
            IndexModel([(f"past.{field}", ASCENDING)], sparse=True, name=f"past_{field}")
            for field in ("citizen", "code", "holder")
        ),
        *(  # of the few that are being moved just now
            IndexModel([(f"transit.{field}", ASCENDING)], sparse=True, name=f"transit_{field}")
            for field in ("code", "until", "booking.citizen", "booking.holder")
        ),
        IndexModel([("changed_at", ASCENDING), ("slot", ASCENDING)]),
        IndexModel(
            [("begins_at", ASCENDING), ("slot", ASCENDING)], partialFilterExpression={"state": "booked"}, name="absent"
        ),
        IndexModel(
            [(name, ASCENDING) for name in ("resource", "day", "booking.queue_at", "_id")],
            partialFilterExpression={"state": "checked_in"},
            name="queue",
        ),
    ],
    "typhoons": [
        IndexModel([("is_active", ASCENDING)], partialFilterExpression={"is_active": True}, name="active"),
        IndexModel([("as_of", DESCENDING)]),
        IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0),
    ],
    "weather_files": [
        IndexModel([("feed", ASCENDING), ("digest", ASCENDING)]),
        IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0),
    ],
    "weather_subscriptions": [
        IndexModel([("minute", ASCENDING), ("_id", ASCENDING)], name="due"),
        IndexModel([("citizen", ASCENDING), ("slot", ASCENDING)], unique=True, name="own"),
    ],
}


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
