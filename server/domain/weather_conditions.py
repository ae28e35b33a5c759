"""Only if: what the weather has to be like before somebody wants to hear of it. Pure.

A condition that nothing is known about does not hold: silence of a feed is no rain. All of them are strict ("more
than", "below"), so that the reason can be said in the words of the person's own limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from server.domain.forecasts import MAX_AQI, Outlook, air_words
from server.domain.typhoons import Point, Typhoon, nearest
from server.domain.wording import Words


class What(StrEnum):
    """What is looked at."""

    RAIN = "rain"  # probability, percent
    AQI = "aqi"
    BELOW = "below"  # lowest temperature, degrees Celsius
    ABOVE = "above"  # highest temperature, degrees Celsius
    WIND = "wind"  # level
    TYPHOON = "typhoon"  # its centre is nearer than so many km


# What a limit may be, from and to: beyond it a condition would hold always or never.
LIMITS: Mapping[What, tuple[int, int]] = {
    What.RAIN: (0, 99),
    What.AQI: (0, MAX_AQI - 1),
    What.BELOW: (-50, 50),
    What.ABOVE: (-50, 50),
    What.WIND: (0, 16),
    What.TYPHOON: (10, 3_000),
}


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """One of them; ValueError for a limit out of `LIMITS`."""

    what: What
    limit: int

    def __post_init__(self) -> None:
        """A caller's mistake."""
        low, high = LIMITS[self.what]
        if not low <= self.limit <= high:
            raise ValueError(f"{self.what} has limits from {low} to {high}")


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of one place at one moment. `outlook` None: nothing is forecast there."""

    outlook: Outlook | None
    typhoons: Sequence[Typhoon]
    point: Point | None
    now: datetime


def holds(condition: Condition, sight: Sight) -> Words | None:
    """Why somebody is told, in a few words; None: they are not.

    >>> from datetime import UTC
    >>> holds(Condition(What.RAIN, 60), Sight(None, (), None, datetime(2026, 7, 1, tzinfo=UTC))) is None
    True
    """
    return _CHECKS[condition.what](condition.limit, sight)


def reasons(conditions: Sequence[Condition], sight: Sight) -> list[Words] | None:
    """Why somebody is told: one of the conditions is enough, all that hold are said. None: they are not.

    Without any condition they always are, for no reason.
    """
    found = [words for condition in conditions if (words := holds(condition, sight))]
    return found if found or not conditions else None


def _rain(limit: int, sight: Sight) -> Words | None:
    chance = sight.outlook.rain_percent if sight.outlook else None
    if chance is None or chance <= limit:
        return None
    return Words(f"降雨概率{chance}%", f"rain {chance}%")


def _aqi(limit: int, sight: Sight) -> Words | None:
    aqi = sight.outlook.aqi if sight.outlook else None
    if aqi is None or aqi <= limit:
        return None
    words = air_words(aqi)
    return Words(f"空气{words.zh}（AQI {aqi}）", f"air {words.en} (AQI {aqi})")


def _below(limit: int, sight: Sight) -> Words | None:
    if sight.outlook is None or sight.outlook.low_c >= limit:
        return None
    return Words(f"最低{sight.outlook.low_c:.0f}℃", f"low {sight.outlook.low_c:.0f}°C")


def _above(limit: int, sight: Sight) -> Words | None:
    if sight.outlook is None or sight.outlook.high_c <= limit:
        return None
    return Words(f"最高{sight.outlook.high_c:.0f}℃", f"high {sight.outlook.high_c:.0f}°C")


def _wind(limit: int, sight: Sight) -> Words | None:
    level = sight.outlook.wind_level if sight.outlook else None
    if level is None or level <= limit:
        return None
    return Words(f"风力{level}级", f"wind force {level}")


def _typhoon(limit: int, sight: Sight) -> Words | None:
    if sight.point is None or not sight.typhoons:
        return None
    found = nearest(sight.typhoons, sight.point, sight.now)
    if found is None or found[1] >= limit:
        return None
    typhoon, distance = found
    return Words(f"台风“{typhoon.name}”距此{distance:.0f}公里", f"typhoon {typhoon.name} {distance:.0f} km away")


_CHECKS: Mapping[What, Callable[[int, Sight], Words | None]] = {
    What.RAIN: _rain,
    What.AQI: _aqi,
    What.BELOW: _below,
    What.ABOVE: _above,
    What.WIND: _wind,
    What.TYPHOON: _typhoon,
}
