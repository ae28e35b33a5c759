"""The words of a weather notice: where, when, what; and why, if somebody asked for it only if. Pure.

A place is said by what it is to the person and the name of its division: the name that the person gave it is sealed and
not needed. What is told is of one day; how old the forecast is stands there once it is old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.china import CHINA
from server.domain.divisions import Area
from server.domain.forecasts import STALE_AFTER, Outlook, air_words
from server.domain.notices import Notice
from server.domain.profile import Label
from server.domain.wording import LANGUAGES, Words

LABELS: Mapping[Label, Words] = {
    Label.HOME: Words("家", "Home"),
    Label.WORK: Words("单位", "Work"),
    Label.PARENTS: Words("父母家", "Parents"),
    Label.OTHER: Words("", ""),
}
_BREAKS = Words("；", "; ")
_COMMAS = Words("，", ", ")
_COLONS = Words("：", ": ")


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of one place. `outlook` None: only the reasons are (a typhoon is near)."""

    label: Label
    area: Area
    outlook: Outlook | None
    reasons: Sequence[Words] = ()


def notice_of(told: Sequence[Told], due_at: datetime, now: datetime, page: str) -> Notice:
    """One notice about some places, at least one; `due_at` is when it was asked for."""
    zh, en = (_BREAKS.get(language).join(_line(each, language, now) for each in told) for language in LANGUAGES)
    return Notice(_title(told, due_at), Words(zh, en), page, due_at)


def _title(told: Sequence[Told], due_at: datetime) -> Words:
    """Whether it is a warning of what was asked for, else of which day."""
    if any(each.reasons for each in told):
        return Words("天气提醒", "Weather alert for you")
    days = {each.outlook.day for each in told if each.outlook}
    is_today = due_at.astimezone(CHINA).date() in days
    return Words("今天天气", "Weather today") if is_today else Words("明天天气", "Weather tomorrow")


def _line(told: Told, language: str, now: datetime) -> str:
    """One place."""
    label, area = LABELS[told.label].get(language), told.area.zh if language == "zh" else told.area.en
    where = f"{label}（{area}）" if label and language == "zh" else f"{label} ({area})" if label else area
    said = [reason.get(language) for reason in told.reasons]
    if told.outlook:
        said += _outlook(told.outlook, language, has_reasons=bool(said))
        if now - told.outlook.as_of > STALE_AFTER:
            at = f"{told.outlook.as_of.astimezone(CHINA):%H:%M}"
            said.append(f"{at}发布" if language == "zh" else f"as of {at}")
    return f"{where}{_COLONS.get(language)}{_COMMAS.get(language).join(said)}"


def _outlook(outlook: Outlook, language: str, *, has_reasons: bool) -> list[str]:
    """The day in three or four words; what the reasons have said is not said again."""
    is_chinese = language == "zh"
    said = [words] if (words := outlook.sky.words.get(language)) else []
    said.append(f"{outlook.low_c:.0f}~{outlook.high_c:.0f}℃" if is_chinese
                else f"{outlook.low_c:.0f} to {outlook.high_c:.0f}°C")  # fmt: skip
    if has_reasons:
        return said
    if outlook.rain_percent is not None:
        said.append(f"降雨{outlook.rain_percent}%" if is_chinese else f"rain {outlook.rain_percent}%")
    if outlook.aqi is not None:
        said.append(f"空气{air_words(outlook.aqi).zh}" if is_chinese else f"air {air_words(outlook.aqi).en}")
    return said
