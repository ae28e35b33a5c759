"""Invites people to rate what was finished for them: one notice a week, of all that they have not rated.

What it says is made when it is sent or read: what was rated meanwhile is not in it, and with nothing left it is moot.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date

from server.domain.applications import NOBODY, Application
from server.domain.notices import frame_of, notice_texts
from server.domain.outbox import Standing, Texts
from server.domain.rating_news import LANE, TEMPLATE, TOPIC, ended_between, invited_on, is_wanted, notice_of
from server.domain.templates import Registry
from server.storage.applications import ApplicationStore
from server.storage.ratings import RatingStore


class RatingNotices:
    """A `Subject` of the engine."""

    def __init__(self, store: ApplicationStore, ratings: RatingStore, registry: Registry) -> None:
        self._store = store
        self._ratings = ratings
        self._frame = frame_of(registry)
        wechat = self._frame.wechat.id
        self._standing = (Standing(TEMPLATE, LANE, TOPIC, wechat, order=("wechat", "push"), is_loud=False),)

    @property
    def standing(self) -> Sequence[Standing]:
        """One template; not worth an SMS."""
        return self._standing

    async def render(self, template: str, abouts: Sequence[str]) -> Mapping[str, Texts]:  # noqa: ARG002 - there is one
        """The words of these invitations, in three queries; what is rated, gone or nonsense is left out."""
        asked = {about: found for about in abouts if (found := _read(about))}
        known = await self._store.find_many([application for application, _ in asked.values()])
        wanted = {
            about: (known[application].actor, day)
            for about, (application, day) in asked.items()
            if application in known and known[application].actor != NOBODY
        }
        cases = await self._unrated({actor for actor, _ in wanted.values()}, {day for _, day in wanted.values()})
        return {
            about: notice_texts(notice_of(cases[key], ended_between(key[1])[1]), self._frame)
            for about, key in wanted.items()
            if key in cases
        }

    async def _unrated(self, actors: set[int], days: set[date]) -> Mapping[tuple[int, date], list[Application]]:
        """By who is asked and when."""
        if not actors:
            return {}
        since, until = ended_between(min(days))[0], ended_between(max(days))[1]
        ended = [each for each in await self._store.find_ended(actors, since, until) if is_wanted(each)]
        rated = await self._ratings.find_rated([each.id for each in ended])
        found: dict[tuple[int, date], list[Application]] = defaultdict(list)
        for each in ended:
            if each.ended_at and each.id not in rated:
                found[each.actor, invited_on(each.ended_at)].append(each)
        return found


def _read(about: str) -> tuple[str, date] | None:
    application, _, day = about.partition(".")
    with suppress(ValueError):
        return application, date.fromisoformat(day)
    return None
