"""The data behind the words: event names, advice, colours per city, frames, provider templates; parsed and checked.

Facts stand in data (`data/event_codes.csv`, `data/events`, `data/cities.yaml`), sentences in frames that all events
share (`data/frames.yaml`). Frames are Jinja2, sandboxed and strict: an unknown name is an error, never a gap in a text.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from io import StringIO
from typing import Any, Literal, NamedTuple, Self

from jinja2 import DictLoader, StrictUndefined, Template
from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from server.domain.errors import ConfigurationError
from server.domain.templates import Registry

LANGUAGES = ("zh", "en")
FRAMES = ("headline", "description", "instruction", "push_title", "push_body")
Colour = Literal["white", "blue", "yellow", "orange", "red"]
COLOURS: tuple[Colour, ...] = ("white", "blue", "yellow", "orange", "red")  # mildest first


class Kind(StrEnum):
    """What a message is within its chain."""

    ALERT = "alert"
    UPDATE = "update"
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    EXTEND = "extend"
    CANCEL = "cancel"

    @property
    def filed_as(self) -> str:
        """What provider templates tell apart: alert, update or cancel."""
        return self.value if self in (Kind.ALERT, Kind.CANCEL) else "update"


class Words(NamedTuple):
    """The same words in both languages; "" = none."""

    zh: str
    en: str

    def get(self, language: str) -> str:
        """The words in a language; the Chinese ones where English ones are missing."""
        return self.zh if language == "zh" else self.en or self.zh


NO_WORDS = Words("", "")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Steps(_Model):
    """What to do, line by line."""

    zh: tuple[str, ...] = Field(min_length=1)
    en: tuple[str, ...] = Field(min_length=1)

    def get(self, language: str) -> tuple[str, ...]:
        """The lines in a language."""
        return self.zh if language == "zh" else self.en


class Advice(_Model):
    """What to do for one event and colour: one phrase that fits a WeChat field, and the lines of 防御指南."""

    brief: Words
    do: Steps


class EventAdvice(_Model):
    """One file of data/events."""

    event: str
    colours: Mapping[Colour, Advice]


class City(_Model):
    """Which colours a city issues: for the events named, and for every other one."""

    other: tuple[Colour, ...]
    events: Mapping[str, tuple[Colour, ...]]


class WeChatFrames(_Model):
    """What stands in WeChat fields."""

    mark: str
    event: str
    exercise_advice: str
    level: Mapping[Kind, str]


class SmsFrames(_Model):
    """What stands in SMS values."""

    change: Mapping[Kind, str] = Field(default_factory=dict)
    verb: Mapping[Kind, str] = Field(default_factory=dict)


class Frames(_Model):
    """The sentences of one language."""

    colours: Mapping[Colour, str]
    your_area: str
    reason: str
    exercise: str
    exercise_only: str
    headline: Mapping[str, str]
    description: Mapping[str, str]
    instruction: Mapping[str, str]
    push_title: Mapping[str, str]
    push_body: Mapping[str, str]
    wechat: WeChatFrames
    sms: SmsFrames = SmsFrames()

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if set(self.colours) != set(COLOURS):
            raise ValueError("colours: all five are needed")
        for name in FRAMES:
            kinds = getattr(self, name)
            if not set(kinds) <= {*Kind, "*"} or ("*" not in kinds and set(kinds) != set(Kind)):
                raise ValueError(f"{name}: one text for each of {', '.join(Kind)}, or '*' for the rest")
        return self


class Event(NamedTuple):
    """One row of data/event_codes.csv. `short` fits an SMS value, `name_en` a WeChat field."""

    code: str
    name: str
    short: str
    name_en: str


class Sources(NamedTuple):
    """The parsed files of data/."""

    event_codes: str
    advice: Sequence[Any]
    cities: Mapping[str, Any]
    frames: Mapping[str, Any]
    templates: Any


@dataclass(frozen=True, slots=True)
class Wording:
    """Everything texts are made of. Build it with `texts.load`."""

    events: Mapping[str, Event]
    advice: Mapping[str, EventAdvice]
    cities: Mapping[str, City]
    frames: Mapping[str, Frames]
    templates: Registry
    compiled: Mapping[tuple[str, str, str], Template] = field(repr=False)

    def colours(self, city: str, event: str) -> tuple[Colour, ...]:
        """The colours that a city issues for an event, mildest first; () = never. Without data: all but white."""
        known = self.cities.get(city)
        return COLOURS[1:] if known is None else known.events.get(event, known.other)

    def advice_for(self, event: str, colour: Colour) -> Advice:
        """The advice of the event and colour, else of its class ("13*": public health), else the generic one ("*")."""
        names = (event, f"{event[:2]}*", "*")
        found = (self.advice[name].colours for name in names if name in self.advice)
        return next(colours[colour] for colours in found if colour in colours)

    def write(self, language: str, frame: str, kind: Kind, values: Mapping[str, Any]) -> str:
        """One frame with its values."""
        template = self.compiled.get((language, frame, kind.value)) or self.compiled[language, frame, "*"]
        return template.render(values).strip()


def parse(sources: Sources) -> Wording:
    """The wording from parsed files; ConfigurationError `texts_invalid` says what does not fit."""
    try:
        frames = {language: Frames.model_validate(sources.frames[language]) for language in LANGUAGES}
        advice = [EventAdvice.model_validate(each) for each in sources.advice]
        wording = Wording(
            events={row["code"]: _event(row) for row in csv.DictReader(StringIO(sources.event_codes))},
            advice={each.event: each for each in advice},
            cities={code: City.model_validate(each) for code, each in sources.cities.items()},
            frames=frames,
            templates=Registry.model_validate(sources.templates),
            compiled=_compile(frames),
        )
    except (ValidationError, TemplateError, KeyError, TypeError) as error:
        raise wrong(str(error)) from None
    if "*" not in wording.advice or set(wording.advice["*"].colours) != set(COLOURS):
        raise wrong("the generic advice (event '*') needs all five colours")
    strange = {*wording.advice, *(code for city in wording.cities.values() for code in city.events)}
    strange -= {"*", *wording.events, *(f"{code[:2]}*" for code in wording.events)}
    if strange:
        raise wrong(f"event codes that are not in event_codes.csv: {', '.join(sorted(strange))}")
    return wording


def wrong(what: str) -> ConfigurationError:
    """The error of a file in data/ that does not fit."""
    return ConfigurationError("texts_invalid", zh=f"文本数据有误：{what}", en=f"texts: {what}")


def _event(row: Mapping[str, str]) -> Event:
    return Event(row["code"], row["name"], row["short"] or row["name"], row["name_en"])


def _compile(frames: Mapping[str, Frames]) -> dict[tuple[str, str, str], Template]:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,  # plain text, no HTML
        loader=DictLoader({}),  # a frame includes nothing
    )
    compiled = {}
    for language, own in frames.items():
        families: dict[str, Mapping[Any, str]] = {name: getattr(own, name) for name in FRAMES}
        families |= {"level": own.wechat.level, "event": {"*": own.wechat.event}}
        for family, by_kind in families.items():
            for kind, text in by_kind.items():
                compiled[language, family, str(kind)] = environment.from_string(text)
    return compiled
