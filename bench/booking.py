"""Booking: the counter on one hot slot set against raw `find_one_and_update` and against transactions, and searches.

All sides hold and then confirm a seat for each of the waiting citizens, in one collection with the same indexes and
the same durability; each side begins with more seats than citizens, so that all of them can be booked. The rivals keep
no rules: no history is read, no ban is known. Both rivals are let in 48 at a time, or the driver's pool fails them;
transactions that are let in four at a time, which is the best that can be done for them, stand in the detail.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from random import Random
from statistics import median

from pymongo import IndexModel, ReturnDocument

from bench.city import Stage
from bench.figures import Row, percentile, spread
from server.domain.booking import Ask, Seat, Slot, State, seats_of
from server.domain.booking_rules import BookingRules
from server.services.booking import Bookings
from server.services.booking_holds import Means
from server.storage import mongo
from server.storage.clock import DatabaseClock
from server.storage.seats import SeatStore
from server.storage.seats_free import OLDEST, FreeSeats

REACH_RAW, REACH_TRANSACTION, REACH_P99_MS, REACH_SEARCH_MS = 1.3, 5.0, 300.0, 50.0
WAITING = (200, 1_000)
HOT_SLOTS = 4
BOOKINGS = 4_000  # a side and turn
SLOW = 20  # so many times fewer for the transactions, or they take minutes
TUNED_AT_ONCE = 4  # what suits transactions that fail each other; told in the detail
RIVALS_AT_ONCE = 48  # below the driver's pool, or they time out waiting for a connection
REQUESTS = 2  # of a booking; they wait alike, so one takes half of both
RESOURCES, SLOTS_A_DAY, SEATS_A_SLOT = 10_000, 4, 4
RULES = BookingRules(window_days=30)
Book = Callable[[int, str], Awaitable[None]]  # one citizen books in that slot
Make = Callable[[mongo.Database, Sequence[Slot], DatabaseClock], Book]


class _Timetable:
    """Slots made for the bench."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._slots = {slot.id: (slot, RULES) for slot in slots}

    async def find(self, slots: Sequence[str]) -> Mapping[str, tuple[Slot, BookingRules]]:
        """Those that exist."""
        return {slot: self._slots[slot] for slot in slots if slot in self._slots}


async def booking(stage: Stage) -> list[Row]:
    """Bookings a second at 200 and 1,000 waiting citizens, their latency, and the search over 10,000 resources."""
    assert stage.settings.mongo_url is not None
    async with mongo.client(stage.settings.mongo_url) as client:
        db = mongo.database(client, "bench_booking")
        await client.drop_database("bench_booking")
        await mongo.prepare(db)
        clock = DatabaseClock(db, time.monotonic)
        await clock.measure()
        rows = [row for waiting in WAITING for row in await _rush(stage, db, clock, waiting)]
        await db["seats"].delete_many({})
        rows.append(await _search(stage, db, clock))
        await client.drop_database("bench_booking")
    return rows


async def _rush(stage: Stage, db: mongo.Database, clock: DatabaseClock, waiting: int) -> list[Row]:
    rates: dict[str, list[float]] = {}
    p99_ms: list[float] = []
    oversold = 0
    bookings = max(waiting, min(BOOKINGS, stage.sizes.rivals * 2))
    for turn in range(stage.sizes.repeats + 1):  # the first turn warms up and does not count
        stage.tell(f"{waiting} waiting", turn, stage.sizes.repeats + 1)
        sides: dict[str, Make] = {
            "raw": _raw,
            "service": _service,
            "transaction": partial(_transactions, RIVALS_AT_ONCE),
            "transaction_tuned": partial(_transactions, TUNED_AT_ONCE),
        }
        for side, make in sides.items():
            slots = [_slot(clock, n) for n in range(HOT_SLOTS)]
            await db["seats"].delete_many({})
            await db["bookings"].delete_many({})
            await db["bookings"].create_indexes(
                [IndexModel("slot"), IndexModel([("citizen", 1), ("group", 1), ("day", 1)], unique=True)]
            )
            await db["slots"].delete_many({})
            await db["slots"].insert_many([{"_id": slot.id, "capacity": 1_000_000} for slot in slots])
            opened = clock.now() - timedelta(days=1)
            count = bookings // SLOW if side.startswith("transaction") else bookings
            per_slot = count // HOT_SLOTS + waiting // HOT_SLOTS + 1
            store = SeatStore(db, partial(secrets.randbits, 63))
            for slot in slots:
                await store.insert(seats_of(slot, {"online": per_slot}, opened))
            took_s, waits_s = await _crowd(make(db, slots, clock), slots, waiting, count)
            if turn:
                rates.setdefault(side, []).append(count / took_s)
                if side == "service":
                    p99_ms.append(percentile(waits_s, 0.99) * 1000 / REQUESTS)
            if not side.startswith("transaction"):
                oversold += await _oversold(db, count)
    found = {side: spread(runs) for side, runs in rates.items()}
    ratios = {side: found["service"].median / found[side].median for side in ("raw", "transaction")}
    detail = {"waiting": waiting, "slots": HOT_SLOTS, "oversold": oversold, "bookings_per_s": found}
    what = f"with {waiting:,} waiting citizens"
    return [
        _ratio(f"booking_raw_{waiting}", f"bookings/s {what} against raw find_one_and_update", ratios["raw"], REACH_RAW,
               detail),
        _ratio(f"booking_transaction_{waiting}", f"bookings/s {what} against count-then-insert transactions",
               ratios["transaction"], REACH_TRANSACTION, detail),
        Row(f"booking_p99_{waiting}", f"a request (hold or confirmation) {what}, p99", f"<= {REACH_P99_MS:.0f} ms",
            median(p99_ms), "ms", median(p99_ms) <= REACH_P99_MS, detail={"p99_ms": spread(p99_ms)}),
    ]  # fmt: skip


def _ratio(name: str, figure: str, ratio: float, reach: float, detail: Mapping[str, object]) -> Row:
    is_reached = ratio >= reach and not detail["oversold"]
    return Row(name, figure, f">= {reach:g}", ratio, is_reached=is_reached, detail=detail)


def _slot(clock: DatabaseClock, n: int) -> Slot:
    begins_at = (clock.now() + timedelta(days=3)).replace(hour=1, minute=0, second=0, microsecond=0)
    return Slot(f"hot-{n}", "unit", f"group-{n}", begins_at, begins_at + timedelta(minutes=30))


async def _crowd(book: Book, slots: Sequence[Slot], waiting: int, count: int) -> tuple[float, list[float]]:
    """`waiting` citizens at any time until `count` have booked: (seconds, seconds of each one's two requests)."""
    waits_s: list[float] = []
    citizens = iter(range(1, count + 1))

    async def queue() -> None:
        for citizen in citizens:
            began = time.perf_counter()
            await book(citizen, slots[citizen % len(slots)].id)
            waits_s.append(time.perf_counter() - began)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as crowd:
        for _ in range(waiting):
            crowd.create_task(queue())
    return time.perf_counter() - began, waits_s


async def _oversold(db: mongo.Database, count: int) -> int:
    """How many bookings are not the only one of their seat and citizen; 0 if all is well."""
    seats = await db["seats"].find({"state": State.BOOKED.value}, {"booking.citizen": 1}).to_list()
    return abs(count - len({d["booking"]["citizen"] for d in seats})) + abs(count - len(seats))


def _service(db: mongo.Database, slots: Sequence[Slot], clock: DatabaseClock) -> Book:
    store = SeatStore(db, partial(secrets.randbits, 63))
    means = Means(clock.now, Random(1), partial(secrets.token_urlsafe, 16))  # noqa: S311 - delays, not secrets
    counter = Bookings(store, _Timetable(slots), means)

    async def book(citizen: int, slot: str) -> None:
        visit = await counter.hold(Ask(slot, "online", citizen, citizen, "k"))
        await counter.confirm(visit.booking.code, citizen)

    return book


def _raw(db: mongo.Database, _: Sequence[Slot], clock: DatabaseClock) -> Book:
    seats = db["seats"]
    let_in = asyncio.Semaphore(RIVALS_AT_ONCE)

    async def book(citizen: int, slot: str) -> None:
        async with let_in:
            await both(citizen, slot)

    async def both(citizen: int, slot: str) -> None:
        at = clock.now()
        until = at + timedelta(minutes=10)
        code = secrets.token_urlsafe(16)
        claim = {"code": code, "citizen": citizen, "holder": citizen, "key": "k", "held_at": at, "hold_until": until}
        held = await seats.find_one_and_update(
            {"slot": slot, "quota": "online", "open_at": {"$lte": at}},
            {
                "$set": {"state": "held", "open_at": until, "booking": claim},
                "$inc": {"version": 1},
                "$currentDate": {"changed_at": True},
            },
            sort=[("open_at", 1), ("rank", 1)],
            return_document=ReturnDocument.AFTER,
        )
        assert held is not None
        booked = await seats.find_one_and_update(
            {"booking.code": code, "booking.holder": citizen, "state": "held", "booking.hold_until": {"$gt": at}},
            {
                "$set": {"state": "booked", "booking.booked_at": at},
                "$unset": {"open_at": ""},
                "$inc": {"version": 1},
                "$currentDate": {"changed_at": True},
            },
            return_document=ReturnDocument.AFTER,
        )
        assert booked is not None

    return book


def _transactions(at_once: int, db: mongo.Database, _: Sequence[Slot], clock: DatabaseClock) -> Book:
    """Count, compare with the capacity, insert; the slot's document is written too, or two could count the same."""
    bookings, locks = db["bookings"], db["slots"]
    let_in = asyncio.Semaphore(at_once)

    async def book(citizen: int, slot: str) -> None:
        async def both(session: mongo.Session) -> None:
            lock = await locks.find_one_and_update({"_id": slot}, {"$inc": {"turn": 1}}, session=session)
            taken = await bookings.count_documents({"slot": slot}, session=session)
            assert lock is not None
            assert taken < lock["capacity"]
            claim = {"slot": slot, "group": slot, "day": slot[:10], "citizen": citizen, "state": "held"}
            await bookings.insert_one({"_id": code, **claim, "at": clock.now()}, session=session)

        code = secrets.token_urlsafe(16)
        async with let_in, db.client.start_session() as session:
            await session.with_transaction(both)
        async with let_in:
            assert await bookings.find_one_and_update({"_id": code, "state": "held"}, {"$set": {"state": "booked"}})

    return book


async def _search(stage: Stage, db: mongo.Database, clock: DatabaseClock) -> Row:
    """Searches over all resources of a day while bookings go on, and how old the answers were."""
    resources = [f"r-{n}" for n in range(RESOURCES if stage.sizes.repeats > 1 else RESOURCES // 10)]
    day = (clock.now() + timedelta(days=3)).date()
    slots = [slot for resource in resources for slot in _day_of(resource, day)]
    store = SeatStore(db, partial(secrets.randbits, 63))
    opened = clock.now() - timedelta(days=1)
    seats: list[Seat] = [seat for slot in slots for seat in seats_of(slot, {"online": SEATS_A_SLOT}, opened)]
    for first in range(0, len(seats), 2_000):
        await store.insert(seats[first : first + 2_000])
        stage.tell("seats", first, len(seats))
    book = _service(db, slots, clock)
    free = FreeSeats(db, clock.now)
    began = time.perf_counter()
    await free.free_by_slot(resources, [day], "online")
    first_ms = (time.perf_counter() - began) * 1000
    waits_ms: list[float] = []
    ages_s: list[float] = []

    async def search() -> None:
        for _ in range(100):
            began = time.perf_counter()
            found = await free.free_by_slot(resources, [day], "online")
            waits_ms.append((time.perf_counter() - began) * 1000)
            ages_s.append((clock.now() - found.as_of).total_seconds())
            await asyncio.sleep(0.05)
        stop.set()

    stop = asyncio.Event()
    async with asyncio.TaskGroup() as crowd:
        crowd.create_task(free.run(stop))
        searching = crowd.create_task(search())
        for n in range(20):
            crowd.create_task(_keep_booking(book, slots, n * 10_000, searching))
    p95 = percentile(waits_ms, 0.95)
    return Row(
        "booking_search",
        f"free seats of a day over {len(resources):,} resources while bookings go on, p95",
        f"<= {REACH_SEARCH_MS:.0f} ms, <= {OLDEST.total_seconds():g} s old",
        p95,
        "ms",
        p95 <= REACH_SEARCH_MS and max(ages_s) <= OLDEST.total_seconds(),
        detail={"first_ms": first_ms, "oldest_s": max(ages_s), "median_ms": median(waits_ms), "seats": len(seats)},
    )


def _day_of(resource: str, day: date) -> list[Slot]:
    begins = [datetime(day.year, day.month, day.day, 1 + n, tzinfo=UTC) for n in range(SLOTS_A_DAY)]
    return [Slot(resource, "unit", resource, at, at + timedelta(hours=1)) for at in begins]


async def _keep_booking(book: Book, slots: Sequence[Slot], first: int, until: asyncio.Task[None]) -> None:
    """Some ten bookings a second, until the search is over."""
    random = Random(first)  # noqa: S311 - which slot, not a secret
    citizen = first
    while not until.done():
        citizen += 1
        await book(citizen, random.choice(slots).id)
        await asyncio.sleep(0.1)
