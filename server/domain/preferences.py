"""What people want to hear of, and how: topics, opt-outs, grants, and what would reach somebody now. Pure.

A preference is a list of opt-outs, each of a topic, a level (lane) and a channel, any of them "*". Red and orange
ignore opt-outs and quiet hours; whoever answers with a preference says so beside it (`always_sent`). Topics are data
(`data/topics.yaml`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.domain.broadcasts import Lane
from server.domain.delivery import ANY, may_not_go, opt_out
from server.domain.errors import ConfigurationError, InvalidInputError

ALWAYS_SENT = tuple(lane for lane in Lane if lane.is_urgent)
ALERT = "alert"  # the topic of a warning that no other topic takes
MAX_OPT_OUTS = 200
CONFIRMED_WITHIN = timedelta(seconds=90)  # of a word of the mini-program WeChat's own event is about the same tap
TOLD_LASTS = timedelta(hours=1)  # so long a word counts that WeChat never confirmed


class Topic(BaseModel):
    """One thing to hear of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z]{2,20}(\.[a-z]{2,20})?$")
    zh: str = Field(min_length=1, max_length=20)
    en: str = Field(min_length=1, max_length=40)
    lanes: tuple[Lane, ...] = Field(min_length=1)
    events: tuple[str, ...] = ()


class Topics(BaseModel):
    """All of them. Build it with `load_topics`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topics: tuple[Topic, ...] = ()

    @cached_property
    def by_id(self) -> Mapping[str, Topic]:
        """By their ids."""
        return {topic.id: topic for topic in self.topics}

    @cached_property
    def lanes(self) -> tuple[Lane, ...]:
        """The lanes that any topic comes on, highest first."""
        return tuple(lane for lane in Lane if any(lane in topic.lanes for topic in self.topics))

    def of_event(self, event: str) -> str:
        """The topic of a warning about this event: the longest prefix decides.

        >>> Topics().of_event("11B03")
        'alert'
        """
        fits = [(len(begin), topic.id) for topic in self.topics for begin in topic.events if event.startswith(begin)]
        return max(fits, default=(0, ALERT))[1]

    def on(self, lane: Lane) -> list[Topic]:
        """The topics that come on this lane."""
        return [topic for topic in self.topics if lane in topic.lanes]


def load_topics(data: Any) -> Topics:
    """The topics in what `data/topics.yaml` holds; ConfigurationError says what is wrong."""
    try:
        found = Topics.model_validate(data)
    except ValidationError as error:
        raise _wrong(str(error)) from None
    if len(found.by_id) != len(found.topics):
        raise _wrong("a topic stands there twice")
    if strays := [t.id for t in found.topics if "." in t.id and t.id.split(".")[0] not in found.by_id]:
        raise _wrong(f"{strays[0]} is a part of no topic")
    return found


class OptOut(NamedTuple):
    """One thing that is switched off; ANY stands for all."""

    topic: str = ANY
    level: str = ANY
    channel: str = ANY

    @property
    def text(self) -> str:
        """As it is stored."""
        return opt_out(*self)

    def covers(self, other: OptOut) -> bool:
        """Whether all that the other one keeps back is kept back by this one."""
        is_part = self.topic == ANY or f"{other.topic}.".startswith(f"{self.topic}.")
        return is_part and self.level in (ANY, other.level) and self.channel in (ANY, other.channel)

    def always_sent(self, topics: Topics) -> tuple[Lane, ...]:
        """The levels that this one names and that are sent all the same."""
        named = {lane for t in topics.topics if self.covers(OptOut(t.id, self.level, self.channel)) for lane in t.lanes}
        return tuple(lane for lane in ALWAYS_SENT if lane in named and self.level in (ANY, lane.value))


def parsed(text: str) -> OptOut:
    """The inverse of `OptOut.text`.

    >>> parsed("alert.weather:blue")
    OptOut(topic='alert.weather', level='blue', channel='*')
    """
    return OptOut(*text.split(":")[:3])


def tidy(wanted: Iterable[OptOut]) -> list[OptOut]:
    """The same wish in the fewest words: none twice, none that another one covers; in a fixed order."""
    each = sorted(set(wanted))
    return [one for one in each if not any(other != one and other.covers(one) for other in each)]


def refuse_unknown(wanted: Sequence[OptOut], topics: Topics) -> None:
    """InvalidInputError for a topic, level or channel that does not exist, or a level that the topic never has."""
    for number, one in enumerate(wanted):
        where = f"off[{number}]"
        if one.topic != ANY and one.topic not in topics.by_id:
            raise InvalidInputError("topic_unknown", zh="没有这个主题", en="no such topic", field=f"{where}.topic")
        lanes = topics.lanes if one.topic == ANY else topics.by_id[one.topic].lanes
        if one.level not in (ANY, *lanes):
            raise InvalidInputError(
                "level_unknown", zh="该主题没有这个级别", en="the topic has no such level", field=f"{where}.level"
            )


@dataclass(frozen=True, slots=True)
class Told:
    """What a mini-program told of one answer to wx.requestSubscribeMessage. `id` makes it count once."""

    id: str
    at: datetime
    is_accepted: bool


@dataclass(frozen=True, slots=True)
class Grant:
    """What is known of one template: WeChat's own word (`left` messages as of `at`), and what was only told."""

    left: int = 0
    at: datetime | None = None
    told: Sequence[Told] = ()

    def forecast(self, now: datetime) -> int:
        """How many messages WeChat will take, as far as anybody knows. Not below 0.

        WeChat's event is the truth: what was told counts only while it is fresh and no event speaks of that time.
        """
        fresh = [
            told
            for told in sorted(self.told, key=lambda each: each.at)
            if told.at > now - TOLD_LASTS and (self.at is None or told.at > self.at + CONFIRMED_WITHIN)
        ]
        left = max(0, self.left)
        for told in fresh:
            left = left + 1 if told.is_accepted else 0
        return left


class Way(NamedTuple):
    """One channel for one lane: `why` is "" if it would be used, else no_address, no_grant or opted_out."""

    channel: str
    why: str
    opted_out: tuple[str, ...] = ()  # topics of this lane that would not come on this channel


def ways(
    lane: Lane, topics: Topics, off: Collection[str], has: Collection[str], *, has_grant: bool, order: Sequence[str]
) -> list[Way]:
    """How a notice of this lane would reach somebody now, in the order in which channels would be used.

    `has`: channels with a usable address. A channel is opted out only if every topic of the lane is.
    """
    concerned = [topic.id for topic in topics.on(lane)]
    found = []
    for channel in order:
        silent = tuple(topic for topic in concerned if may_not_go(off, topic, lane, channel))
        if channel not in has:
            why = "no_address"
        elif len(silent) == len(concerned) and concerned:
            why = "opted_out"
        else:
            why = "no_grant" if channel == "wechat" and not has_grant else ""
        found.append(Way(channel, why, silent))
    return found


def _wrong(what: str) -> ConfigurationError:
    return ConfigurationError("topics_invalid", zh=f"topics.yaml有误：{what}", en=f"topics.yaml: {what}")
