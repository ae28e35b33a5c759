"""A pumping attack on one-time codes: what it gets out of the city, and how long it keeps an honest citizen waiting.

The attacker owns a thousand networks and asks for ten thousand numbers in a row, as fast as it can; Redis is wiped in
the middle. Time in the counter is an own clock that only the honest citizen moves, by waiting as long as it is told to,
so everything the attacker does falls into one instant: the worst case for those who share its minute.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import count

from redis.asyncio import Redis

from bench.city import Stage, Wish
from bench.figures import Row
from server.assemble_codes import texting
from server.domain.errors import TooManyError, WorkNeededError
from server.domain.one_time_codes import Purpose, has_worked, rules
from server.services.one_time_codes import Asking, OneTimeCodes, Proof
from server.storage.one_time_codes import CodeStore

REQUESTS, QUICK_REQUESTS = 10_000, 1_000
NETWORKS = 1_000
AT_ONCE = 48
PER_MINUTE, PER_HOUR, PER_DAY = 300, 6_000, 50_000  # the defaults of the settings
WITHIN_S = 60.0
CITIZEN = Asking("18900000001", Purpose.LOG_IN, origin="203.0.113.5")


async def codes(stage: Stage) -> list[Row]:
    """Seconds until a citizen has a code, during a flood that has to stay within the budget."""
    requests = REQUESTS if stage.sizes.people >= REQUESTS else QUICK_REQUESTS
    async with stage.town(await stage.city(stage.sizes.small_city), Wish()) as run:
        db, vault, offset = run.assembly.db, run.assembly.vault, timedelta()
        began_at = run.assembly.now()
        counter = OneTimeCodes(
            CodeStore(db, vault),
            texting(replace(run.assembly, settings=run.town.settings)),
            rules(per_minute=PER_MINUTE, per_hour=PER_HOUR, per_day=PER_DAY),
            regions=["CN"],
            now=lambda: began_at + offset,
            random=os.urandom,
        )
        began = time.perf_counter()
        answers = await _attack(stage, counter, requests, run.assembly.redis)
        took_s = time.perf_counter() - began
        texts = answers["sent"]
        waited, wish = 0.0, CITIZEN
        while True:
            try:
                await counter.send(wish)
                break
            except WorkNeededError as error:
                wish = replace(wish, proof=_solved(error))
            except TooManyError as error:
                waited += error.retry_after_s or 1
                offset = timedelta(seconds=waited)
    row = Row(
        name="codes under attack",
        figure=f"{requests:,} code requests from {NETWORKS:,} networks in one instant: a citizen's wait for a code",
        reach=f"<= {WITHIN_S:.0f} s, texts <= {PER_MINUTE} a minute",
        measured=waited,
        unit="s",
        is_reached=waited <= WITHIN_S and texts <= PER_MINUTE,
        detail={"answers": answers, "requests_per_s": round(requests / took_s)},
    )
    return [row]


async def _attack(stage: Stage, counter: OneTimeCodes, requests: int, redis: Redis) -> Mapping[str, int]:
    """Everybody at once; what became of the requests."""
    left, told = iter(range(requests)), {"sent": 0, "work": 0, "refused": 0}

    async def ask() -> None:
        for n in left:
            if n == requests // 2:
                await redis.flushall()
            network = n % NETWORKS
            origin = f"10.{network // 250}.{network % 250}.{n % 250}"
            try:
                await counter.send(Asking(f"138{n:08d}", Purpose.LOG_IN, origin=origin))
                told["sent"] += 1
            except WorkNeededError:
                told["work"] += 1
            except TooManyError:
                told["refused"] += 1
            if n % 500 == 0:
                stage.tell("attacking", n, requests)

    await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    return told


def _solved(error: WorkNeededError) -> Proof:
    """The puzzle's solution."""
    return Proof(error.challenge, next(str(n) for n in count() if has_worked(error.challenge, str(n), error.bits)))
