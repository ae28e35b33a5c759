"""The words of a warning: every language, every channel, ready to be frozen into a broadcast.

`render` is pure: the same facts and the same catalogue give the same words, so their hash is what two officers sign.
Facts stand in data (advice per event and colour, names, colours per city), sentences in frames that all events share.
Every value is within its provider's limit, every text of an exercise says 演练 or [EXERCISE], a Chinese SMS of our own
templates is one segment. Times are China Standard Time: that is what the reader's clock shows.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from io import StringIO
from typing import Any, Literal, NamedTuple

from jinja2 import StrictUndefined, Template
from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.domain.divisions import Area
from server.domain.errors import ConfigurationError, InvalidInputError
from server.domain.templates import SMS_VALUE_LIMIT, Key, Registry, clean, fit, units, wechat_limit

CHINA = timezone(timedelta(hours=8), "CST")
LANGUAGES = {"zh": "zh_CN", "en": "en_US"}  # ours -> WeChat's
LIMITS = {"headline": 160, "description": 2000, "instruction": 2000, "push_title": 65, "push_body": 240}
AREAS_LIMIT = 120  # characters of area names in a sentence
Colour = Literal["white", "blue", "yellow", "orange", "red"]


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
        """alert | update | cancel: what provider templates tell apart."""
        return self.value if self in (Kind.ALERT, Kind.CANCEL) else "update"


class Words(NamedTuple):
    """The same words in both languages; "" = none."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a message says. Times are aware; `page` is the mini-program's page with its query.

    `detail` is the officer's own sentence (what was measured, what is expected), `reason` why a warning is lifted; both
    may be empty. `previous` is the colour before an upgrade or downgrade.
    """

    event: str
    colour: Colour
    kind: Kind
    areas: Sequence[Area]
    sender: Words
    sent_at: datetime
    expires_at: datetime
    page: str
    is_exercise: bool = False
    previous: Colour | None = None
    detail: Words = Words("", "")
    reason: Words = Words("", "")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Both(_Model):
    """A short text in both languages."""

    zh: str
    en: str


class Steps(_Model):
    """What to do, line by line."""

    zh: tuple[str, ...] = Field(min_length=1)
    en: tuple[str, ...] = Field(min_length=1)


class Advice(_Model):
    """What to do for one event and colour: one phrase that fits a WeChat field, and the lines of 防御指南."""

    brief: Both
    do: Steps


class EventAdvice(_Model):
    """One file of data/events."""

    event: str
    colours: Mapping[Colour, Advice]


class City(_Model):
    """Which colours a city issues."""

    other: tuple[Colour, ...]
    events: Mapping[str, tuple[Colour, ...]]


class Frames(_Model):
    """The sentences of one language, as in data/frames.yaml."""

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
    wechat: Mapping[str, Any]
    sms: Mapping[str, Mapping[str, str]]


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
    cities: Any
    frames: Any
    templates: Any


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything `render` needs. Build it with `load`."""

    events: Mapping[str, Event]
    advice: Mapping[str, EventAdvice]
    cities: Mapping[str, City]
    frames: Mapping[str, Frames]
    templates: Registry
    compiled: Mapping[tuple[str, str, str], Template] = field(repr=False)

    def colours(self, city: str, event: str) -> tuple[Colour, ...]:
        """The colours that a city issues for an event, mildest first; () = never. All four for a city without data."""
        known = self.cities.get(city)
        if known is None:
            return ("blue", "yellow", "orange", "red")
        return known.events.get(event, known.other)

    def advice_for(self, event: str, colour: Colour) -> Advice:
        """The advice of the event and colour, or the generic one."""
        own = self.advice.get(event)
        return own.colours[colour] if own and colour in own.colours else self.advice["*"].colours[colour]

    def write(self, language: str, frame: str, kind: Kind, values: Mapping[str, Any]) -> str:
        """One frame with its values."""
        template = self.compiled.get((language, frame, kind.value)) or self.compiled[language, frame, "*"]
        return template.render(values).strip()


def load(sources: Sources) -> Catalogue:
    """The catalogue from parsed files; ConfigurationError says what does not fit."""
    try:
        frames = {language: Frames.model_validate(sources.frames[language]) for language in LANGUAGES}
        advice = [EventAdvice.model_validate(each) for each in sources.advice]
        catalogue = Catalogue(
            events={row["code"]: _event(row) for row in csv.DictReader(StringIO(sources.event_codes))},
            advice={each.event: each for each in advice},
            cities={code: City.model_validate(each) for code, each in sources.cities.items()},
            frames=frames,
            templates=Registry.model_validate(sources.templates),
            compiled=_compile(frames),
        )
        if set(catalogue.advice["*"].colours) != set(frames["zh"].colours):
            raise ValueError("the generic advice lacks a colour")
    except (ValidationError, TemplateError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError("texts_invalid", zh=f"文本数据有误：{error}", en=f"texts: {error}") from error
    return catalogue


def _event(row: Mapping[str, str]) -> Event:
    return Event(row["code"], row["name"], row["short"] or row["name"], row["name_en"])


def _compile(frames: Mapping[str, Frames]) -> dict[tuple[str, str, str], Template]:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)  # noqa: S701  plain text
    compiled = {}
    for language, own in frames.items():
        families: dict[str, Mapping[str, str]] = {name: getattr(own, name) for name in LIMITS}
        families |= {"level": own.wechat["level"], "event": {"*": own.wechat["event"]}}
        for family, by_kind in families.items():
            for kind, text in by_kind.items():
                compiled[language, family, kind] = environment.from_string(text)
    return compiled


def render(facts: Facts, catalogue: Catalogue) -> dict[str, Any]:
    """All texts of a message as JSON-able data, by channel and language.

    InvalidInputError: the event code is unknown, or an upgrade lacks the colour before it.

    >>> render(facts, catalogue)["sms"]["zh"]["text"]  # doctest: +SKIP
    '【惠民预警】南山区暴雨红色预警：不要外出，往高处避险。...'
    """
    if facts.event not in catalogue.events:
        raise InvalidInputError("event_unknown", zh="没有这个事件代码", en="no such event code", field="event")
    if facts.kind in (Kind.UPGRADE, Kind.DOWNGRADE) and facts.previous is None:
        raise InvalidInputError(
            "previous_colour_missing", zh="缺少原预警级别", en="the colour before is missing", field="previous"
        )
    writers: dict[str, Callable[[Facts, Catalogue, str], Any]] = {"wechat": _wechat, "push": _push, "sms": _sms}
    texts: dict[str, Any] = {
        channel: {language: write(facts, catalogue, language) for language in LANGUAGES}
        for channel, write in writers.items()
    }
    for part in ("headline", "description", "instruction"):
        texts[part] = {language: _part(facts, catalogue, language, part) for language in LANGUAGES}
    return texts


def _values(facts: Facts, catalogue: Catalogue, language: str) -> dict[str, Any]:
    """What frames may name. Free words of officers are values here, never templates."""
    frames, event = catalogue.frames[language], catalogue.events[facts.event]
    advice = catalogue.advice_for(facts.event, facts.colour)
    values = {
        "event": event.name if language == "zh" else event.name_en,
        "event_short": event.short if language == "zh" else event.name_en,
        "event_inside": _inside_a_sentence(event.name_en),
        "colour": frames.colours[facts.colour],
        "areas": join_areas(facts.areas, language, AREAS_LIMIT) or frames.your_area,
        "sender": clean(_in(facts.sender, language)),
        "sent": _clock(facts.sent_at, language),
        "until": _clock(facts.expires_at, language),
        "detail": clean(_in(facts.detail, language)),
        "reason": clean(_in(facts.reason, language)).rstrip("。.") or frames.reason,
        "brief": _in(advice.brief, language),
        "do": _in(advice.do, language),
        "kind": facts.kind.value,
    }
    if facts.previous is not None:
        values["previous"] = frames.colours[facts.previous]
    return values


def _part(facts: Facts, catalogue: Catalogue, language: str, part: str) -> str:
    frames = catalogue.frames[language]
    text = catalogue.write(language, part, facts.kind, _values(facts, catalogue, language))
    if facts.is_exercise:
        only = f"{frames.exercise_only}\n" if part == "instruction" else ""
        text = f"{frames.exercise}{only}{text}"
    lines = text.split("\n")
    if len(lines) == 1:
        return fit(text, LIMITS[part])
    return "\n".join(clean(line) for line in lines)


def _push(facts: Facts, catalogue: Catalogue, language: str) -> dict[str, str]:
    frames, values = catalogue.frames[language], _values(facts, catalogue, language)
    values |= {"areas": join_areas(facts.areas, language, 24) or frames.your_area, "event": values["event_short"]}
    mark = frames.exercise if facts.is_exercise else ""
    only = f"{mark}{frames.exercise_only}" if facts.is_exercise else ""
    return {
        "title": fit(mark + catalogue.write(language, "push_title", facts.kind, values), LIMITS["push_title"]),
        "body": fit(only + catalogue.write(language, "push_body", facts.kind, values), LIMITS["push_body"]),
    }


def _wechat(facts: Facts, catalogue: Catalogue, language: str) -> dict[str, Any]:
    frames, values = catalogue.frames[language], _values(facts, catalogue, language)
    values["event"] = values["event_short"]
    template_id = catalogue.templates.choose(_key(facts, language)).wechat
    template = next(each for each in catalogue.templates.wechat if each.id == template_id)
    advice = frames.wechat["exercise_advice"] if facts.is_exercise else values["brief"]
    sent = facts.sent_at.astimezone(CHINA)
    said = {
        "mark": frames.wechat["mark"],
        "event": catalogue.write(language, "event", facts.kind, values),
        "level": catalogue.write(language, "level", facts.kind, values),
        "sent": f"{sent:%Y}年{sent.month}月{sent.day}日 {sent:%H:%M}",
        "advice": advice,
        "reason": values["reason"],
    }
    data = {}
    for key, name in template.fields.items():
        limit = wechat_limit(key)
        area = join_areas(facts.areas, language, limit) or frames.your_area
        data[key] = fit(area if name == "area" else said[name], limit)
    return {"template_id": template.id, "data": data, "page": facts.page, "lang": LANGUAGES[language]}


def _sms(facts: Facts, catalogue: Catalogue, language: str) -> dict[str, Any]:
    frames, values = catalogue.frames[language], _values(facts, catalogue, language)
    said = {
        "area": join_areas(facts.areas, language, SMS_VALUE_LIMIT) or frames.your_area,
        "event": values["event_short"],
        "colour": values["colour"],
        **{name: frames.sms[name].get(facts.kind.value, frames.sms[name]["*"]) for name in ("change", "verb")},
    }
    said = {name: fit(value, SMS_VALUE_LIMIT) for name, value in said.items()}
    registry = catalogue.templates
    chosen = registry.choose(_key(facts, language))
    found = {
        "sms_aliyun": next((t for t in registry.sms_aliyun if t.id == chosen.sms_aliyun), None),
        "sms_tencent": next((t for t in registry.sms_tencent if t.id == chosen.sms_tencent), None),
    }
    filed = {provider: template for provider, template in found.items() if template is not None}
    first = next(iter(filed.values()))
    return {
        "text": f"【{registry.sign}】{first.fill(said)}",
        "templates": {
            provider: {
                "template_id": template.id,
                "sign": registry.sign,
                "params": [[name, said[name]] for name in template.params],
            }
            for provider, template in filed.items()
        },
    }


def _key(facts: Facts, language: str) -> Key:
    return Key(facts.event, facts.colour, facts.kind.filed_as, facts.is_exercise, language)


def join_areas(areas: Sequence[Area], language: str, limit: int) -> str:
    """As many names as fit into `limit` characters, then how many there are in all; "" if not even the first fits.

    >>> join_areas([Area("南山区", "Nanshan"), Area("福田区", "Futian"), Area("罗湖区", "Luohu")], "zh", 10)
    '南山区等3地'
    """
    tight = limit <= SMS_VALUE_LIMIT
    names = [clean((area.short or area.zh) if language == "zh" and tight else _in(area, language)) for area in areas]
    separator, rest = ("、", "等{n}地") if language == "zh" else (", ", " +{more}")
    for count in range(len(names), 0, -1):
        text = separator.join(names[:count])
        if count < len(names):
            text += rest.format(n=len(names), more=len(names) - count)
        if units(text) <= limit:
            return text
    if names and language == "zh" and len(names) > 1 and units(names[0]) < limit:
        return f"{names[0]}等"
    return "" if tight or not names else fit(names[0], limit)


def _in(words: Any, language: str) -> Any:
    return words.zh if language == "zh" else words.en or words.zh


def _clock(moment: datetime, language: str) -> str:
    """A moment as a reader in China says it: 11月24日15时01分; 15:01 on 24 Nov."""
    local = moment.astimezone(CHINA)
    if language == "zh":
        return f"{local.month}月{local.day}日{local:%H}时{local:%M}分"
    return f"{local:%H:%M} on {local.day} {_MONTHS[local.month - 1]}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # whatever the locale


def _inside_a_sentence(name: str) -> str:
    """Rainstorm -> rainstorm, but CO poisoning stays."""
    return name if name[1:2].isupper() else name[:1].lower() + name[1:]
