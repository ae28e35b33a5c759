"""The inbox: what concerns one person now, even if every notice was missed, and what that person has read.

Promises. Alerts come from the board of what is in force, never from what was sent: a phone that was off for a week is
shown today's truth. A call costs the same few reads whatever it finds: places, follows, news, marks, and one query per
kind of news. What belongs to somebody else is not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from server.domain.alerts.release import audience_of
from server.domain.broadcasts import Audience, Lane
from server.domain.bulletins import bulletin_of
from server.domain.coverage import Coverage, coverage_of
from server.domain.errors import InvalidInputError, NotFoundError
from server.domain.feeds import Published, Standing
from server.domain.feeds_json import PublicAlert, public_alert
from server.domain.follows import follows_in
from server.domain.inbox import (
    LIMIT,
    After,
    InboxAlert,
    InboxBulletin,
    InboxItem,
    InboxPage,
    InboxPlace,
    Stored,
    Unread,
    by_template,
    item_view,
    read_after,
    read_since,
    sync_of,
    write_after,
    write_moment,
)
from server.domain.outbox import Texts, template_of
from server.services.bulletins import Followed
from server.services.feeds import Feeds
from server.services.subjects import Subjects
from server.storage.citizens import Citizens, KnownPlace, Whereabouts
from server.storage.drills import Drills
from server.storage.inbox import InboxStore, Window

MAX_FORGOTTEN = 50  # coverages of alerts that are over

Rendered = Mapping[tuple[str, str], Texts]  # (template, about) -> the words


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of the news: changed since a `sync` ("" = all), after a cursor ("" = from the newest)."""

    since: str = ""
    after: str = ""
    limit: int = LIMIT


@dataclass(frozen=True, slots=True)
class Shelves:
    """The stores that an inbox is read from."""

    citizens: Citizens
    drills: Drills  # on behalf of those who take part in them
    news: InboxStore


class Inbox:
    """The citizens' verbs."""

    def __init__(self, shelves: Shelves, feeds: Feeds, subjects: Subjects, followed: Followed) -> None:
        self._shelves = shelves
        self._followed = followed
        self._feeds = feeds
        self._subjects = subjects
        self._coverage: dict[str, Coverage] = {}

    async def read(self, citizen: int, wanted: Wanted) -> InboxPage:
        """One page of it; InvalidInputError `cursor_invalid`, UnavailableError while nobody can tell what is in force.

        With `since`, `items` are those that are new or were changed, and `gone` those that were taken back.
        """
        now = self._feeds.now()
        since = read_since(wanted.since) if wanted.since else None
        after = read_after(wanted.after) if wanted.after else None
        window = Window((after.due_at, after.item) if after else None, since, wanted.limit + 1)
        (alerts, bulletins), (found, unread) = await asyncio.gather(
            self._concerning(citizen, now), self._shelves.news.page(citizen, now, window)
        )
        page = found[: wanted.limit]
        rendered = await self._render(page)
        items, gone, moot = _sort(page, rendered)
        sync = after.sync if after else sync_of(now)
        more = After(sync, page[-1].due_at, page[-1].item) if len(found) > wanted.limit else None
        return InboxPage(
            alerts=alerts,
            bulletins=bulletins,
            items=tuple(items),
            gone=tuple(gone) if since else (),
            unread=Unread(
                alerts=sum(each.read_at is None for each in alerts),
                items=max(0, unread - moot),
                bulletins=sum(each.read_at is None for each in bulletins),
            ),
            sync=write_moment(sync),
            next=write_after(more) if more else None,
        )

    async def mark(self, citizen: int, item: str) -> None:
        """This was opened; NotFoundError `item_unknown`."""
        if not await self._shelves.news.mark(citizen, item, self._feeds.now()):
            raise _unknown()

    async def mark_until(self, citizen: int, item: str) -> int:
        """This item and all that is older was opened; returns how many had not been. NotFoundError `item_unknown`."""
        count = await self._shelves.news.mark_until(citizen, item, self._feeds.now())
        if count is None:
            raise _unknown()
        return count

    async def mark_alert(self, citizen: int, identifier: str) -> None:
        """This alert was opened; NotFoundError `alert_unknown` for one that is not in force for this person to see."""
        now = self._feeds.now()
        message = self._in_force(identifier)
        if message is None and (await self._shelves.citizens.whereabouts(citizen)).is_tester:
            message = _named(await self._shelves.drills.find_in_force(now), identifier)
        if message is None:
            raise NotFoundError("alert_unknown", zh="没有这条预警", en="no such alert", field="identifier")
        await self._shelves.news.mark_alert(citizen, message.chain, identifier, now)

    async def mark_bulletin(self, citizen: int, bulletin: str) -> None:
        """This public notice was opened; NotFoundError `bulletin_unknown`."""
        await self._followed.mark(citizen, bulletin)

    async def mark_opened(self, citizen: int, broadcast: str, about: str) -> None:
        """A notice of this broadcast was opened: so is what it told of. Strange ones change nothing."""
        if template := template_of(broadcast):
            await self._shelves.news.mark_about(citizen, template, about, self._feeds.now())
        elif bulletin := bulletin_of(broadcast):
            with suppress(NotFoundError):
                await self._followed.mark(citizen, bulletin)
        elif message := self._in_force(broadcast):
            await self._shelves.news.mark_alert(citizen, message.chain, broadcast, self._feeds.now())

    async def render(self, entries: Sequence[Stored]) -> list[InboxItem]:
        """These entries with their words, for an export; what is moot or was withdrawn is left out."""
        return _sort(entries, await self._render(entries))[0]

    async def _concerning(
        self, citizen: int, now: datetime
    ) -> tuple[tuple[InboxAlert, ...], tuple[InboxBulletin, ...]]:
        """Alerts for the places of this person, and public notices on what they follow."""
        where = await self._shelves.citizens.whereabouts(citizen)
        follows = follows_in(where.follows)
        return await asyncio.gather(self._alerts(citizen, where, now), self._followed.of(citizen, follows))

    async def _alerts(self, citizen: int, whereabouts: Whereabouts, now: datetime) -> tuple[InboxAlert, ...]:
        """What is in force for the places of this person, worst first."""
        places, is_tester = whereabouts.places, whereabouts.is_tester
        board = self._feeds.board().alerts
        drills = await self._shelves.drills.find_in_force(now) if is_tester else []
        self._forget({message.identifier for message in board})
        covered = [
            (message, where, message in drills)
            for message in sorted([*board, *drills], key=lambda message: message.rank)
            if (where := [place for place in places if self._covers(message, place)])
        ]
        chains = [message.chain for message, _, _ in covered]
        marks = await self._shelves.news.find_marks(citizen, chains) if chains else {}
        return tuple(
            InboxAlert(
                alert=_shown(message, is_exercise=is_exercise),
                is_exercise=is_exercise,
                places=tuple(self._named(place) for place in where),
                read_at=_read_at(message, marks),
            )
            for message, where, is_exercise in covered
        )

    def _forget(self, names: set[str]) -> None:
        """Keep the coverage of what is in force; now and then is enough."""
        if len(self._coverage) > 2 * len(names) + MAX_FORGOTTEN:
            self._coverage = {name: coverage for name, coverage in self._coverage.items() if name in names}

    def _in_force(self, identifier: str) -> Published | None:
        return _named(self._feeds.board().alerts, identifier)

    def _covers(self, message: Published, place: KnownPlace) -> bool:
        coverage = self._coverage.get(message.identifier)
        if coverage is None:
            coverage = self._coverage[message.identifier] = coverage_of(self._audience(message))
        return coverage.covers(place.division, place.point)

    def _audience(self, message: Published) -> Audience:
        """As at its release; by its divisions alone if the map has changed since then."""
        try:
            return audience_of(message.alert, Lane(message.colour.lower()), self._feeds.divisions)
        except InvalidInputError:
            return Audience(divisions=message.divisions)

    def _named(self, place: KnownPlace) -> InboxPlace:
        division = self._feeds.divisions.find(place.division)
        return InboxPlace(
            id=place.id,
            label=place.label,
            division=place.division,
            division_name=division.name if division else "",
        )

    async def _render(self, entries: Sequence[Stored]) -> Rendered:
        """The words of all of these, one query per template, all at once."""
        known = [(t, abouts) for t, abouts in by_template(entries).items() if t in self._subjects.standing]
        made = await asyncio.gather(*(self._subjects.render(template, abouts) for template, abouts in known))
        return {
            (template, about): texts
            for (template, _), words in zip(known, made, strict=True)
            for about, texts in words.items()
        }


def _sort(entries: Sequence[Stored], rendered: Rendered) -> tuple[list[InboxItem], list[str], int]:
    """The items that have words, the names of those that have none (any more), and how many of these are unread."""
    items: list[InboxItem] = []
    gone: list[Stored] = []
    for each in entries:
        texts = rendered.get((each.template, each.about))
        if texts is None or each.is_withdrawn:
            gone.append(each)
        else:
            items.append(item_view(each, texts))
    moot = sum(not each.is_withdrawn and each.read_at is None for each in gone)
    return items, [each.item for each in gone], moot


def _shown(message: Published, *, is_exercise: bool) -> PublicAlert:
    """As the public reads it. An exercise is not published: there are no links to follow."""
    alert = public_alert(message, Standing.ACTIVE)
    return alert.model_copy(update={"links": None}) if is_exercise else alert


def _named(messages: Sequence[Published], identifier: str) -> Published | None:
    return next((each for each in messages if each.identifier == identifier), None)


def _read_at(message: Published, marks: Mapping[str, tuple[str, datetime]]) -> datetime | None:
    """When this very message was opened: a new one of the chain has not been."""
    alert, at = marks.get(message.chain, ("", None))
    return at if alert == message.identifier else None


def _unknown() -> NotFoundError:
    return NotFoundError("item_unknown", zh="没有这条消息", en="there is no such item", field="item")
