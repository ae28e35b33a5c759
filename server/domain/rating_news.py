"""The one gentle reminder that a finished case may be rated. Pure.

It comes on a Saturday morning, on the quietest lane, and speaks of all that ended in the week before: a person hears of
it once a week at most, and only of what they have not rated. Who withdrew a case, or let it lapse, is not asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from server.domain.applications import Application
from server.domain.broadcasts import Lane
from server.domain.china import CHINA, china_day
from server.domain.notices import Notice
from server.domain.outbox import Entry
from server.domain.wording import Words
from server.domain.workflow import Party

TEMPLATE = "rating.wanted"
TOPIC = "application.rating"
LANE = Lane.DIGEST
SATURDAY = 5
AT = time(10)  # in China
RESTED = timedelta(days=2)  # after the end: first one sees what one got
WEEK = timedelta(days=7)
LASTS = timedelta(days=2)  # past the weekend nobody is asked
OFFICE = frozenset({Party.CLERK, Party.APPROVER, Party.SUPERVISOR})
NAMED_AT_MOST = 3
PAGE = "pages/applications/applications"


def invited(before: Application, after: Application) -> tuple[Entry, ...]:
    """What the step that ends a case puts into the outbox. The same week's next case comes to the same key."""
    if after.ended_at is None or before.ended_at or after.timeline[-1].party not in OFFICE:
        return ()
    day = invited_on(after.ended_at)
    due_at = datetime.combine(day, AT, CHINA)
    key = f"rating/{after.actor}/{day:%Y%m%d}"
    return (Entry(key, TEMPLATE, after.actor, f"{after.id}.{day:%Y%m%d}", LANE, due_at, due_at + LASTS),)


def invited_on(ended_at: datetime) -> date:
    """The Saturday on which one is asked about what ended then.

    >>> invited_on(datetime(2026, 11, 26, 9, tzinfo=CHINA)), invited_on(datetime(2026, 11, 27, 9, tzinfo=CHINA))
    (datetime.date(2026, 11, 28), datetime.date(2026, 12, 5))
    """
    day = china_day(ended_at) + RESTED
    return day + timedelta(days=(SATURDAY - day.weekday()) % 7)


def ended_between(day: date) -> tuple[datetime, datetime]:
    """From when until when (not with it) those cases ended that one is asked about on this Saturday."""
    until = datetime.combine(day - RESTED + timedelta(days=1), time(), CHINA)
    return until - WEEK, until


def is_wanted(application: Application) -> bool:
    """Whether the office has ended it and there is something to rate."""
    end = next((line for line in reversed(application.timeline) if line.at == application.ended_at), None)
    return end is not None and end.party in OFFICE and bool(application.number)


def notice_of(cases: Sequence[Application], at: datetime) -> Notice:
    """What is said of one or several cases, the one that ended last named first."""
    latest = sorted(cases, key=lambda case: (case.ended_at or at, case.id), reverse=True)
    zh = "、".join(case.item_name.zh for case in latest[:NAMED_AT_MOST])
    en = ", ".join(case.item_name.en or case.item_name.zh for case in latest[:NAMED_AT_MOST])
    if len(latest) == 1:
        body = Words(f"{zh}已办结，欢迎评价；如不需要请忽略", f"{en} is finished: rate it if you like")
        return Notice(Words("办得怎么样", "How was it?"), body, f"{PAGE}?id={latest[0].id}", at)
    more = len(latest) > NAMED_AT_MOST
    body = Words(
        f"{len(latest)}件已办结（{zh}{'等' if more else ''}），欢迎评价；如不需要请忽略",
        f"{len(latest)} cases are finished ({en}{', ...' if more else ''}): rate them if you like",
    )
    return Notice(Words("办得怎么样", "How was it?"), body, PAGE, at)
