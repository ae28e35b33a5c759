"""What a release would mean, before anybody releases it: people, texts, cost, time.

Pure: the counts, the rates and the prices are arguments. Every figure says where it comes from and how sure it is, so
that nobody takes an estimate for a promise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from math import sqrt
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from server.domain.broadcasts import UNREACHABLE, Audience, Broadcast, Policy
from server.domain.delivery import first_channels
from server.domain.divisions import is_within
from server.domain.templates import segments, units

Heads = Mapping[tuple[str, tuple[str, ...]], int]  # (district or division, usable channels) -> people


class Source(StrEnum):
    """Where the figures come from."""

    COUNTERS = "counters"  # kept per division, as of `as_of`; people with places in several divisions count in each
    SAMPLE = "sample"  # a share of the random ids, scaled up: within `margin` in 19 of 20 cases
    COUNT = "count"  # everybody was counted
    LEDGER = "ledger"  # an all-clear: those who may have got what it lifts


class DivisionPreview(BaseModel):
    """One division of the audience."""

    model_config = ConfigDict(frozen=True)

    name: str
    people: int
    channels: dict[str, int]


class People(BaseModel):
    """Who would get it. `channels` counts first hand-offs: on a ladder a person stands on one channel only."""

    model_config = ConfigDict(frozen=True)

    source: Source
    as_of: datetime
    people: int
    margin: int = Field(default=0, description="plus or minus so many people")
    channels: dict[str, int]
    unreachable: int = Field(description="without any usable address")
    loose: int = Field(description="of these so many are included only because of their district: no point is known")
    divisions: dict[str, DivisionPreview]


class TextPreview(BaseModel):
    """What one person would read on one channel, and how long it is in the units that the provider counts."""

    model_config = ConfigDict(frozen=True)

    channel: str
    language: str
    text: dict[str, str]
    length: int
    sms_segments: int | None = None


class RatePreview(BaseModel):
    """How fast a channel takes notices."""

    model_config = ConfigDict(frozen=True)

    per_s: float
    is_measured: bool = Field(description="false: the account's limit, for nothing was sent of late")
    as_of: datetime | None = None


class Overlap(BaseModel):
    """Another alert that is in force where this one would be."""

    model_config = ConfigDict(frozen=True)

    identifier: str
    headline: str
    colour: str
    divisions: list[str]


EXAMPLE: dict[str, Any] = {
    "people": {
        "source": "counters",
        "as_of": "2026-11-24T01:00:00Z",
        "people": 20_000,
        "margin": 0,
        "channels": {"wechat": 18_010, "push": 12_004, "sms": 19_012},
        "unreachable": 63,
        "loose": 0,
        "divisions": {"440305": {"name": "南山区", "people": 20_000, "channels": {"sms": 19_012}}},
    },
    "texts": [
        {
            "channel": "sms",
            "language": "zh",
            "text": {"text": "【惠民预警】南山区暴雨红色预警：不要外出，往高处避险。"},
            "length": 27,
            "sms_segments": 1,
        }
    ],
    "rates": {"sms": {"per_s": 2_950.0, "is_measured": True, "as_of": "2026-11-23T08:10:00Z"}},
    "expected_finish_s": 6.4,
    "fee_fen_at_most": 85_554.0,
    "overlaps": [],
}


class Preview(BaseModel):
    """The whole of it. Cost: every SMS segment at the dearest account's price; on a ladder as if all went on to SMS."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"example": EXAMPLE})

    people: People
    texts: list[TextPreview]
    rates: dict[str, RatePreview]
    expected_finish_s: float | None = Field(description="from release to the last hand-off; null: nothing to send")
    fee_fen_at_most: float
    overlaps: list[Overlap]


def tally(heads: Heads, broadcast: Broadcast, source: Source, as_of: datetime, name_of: Callable[[str], str]) -> People:
    """The counts for people."""
    channels: Counter[str] = Counter()
    by_division: dict[str, Counter[str]] = {}
    sizes: Counter[str] = Counter()
    for (division, usable), count in heads.items():
        sizes[division] += count
        into = by_division.setdefault(division, Counter())
        for channel in first_channels(usable, broadcast.order, broadcast.policy) or (UNREACHABLE,):
            into[channel] += count
            channels[channel] += count
    return People(
        source=source,
        as_of=as_of,
        people=sum(sizes.values()),
        channels={channel: channels[channel] for channel in broadcast.order},
        unreachable=channels[UNREACHABLE],
        loose=0,
        divisions={
            code: DivisionPreview(name=name_of(code), people=sizes[code], channels=dict(by_division[code]))
            for code in sorted(sizes)
        },
    )


def scaled(heads: Heads, share: int) -> Counter[tuple[str, tuple[str, ...]]]:
    """What was counted in one `share`-th of the ids, for all of them."""
    return Counter({key: count * share for key, count in heads.items()})


def margin(counted: int, share: int) -> int:
    """Two standard deviations of a count of random ids that is scaled up by `share`.

    >>> margin(400, 100), margin(400, 1)
    (4000, 0)
    """
    return round(2 * sqrt(max(1, counted)) * share) if share > 1 else 0


def roots(divisions: Iterable[str]) -> list[str]:
    """The divisions without those that lie in another one of them.

    >>> roots(["440305", "440300", "130102"])
    ['130102', '440300']
    """
    codes = sorted(set(divisions))
    return [code for code in codes if not any(other != code and is_within(code, other) for other in codes)]


def is_by_division(audience: Audience) -> bool:
    """Whether whole divisions are all it asks for: then the counters know the answer."""
    return audience.citizens is None and bool(audience.divisions) and not (audience.polygons or audience.circles)


def texts(broadcast: Broadcast) -> list[TextPreview]:
    """The texts of every channel and language."""
    return [
        _text(channel, language, said)
        for channel in broadcast.order
        for language, said in broadcast.texts.get(channel, {}).items()
    ]


def _text(channel: str, language: str, said: Mapping[str, object]) -> TextPreview:
    fields = said["data"] if channel == "wechat" else {k: v for k, v in said.items() if isinstance(v, str)}
    assert isinstance(fields, Mapping)
    shown = {str(key): str(value) for key, value in fields.items()}
    length = sum(units(value) for value in shown.values())
    parts = segments(shown["text"]) if channel == "sms" else None
    return TextPreview(channel=channel, language=language, text=shown, length=length, sms_segments=parts)


def finish_s(people: People, rates: Mapping[str, RatePreview]) -> float | None:
    """Seconds until the slowest channel has handed over its first notices: the channels work side by side."""
    times = [count / rates[channel].per_s for channel, count in people.channels.items() if count and channel in rates]
    return max(times) if times else None


def fee_fen(people: People, broadcast: Broadcast, shown: Iterable[TextPreview], prices: Mapping[str, float]) -> float:
    """What it costs at most. On a ladder everybody reachable may end on the dearest channel."""
    parts = max((text.sms_segments or 1 for text in shown if text.channel == "sms"), default=1)
    each = {channel: prices.get(channel, 0.0) * (parts if channel == "sms" else 1) for channel in broadcast.order}
    if broadcast.policy is Policy.LADDER:
        return (people.people - people.unreachable) * sum(each.values())
    return sum(count * each[channel] for channel, count in people.channels.items())
