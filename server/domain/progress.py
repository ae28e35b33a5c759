"""Where a broadcast stands, as people watch it: counts by channel, status and district, the rate, the expected end.

Pure. A standing is a state, never a delta, and it carries a version that only grows: whoever has seen version n needs
nothing but the newest standing with a higher one, so a reader may miss any number of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from server.domain.broadcasts import CHANNELS, UNREACHABLE, State

UNFINISHED = ("planned", "sending", "retry")
RATE_OVER_S = 10.0  # the rate is that of the last seconds: a provider that slows down shows at once
OVER = (State.CANCELLED, State.REPLACED, State.FINISHED)

Counts = Mapping[str, Mapping[str, Mapping[str, int]]]  # channel -> status -> division -> people


EXAMPLE: dict[str, Any] = {
    "broadcast": "44030041600000_20261124093000",
    "version": 1_764,
    "state": "live",
    "at": "2026-11-24T01:30:04Z",
    "ranges": 3,
    "ranges_planned": 3,
    "channels": {
        "sms": {
            "audience": 19_012,
            "left": 4_200,
            "statuses": {"planned": 4_200, "accepted": 14_812},
            "rate_per_s": 2_950.5,
        }
    },
    "unreachable": 63,
    "divisions": {"440305": {"sms": {"planned": 4_200, "accepted": 14_812}, "unreachable": {"refused": 63}}},
    "expected_finish_at": "2026-11-24T01:30:06Z",
    "is_over": False,
}


class ChannelStanding(BaseModel):
    """One channel. `audience` grows while ranges are planned, and on a ladder while people go on to the next rung."""

    model_config = ConfigDict(frozen=True)

    audience: int
    left: int = Field(description="people who still have to be sent it")
    statuses: dict[str, int]
    rate_per_s: float | None = Field(default=None, description="of the last seconds; null: nothing moves")


class BroadcastStanding(BaseModel):
    """The whole broadcast at one moment."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"example": EXAMPLE})

    broadcast: str
    version: int
    state: State
    at: datetime
    ranges: int
    ranges_planned: int
    channels: dict[str, ChannelStanding]
    unreachable: int = Field(description="people without any usable address: to be telephoned")
    divisions: dict[str, dict[str, dict[str, int]]] = Field(description="district -> channel -> status -> people")
    expected_finish_at: datetime | None = None
    is_over: bool = Field(description="nothing more will be sent; receipts may still raise the figures")


@dataclass(frozen=True, slots=True)
class Mark:
    """How many people were done with on each channel at a moment (seconds of a monotonic clock)."""

    at_s: float
    done: Mapping[str, int]


def done(counts: Counts) -> dict[str, int]:
    """People by channel for whom nothing more has to be sent."""
    return {channel: _total(statuses) - _left(statuses) for channel, statuses in counts.items()}


def remember(marks: Sequence[Mark], newest: Mark) -> list[Mark]:
    """The marks that a rate is taken from: those of the last RATE_OVER_S, and the newest."""
    return [*(m for m in marks if m.at_s >= newest.at_s - RATE_OVER_S), newest]


def rate_per_s(marks: Sequence[Mark], channel: str) -> float | None:
    """People done with a second on a channel, over the marks; None if that cannot be said yet."""
    if len(marks) < 2 or marks[-1].at_s <= marks[0].at_s:
        return None
    moved = marks[-1].done.get(channel, 0) - marks[0].done.get(channel, 0)
    return moved / (marks[-1].at_s - marks[0].at_s) if moved > 0 else None


def expected_left_s(standings: Mapping[str, ChannelStanding], planned_share: float) -> float | None:
    """Seconds until the last channel is through, if all goes on as now; None if a channel does not move.

    While only a share (0 .. 1) of the ranges is planned, what is not on a page yet is taken to be as much again.
    """
    longest = 0.0
    if planned_share <= 0:
        return None
    for standing in standings.values():
        left = standing.left + standing.audience * (1 / planned_share - 1)
        if not left:
            continue
        if not standing.rate_per_s:
            return None
        longest = max(longest, left / standing.rate_per_s)
    return longest


@dataclass(frozen=True, slots=True)
class Seen:
    """What the ledger says: the sums of all ranges, and which version of them that is."""

    broadcast: str
    version: int
    state: State
    ranges: int
    ranges_planned: int
    counts: Counts


def standing(seen: Seen, marks: Sequence[Mark], at: datetime, code_of: Callable[[str], str]) -> BroadcastStanding:
    """The standing for people. `code_of` turns the ledger's division into its code."""
    is_over = seen.state in OVER
    channels = {
        channel: ChannelStanding(
            audience=_total(statuses),
            left=_left(statuses),
            statuses={status: sum(by.values()) for status, by in statuses.items()},
            rate_per_s=None if is_over else rate_per_s(marks, channel),
        )
        for channel in CHANNELS
        if (statuses := seen.counts.get(channel))
    }
    left_s = None
    if seen.state is State.LIVE:
        left_s = expected_left_s(channels, seen.ranges_planned / max(1, seen.ranges))
    return BroadcastStanding(
        broadcast=seen.broadcast,
        version=seen.version,
        state=seen.state,
        at=at,
        ranges=seen.ranges,
        ranges_planned=seen.ranges_planned,
        channels=channels,
        unreachable=_total(seen.counts.get(UNREACHABLE, {})),
        divisions=by_division(seen.counts, code_of),
        expected_finish_at=None if left_s is None else at + timedelta(seconds=left_s),
        is_over=is_over,
    )


def by_division(counts: Counts, code_of: Callable[[str], str]) -> dict[str, dict[str, dict[str, int]]]:
    """The same counts the other way round: district -> channel -> status -> people, districts in order."""
    turned: dict[str, dict[str, dict[str, int]]] = {}
    for channel, statuses in counts.items():
        for status, divisions in statuses.items():
            for division, people in divisions.items():
                turned.setdefault(code_of(division), {}).setdefault(channel, {})[status] = people
    return dict(sorted(turned.items()))


def _total(statuses: Mapping[str, Mapping[str, int]]) -> int:
    return sum(sum(divisions.values()) for divisions in statuses.values())


def _left(statuses: Mapping[str, Mapping[str, int]]) -> int:
    return sum(sum(statuses.get(status, {}).values()) for status in UNFINISHED)
