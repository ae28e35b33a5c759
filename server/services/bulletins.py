"""What the public reads of bulletins, and what stands in the inbox of those who follow.

Promises. What is over is gone the moment it is over; what was withdrawn says so until then. A list costs one ordered
merge of index ranges, whatever the city has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.bulletins import Topics, broadcast_id, chain_of, marks_about
from server.domain.bulletins_json import (
    After,
    BulletinPage,
    BulletinWhole,
    PublicBulletin,
    public_bulletin,
    read_after,
    whole,
    write_after,
)
from server.domain.divisions import Divisions
from server.domain.follows import Follow
from server.domain.inbox import InboxBulletin
from server.services.bulletin_office import unknown
from server.storage.bulletins import BulletinStore, Wanted
from server.storage.inbox import InboxStore

MAX_IN_FEED = 100
MAX_IN_INBOX = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader wants: a topic, a division (None = any), changed since then, after a cursor."""

    topic: str | None = None
    division: str | None = None
    since: datetime | None = None
    after: str | None = None
    limit: int = 50


class Bulletins:
    """The readers' counter."""

    def __init__(self, store: BulletinStore, topics: Topics, divisions: Divisions, now: Callable[[], datetime]) -> None:
        self.topics = topics
        self.divisions = divisions
        self.now = now
        self._store = store

    async def page(self, asked: Asked) -> BulletinPage:
        """What holds or was withdrawn, newest first. InvalidInputError for a topic or division that is unknown."""
        after = read_after(asked.after) if asked.after is not None else None
        wanted = Wanted(self._marks(asked), asked.since, after, asked.limit + 1)
        now = self.now()
        found = await self._store.shown(wanted, now)
        page = found[: asked.limit]
        return BulletinPage(
            bulletins=tuple(public_bulletin(each, self.divisions, now) for each in page),
            next=write_after(After(page[-1].changed_at, page[-1].id)) if len(found) > len(page) else None,
        )

    async def get(self, bulletin: str) -> BulletinWhole:
        """One that was ever published, with its history; NotFoundError."""
        found = await self._store.find(bulletin)
        if found is None or not found.versions:
            raise unknown()
        return whole(found, self.divisions, self.now())

    async def feed(self, topic: str, division: str | None) -> Sequence[PublicBulletin]:
        """The newest of a topic, everywhere or concerning a division."""
        return (await self.page(Asked(topic, division, limit=MAX_IN_FEED))).bulletins

    async def followed(self, follows: Sequence[Follow]) -> Sequence[PublicBulletin]:
        """The newest that concern what somebody follows."""
        known = [follow for follow in follows if self.divisions.is_known(follow.division)]
        if not known:
            return ()
        lineages = [(follow.topic, self.divisions.lineage(follow.division)) for follow in known]
        marks = sorted({mark for topic, lineage in lineages for mark in marks_about(topic, lineage)})
        now = self.now()
        found = await self._store.shown(Wanted(marks, limit=MAX_IN_INBOX), now)
        return [public_bulletin(each, self.divisions, now) for each in found]

    def _marks(self, asked: Asked) -> tuple[str, ...]:
        topic = self.topics.get(asked.topic).id if asked.topic is not None else None
        lineage = self.divisions.lineage(asked.division) if asked.division is not None else ()
        return marks_about(topic, lineage)


class Followed:
    """The bulletins in one person's inbox, and which of them were opened."""

    def __init__(self, bulletins: Bulletins, news: InboxStore) -> None:
        self._bulletins = bulletins
        self._news = news

    async def of(self, citizen: int, follows: Sequence[Follow]) -> tuple[InboxBulletin, ...]:
        """The newest of what they follow, from what is public now: whether a notice arrived does not matter."""
        found = await self._bulletins.followed(follows)
        chains = [chain_of(each.id) for each in found]
        marks = await self._news.find_marks(citizen, chains) if chains else {}
        return tuple(InboxBulletin(bulletin=each, read_at=_read_at(each, marks)) for each in found)

    async def mark(self, citizen: int, bulletin: str) -> None:
        """Its newest version was opened; NotFoundError. A second call keeps the first time."""
        version = (await self._bulletins.get(bulletin)).bulletin.version
        name = broadcast_id(bulletin, version)
        await self._news.mark_alert(citizen, chain_of(bulletin), name, self._bulletins.now())


def _read_at(bulletin: PublicBulletin, marks: Mapping[str, tuple[str, datetime]]) -> datetime | None:
    """When this very version was opened."""
    name, at = marks.get(chain_of(bulletin.id), ("", None))
    return at if name == broadcast_id(bulletin.id, bulletin.version) else None
