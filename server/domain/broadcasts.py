"""A broadcast: one release of something to an audience. What every floor needs to know about it, without I/O.

A citizen's internal id is 63 random bits, so equal intervals of ids hold equal shares of any audience: a broadcast is
cut into `ranges` of ids, and a range into pages of at most 500 recipients of one channel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

ID_SPACE = 1 << 63
PAGE_SIZE = 500
PAGES_PER_RANGE = 16
CHANNELS = ("wechat", "push", "sms")
UNREACHABLE = "unreachable"  # the pseudo channel of those who have no usable address at all: listed, never sent


class Lane(StrEnum):
    """Priority classes, highest first. The order of this list is the order in which workers serve them."""

    RED = "red"
    ORANGE = "orange"
    YELLOW = "yellow"
    BLUE = "blue"
    TRANSACTIONAL = "transactional"
    REMINDER = "reminder"
    DIGEST = "digest"

    @property
    def is_urgent(self) -> bool:
        """Red and orange: reserved capacity, all channels at once, no quiet hours, no opt-outs, doubts sent again."""
        return self in (Lane.RED, Lane.ORANGE)


class State(StrEnum):
    """Of a broadcast. Only `live` sends."""

    LIVE = "live"
    PAUSED = "paused"  # an officer stopped the run and may resume it
    CANCELLED = "cancelled"  # lifted; the all-clear is a broadcast of its own
    REPLACED = "replaced"  # an Update took its place
    FINISHED = "finished"  # everything is at a final status and will not change but by receipts


class Policy(StrEnum):
    """How a person's channels are used."""

    ALL = "all"  # every usable channel at once (red, orange)
    LADDER = "ladder"  # one channel after the other, until the person is reached


class Audience(BaseModel):
    """Who a broadcast is for, as a query; frozen at release. Coordinates: (latitude, longitude) in WGS-84, as in CAP.

    A citizen belongs if one of the places is in a division of `divisions`, or has a point in a polygon or circle, or
    has no point and its district is one of `loose_districts`. `citizens` limits it to a test list (exercises) or to
    persons. `follows` asks for those who keep one of these marks (see `domain.follows`) instead of for places; then
    `divisions` only say what it is about.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    divisions: tuple[str, ...] = ()
    polygons: tuple[tuple[tuple[float, float], ...], ...] = ()
    circles: tuple[tuple[float, float, float], ...] = Field(default=(), description="latitude, longitude, radius in km")
    shape_districts: tuple[str, ...] = Field(default=(), description="districts that the shapes meet: where to look")
    loose_districts: tuple[str, ...] = Field(default=(), description="whose people without a point are included")
    citizens: tuple[int, ...] | None = None
    follows: tuple[str, ...] = ()


class Broadcast(BaseModel):
    """One release. `texts` is what `domain.texts.render` gave, frozen; `digest` covers all that two persons signed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: Literal["alert", "standing", "bulletin"] = "alert"
    subject: str = Field(description="identifier of the alert, or name of the standing broadcast")
    chain: str = Field(description="identifier of the first alert of the chain: later messages replace earlier ones")
    topic: str = Field(default="alert", description="what a citizen may opt out of")
    lane: Lane
    policy: Policy
    order: tuple[str, ...] = CHANNELS
    wait_s: float = Field(default=120.0, description="ladder: how long a person may stay unreached on one channel")
    is_loud: bool = True
    is_exercise: bool = False
    always_rings: bool = Field(
        default=False, description="no quiet hours and no opt-outs: a duty call, to whoever asked for it"
    )
    texts: Mapping[str, Any]
    audience: Audience
    digest: str = ""
    replaces: tuple[str, ...] = Field(
        default=(), description="broadcasts of the chain that stop; their people are included"
    )
    is_all_clear: bool = Field(
        default=False, description="only those who may have got `replaces`, by the channel that reached them"
    )
    ranges: int = 1
    state: State = State.LIVE
    released_at: datetime
    expires_at: datetime

    @field_validator("released_at", "expires_at")
    @classmethod
    def _as_stored(cls, moment: datetime) -> datetime:
        """Whole milliseconds: what is read back must be what was signed."""
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    @model_validator(mode="after")
    def _is_coherent(self) -> Self:
        if self.lane.is_urgent and self.policy is Policy.LADDER:
            raise ValueError("red and orange use all channels at once")
        return self

    @property
    def falls(self) -> bool:
        """Whom one channel refuses goes on to the next: on a ladder, and with every all-clear."""
        return self.policy is Policy.LADDER or self.is_all_clear

    @property
    def waits(self) -> bool:
        """Who is not reached after a while goes on too. An all-clear does not: each channel would tell it again."""
        return self.policy is Policy.LADDER and not self.is_all_clear


def digest(broadcast: Broadcast) -> str:
    """SHA-256 over texts, lane, policy, audience and times: what was approved is what is sent."""
    signed = broadcast.model_dump(
        mode="json",
        include={"subject", "chain", "lane", "policy", "is_loud", "is_exercise", "texts", "audience", "expires_at"},
    )
    if not broadcast.audience.follows:  # what was signed before there were follows keeps its digest
        del signed["audience"]["follows"]
    return hashlib.sha256(orjson.dumps(signed, option=orjson.OPT_SORT_KEYS)).hexdigest()


def ranges_for(audience: int) -> int:
    """How many ranges an audience of this size is cut into: about 16 full pages each."""
    return max(1, min(20_000, round(audience / (PAGE_SIZE * PAGES_PER_RANGE))))


def bounds(number: int, ranges: int) -> tuple[int, int]:
    """The half-open interval of ids of one range."""
    return number * ID_SPACE // ranges, (number + 1) * ID_SPACE // ranges


def range_of(citizen: int, ranges: int) -> int:
    """The range that holds this id: the inverse of `bounds`."""
    number = citizen * ranges // ID_SPACE
    return number + 1 if citizen >= bounds(number, ranges)[1] else number


def range_id(broadcast: str, number: int) -> str:
    """The key of a range document."""
    return f"{broadcast}/{number:05d}"


def page_id(broadcast: str, channel: str, number: int, page: int) -> str:
    """The key of a page: sorted by broadcast, channel, range and number, which is also the order of ids."""
    return f"{broadcast}/{channel}/{number:05d}/{page:05d}"
