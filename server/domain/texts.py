"""The words of a warning: every language, every channel, ready to be frozen into a broadcast.

`render` is pure: the same facts and the same wording give the same words, so their hash is what two officers sign.
Every value is within its provider's limit, every text of an exercise says 演练 or [EXERCISE], a Chinese SMS of the
filed templates is one segment. Times are China Standard Time: that is what the reader's clock shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Any

from jinja2.exceptions import TemplateError

from server.domain.china import CHINA
from server.domain.divisions import Area
from server.domain.errors import InvalidInputError
from server.domain.templates import SMS_VALUE_LIMIT, Choice, Key, Registry, clean, fit, units, wechat_limit
from server.domain.wording import COLOURS, LANGUAGES, NO_WORDS, Colour, Kind, Sources, Wording, Words, parse, wrong

WECHAT_LANGUAGE = {"zh": "zh_CN", "en": "en_US"}
LIMITS = {"headline": 160, "description": 2000, "instruction": 2000, "push_title": 65, "push_body": 240}
AREAS_LIMIT = 120  # characters of area names in a sentence
PUSH_AREAS_LIMIT = 24
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # whatever the locale


@dataclass(frozen=True, slots=True)
class Facts:
    """What a message says. Times are aware; `page` is the mini-program's page with its query.

    `detail` is the officer's own sentence (what was measured, what is expected), `reason` why a warning is lifted; each
    language says its own, and may be empty. `previous` is the colour before an upgrade or downgrade.
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
    detail: Words = NO_WORDS
    reason: Words = NO_WORDS


def load(sources: Sources) -> Wording:
    """The wording from parsed files, rehearsed: each kind of message is written once, so that no frame fails later.

    ConfigurationError `texts_invalid` says what does not fit.
    """
    wording = parse(sources)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    sender = Words("气象台", "Observatory")
    for colour, kind, is_exercise in product(COLOURS, Kind, (False, True)):
        facts = Facts("00000", colour, kind, [], sender, moment, moment, "", is_exercise=is_exercise, previous=colour)
        try:
            render(facts, wording)
        except (TemplateError, LookupError) as error:
            raise wrong(f"{colour} {kind}: {error}") from None
    return wording


def render(facts: Facts, wording: Wording) -> dict[str, Any]:
    """All texts of a message as JSON-able data, by channel and language.

    InvalidInputError: the event code is unknown, or an upgrade lacks the colour before it.

    >>> render(facts, wording)["sms"]["zh"]["text"]  # doctest: +SKIP
    '【惠民预警】南山区暴雨红色预警：不要外出，往高处避险。...'
    """
    if facts.event not in wording.events:
        raise InvalidInputError("event_unknown", zh="没有这个事件代码", en="no such event code", field="event")
    if facts.kind in (Kind.UPGRADE, Kind.DOWNGRADE) and facts.previous is None:
        raise InvalidInputError(
            "previous_colour_missing", zh="缺少原预警级别", en="the colour before is missing", field="previous"
        )
    writers: dict[str, Callable[[Facts, Wording, str], Any]] = {"wechat": _wechat, "push": _push, "sms": _sms}
    texts: dict[str, Any] = {
        channel: {language: write(facts, wording, language) for language in LANGUAGES}
        for channel, write in writers.items()
    }
    for part in ("headline", "description", "instruction"):
        texts[part] = {language: _part(facts, wording, language, part) for language in LANGUAGES}
    return texts


def _values(facts: Facts, wording: Wording, language: str) -> dict[str, Any]:
    """What frames may name. Free words of officers are values here, never templates."""
    frames, event = wording.frames[language], wording.events[facts.event]
    advice = wording.advice_for(facts.event, facts.colour)
    values = {
        "event": event.name if language == "zh" else event.name_en,
        "event_short": event.short if language == "zh" else event.name_en,
        "event_inside": _inside_a_sentence(event.name_en),
        "colour": frames.colours[facts.colour],
        "areas": join_areas(facts.areas, language, AREAS_LIMIT) or frames.your_area,
        "sender": clean(facts.sender.get(language)),
        "sent": _clock(facts.sent_at, language),
        "until": _clock(facts.expires_at, language),
        "detail": clean(getattr(facts.detail, language)),
        "reason": clean(getattr(facts.reason, language)).rstrip("。.") or frames.reason,
        "brief": advice.brief.get(language),
        "do": advice.do.get(language),
        "kind": facts.kind.value,
    }
    if facts.previous is not None:
        values["previous"] = frames.colours[facts.previous]
    return values


def _part(facts: Facts, wording: Wording, language: str, part: str) -> str:
    frames = wording.frames[language]
    text = wording.write(language, part, facts.kind, _values(facts, wording, language))
    if facts.is_exercise:
        only = f"{frames.exercise_only}\n" if part == "instruction" else ""
        text = f"{frames.exercise}{only}{text}"
    lines = text.split("\n")
    if len(lines) == 1:
        return fit(text, LIMITS[part])
    return "\n".join(clean(line) for line in lines)


def _push(facts: Facts, wording: Wording, language: str) -> dict[str, str]:
    frames, values = wording.frames[language], _values(facts, wording, language)
    values |= {
        "areas": join_areas(facts.areas, language, PUSH_AREAS_LIMIT) or frames.your_area,
        "event": values["event_short"],
    }
    mark = frames.exercise if facts.is_exercise else ""
    space = "" if language == "zh" else " "
    only = f"{mark}{frames.exercise_only}{space}" if facts.is_exercise else ""
    return {
        "title": fit(mark + wording.write(language, "push_title", facts.kind, values), LIMITS["push_title"]),
        "body": fit(only + wording.write(language, "push_body", facts.kind, values), LIMITS["push_body"]),
    }


def _wechat(facts: Facts, wording: Wording, language: str) -> dict[str, Any]:
    frames, values = wording.frames[language], _values(facts, wording, language)
    values["event"] = values["event_short"]
    template_id = wording.templates.choose(_key(facts, language)).wechat
    template = next(each for each in wording.templates.wechat if each.id == template_id)
    advice = frames.wechat.exercise_advice if facts.is_exercise else values["brief"]
    said = {
        "mark": frames.wechat.mark,
        "event": wording.write(language, "event", facts.kind, values),
        "level": wording.write(language, "level", facts.kind, values),
        "sent": wechat_time(facts.sent_at),
        "advice": advice,
        "reason": values["reason"],
    }
    data = {}
    for key, name in template.fields.items():
        limit = wechat_limit(key)
        area = join_areas(facts.areas, language, limit) or frames.your_area
        data[key] = fit(area if name == "area" else said[name], limit)
    return {"template_id": template.id, "data": data, "page": facts.page, "lang": WECHAT_LANGUAGE[language]}


def _sms(facts: Facts, wording: Wording, language: str) -> dict[str, Any]:
    frames, values = wording.frames[language], _values(facts, wording, language)
    said = {
        "area": join_areas(facts.areas, language, SMS_VALUE_LIMIT) or frames.your_area,
        "event": values["event_short"],
        "colour": values["colour"],
        "change": frames.sms.change.get(facts.kind, ""),
        "verb": frames.sms.verb.get(facts.kind, ""),
    }
    said = {name: fit(value, SMS_VALUE_LIMIT) for name, value in said.items()}
    return sms_text(wording.templates, wording.templates.choose(_key(facts, language)), said)


def sms_text(registry: Registry, chosen: Choice, said: Mapping[str, str]) -> dict[str, Any]:
    """An SMS as JSON-able data: what a person reads, and the filed template with its values at each provider."""
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


def wechat_time(moment: datetime) -> str:
    """A moment as WeChat's typed key `time` wants it, on the clock of China."""
    local = moment.astimezone(CHINA)
    return f"{local:%Y}年{local.month}月{local.day}日 {local:%H:%M}"


def _key(facts: Facts, language: str) -> Key:
    return Key(facts.event, facts.colour, facts.kind.filed_as, facts.is_exercise, language)


def join_areas(areas: Sequence[Area], language: str, limit: int) -> str:
    """As many names as fit into `limit` characters, then how many there are in all; "" if not even the first fits.

    >>> join_areas([Area("南山区", "Nanshan"), Area("福田区", "Futian"), Area("罗湖区", "Luohu")], "zh", 10)
    '南山区、福田区等3地'
    """
    tight = limit <= SMS_VALUE_LIMIT
    names = [name for area in areas if (name := _name(area, language, tight=tight))]
    separator, rest = ("、", "等{all}地") if language == "zh" else (", ", " +{more}")
    for count in range(len(names), 0, -1):
        others = rest.format(all=len(names), more=len(names) - count) if count < len(names) else ""
        text = separator.join(names[:count]) + others
        if units(text) <= limit:
            return text
    if not tight:
        return fit(names[0], limit - units(others)) + others if names else ""
    is_open = language == "zh" and len(names) > 1 and units(names[0]) < limit
    return f"{names[0]}等" if is_open else ""


def _name(area: Area, language: str, *, tight: bool) -> str:
    if language == "en":
        return clean(area.en or area.zh)
    return clean((area.short or area.zh) if tight else area.zh)


def _clock(moment: datetime, language: str) -> str:
    """A moment as a reader in China says it: 11月24日15时01分; 15:01 on 24 Nov."""
    local = moment.astimezone(CHINA)
    if language == "zh":
        return f"{local.month}月{local.day}日{local:%H}时{local:%M}分"
    return f"{local:%H:%M} on {local.day} {_MONTHS[local.month - 1]}"


def _inside_a_sentence(name: str) -> str:
    """Rainstorm -> rainstorm, but CO poisoning stays."""
    return name if name[1:2].isupper() else name[:1].lower() + name[1:]
