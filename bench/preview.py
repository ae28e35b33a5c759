"""How long an officer waits for the figures of a preview, in a city of a million, half of them known to the point."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from bench.city import Stage, make_broadcast
from bench.figures import Row, percentile, spread
from server.assemble import Assembly, assemble, previews
from server.domain.broadcasts import Audience, Broadcast, Lane
from server.domain.preview import People, Source
from server.storage.catalogues import load_texts

DIVISIONS_WITHIN_MS, SHAPE_WITHIN_MS = 200.0, 3_000.0
TRIES = 20
CENTRE_KM = 12.0
CHANNELS = ("wechat", "push", "sms")


async def by_division(stage: Stage) -> list[Row]:
    """The whole city, from the counters."""
    settings = await stage.city(stage.sizes.city)
    async with assemble(settings) as assembly:
        began = time.perf_counter()
        await assembly.counters.rebuild(assembly.now(), lambda done, of: stage.tell("counting", done, of))
        rebuild_s = time.perf_counter() - began
        broadcast = _to(assembly, Audience(divisions=(settings.city,)))
        times, people = await _timed(lambda: _people(assembly, broadcast, is_exact=False), TRIES)
        slowest = percentile(times, 0.99)
        row = Row(
            name="preview by division",
            figure=f"people per channel and district of {stage.sizes.city:,}, p99 of {TRIES}",
            reach=f"<= {DIVISIONS_WITHIN_MS:.0f} ms",
            measured=slowest,
            unit="ms",
            is_reached=slowest <= DIVISIONS_WITHIN_MS and people.source is Source.COUNTERS,
            detail={"runs_ms": spread(times), "people": people.people, "rebuild_s": round(rebuild_s, 1)},
        )
        return [row]


async def by_shape(stage: Stage) -> list[Row]:
    """A circle over the middle of the city: the first figure, and everybody counted."""
    settings = await stage.city(stage.sizes.city)
    async with assemble(settings) as assembly:
        broadcast = _round_the_middle(assembly)
        first, sampled = await _timed(lambda: _people(assembly, broadcast, is_exact=False), TRIES)
        exact, counted = await _timed(lambda: _people(assembly, broadcast, is_exact=True), max(3, stage.sizes.repeats))
        slowest = percentile(exact, 0.99)
        row = Row(
            name="preview by shape",
            figure=f"everybody in a circle counted, of {stage.sizes.city:,} (slowest run)",
            reach=f"<= {SHAPE_WITHIN_MS:.0f} ms",
            measured=slowest,
            unit="ms",
            is_reached=slowest <= SHAPE_WITHIN_MS and abs(sampled.people - counted.people) <= 2 * sampled.margin,
            detail={
                "runs_ms": spread(exact),
                "first_figure_ms": spread(first),
                "people": counted.people,
                "loose": counted.loose,
                "first_figure": sampled.people,
                "first_margin": sampled.margin,
            },
        )
        return [row]


def _to(assembly: Assembly, audience: Audience) -> Broadcast:
    """A red warning over all channels."""
    one = make_broadcast(load_texts(), assembly.divisions, Lane.RED, audience, CHANNELS[0])
    return one.model_copy(update={"order": CHANNELS})


async def _people(assembly: Assembly, broadcast: Broadcast, *, is_exact: bool) -> People:
    return (await previews(assembly).of_broadcast(broadcast, is_exact=is_exact)).people


async def _timed(ask: Callable[[], Awaitable[People]], times: int) -> tuple[list[float], People]:
    """Milliseconds of each try after one that warms up, and the last answer."""
    found = await ask()
    took = []
    for _ in range(times):
        began = time.perf_counter()
        found = await ask()
        took.append((time.perf_counter() - began) * 1000)
    return took, found


def _round_the_middle(assembly: Assembly) -> Broadcast:
    """A circle round the middle of the largest district; the loose are those of every district that it meets."""
    divisions = assembly.divisions
    city = assembly.settings.city
    shapes = [divisions.outlines[code] for code in divisions.districts(city) if code in divisions.outlines]
    middle = max(shapes, key=lambda shape: float(shape.area)).centroid
    audience = Audience(circles=((middle.y, middle.x, CENTRE_KM),))
    meeting = divisions.districts_meeting(middle.buffer(CENTRE_KM / 111))
    audience = audience.model_copy(update={"shape_districts": meeting, "loose_districts": meeting})
    return _to(assembly, audience)
