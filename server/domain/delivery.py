"""Whether a notice may go to this person on this channel now. Pure: `now` is an argument."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta, timezone

from server.domain.broadcasts import CHANNELS, Lane, Policy

CHINA = timezone(timedelta(hours=8))


def may_not_go(off: Collection[str], topic: str, lane: Lane) -> bool:
    """The person opted out of this topic, or of this lane of it. Red and orange ignore that."""
    return bool(off) and not lane.is_urgent and (topic in off or f"{topic}:{lane.value}" in off)


def quiet_until(quiet: tuple[int, int] | None, lane: Lane, now: datetime) -> datetime | None:
    """When the person's quiet hours end, if they are on; None if it may ring. `quiet`: minutes of the China day."""
    if quiet is None or lane.is_urgent or quiet[0] == quiet[1]:
        return None
    start, end = quiet
    local = now.astimezone(CHINA)
    minute = local.hour * 60 + local.minute
    is_on = start <= minute < end if start < end else minute >= start or minute < end
    if not is_on:
        return None
    ends = local.replace(hour=end // 60, minute=end % 60, second=0, microsecond=0)
    return (ends if ends > local else ends + timedelta(days=1)).astimezone(now.tzinfo)


def first_channels(usable: Collection[str], order: tuple[str, ...], policy: Policy) -> tuple[str, ...]:
    """The channels on which a person is planned: all usable ones, or the first rung of the ladder."""
    wanted = tuple(c for c in order if c in usable)
    return wanted if policy is Policy.ALL else wanted[:1]


def next_channel(usable: Collection[str], order: tuple[str, ...], after: str) -> str | None:
    """The next rung of the ladder for a person, or None."""
    rungs = order[order.index(after) + 1 :] if after in order else ()
    return next((c for c in rungs if c in usable), None)


def all_clear_order(reached: dict[str, int]) -> tuple[str, ...]:
    """The channels for an all-clear, best first: by which the person was reached most surely (highest rank)."""
    return tuple(sorted(reached, key=lambda c: (-reached[c], CHANNELS.index(c))))
