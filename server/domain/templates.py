"""The templates filed with WeChat and the SMS providers, which one a warning uses, and how long a value may be.

A provider sends only what it has approved: a template id and values within its limits. The registry is data
(`data/templates.yaml`); `Registry.choose` finds the most specific row for a warning, provider by provider. Limits:
WeChat subscribe messages by the type of the key (thing <= 20 ...); SMS values 6 characters (Tencent's default for
accounts opened since 2024); an SMS of 70 characters with its sign is one segment, a longer one counts 67 a segment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import product
from math import ceil
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

WECHAT_LIMITS = {  # https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-message-management/subscribe-message/
    "thing": 20,
    "number": 32,
    "letter": 32,
    "symbol": 5,
    "character_string": 32,
    "time": 40,
    "date": 40,
    "amount": 11,
    "phone_number": 17,
    "car_number": 8,
    "name": 10,
    "phrase": 5,
}
SMS_VALUE_LIMIT = 6
SMS_SEGMENT, SMS_JOINED_SEGMENT = 70, 67
GSM7_SEGMENT, GSM7_JOINED_SEGMENT = 160, 153
WECHAT_NAMES = frozenset({"mark", "event", "level", "area", "sent", "advice", "reason", "what", "when", "where"})
SMS_NAMES = frozenset({"area", "event", "colour", "change", "verb", "code"})

_KEY = re.compile(r"([a-z_]+?)\d{1,3}", re.ASCII)
_ALIYUN_NAME = re.compile(r"\$\{(\w+)\}")
_TENCENT_NUMBER = re.compile(r"\{(\d+)\}")
_UNFIT = re.compile(  # control characters, line ends, invisible and direction marks, lone surrogates, runs of space
    r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]+"
)
_BREAKS = "，。；、,;"
_GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_TWO = frozenset("^{}\\[~]|€\f")  # these take an escape: two septets


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WeChatTemplate(_Row):
    """A subscribe message: `fields` maps a typed key (thing1) to the name of what stands there."""

    id: str = Field(min_length=1)
    kind: Literal["long_term", "one_time"]
    fields: Mapping[str, str]


class AliyunTemplate(_Row):
    """An SMS at Aliyun: the text without sign, values as ${name}."""

    id: str = Field(min_length=1)
    text: str

    @property
    def params(self) -> tuple[str, ...]:
        """The names in the order in which they first appear."""
        return tuple(dict.fromkeys(_ALIYUN_NAME.findall(self.text)))

    def fill(self, values: Mapping[str, str]) -> str:
        """The text a person reads, without the sign."""
        return _ALIYUN_NAME.sub(lambda found: values[found[1]], self.text)


class TencentTemplate(_Row):
    """An SMS at Tencent: the text without sign, values as {1} {2}, named in that order by `params`."""

    id: str = Field(min_length=1)
    text: str
    params: tuple[str, ...] = ()

    def fill(self, values: Mapping[str, str]) -> str:
        """The text a person reads, without the sign."""
        return _TENCENT_NUMBER.sub(lambda found: values[self.params[int(found[1]) - 1]], self.text)


class Choice(NamedTuple):
    """The ids that one warning uses; None where a provider has no template for it."""

    wechat: str | None
    sms_aliyun: str | None
    sms_tencent: str | None


class Key(NamedTuple):
    """What a warning is to the registry. kind: alert | update | cancel; language: zh | en."""

    event: str
    colour: str
    kind: str
    exercise: bool
    language: str


class Row(_Row):
    """One line of the registry; "*" fits everything."""

    event: str = "*"
    colour: str = "*"
    kind: Literal["alert", "update", "cancel", "*"] = "*"
    exercise: bool | Literal["*"] = "*"
    language: Literal["zh", "en", "*"] = "*"
    wechat: str | None = None
    sms_aliyun: str | None = None
    sms_tencent: str | None = None


class Registry(_Row):
    """All of `data/templates.yaml`, checked: ids exist, names are known, nothing is without a fallback."""

    sign: str = Field(min_length=2, max_length=12)
    wechat: tuple[WeChatTemplate, ...]
    sms_aliyun: tuple[AliyunTemplate, ...] = ()
    sms_tencent: tuple[TencentTemplate, ...] = ()
    rows: tuple[Row, ...]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for template in self.wechat:
            _check_fields(template)
        for aliyun in self.sms_aliyun:
            _check_names(aliyun.id, aliyun.params, SMS_NAMES)
        for tencent in self.sms_tencent:
            _check_names(tencent.id, tencent.params, SMS_NAMES)
            numbers = sorted(set(map(int, _TENCENT_NUMBER.findall(tencent.text))))
            if numbers != list(range(1, len(tencent.params) + 1)):
                raise ValueError(f"{tencent.id}: the text has {numbers}, params names {len(tencent.params)}")
        for provider in Choice._fields:
            known = {template.id for template in getattr(self, provider)}
            used = {getattr(row, provider) for row in self.rows} - {None}
            if used - known:
                raise ValueError(f"rows use {provider} ids that are not listed: {sorted(used - known)}")
        if len(self._by_pattern) != len(self.rows):
            raise ValueError("two rows are for the same event, colour, kind, exercise and language")
        for kind, exercise, language in product(("alert", "update", "cancel"), (False, True), ("zh", "en")):
            if not _finds(self.choose(Key("*", "*", kind, exercise, language))):
                raise ValueError(f"no generic row for kind {kind}, exercise {exercise}, language {language}")
        return self

    @property
    def one_time(self) -> frozenset[str]:
        """WeChat templates of which every accept buys one message."""
        return frozenset(template.id for template in self.wechat if template.kind == "one_time")

    def choose(self, key: Key) -> Choice:
        """The ids of the most specific rows: event counts before colour, kind, exercise and language.

        Each provider is looked up alone, so a row may name some of them and leave the others to a wider row.
        """
        patterns = product(*((value, "*") for value in key))
        fitting = [self._by_pattern[pattern] for pattern in patterns if pattern in self._by_pattern]
        ids = (next((i for row in fitting if (i := getattr(row, p)) is not None), None) for p in Choice._fields)
        return Choice(*ids)

    @cached_property
    def _by_pattern(self) -> dict[tuple[str | bool, ...], Row]:
        return {_pattern(row): row for row in self.rows}

    def all_ids(self) -> dict[str, frozenset[str]]:
        """Every template id by provider: what a sandbox has to know."""
        return {provider: frozenset(t.id for t in getattr(self, provider)) for provider in Choice._fields}


def clean(text: str) -> str:
    """The text on one line: no control characters, no line ends, single spaces (providers refuse the rest)."""
    return _UNFIT.sub(" ", text).strip()


def units(text: str) -> int:
    """Length in UTF-16 units, as SMS counts and as the stricter reading of WeChat's "characters"."""
    return len(text) + sum(char > "\uffff" for char in text)


def fit(text: str, limit: int) -> str:
    """The text cleaned and within `limit` UTF-16 units, cut after a whole clause or word if that leaves enough.

    >>> fit("停课停业，未出门的不要出门，在路上的就近躲避", 20)
    '停课停业，未出门的不要出门…'
    """
    text = clean(text)
    if units(text) <= limit:
        return text
    kept = text
    while units(kept) > limit - 1:
        kept = kept[:-1]
    best = max((i for i, char in enumerate(text[: len(kept) + 1]) if char in _BREAKS or char == " "), default=0)
    if best >= limit // 3:
        kept = text[:best]
    return kept.rstrip(_BREAKS + " :：-") + "…"


def wechat_limit(key: str) -> int:
    """The most characters that the value of a typed key may have; ValueError for a key of no known type.

    >>> wechat_limit("thing12")
    20
    """
    found = _KEY.fullmatch(key)
    if found is None or found[1] not in WECHAT_LIMITS:
        raise ValueError(f"{key} is no typed key of WeChat")
    return WECHAT_LIMITS[found[1]]


def segments(text: str) -> int:
    """How many segments an SMS is billed as: 160/153 septets if all is GSM-7, else 70/67 UTF-16 units.

    A signed text (【...】) is never GSM-7, so for mainland China this is the rule of Aliyun: 70, then 67 a segment.

    >>> segments("【惠民预警】" + "雨" * 65)
    2
    """
    if set(text) <= _GSM7 | _GSM7_TWO:
        length = sum(2 if char in _GSM7_TWO else 1 for char in text)
        return _pieces(length, GSM7_SEGMENT, GSM7_JOINED_SEGMENT)
    return _pieces(units(text), SMS_SEGMENT, SMS_JOINED_SEGMENT)


def _pieces(length: int, one: int, joined: int) -> int:
    return 1 if length <= one else ceil(length / joined)


def _check_fields(template: WeChatTemplate) -> None:
    for key in template.fields:
        wechat_limit(key)
    _check_names(template.id, tuple(template.fields.values()), WECHAT_NAMES)


def _check_names(template_id: str, names: Sequence[str], known: frozenset[str]) -> None:
    if not set(names) <= known:
        raise ValueError(f"{template_id}: unknown names {sorted(set(names) - known)}; known are {sorted(known)}")


def _pattern(row: Row) -> tuple[str | bool, ...]:
    return tuple(getattr(row, name) for name in Key._fields)


def _finds(choice: Choice) -> bool:
    return choice.wechat is not None and (choice.sms_aliyun is not None or choice.sms_tencent is not None)
