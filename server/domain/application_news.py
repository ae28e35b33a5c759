"""What people hear of applications besides the steps: they are asked to confirm, were answered, have a forgotten draft.

Pure. Everything follows from the application before and after a change, so whoever writes the change writes its notices
in the same transaction, and takes back the questions that are not open any more. A draft that nobody has touched is
thrown away (data minimisation: 个人信息保护法, articles 6 and 19), and not before its people were told and had a week.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from server.domain.applications import Application
from server.domain.broadcasts import Lane
from server.domain.china import CHINA, china_day
from server.domain.co_applicants import Agreement, Answer
from server.domain.outbox import Entry
from server.domain.wording import Words

IDLE_FOR = timedelta(days=90)  # a draft that was not touched for so long is thrown away
REMINDED_BEFORE = timedelta(days=7)
ASKED_ENDS_BEFORE = timedelta(days=2)  # a question that is still open then is asked a second time
TOLD_LASTS = timedelta(days=3)  # a notice that could not be sent by then is only in the inbox
MORNING, EVENING = time(8), time(20)  # in China: a reminder rings from the one to the other


class News(StrEnum):
    """What can be told; the values are the names of templates."""

    MOVED = "application.moved"  # a step: see `application_steps`
    ASKED = "application.asked"
    ANSWERED = "application.answered"
    IDLE = "application.idle"
    SUPPLY = "application.supply"  # what was asked for has to be there soon: see `application_reminders`
    FETCH = "application.fetch"
    ASKED_ENDS = "application.asked_ends"


REMINDERS = frozenset({News.IDLE, News.SUPPLY, News.FETCH, News.ASKED_ENDS})
LANES = {news: Lane.REMINDER if news in REMINDERS else Lane.TRANSACTIONAL for news in News}
WORDS = {
    Answer.WAITING: Words("请您作为共同申请人确认", "You are asked to confirm it as one who applies together"),
    Answer.AGREED: Words("共同申请人已确认", "Somebody who applies with you has confirmed"),
    Answer.DECLINED: Words("共同申请人不同意", "Somebody who applies with you has declined"),
    Answer.LAPSED: Words("共同申请人未在期限内确认", "Somebody who applies with you has not answered in time"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """What a change comes to: notices that shall wait, and keys of those that are not true any more."""

    entries: tuple[Entry, ...] = ()
    moot: tuple[str, ...] = ()


NOTHING = Change()


def change_of(before: Application, after: Application) -> Change:
    """The questions that are new, the answers that are new, and the questions that are closed."""
    open_before = {each.question for each in before.agreements if each.is_waiting}
    open_now = {each.question for each in after.agreements if each.is_waiting}
    entries = [
        *(
            entry
            for each in after.agreements
            if each.question in open_now - open_before
            for entry in (_asked(after, each), _asked_ends(after, each))
        ),
        *(
            entry
            for each in after.agreements
            if each.question in open_before - open_now
            for entry in _answered(after, each)
        ),
    ]
    closed = sorted(open_before - open_now)
    moot = [key for each in closed for key in (asked_key(after.id, each), asked_ends_key(after.id, each))]
    return Change(tuple(entries), tuple(moot))


def asked_key(application: str, question: str) -> str:
    """The key of the notice that asks."""
    return f"application/{application}/asked/{question}"


def asked_ends_key(application: str, question: str) -> str:
    """The key of the notice that the question is about to lapse."""
    return f"application/{application}/asked_ends/{question}"


def about_of(application: str, question: str) -> str:
    """What a notice about a question is about."""
    return f"{application}.{question}"


def asked_of(application: Application, question: str) -> Agreement | None:
    """The agreement that was asked so."""
    return next((each for each in application.agreements if each.question == question), None)


def words_of(agreement: Agreement) -> Words:
    """What is said of it; while it waits, until when."""
    words = WORDS[agreement.answer]
    if not agreement.is_waiting:
        return words
    day = china_day(agreement.until)
    return Words(f"{words.zh}，{_zh(day)}前有效", f"{words.en}, before {day.isoformat()}")


def idle_at(application: Application) -> datetime | None:
    """When a draft that stays as it is needs its reminder; None for what was handed in."""
    return application.changed_at + IDLE_FOR - REMINDED_BEFORE if application.is_draft else None


def reminders(application: Application, now: datetime) -> tuple[datetime, tuple[Entry, ...]]:
    """When this forgotten draft will be thrown away, and what its people are told of it, in the day."""
    due_at = ringing(now)
    dropped_at = due_at + REMINDED_BEFORE
    mark = f"{application.version}.{china_day(dropped_at):%Y%m%d}"
    entries = tuple(
        Entry(
            key=f"application/{application.id}/idle/{application.version}/{n}",
            template=News.IDLE.value,
            citizen=citizen,
            about=f"{application.id}.{mark}",
            lane=LANES[News.IDLE],
            due_at=due_at,
            expires_at=due_at + TOLD_LASTS,
        )
        for n, citizen in enumerate(_owners(application))
    )
    return dropped_at, entries


def idle_words(application: Application, mark: str) -> Words | None:
    """What is said of a forgotten draft; None once it was touched or handed in, and for what is no mark of ours."""
    version, _, day = mark.partition(".")
    if not application.is_draft or version != str(application.version):
        return None
    try:
        on = date.fromisoformat(day)
    except ValueError:
        return None
    return Words(
        f"草稿久未修改，将于{_zh(on)}删除；如需保留，请继续填写",
        f"This draft was not touched for long and will be deleted on {on.isoformat()}; go on with it to keep it",
    )


def ringing(at: datetime) -> datetime:
    """Then, or if that is in the night, the next morning.

    >>> ringing(datetime(2026, 11, 24, 21, 0, tzinfo=CHINA)).isoformat()
    '2026-11-25T08:00:00+08:00'
    """
    there = at.astimezone(CHINA)
    if MORNING <= there.time() < EVENING:
        return at
    day = there.date() + timedelta(days=there.time() >= EVENING)
    return datetime.combine(day, MORNING, CHINA)


def _asked(application: Application, agreement: Agreement) -> Entry:
    return Entry(
        key=asked_key(application.id, agreement.question),
        template=News.ASKED.value,
        citizen=agreement.citizen,
        about=about_of(application.id, agreement.question),
        lane=LANES[News.ASKED],
        due_at=agreement.asked_at,
        expires_at=agreement.asked_at + TOLD_LASTS,
    )


def _asked_ends(application: Application, agreement: Agreement) -> Entry:
    return Entry(
        key=asked_ends_key(application.id, agreement.question),
        template=News.ASKED_ENDS.value,
        citizen=agreement.citizen,
        about=about_of(application.id, agreement.question),
        lane=LANES[News.ASKED_ENDS],
        due_at=ringing(agreement.until - ASKED_ENDS_BEFORE),
        expires_at=agreement.until,
    )


def _answered(application: Application, agreement: Agreement) -> Iterator[Entry]:
    at = agreement.answered_at or application.changed_at
    for n, citizen in enumerate(_owners(application)):
        yield Entry(
            key=f"application/{application.id}/answered/{agreement.question}/{agreement.answer}/{n}",
            template=News.ANSWERED.value,
            citizen=citizen,
            about=about_of(application.id, agreement.question),
            lane=LANES[News.ANSWERED],
            due_at=at,
            expires_at=at + TOLD_LASTS,
        )


def _owners(application: Application) -> tuple[int, ...]:
    return tuple(dict.fromkeys((application.citizen, application.actor)))


def _zh(day: date) -> str:
    return f"{day.month}月{day.day}日"
