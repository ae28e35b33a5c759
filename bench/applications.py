"""Applications: whole life cycles (begin, hand in, take, approve, complete, track) in an empty city and in a full one.

Both sides run the product's own counters on one database with all indexes; the full one holds a million finished and
open applications, written as the store writes them. What grows with the city would show as a loss.

A round is a pair: as many cycles on the one side, then on the other, the order turning from pair to pair, so that what
else the machine does falls on both. Each pair gives a ratio and the median of the ratios is told; a slow minute spoils
one pair, not the figure. Both sides are warmed up alike, and the full one is on disk, before the first pair counts.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import time
from contextlib import AsyncExitStack
from datetime import timedelta

from bench.city import Stage
from bench.figures import Row, percentile, spread
from server import assemble
from server.assemble_applications import ApplicationParts, Nobody, applications
from server.assemble_booking import booking
from server.domain.catalogue import Item
from server.domain.citizens import Account, AccountState, Caller, Kind
from server.domain.officers import Officer, Role, Unit
from server.services.applications import Draft
from server.services.deciding import Decision
from server.storage.catalogue import CatalogueStore
from server.storage.mongo import Database, Document

REACH_LOSS = 0.9
AT_ONCE = 16
PAIRS_A_REPEAT = 3
WARM_UP = 50
BATCH = 5_000
ITEM = Item.model_validate(
    {
        "id": "bench-item",
        "code": "440300-11440300MB2C92027E-101010",
        "theme": "elderly",
        "unit": {
            "id": "bench-unit", "name": {"zh": "测试局"}, "uscc": "11440300MB2C92027E", "division": "440300",
        },
        "name": {"zh": "测试事项"},
        "about": {"zh": "测量用"},
        "applicants": ["person"],
        "statutory_days": 20,
        "promised_days": 10,
        "workflow": "standard",
        "form": {"fields": [{"id": "reason", "kind": "text", "label": {"zh": "理由"}}]},
    }
)  # fmt: skip


async def lifecycle(stage: Stage) -> list[Row]:
    """Life cycles a second with nothing stored and with a million applications stored, in turns."""
    rates: dict[str, list[float]] = {"empty": [], "full": []}
    waits_ms: list[float] = []
    pairs = stage.sizes.repeats * PAIRS_A_REPEAT
    count = max(WARM_UP, stage.sizes.rivals // PAIRS_A_REPEAT)
    async with AsyncExitStack() as stack:
        sides = {side: await _side(stage, stack, side) for side in rates}
        for parts, _ in sides.values():
            await _cycles(parts, WARM_UP)
        await _fill(stage, sides["full"][1], stage.sizes.city)
        for pair in range(-1, pairs):  # the first warms up and does not count
            for side in sorted(sides, reverse=pair % 2 == 0):
                stage.tell(side, pair + 1, pairs + 1)
                gc.collect()
                rate, waits = await _cycles(sides[side][0], count)
                if pair >= 0:
                    rates[side].append(rate)
                    waits_ms += waits if side == "full" else []
        stored = await sides["full"][1]["applications"].estimated_document_count()
        for _, db in sides.values():
            await db.client.drop_database(db.name)
    kept = spread([full / empty for full, empty in zip(rates["full"], rates["empty"], strict=True)])
    found = {side: spread(runs) for side, runs in rates.items()}
    detail = {"stored": stored, "kept": kept, "cycles_per_s": found, "full_p95_ms": percentile(waits_ms, 0.95)}
    figure = f"application life cycles/s with {stage.sizes.city:,} stored against none, median of {pairs} pairs"
    is_reached = kept.median >= REACH_LOSS
    return [Row("applications", figure, f">= {REACH_LOSS:g}", kept.median, is_reached=is_reached, detail=detail)]


async def _side(stage: Stage, stack: AsyncExitStack, name: str) -> tuple[ApplicationParts, Database]:
    """The counters on a database of their own, with nothing in it."""
    settings = stage.settings.model_copy(update={"mongo_db": f"bench_applications_{name}"})
    async with assemble.assemble(settings) as old:
        await old.db.client.drop_database(old.db.name)
    assembly = await stack.enter_async_context(assemble.assemble(settings))
    catalogue = CatalogueStore(assembly.db)
    await catalogue.publish_all([ITEM], "bench", "", assembly.now())
    return applications(assembly, catalogue, Nobody(), booking(assembly).bookings), assembly.db


async def _cycles(parts: ApplicationParts, count: int) -> tuple[float, list[float]]:
    """So many life cycles, some at once: how many a second, and how long each took in milliseconds."""
    waits_ms: list[float] = []
    left = iter(range(count))

    async def live() -> None:
        for _ in left:
            began = time.perf_counter()
            await _cycle(parts, secrets.randbits(62))
            waits_ms.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as crowd:
        for _ in range(AT_ONCE):
            crowd.create_task(live())
    return count / (time.perf_counter() - began), waits_ms


async def _cycle(parts: ApplicationParts, citizen: int) -> None:
    caller = _caller(parts, citizen)
    draft = (await parts.applications.begin(caller, Draft("bench-item", form={"reason": "理由"}))).application
    await parts.applications.submit(caller, draft.id, draft.version, "k")
    for who, action in ((CLERK, "accept"), (APPROVER, "approve"), (APPROVER, "complete")):
        await parts.deciding.decide(who, draft.id, Decision(action))
    shown = (await parts.applications.get(caller, draft.id)).application
    tracked, _ = await parts.applications.track(shown.number, shown.code)
    assert tracked.standing.state == "completed"


async def _fill(stage: Stage, db: Database, count: int) -> None:
    """Copies of what the cycles left, each another person's, a twentieth of them open."""
    model = await db["applications"].find_one({"state": "completed"})
    assert model is not None
    for first in range(0, count, BATCH):
        stage.tell("applications", first, count)
        batch = [_copy(model, number) for number in range(first, min(first + BATCH, count))]
        await db["applications"].insert_many(batch, ordered=False)
    await db.client.admin.command("fsync")  # or the first rounds pay for writing it down


def _copy(model: Document, number: int) -> Document:
    citizen = secrets.randbits(62)
    is_open = number % 20 == 0
    at = model["changed_at"] - timedelta(seconds=number)
    return model | {
        "_id": secrets.token_hex(16), "number": f"copy-{number}", "code_index": os.urandom(16), "citizen": citizen,
        "actor": citizen, "people": [citizen], "changed_at": at, "is_open": is_open, "due_at": at + timedelta(days=30),
        "units": ["bench-unit"] if is_open else [],
        "inboxes": ["bench-unit|44", "bench-unit|4403"] if is_open else [],
    }  # fmt: skip


def _caller(parts: ApplicationParts, citizen: int) -> Caller:
    account = Account(
        id=citizen, public=f"{citizen:032x}", kind=Kind.PERSON, state=AccountState.ACTIVE, session_version=1, version=1,
        log_ins=(), is_real_name=True, language="zh", is_elder_mode=False, created_at=parts.ground.now(),
    )  # fmt: skip
    return Caller(account, "bench")


def _officer(role: Role) -> Officer:
    unit = Unit(code="44030041600000", name="测试局", sender="bench@sz.example", division="440300")
    return Officer(
        id=role.value, person=role.value, name=role.value, roles=frozenset({role}), unit=unit, division="440300",
        events=(), institutions=("bench-unit",),
    )  # fmt: skip


CLERK, APPROVER = _officer(Role.CLERK), _officer(Role.APPROVER)
