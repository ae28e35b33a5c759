"""What one person finds in the inbox: alerts in force for the own places, and news of the own things. Pure.

Promises. An alert is here exactly if it concerns a place by the rule that warns people, whether a notice of it arrived
or not. News is what the outbox holds for the person; its words are made when it is read. A program that keeps a copy
asks with the `sync` of its last walk and is told every change since then, some of them a second time, none never.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from server.domain.bulletins_json import PublicBulletin
from server.domain.errors import InvalidInputError
from server.domain.feeds_json import EXAMPLE as ALERT
from server.domain.feeds_json import PublicAlert
from server.domain.outbox import Texts
from server.domain.wording import LANGUAGES

OVERLAP = timedelta(seconds=65)  # a transaction lives for 60 s: what it wrote before is seen only when it is over
LIMIT, MAX_LIMIT = 50, 200
ITEM = r"[0-9a-f]{32}"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_SYNC = re.compile(r"\d{1,14}", re.ASCII)
_AFTER = re.compile(rf"(\d{{1,14}})\.(\d{{1,14}})\.({ITEM})", re.ASCII)
AT = "2026-11-24T09:30:00+08:00"
_ITEM = {
    "id": "9f86d081884c7d659a2feaa0c55ad015",
    "template": "booking.confirmed",
    "about": "b-7d1f",
    "at": AT,
    "texts": {"zh": {"title": "预约成功", "body": "11月25日 9:00 南山区政务服务中心"}},
    "page": "pages/booking/booking?id=b-7d1f",
    "read_at": None,
}
_IN_FORCE = {
    "alert": dict(ALERT),
    "is_exercise": False,
    "places": [
        {
            "id": "0b7de8c2f4a84c6e9d53a1c0e2b4d6f8",
            "label": "home",
            "division": "440305001",
            "division_name": "南头街道",
        }
    ],
    "read_at": None,
}


def _like(example: Mapping[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": dict(example)})


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InboxPlace(_Told):
    """One of the reader's own places."""

    id: str = Field(description="as under /v1/me/places; empty for one that nobody has looked at there yet")
    label: str = Field(description="home, work, parents, other")
    division: str
    division_name: str


class InboxAlert(_Told):
    """An alert that is in force for at least one of the reader's places."""

    alert: PublicAlert
    is_exercise: bool = Field(description="only people who take part in exercises are shown one")
    places: tuple[InboxPlace, ...] = Field(description="which of the reader's places it concerns")
    read_at: AwareDatetime | None = Field(default=None, description="null again after every new message of its chain")


class InboxText(_Told):
    """What it says in one language."""

    title: str
    body: str


class InboxItem(_Told):
    """One piece of news. `about` is the id of the thing, which `template` says the kind of."""

    id: str
    template: str
    about: str
    at: AwareDatetime
    texts: Mapping[str, InboxText] = Field(description="by language: zh, en")
    page: str = Field(description='the mini-program\'s page with its query; "" = none')
    read_at: AwareDatetime | None = None


class InboxBulletin(_Told):
    """A public notice on what the reader follows."""

    bulletin: PublicBulletin
    read_at: AwareDatetime | None = Field(default=None, description="null again after every new version")


class Unread(_Told):
    """How much has not been opened."""

    alerts: int
    items: int
    bulletins: int = 0


class InboxPage(_Told):
    """Alerts in force now, worst first, and news, newest first. Items older than 90 days are not here any more."""

    alerts: tuple[InboxAlert, ...] = Field(description="all of them, on every page")
    bulletins: tuple[InboxBulletin, ...] = Field(
        default=(), description="the newest of what one follows, on every page; withdrawn ones say so"
    )
    items: tuple[InboxItem, ...]
    gone: tuple[str, ...] = Field(description="with `since`: ids of items that were taken back")
    unread: Unread
    sync: str = Field(description="the `since` of the next walk; equal on all pages of this one")
    next: str | None = Field(default=None, description="the `after` of the next page; null = no more")

    model_config = _like(
        {
            "alerts": [_IN_FORCE],
            "bulletins": [],
            "items": [_ITEM],
            "gone": [],
            "unread": {"alerts": 1, "items": 1, "bulletins": 0},
            "sync": "1795484970000",
            "next": None,
        }
    )


class After(NamedTuple):
    """Where a page begins: after this item, in a walk whose `sync` is this."""

    sync: datetime
    due_at: datetime
    item: str


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry of the outbox as its citizen may see it: due, and withdrawn or not."""

    item: str
    template: str
    about: str
    due_at: datetime
    read_at: datetime | None
    is_withdrawn: bool


def sync_of(now: datetime) -> datetime:
    """From where a later walk has to ask, so that nothing is missed that a write before `now` may still show."""
    return now - OVERLAP


def write_moment(at: datetime) -> str:
    """A time as cursors hold it."""
    return str((at - _EPOCH) // _MS)


def read_since(text: str) -> datetime:
    """The time in a `sync`; InvalidInputError `cursor_invalid`."""
    if not _SYNC.fullmatch(text):
        raise _bad("since")
    return _EPOCH + int(text) * _MS


def write_after(after: After) -> str:
    """The cursor of the next page."""
    return f"{write_moment(after.sync)}.{write_moment(after.due_at)}.{after.item}"


def read_after(text: str) -> After:
    """The inverse of `write_after`; InvalidInputError `cursor_invalid`."""
    match = _AFTER.fullmatch(text)
    if match is None:
        raise _bad("after")
    return After(_EPOCH + int(match[1]) * _MS, _EPOCH + int(match[2]) * _MS, match[3])


def words_of(texts: Texts) -> tuple[dict[str, InboxText], str]:
    """Title and body by language, and the mini-program's page, from the texts of the channels.

    Push texts say it best; whoever tells something by SMS alone has no title.
    """
    push, sms = texts.get("push", {}), texts.get("sms", {})
    words = {
        language: InboxText(title=str(push[language]["title"]), body=str(push[language]["body"]))
        if language in push
        else InboxText(title="", body=str(sms[language]["text"]))
        for language in LANGUAGES
        if language in push or language in sms
    }
    page = next((str(text["page"]) for text in texts.get("wechat", {}).values() if text.get("page")), "")
    return words, page


def item_view(stored: Stored, texts: Texts) -> InboxItem:
    """One item with its words."""
    words, page = words_of(texts)
    return InboxItem(
        id=stored.item,
        template=stored.template,
        about=stored.about,
        at=stored.due_at,
        texts=words,
        page=page,
        read_at=stored.read_at,
    )


def by_template(entries: Sequence[Stored]) -> dict[str, list[str]]:
    """What has to be rendered: the things by template, each once."""
    found: dict[str, list[str]] = {}
    for each in entries:
        if not each.is_withdrawn:
            found.setdefault(each.template, []).append(each.about)
    return {template: sorted(set(abouts)) for template, abouts in found.items()}


def _bad(field: str) -> InvalidInputError:
    return InvalidInputError("cursor_invalid", zh="翻页标记无效", en="the cursor is wrong", field=field)
