"""Reminders of an application's own times: what was asked for is not there yet, a result was not fetched. Pure.

What follows from a step is put with the step, in its transaction: before the citizen's time to complete the application
ends (补正), and after a result has waited for a while. A step away takes them back. What a reminder says is made when
it is sent: one that is not so any more is left out. It names the line that began the state, so what was asked for a
second time is reminded of a second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from server.domain.application_news import LANES, MORNING, Change, News
from server.domain.applications import Application
from server.domain.china import CHINA, china_day
from server.domain.deadlines import Calendar, after, days_before
from server.domain.outbox import Entry
from server.domain.wording import Words
from server.domain.workflow import Workflow

SUPPLY_BEFORE = (3, 1)  # working days before the last one
FETCH_LASTS = timedelta(days=7)


def reminders_of(before: Application, now: Application, workflow: Workflow, calendar: Calendar) -> Change:
    """What a step from one to the other puts into the outbox, and what it takes back."""
    was, is_now = began(before), began(now)
    if was == is_now:
        return Change()
    entries = (*_supply(now, is_now, calendar), *_fetch(now, is_now, workflow, calendar))
    return Change(entries, tuple(_keys(before, was, workflow)) if was else ())


def began(application: Application) -> int:
    """The number of the line with which its present state began; 0 for a draft.

    Lines that stay in the state (somebody asked for speed) change nothing.
    """
    seq = 0
    for line in reversed(application.timeline):
        if line.state != application.standing.state:
            break
        seq = line.seq
    return seq


def supply_words(application: Application, mark: str) -> Words | None:
    """Until when it has to be completed; None if it waits for that no more, or for another asking."""
    last = application.standing.clock.lapses_on
    if last is None or mark != str(began(application)):
        return None
    return Words(
        f"需补正的材料还未提交，请于{_zh(last)}前（含当日）提交，逾期按撤回处理",
        f"What you were asked for is not there yet: bring it by {last.isoformat()}, or it counts as withdrawn",
    )


def fetch_words(application: Application, mark: str, workflow: Workflow) -> Words | None:
    """That the result is still there; None once it was handed over."""
    row = workflow.by_name.get(application.standing.state)
    if row is None or not row.fetch_days or mark != str(began(application)):
        return None
    return Words(
        "办理结果已可领取，还未见领取记录；如已领取请忽略",
        "Your result is ready and was not fetched as far as we know; if you have it, never mind",
    )


def _supply(application: Application, seq: int, calendar: Calendar) -> Iterator[Entry]:
    last = application.standing.clock.lapses_on
    if last is None:
        return
    since, end = application.changed_at, after(last)
    dues = [(left, _morning(days_before(last, left, calendar))) for left in SUPPLY_BEFORE]
    ends = [*(due_at for _, due_at in dues[1:]), end]  # the next one says it as well
    for (left, due_at), expires_at in zip(dues, ends, strict=True):
        if china_day(due_at) > china_day(since):
            yield from _entries(application, News.SUPPLY, seq, f"/{left}", due_at, expires_at)


def _fetch(application: Application, seq: int, workflow: Workflow, calendar: Calendar) -> Iterator[Entry]:
    row = workflow.by_name[application.standing.state]
    if row.fetch_days:
        due_at = _morning(calendar.add(china_day(application.changed_at), row.fetch_days).day)
        yield from _entries(application, News.FETCH, seq, "", due_at, due_at + FETCH_LASTS)


def _entries(
    application: Application, news: News, seq: int, mark: str, due_at: datetime, expires_at: datetime
) -> Iterator[Entry]:
    for n, citizen in enumerate(dict.fromkeys((application.citizen, application.actor))):
        yield Entry(
            key=f"{_key(application, news, seq)}{mark}/{n}",
            template=news.value,
            citizen=citizen,
            about=f"{application.id}.{seq}",
            lane=LANES[news],
            due_at=due_at,
            expires_at=expires_at,
        )


def _keys(application: Application, seq: int, workflow: Workflow) -> Iterator[str]:
    """All that may wait for the state that is left; two people at most are told of one application."""
    row = workflow.by_name[application.standing.state]
    if application.standing.clock.lapses_on:
        yield from (f"{_key(application, News.SUPPLY, seq)}/{left}/{n}" for left in SUPPLY_BEFORE for n in (0, 1))
    if row.fetch_days:
        yield from (f"{_key(application, News.FETCH, seq)}/{n}" for n in (0, 1))


def _key(application: Application, news: News, seq: int) -> str:
    return f"application/{application.id}/{news.value.rpartition('.')[2]}/{seq}"


def _morning(day: date) -> datetime:
    return datetime.combine(day, MORNING, CHINA)


def _zh(day: date) -> str:
    return f"{day.month}月{day.day}日"
