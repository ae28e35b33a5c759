"""China's time: one zone for the whole country, without summer time since 1991."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8), "CST")


def china_day(at: datetime) -> date:
    """The day in China at this moment (aware)."""
    return at.astimezone(CHINA).date()
