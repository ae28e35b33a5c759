"""Bulletins as JSON: what the public reads, and the cursor of its lists. Pure.

Promise: whether one still holds is computed when it is read. A withdrawn one says so until its time is over.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from server.domain.bulletins import BULLETIN, Body, Bulletin, Content, Group, State, Title, Topic, Topics, Version
from server.domain.divisions import Divisions
from server.domain.errors import InvalidInputError

_EPOCH, _MS = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_AFTER = re.compile(rf"(\d{{1,14}})\.({BULLETIN})", re.ASCII)
_ONE: dict[str, Any] = {
    "id": "4c1f0e9d2b7a48d6a3c5e8f10b6d7a92",
    "topic": "water",
    "standing": "current",
    "version": 1,
    "title": {"zh": "南头街道计划停水", "en": "Planned water outage in Nantou"},
    "body": {"zh": "11月25日9时至17时停水，请提前储水。", "en": ""},
    "areas": [{"division": "440305001", "zh": "南头街道", "en": "Nanshan District"}],
    "valid_from": "2026-11-25T09:00:00+08:00",
    "valid_until": "2026-11-25T17:00:00+08:00",
    "link": "",
    "source": {"zh": "深圳市水务集团", "en": "Shenzhen Water"},
    "published_at": "2026-11-24T09:30:00+08:00",
    "changed_at": "2026-11-24T09:30:00+08:00",
    "note": "",
    "reason": "",
}


class Standing(StrEnum):
    """Whether it holds."""

    CURRENT = "current"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


def _like(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": example})


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Named(_Told):
    """A name in both languages."""

    zh: str
    en: str


class BulletinArea(_Told):
    """One area."""

    division: str
    zh: str
    en: str


class PublicBulletin(_Told):
    """The newest version of one bulletin."""

    model_config = _like(_ONE)

    id: str
    topic: str
    standing: Standing
    version: int
    title: Title
    body: Body
    areas: tuple[BulletinArea, ...]
    valid_from: AwareDatetime
    valid_until: AwareDatetime
    link: str
    source: Named
    published_at: AwareDatetime = Field(description="of its first version")
    changed_at: AwareDatetime = Field(description="of this version, or when it was withdrawn")
    note: str = Field(description="what this version corrects")
    reason: str = Field(description="why it was withdrawn")


class PastVersion(_Told):
    """One version as it was published."""

    version: int
    title: Title
    body: Body
    areas: tuple[BulletinArea, ...]
    note: str
    published_at: AwareDatetime


class BulletinWhole(_Told):
    """A bulletin with its history, newest first."""

    model_config = _like({"bulletin": _ONE, "history": []})

    bulletin: PublicBulletin
    history: tuple[PastVersion, ...]


class BulletinPage(_Told):
    """Bulletins that hold or were withdrawn, newest first."""

    model_config = _like({"bulletins": [_ONE], "next": None})

    bulletins: tuple[PublicBulletin, ...]
    next: str | None = Field(default=None, description="the `after` of the next page; null = no more")


class TopicsView(_Told):
    """What there is to follow."""

    model_config = _like(
        {
            "topics": [{"id": "water", "group": "outage", "lane": "reminder", "zh": "停水", "en": "Water outages"}],
            "groups": [{"id": "outage", "zh": "停水停电停气", "en": "Outages"}],
        }
    )

    topics: tuple[Topic, ...]
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, topics: Topics) -> TopicsView:
        """All of them."""
        return cls(topics=topics.topics, groups=topics.groups)


class After(NamedTuple):
    """Where a page begins: after this one, newest first."""

    changed_at: datetime
    id: str


def write_after(after: After) -> str:
    """The cursor that leads past this one."""
    return f"{(after.changed_at - _EPOCH) // _MS}.{after.id}"


def read_after(text: str) -> After:
    """The inverse of `write_after`; InvalidInputError `cursor_invalid`."""
    match = _AFTER.fullmatch(text)
    if match is None:
        raise InvalidInputError("cursor_invalid", zh="翻页标记无效", en="the cursor is wrong", field="after")
    return After(_EPOCH + int(match[1]) * _MS, match[2])


def standing_of(bulletin: Bulletin, now: datetime) -> Standing:
    """Whether a published one holds."""
    if bulletin.state is State.WITHDRAWN:
        return Standing.WITHDRAWN
    return Standing.CURRENT if bulletin.versions[-1].content.valid_until > now else Standing.EXPIRED


def public_bulletin(bulletin: Bulletin, divisions: Divisions, now: datetime) -> PublicBulletin:
    """The newest published version."""
    version = bulletin.versions[-1]
    content = version.content
    return PublicBulletin(
        id=bulletin.id,
        topic=content.topic,
        standing=standing_of(bulletin, now),
        version=version.number,
        title=content.title,
        body=content.body,
        areas=_areas(content, divisions),
        valid_from=content.valid_from,
        valid_until=content.valid_until,
        link=content.link,
        source=Named(zh=bulletin.source.name, en=bulletin.source.name_en or bulletin.source.name),
        published_at=bulletin.versions[0].published_at,
        changed_at=bulletin.changed_at,
        note=content.note,
        reason=bulletin.withdrawal.reason if bulletin.withdrawal else "",
    )


def whole(bulletin: Bulletin, divisions: Divisions, now: datetime) -> BulletinWhole:
    """With every version."""
    past = tuple(_past(version, divisions) for version in reversed(bulletin.versions))
    return BulletinWhole(bulletin=public_bulletin(bulletin, divisions, now), history=past)


def _past(version: Version, divisions: Divisions) -> PastVersion:
    content = version.content
    return PastVersion(
        version=version.number,
        title=content.title,
        body=content.body,
        areas=_areas(content, divisions),
        note=content.note,
        published_at=version.published_at,
    )


def _areas(content: Content, divisions: Divisions) -> tuple[BulletinArea, ...]:
    named = [(code, divisions.area(code)) for code in content.areas if divisions.is_known(code)]
    return tuple(BulletinArea(division=code, zh=area.zh, en=area.en) for code, area in named)
