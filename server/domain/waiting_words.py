"""What those are told who wait: what there is, until when, and what to do. Pure."""

from __future__ import annotations

from datetime import datetime

from server.domain.booking import Seat
from server.domain.china import CHINA
from server.domain.resources import Resource
from server.domain.waiting import Entry
from server.domain.wording import Words


def page(entry: str) -> str:
    """The mini-program's page of an entry."""
    return f"pages/waiting/waiting?entry={entry}"


def name_of(resource: Resource) -> Words:
    """The unit and the resource in both languages."""
    unit, own = resource.unit_name, resource.name
    return Words(f"{unit.get('zh')} {own.get('zh')}", f"{unit.get('en')}, {own.get('en')}")


def offer(seat: Seat, name: Words, until: datetime) -> tuple[Words, Words]:
    """Title and body: a seat is kept for them."""
    title = Words("候补有号，请尽快确认", "A seat for you: please confirm")
    body = Words(
        f"{name.zh} {_zh(seat.begins_at)}有号，已为您保留至{_zh(until)}。请在此之前确认或放弃，逾期将转给下一位。",
        f"{name.get('en')}, {_en(seat.begins_at)}: kept for you until {_en(until)}. "
        "Confirm or decline it before then, or it goes to the next person.",
    )
    return title, body


def over(entry: Entry) -> tuple[Words, Words]:
    """Title and body: the waiting has ended without a seat."""
    title = Words("候补已结束", "The waiting list entry has ended")
    body = Words(
        f"您在{entry.first_day:%m月%d日}至{entry.last_day:%m月%d日}的候补未能约上。请重新查询其他日期或再次候补。",
        f"Your entry for {entry.first_day} to {entry.last_day} has ended without a booking. "
        "Search for other days or join the list again.",
    )
    return title, body


def _zh(moment: datetime) -> str:
    local = moment.astimezone(CHINA)
    return f"{local.month}月{local.day}日{local:%H:%M}"


def _en(moment: datetime) -> str:
    return f"{moment.astimezone(CHINA):%Y-%m-%d %H:%M}"
