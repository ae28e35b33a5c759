"""How long until the first citizen is reached: after a release in a big city, and for red while reminders take all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.city import Run, Stage, Wish
from bench.figures import Row, percentile
from server.domain.broadcasts import Audience, Lane, State, page_id
from server.domain.pages import Page, PageState

REACH_MS = 300.0
RED_REACH_MS = 100.0
NO_SLOWER = 1.25  # the larger city's median over the smaller one's, for noise
POLL_S = 0.02
GIVE_UP_S = 30.0
RED_PEOPLE = 50
BETWEEN_S = 0.3
REST_S = 1.0  # after a stopped release, until its workers have settled everything
DUE_AT_ONCE_S = 0.0


async def first_hit(stage: Stage) -> list[Row]:
    """Release to one district -> first accept in a provider's journal, in a city of a million and in a small one."""
    sizes = stage.sizes
    times: dict[int, list[float]] = {}
    audiences: dict[int, int] = {}
    for people in (sizes.small_city, sizes.city):
        settings = await stage.city(people)
        async with stage.town(settings, Wish()) as run:
            district = run.assembly.divisions.districts(settings.city)[0]
            audience = Audience(divisions=(district,))
            audiences[people] = await run.assembly.citizens.estimate(audience)
            times[people] = [await _release(run, audience, n) for n in range(sizes.releases)]
    small, big = times[sizes.small_city], times[sizes.city]
    p99 = percentile(big, 0.99)
    growth = percentile(big, 0.5) / percentile(small, 0.5)
    return [
        Row(
            name="first_hit",
            figure=f"red release -> first provider hit with {sizes.city:,} citizens, p99 of {sizes.releases}",
            reach=f"<= {REACH_MS:.0f} ms",
            measured=p99,
            unit="ms",
            is_reached=p99 <= REACH_MS,
            detail={"big": summary(big), "small": summary(small), "audience_by_city": audiences},
        ),
        Row(
            name="first_hit_growth",
            figure=f"the same, {sizes.city:,} citizens against {sizes.small_city:,} (medians)",
            reach="no slower",
            measured=growth,
            unit="x",
            is_reached=growth <= NO_SLOWER,
            detail={"tolerance_for_noise": NO_SLOWER},
        ),
    ]


async def _release(run: Run, audience: Audience, turn: int) -> float:
    """One release, stopped again as soon as the first accept is in the journal; milliseconds."""
    broadcast = run.broadcast(Lane.RED, audience, "wechat")
    at = run.town.journal_path.stat().st_size
    began = time.time()
    await run.assembly.broadcasts.publish(broadcast)
    hit_at = await first_line(run.town.journal_path, at, lambda _: True)
    await run.assembly.broadcasts.stop(broadcast.id, State.CANCELLED)
    while await run.assembly.pages.is_any_open(broadcast.id):
        await asyncio.sleep(POLL_S)
    await asyncio.sleep(REST_S)
    run.stage.tell("releases", turn + 1, run.stage.sizes.releases)
    return (hit_at - began) * 1000


async def red_under_load(stage: Stage) -> list[Row]:
    """Red pages to a few people while a reminder run to the whole city keeps the workers at their limit."""
    sizes = stage.sizes
    settings = await stage.city(sizes.people)
    pages, releases = [], []
    async with stage.town(settings, Wish()) as run, _reminders(run, sizes.people):
        people = (await run.assembly.citizens.sample_ids(RED_PEOPLE * 2))[:RED_PEOPLE]
        for turn in range(sizes.releases):
            releases.append(await _hit(run, people, is_page_only=False))
            pages.append(await _hit(run, people, is_page_only=True))
            stage.tell("red pages", turn + 1, sizes.releases)
    p99 = percentile(pages, 0.99)
    return [
        Row(
            name="red_under_load",
            figure=f"red page published while reminders saturate the workers -> provider hit, p99 of {sizes.releases}",
            reach=f"<= {RED_REACH_MS:.0f} ms",
            measured=p99,
            unit="ms",
            is_reached=p99 <= RED_REACH_MS,
            detail={
                "page_published_to_hit": summary(pages),
                "release_called_to_hit": summary(releases),
                "conditions": f"{RED_PEOPLE} people on the red page; reminders to {sizes.people:,} again and again",
            },
        )
    ]


@asynccontextmanager
async def _reminders(run: Run, people: int) -> AsyncIterator[None]:
    """Reminder broadcasts to everyone, one after the other, until the row is done; the workers are never idle."""

    async def keep_busy() -> None:
        while True:
            one = run.whole_city(Lane.REMINDER, "wechat")
            await run.assembly.broadcasts.publish(one)
            await run.settled(one.id, people)

    task = asyncio.create_task(keep_busy())
    try:
        await first_line(run.town.journal_path, 0, lambda _: True)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _hit(run: Run, people: Sequence[int], *, is_page_only: bool) -> float:
    """Milliseconds from the release, or only from the publication of its one page, to its first accept."""
    parts = run.assembly
    broadcast = run.broadcast(Lane.RED, Audience(citizens=tuple(people)), "wechat")
    template = broadcast.texts["wechat"]["zh"]["template_id"]
    at = run.town.journal_path.stat().st_size
    if is_page_only:
        await parts.broadcast_store.insert(broadcast)
        members = await parts.citizens.by_id(people)
        page = Page(
            id=page_id(broadcast.id, "wechat", 0, 0),
            broadcast=broadcast.id,
            channel="wechat",
            number=0,
            lane=Lane.RED,
            state=PageState.OPEN,
            to=[member.id for member in members],
            divisions=[member.division for member in members],
            not_before=datetime.fromtimestamp(DUE_AT_ONCE_S, broadcast.released_at.tzinfo),
            expires_at=broadcast.expires_at,
            outcomes=[0] * len(members),
        )
    began = time.time()
    if is_page_only:
        await parts.pages.insert([page])
        await parts.queue.push("wechat", Lane.RED, [page.id])
    else:
        await parts.broadcasts.publish(broadcast)
    hit_at = await first_line(run.town.journal_path, at, lambda fields: fields[4] == template)
    await asyncio.sleep(BETWEEN_S)
    return (hit_at - began) * 1000


async def first_line(journal: Path, at: int, is_wanted: Callable[[list[str]], bool]) -> float:
    """The Unix time in the first line of the journal after byte `at` that is wanted; TimeoutError."""
    patient_until = time.monotonic() + GIVE_UP_S
    with journal.open("rb") as file:
        file.seek(at)
        rest = b""
        while time.monotonic() < patient_until:
            *lines, rest = (rest + file.read()).split(b"\n")
            for line in lines:
                fields = line.decode().split("\t")
                if is_wanted(fields):
                    return datetime.fromisoformat(fields[0]).timestamp()
            await asyncio.sleep(POLL_S)
    raise TimeoutError(f"no provider was reached in {GIVE_UP_S:.0f} s")


def summary(times_ms: Sequence[float]) -> dict[str, Any]:
    """Percentiles of milliseconds, and all of them."""
    at = {f"p{share}": round(percentile(times_ms, share / 100), 1) for share in (50, 90, 99)}
    return {**at, "max": round(max(times_ms), 1), "runs": [round(t, 1) for t in times_ms]}
