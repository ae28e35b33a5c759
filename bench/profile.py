"""The own profile read by many at once: merged reads against the same application that reads each document alone.

Both sides are whole applications with real access tokens, served by one process on two ports, measured one after the
other; the load comes from this process over connections that stay open, each of another citizen. The same is measured
without HTTP too: token, account and settings, called by as many at once. The rival differs in two stores: a `find_one`
for each document, let in 48 at a time, for all at once would crowd at the driver's pool and be slower still.

`python -m bench.profile` is the server: it takes its job as one JSON line and says its ports and tokens; each further
line asks for one measurement without HTTP.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import uvloop

from bench.city import Stage
from bench.figures import Row, spread
from bench.public_cache import load
from handlers.bounds import listen
from handlers.front import Front
from handlers.gate import Gate
from server import assemble_log_in, assemble_public, telemetry
from server.app import Services, make_app, public_routes, services_of
from server.assemble import Assembly, assemble
from server.commands.serve import settle_memory
from server.domain.citizens import Account, Client, Kind, LogIn
from server.domain.profile import Kept
from server.services.access_tokens import Claims
from server.services.profile import Profile
from server.settings import Settings
from server.storage.accounts import FIELDS, Accounts, fresh_account, to_account
from server.storage.mongo import Collection, Database, Document
from server.storage.person_keys import PersonVault
from server.storage.profiles import ADDRESS_FIELDS, CITIZEN_FIELDS, Profiles, kept_of

REACH = 3.0
AT_ONCE = (64, 500)
DECIDES = 500
CITIZENS = 2_000
SECONDS, QUICK_SECONDS = 1.0, 0.3
TURNS = 3  # for each repeat: short ones, so that both sides of a ratio meet the same machine
RIVALS_AT_ONCE = 48  # below the driver's pool
SIDES = ("unmerged", "merged")
LOG_IN = "0b7de8c2f4a84c6e9d53a1c0e2b4d6f8"


Read = Callable[[Collection, Document, Mapping[str, int]], Awaitable[Document | None]]


def alone() -> Read:
    """What reads one document by itself."""
    let_in = asyncio.Semaphore(RIVALS_AT_ONCE)

    async def read(collection: Collection, query: Document, fields: Mapping[str, int]) -> Document | None:
        async with let_in:
            return await collection.find_one(query, fields)

    return read


class UnmergedAccounts(Accounts):
    """Each reader for itself."""

    def __init__(self, db: Database, read: Read) -> None:
        super().__init__(db)
        self._read = read

    async def find_public(self, public: str) -> Account | None:
        """By one read."""
        document = await self._read(self._accounts, {"public": public}, FIELDS)
        return to_account(document) if document else None


class UnmergedProfiles(Profiles):
    """Each reader for itself."""

    def __init__(self, db: Database, vault: PersonVault, read: Read) -> None:
        super().__init__(db, vault)
        self._read = read

    async def find(self, citizen: int, session: object = None) -> Kept:
        """By two reads at the same time."""
        assert session is None
        query = {"_id": citizen}
        person, address = await asyncio.gather(
            self._read(self._citizens, query, CITIZEN_FIELDS), self._read(self._addresses, query, ADDRESS_FIELDS)
        )
        return kept_of(person or {}, address or {})


async def profile(stage: Stage) -> list[Row]:
    """Whole requests and bare calls a second, merged over unmerged, at 64 and at 500 at once, in one run."""
    seconds = SECONDS if stage.sizes.repeats > 1 else QUICK_SECONDS
    rates: dict[tuple[str, int, str], list[float]] = {}
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.profile", stdin=PIPE, stdout=PIPE, cwd=Path(__file__).parents[1], limit=1 << 24
    )
    try:
        told = await _ask(server, {"mongo": stage.settings.mongo_url, "redis": stage.settings.redis_url,
                                   "home": str(stage.home)})  # fmt: skip
        requests = [_request(token) for token in told["tokens"]]
        turns = TURNS * stage.sizes.repeats
        for turn in range(turns + 1):  # the first turn warms up and does not count
            stage.tell("measuring", turn, turns + 1)
            for at_once, side in product(AT_ONCE, SIDES):
                rate = await load(told["ports"][side], seconds, requests[:at_once])
                if turn:
                    rates.setdefault(("get", at_once, side), []).append(rate)
            for at_once, side in product(AT_ONCE, SIDES):
                rate = (await _ask(server, {"side": side, "at_once": at_once, "seconds": seconds}))["per_s"]
                if turn:
                    rates.setdefault(("call", at_once, side), []).append(rate)
    finally:
        server.kill()
        await server.wait()
    return [_row(rates, what, at_once) for at_once in AT_ONCE for what in ("get", "call")]


def _row(rates: Mapping[tuple[str, int, str], Sequence[float]], what: str, at_once: int) -> Row:
    merged, unmerged = (rates[what, at_once, side] for side in ("merged", "unmerged"))
    ratio = median(ours / theirs for ours, theirs in zip(merged, unmerged, strict=True))  # of one turn each
    words = {"get": "authenticated GET /v1/me over HTTP", "call": "the same without HTTP: token, account, settings"}
    decides = at_once == DECIDES
    return Row(
        name=f"profile_{what}_{at_once}",
        figure=f"{words[what]}, {at_once} at once, against one read for each document",
        reach=f">= {REACH:g}" if decides else "",
        measured=ratio,
        is_reached=ratio >= REACH if decides else None,
        detail={"merged_per_s": spread(merged), "unmerged_per_s": spread(unmerged), "at_once": at_once},
    )


def _request(token: str) -> bytes:
    return f"GET /v1/me HTTP/1.1\r\nHost: city.example\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


async def _ask(server: Process, question: Mapping[str, Any]) -> Any:
    """One JSON line out, one back."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(question).encode() + b"\n")
    return json.loads(await server.stdout.readline())


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two applications."""

    services: Services
    gate: Gate

    async def read(self, token: str) -> None:
        """What GET /v1/me asks of the services."""
        caller = await self.services.citizens.log_in.log_ins.caller(token)
        await self.services.citizens.profile.settings(caller)


def _side(assembly: Assembly, readers: assemble_public.PublicParts, *, is_merged: bool) -> _Side:
    read = alone()
    if not is_merged:
        assembly = replace(assembly, accounts=UnmergedAccounts(assembly.db, read))
    services = services_of(assembly, readers)
    if not is_merged:
        profiles = UnmergedProfiles(assembly.db, assembly.person_vault, read)
        services = replace(services, citizens=replace(services.citizens, profile=_profile(services, profiles)))
    return _Side(services, Gate(None, None, assembly.now, services.citizens.log_in.log_ins))


def _profile(services: Services, store: Profiles) -> Profile:
    """The own profile on another store. It is only read here: no place gets an id."""
    assembly, made = services.assembly, services.citizens.profile
    return Profile(assembly.accounts, store, made.city, assembly.consents.has, now=assembly.now, new_id=str)


async def _people(assembly: Assembly) -> Sequence[str]:
    """Citizens with an account, a log-in and settings; their access tokens."""
    at = assembly.now()
    await assembly.db["accounts"].insert_many([_account(n, at) for n in range(1, CITIZENS + 1)])
    await assembly.db["citizens"].insert_many(
        [{"_id": n, "places": [], "channels": [], "order": ["push", "sms"]} for n in range(1, CITIZENS + 1)]
    )
    await assembly.db["addresses"].insert_many(
        [{"_id": n, "lang": "zh", "quiet": [1320, 420], "off": []} for n in range(1, CITIZENS + 1)]
    )
    tokens = assemble_log_in.access_tokens(assembly)
    return [tokens.write(Claims(_public(n), 1, LOG_IN))[0] for n in range(1, max(AT_ONCE) + 1)]


def _public(citizen: int) -> str:
    return f"{citizen:032x}"


def _account(citizen: int, at: datetime) -> Document:
    log_in = LogIn(LOG_IN, Client.APP, "phone", at, at)
    row = {"id": log_in.id, "client": log_in.client.value, "label": log_in.label, "began_at": at, "seen_at": at}
    return {"_id": citizen} | fresh_account(_public(citizen), Kind.PERSON, at) | {"log_ins": [row]}


async def _calls(side: _Side, tokens: Sequence[str], seconds: float) -> float:
    """Calls a second by as many as there are tokens."""
    ends = time.perf_counter() + seconds
    done = 0

    async def keep_asking(token: str) -> None:
        nonlocal done
        while time.perf_counter() < ends:
            await side.read(token)
            done += 1

    began = time.perf_counter()
    async with asyncio.TaskGroup() as crowd:
        for token in tokens:
            crowd.create_task(keep_asking(token))
    return done / (time.perf_counter() - began)


async def serve() -> None:
    """Both applications, each on a port of its own, until standard input ends."""
    loop = asyncio.get_running_loop()
    job = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    settings = Settings(
        mongo_url=job["mongo"], redis_url=job["redis"], home=Path(job["home"]), mongo_db="bench_profile"
    )
    async with AsyncExitStack() as stack:
        assembly = await stack.enter_async_context(assemble(settings))
        for name in ("accounts", "citizens", "addresses"):
            await assembly.db[name].delete_many({})
        tokens = await _people(assembly)
        readers = assemble_public.public(assembly)
        sides = {name: _side(assembly, readers, is_merged=name == "merged") for name in SIDES}
        ports = {
            name: listen(Front(make_app(public_routes(side.services), side.gate), readers.shelf), 0, "127.0.0.1")[1]
            for name, side in sides.items()
        }
        settle_memory()
        _say({"ports": ports, "tokens": tokens})
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            asked = json.loads(line)
            _say({"per_s": await _calls(sides[asked["side"]], tokens[: asked["at_once"]], asked["seconds"])})
        await assembly.db.client.drop_database("bench_profile")


def _say(what: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    telemetry.configure(console=False)
    uvloop.run(serve())
