"""The words about a booking on every channel. Pure.

An SMS is read by whoever holds the phone: it says that something about a booking waits, never what or where. The rest
is for the person's own screen, within the limits of push and of the filed WeChat template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from server.domain.booking import State, Visit
from server.domain.booking_news import News
from server.domain.china import CHINA
from server.domain.notices import Frame, frame_of
from server.domain.outbox import Texts
from server.domain.resources import Named, Resource
from server.domain.templates import Registry, clean, fit, wechat_limit
from server.domain.texts import LIMITS, WECHAT_LANGUAGE, wechat_time
from server.domain.waiting import entry_of
from server.domain.wording import LANGUAGES, NO_WORDS, Words

# The rows of data/templates.yaml; several kinds of news may share one.
EVENTS: Mapping[News, str] = {
    News.CONFIRMED: "booking",
    News.MOVED: "booking",
    News.CANCELLED: "booking",
    News.CLOSED: "booking_closed",
    News.REMINDER_DAY: "booking_reminder",
    News.REMINDER_HOURS: "booking_reminder",
    News.CALLED: "booking_called",
    News.OFFERED: "booking_offered",
    News.HOLD_ENDS: "booking_reminder",
    News.OFFER_ENDS: "booking_offered",
}


@dataclass(frozen=True, slots=True)
class Saying:
    """How one kind of news is said. `advice` is the short last line of a WeChat notice: 20 characters at most."""

    title: Words
    body: Words
    advice: Words


SAYINGS: Mapping[News, Saying] = {
    News.CONFIRMED: Saying(
        Words("预约成功", "Booked"),
        Words("{when}，{where}，{what}。请按时到达。", "{when}, {where}, {what}. Please be on time."),
        Words("请按时到达", "Please be on time"),
    ),
    News.MOVED: Saying(
        Words("预约已改期", "Booking moved"),
        Words("已改为{when}，{where}，{what}。", "It is now on {when}, {where}, {what}."),
        Words("请按新的时间到达", "Mind the new time"),
    ),
    News.CANCELLED: Saying(
        Words("预约已取消", "Booking cancelled"),
        Words("{when}，{where}，{what}的预约已取消。", "Your booking on {when}, {where}, {what} is cancelled."),
        Words("如仍需办理请重新预约", "Book again if needed"),
    ),
    News.CLOSED: Saying(
        Words("预约因故取消", "Booking called off"),
        Words(
            "{when}，{where}，{what}因故停办{reason}，您的预约已取消，不计入违约。请改约其他时间。",
            "{when}, {where}, {what} does not take place{reason}. It is no fault of yours; please choose another time.",
        ),
        Words("请改约其他时间", "Choose another time"),
    ),
    News.REMINDER_DAY: Saying(
        Words("预约提醒", "Your booking"),
        Words(
            "{when}，{where}，{what}。如不能前往请尽早取消。",
            "{when}, {where}, {what}. If you cannot come, please cancel early.",
        ),
        Words("如不能前往请尽早取消", "Or cancel early"),
    ),
    News.REMINDER_HOURS: Saying(
        Words("预约即将开始", "Your booking is near"),
        Words("{when}，{where}，{what}。请预留路上的时间。", "{when}, {where}, {what}. Allow time for the way."),
        Words("请预留路上的时间", "Allow time to travel"),
    ),
    News.CALLED: Saying(
        Words("请现在前往", "It is your turn"),
        Words(
            "{where}，{what}：已叫到您的号，请现在前往。", "{where}, {what}: your number is called, please come now."
        ),
        Words("已叫到您的号", "Please come now"),
    ),
    News.OFFERED: Saying(
        Words("候补有号了", "A place is free"),
        Words(
            "{when}，{where}，{what}有号空出{until}，过时将让给下一位。",
            "{when}, {where}, {what} is free{until}. Then it goes to the next in line.",
        ),
        Words("请尽快打开小程序确认", "Confirm it soon"),
    ),
    News.HOLD_ENDS: Saying(
        Words("号源即将释放", "Confirm it now"),
        Words(
            "{when}，{where}，{what}还未确认{until}，过时号源将释放。",
            "{when}, {where}, {what} is not confirmed yet{until}. Then it is free for others.",
        ),
        Words("请尽快打开小程序确认", "Confirm it now"),
    ),
    News.OFFER_ENDS: Saying(
        Words("候补号即将过期", "Your offer ends soon"),
        Words(
            "{when}，{where}，{what}还为您保留{until}，过时将让给下一位。",
            "{when}, {where}, {what} is still kept for you{until}. Then it goes to the next in line.",
        ),
        Words("请尽快打开小程序确认", "Confirm it now"),
    ),
}
_WEEKDAYS = Words("一二三四五六日", "Mon Tue Wed Thu Fri Sat Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # whatever the locale
_SOMETHING = Words("预约事项", "your appointment")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is said of a booking or an offer. `until`: when an offer ends; `reason`: why something was closed."""

    what: Words
    where: Words
    begins_at: datetime
    page: str
    reason: str = ""
    until: datetime | None = None


def facts_of(visit: Visit, resource: Resource | None) -> Facts:
    """Of a booking; without its resource, which may be gone, only the time is known."""
    what, where = (what_of(resource), where_of(resource)) if resource else (_SOMETHING, NO_WORDS)
    entry = entry_of(visit.booking) if visit.state is State.HELD else ""
    page = waiting_page(entry) if entry else f"pages/booking/booking?id={visit.booking.code}"
    until = visit.booking.hold_until if visit.state is State.HELD else None
    return Facts(what, where, visit.seat.begins_at, page, visit.booking.reason, until)


def waiting_page(entry: str) -> str:
    """Where somebody who waits sees what is offered."""
    return f"pages/waiting/waiting?entry={entry}"


def what_of(resource: Resource) -> Words:
    """The department and who or what is there: 心内科 李医生."""
    return Words(*(_joined(resource.group_name, resource.name, language) for language in LANGUAGES))


def where_of(resource: Resource) -> Words:
    """The institution."""
    return Words(*(resource.unit_name.get(language) for language in LANGUAGES))


def frames_of(registry: Registry) -> dict[News, Frame]:
    """The filed templates of each kind of news, made once; LookupError if one is not filed."""
    return {kind: frame_of(registry, event) for kind, event in EVENTS.items()}


def texts_of(kind: News, facts: Facts, frame: Frame) -> Texts:
    """The texts by channel and language, in the shape of `texts.render`."""
    wechat, push = {}, {}
    for language in LANGUAGES:
        saying, values = SAYINGS[kind], _values(facts, language)
        title = saying.title.get(language)
        body = saying.body.get(language).format_map(values)
        said = {
            "event": title,
            "what": values["what"],
            "when": wechat_time(facts.begins_at),
            "where": values["where"] or values["what"],
            "advice": saying.advice.get(language),
            "sent": wechat_time(facts.begins_at),
        }
        data = {key: fit(said[name], wechat_limit(key)) for key, name in frame.wechat.fields.items()}
        wechat[language] = {
            "template_id": frame.wechat.id,
            "page": facts.page,
            "data": data,
            "lang": WECHAT_LANGUAGE[language],
        }
        push[language] = {"title": fit(title, LIMITS["push_title"]), "body": fit(body, LIMITS["push_body"])}
    return {"wechat": wechat, "push": push, "sms": frame.sms}


def clock(at: datetime, language: str) -> str:
    """A time as a reader in China says it.

    >>> at = datetime(2026, 11, 25, 9, 30, tzinfo=CHINA)
    >>> clock(at, "zh"), clock(at, "en")
    ('11月25日（周三）9:30', 'Wed 25 Nov 9:30')
    """
    local = at.astimezone(CHINA)
    hour = f"{local.hour}:{local:%M}"
    if language == "zh":
        return f"{local.month}月{local.day}日（周{_WEEKDAYS.zh[local.weekday()]}）{hour}"
    return f"{_WEEKDAYS.en.split()[local.weekday()]} {local.day} {_MONTHS[local.month - 1]} {hour}"


def _values(facts: Facts, language: str) -> Mapping[str, str]:
    """What the sentences name. Names and reasons are values here, never templates."""
    is_chinese = language == "zh"
    reason, until = clean(facts.reason).rstrip("。."), facts.until and clock(facts.until, language)
    return {
        "what": clean(facts.what.get(language)) or _SOMETHING.get(language),
        "where": clean(facts.where.get(language)),
        "when": clock(facts.begins_at, language),
        "reason": (f"（{reason}）" if is_chinese else f" ({reason})") if reason else "",
        "until": (f"，请在{until}前确认" if is_chinese else f": confirm it by {until}") if until else "",
    }


def _joined(group: Named, name: Named, language: str) -> str:
    """Both names, or the one that holds the other."""
    first, second = group.get(language), name.get(language)
    return second if first in second else f"{first} {second}"
