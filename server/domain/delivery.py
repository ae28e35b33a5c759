"""Whether a notice may go to this person on this channel now. Pure: `now` is an argument."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from server.domain.broadcasts import CHANNELS, Lane, Policy
from server.domain.china import CHINA

ANY = "*"  # in an opt-out: every topic, lane or channel


def opt_out(topic: str, lane: str = ANY, channel: str = ANY) -> str:
    """One opt-out as it is stored: topic:lane:channel, "*" for all of them, without stars at the end.

    >>> opt_out("notice"), opt_out("alert.weather", "blue"), opt_out("*", "*", "sms")
    ('notice', 'alert.weather:blue', '*:*:sms')
    """
    return f"{topic}:{lane}:{channel}".removesuffix(f":{ANY}").removesuffix(f":{ANY}")


def opt_outs(topic: str, lane: Lane, channel: str) -> frozenset[str]:
    """Every opt-out that keeps this back: a topic is covered by those it is part of (alert.weather by alert and "*").

    None for red and orange: nobody opts out of them.
    """
    if lane.is_urgent:
        return frozenset()
    steps = topic.split(".")
    topics = (*(".".join(steps[: i + 1]) for i in range(len(steps))), ANY)
    return frozenset(opt_out(t, la, c) for t in topics for la in (lane.value, ANY) for c in (channel, ANY))


def may_not_go(off: Collection[str], topic: str, lane: Lane, channel: str) -> bool:
    """The person opted out of this topic, lane and channel, or of more than that."""
    return bool(off) and not opt_outs(topic, lane, channel).isdisjoint(off)


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


def rungs(order: Sequence[str], own: Sequence[str]) -> tuple[str, ...]:
    """The channels of a broadcast in the person's own order; those the person did not rank follow in the broadcast's.

    >>> rungs(("wechat", "push"), ("sms", "push"))
    ('push', 'wechat')
    """
    return (*(c for c in own if c in order), *(c for c in order if c not in own))


def first_channels(
    usable: Collection[str], order: Sequence[str], policy: Policy, own: Sequence[str] = ()
) -> tuple[str, ...]:
    """The channels on which a person is planned: all usable ones, or the first rung of the ladder in the own order."""
    wanted = tuple(c for c in (order if policy is Policy.ALL else rungs(order, own)) if c in usable)
    return wanted if policy is Policy.ALL else wanted[:1]


def next_channel(usable: Collection[str], left: Sequence[str], own: Sequence[str] = ()) -> str | None:
    """The next rung for a person among the channels that are `left`, or None."""
    return next((c for c in rungs(left, own) if c in usable), None)


def all_clear_order(reached: dict[str, int]) -> tuple[str, ...]:
    """The channels for an all-clear, best first: by which the person was reached most surely (highest rank)."""
    return tuple(sorted(reached, key=lambda c: (-reached[c], CHANNELS.index(c))))
