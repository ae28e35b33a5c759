"""What somebody wants to hear of the weather: for which places, at what time, on which days, only if what. Pure.

Times are minutes of China's day, which has no summer time, so a day has 1,440 of them for ever. A subscription is due
once a day at most, whatever happens to those who plan it: its notice of a day has one key. A change is another version
with another key, and counts from its own moment on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from server.domain.broadcasts import Lane
from server.domain.china import CHINA
from server.domain.outbox import Entry, Standing
from server.domain.profile import Label
from server.domain.typhoons import Point
from server.domain.weather_conditions import Condition
from server.domain.working_days import WorkingDays

TOPIC = "weather"
MOST = 10  # subscriptions of one person
MOST_PLACES = 10  # of one subscription, and
MOST_CONDITIONS = 10
MINUTES = 24 * 60
AHEAD = timedelta(minutes=10)  # so early a minute is planned
CATCH_UP = timedelta(hours=2)  # so late it still is; after that it is dropped and counted
LASTS = timedelta(hours=4)  # quiet hours may hold a notice back: after that nobody plans a day by it
EVERY_DAY = frozenset(range(1, 8))
DAILY, ONLY_IF = "weather.daily", "weather.only_if"  # templates


class PlaceSeen(NamedTuple):
    """A place as the weather needs it: without what is sealed. `point`: latitude and longitude, WGS-84."""

    id: str
    label: Label
    division: str
    point: Point | None


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. `places` are ids of own places, `minute` of China's day, `weekdays` 1 (Monday) to 7."""

    places: tuple[str, ...]
    minute: int
    weekdays: frozenset[int] = EVERY_DAY
    is_working_days: bool = False  # and of these only those on which offices work
    conditions: tuple[Condition, ...] = ()  # one is enough; none: always


@dataclass(frozen=True, slots=True)
class Subscription:
    """One of them. `changed_at` is the database's time of this version."""

    id: str
    citizen: int
    wish: Wish
    version: int
    changed_at: datetime

    @property
    def template(self) -> str:
        """Which of the two kinds of notice it brings."""
        return ONLY_IF if self.wish.conditions else DAILY


def minutes_between(after: datetime, upto: datetime) -> Iterator[datetime]:
    """Every whole minute after `after` up to and with `upto`, in UTC.

    >>> [f"{at:%H:%M}" for at in minutes_between(datetime(2026, 7, 1, 7, 29, 5), datetime(2026, 7, 1, 7, 31))]
    ['07:30', '07:31']
    """
    at = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while at <= upto:
        yield at
        at += timedelta(minutes=1)


def minute_of(at: datetime) -> int:
    """Of China's day."""
    local = at.astimezone(CHINA)
    return local.hour * 60 + local.minute


def due_on(day: date, minute: int) -> datetime:
    """That minute of that day of China, in UTC."""
    return datetime.combine(day, time(minute // 60, minute % 60), CHINA).astimezone(UTC)


def is_due(subscription: Subscription, at: datetime, calendar: WorkingDays) -> bool:
    """Whether it is to be told at this whole minute. One that was changed later is not: its change counts from then."""
    wish, day = subscription.wish, at.astimezone(CHINA).date()
    if wish.minute != minute_of(at) or subscription.changed_at >= at or day.isoweekday() not in wish.weekdays:
        return False
    return not wish.is_working_days or calendar.is_working(day)


def next_due(subscription: Subscription, after: datetime, calendar: WorkingDays) -> datetime | None:
    """When it is told next; None: not within a month (a calendar without the asked-for days)."""
    first = after.astimezone(CHINA).date()
    for number in range(32):
        at = due_on(first + timedelta(days=number), subscription.wish.minute)
        if at > after and is_due(subscription, at, calendar):
            return at
    return None


def key_of(subscription: str, version: int, due_at: datetime) -> str:
    """What its notice of a day is called, however often it is planned."""
    name = subscription if version == 1 else f"{subscription}.{version}"
    return f"weather/{name}/{due_at.astimezone(CHINA):%Y%m%d}"


def about_of(subscription: str, due_at: datetime) -> str:
    """What an entry is about: the subscription, and which moment of it. `read_about` reads it."""
    return f"{subscription}/{due_at.astimezone(CHINA):%Y%m%d%H%M}"


def read_about(about: str) -> tuple[str, datetime] | None:
    """The subscription and when it was due.

    >>> read_about(about_of("9d53", datetime(2026, 7, 1, tzinfo=UTC)))
    ('9d53', datetime.datetime(2026, 7, 1, 0, 0, tzinfo=datetime.timezone.utc))
    """
    name, _, minute = about.partition("/")
    try:
        return name, datetime.strptime(minute, "%Y%m%d%H%M").replace(tzinfo=CHINA).astimezone(UTC)
    except ValueError:
        return None


def entry_of(subscription: Subscription, due_at: datetime) -> Entry:
    """The notice that waits until then."""
    return Entry(
        key=key_of(subscription.id, subscription.version, due_at),
        template=subscription.template,
        citizen=subscription.citizen,
        about=about_of(subscription.id, due_at),
        lane=LANES[subscription.template],
        due_at=due_at,
        expires_at=due_at + LASTS,
    )


def standings(wechat_template: str) -> tuple[Standing, ...]:
    """Both templates, for whoever tells them."""
    return tuple(Standing(template, lane, TOPIC, wechat_template) for template, lane in LANES.items())


LANES = {DAILY: Lane.DIGEST, ONLY_IF: Lane.REMINDER}
