"""What the public asks: which alerts are in force here, what does one say, what came since I last looked.

Promises. The board of what is in force is read again every 250 ms, so a cancelled alert is gone within a second, and an
expired one the moment it expires. A board that could not be read again for half a minute is no longer shown. Exercises
and tests do not exist here. Any number of readers costs the database the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from server.domain.divisions import Divisions, normal
from server.domain.errors import UnavailableError
from server.domain.feeds import (
    Ground,
    Place,
    Published,
    Standing,
    covers_division,
    covers_place,
    ground_of,
    standing,
    version_of,
)
from server.domain.feeds_json import PublicAlert, public_alert
from server.domain.feeds_writing import feature
from server.domain.wording import Kind
from server.storage.feeds import Event, PublicStore
from server.storage.mongo import MongoError

REFRESH_EVERY_S = 0.25
STALE_AFTER_S = 30.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Board:
    """What is in force at one moment, worst first. `version` changes with it; `changed_at` is the newest release."""

    version: str
    changed_at: datetime
    alerts: tuple[Published, ...]

    @property
    def until(self) -> datetime | None:
        """When the first of them expires; None if there are none."""
        return min((alert.expires_at for alert in self.alerts), default=None)


@dataclass(frozen=True, slots=True)
class Told:
    """One message as it stands, and the moment at which that changes by itself."""

    message: Published
    standing: Standing
    replaced_by: str | None

    @property
    def until(self) -> datetime | None:
        """When it expires, if it is active."""
        return self.message.expires_at if self.standing is Standing.ACTIVE else None

    def as_json(self) -> PublicAlert:
        """For the wire."""
        return public_alert(self.message, self.standing, self.replaced_by)


class Feeds:
    """The readers' counter. `clock` is monotonic; `now` is the database's time."""

    def __init__(
        self, store: PublicStore, divisions: Divisions, *, now: Callable[[], datetime], clock: Callable[[], float]
    ) -> None:
        self.divisions = divisions
        self._store = store
        self.now = now
        self._clock = clock
        self._known: Mapping[str, Published] = {}
        self._ground: Mapping[str, tuple[Ground, ...]] = {}
        self._features: dict[tuple[str, str], dict[str, Any]] = {}
        self._changed_at: datetime | None = None
        self._read_at: float | None = None

    async def refresh(self) -> bool:
        """Read again what is in force; True if it is not what it was."""
        heads = set(await self._store.find_heads(self.now()))
        is_changed = self._read_at is None or heads != set(self._known)
        if is_changed:
            new = await self._store.find([head for head in heads if head not in self._known])
            known = {name: message for name, message in self._known.items() if name in heads}
            self._changed_at = await self._store.last_released_at()
            self._ground = {name: ground for name, ground in self._ground.items() if name in known}
            self._ground |= {message.identifier: ground_of(message) for message in new}
            self._features = {key: made for key, made in self._features.items() if key[0] in known}
            self._known = known | {message.identifier: message for message in new}
        self._read_at = self._clock()
        return is_changed

    async def run(self, stop: asyncio.Event, on_change: Callable[[], None]) -> None:
        """Keep the board fresh until told to stop; `on_change` is called whenever an older answer may be wrong."""
        try:
            while not stop.is_set():
                try:
                    if await self.refresh():
                        on_change()
                except MongoError as error:
                    log.warning("board_not_read", error=type(error).__name__)
                    if self._is_stale():
                        on_change()
                await asyncio.sleep(REFRESH_EVERY_S)
        finally:
            on_change()  # nobody watches any more: what was answered before may not stand

    def board(self, *, division: str | None = None, place: Place | None = None) -> Board:
        """What is in force, everywhere or in a division or at a place. InvalidInputError, UnavailableError."""
        if self._is_stale():
            raise UnavailableError("board_stale", zh="预警信息暂时无法确认", en="what is in force cannot be told now")
        at = self.now()
        alive = [message for message in self._known.values() if message.expires_at > at]
        chosen = alive
        if division is not None:
            code = normal(self.divisions.get(division).code)
            chosen = [message for message in chosen if covers_division(message, code)]
        if place is not None:
            chosen = [message for message in chosen if covers_place(self._ground[message.identifier], place)]
        changed_at = self._changed_at or datetime.fromtimestamp(0, at.tzinfo)
        return Board(version_of(alive), changed_at, tuple(sorted(chosen, key=lambda message: message.rank)))

    def features(self, messages: Sequence[Published], language: str) -> list[dict[str, Any]]:
        """The GeoJSON features of messages in force; each is drawn once for as long as it is in force."""
        return [self._feature(message, language) for message in messages]

    def place(self, lat: float, lon: float) -> Place:
        """The place of a WGS-84 point in degrees."""
        return Place(lat, lon, self.divisions.district_at(lon, lat))

    async def get(self, identifier: str) -> Told:
        """One public message, in force or not; NotFoundError, for an exercise and for a draft too."""
        message = await self._store.get(identifier)
        after = (await self._store.find_followers([identifier])).get(identifier)
        return Told(message, standing(message, after[1] if after else None, self.now()), after[0] if after else None)

    async def history(self, identifier: str) -> list[Told]:
        """The chain of a public message, oldest first."""
        chain = await self._store.find_chain((await self._store.get(identifier)).chain)
        return told_chain(chain, self.now())

    async def events(self, since: int, limit: int) -> list[tuple[Event, Told]]:
        """The releases after a cursor, in order, each as it stands now."""
        return await self._told(await self._store.events_since(since, limit))

    async def latest(self, before: int, limit: int) -> list[tuple[Event, Told]]:
        """The releases before a cursor, newest first, each as it stands now."""
        return await self._told(await self._store.events_before(before, limit))

    async def _told(self, events: Sequence[Event]) -> list[tuple[Event, Told]]:
        names = [event.alert for event in events]
        messages = {message.identifier: message for message in await self._store.find(names)}
        after = await self._store.find_followers(names)
        told = []
        for event in events:
            successor: tuple[str, Kind] | tuple[None, None] = after.get(event.alert, (None, None))
            message = messages[event.alert]  # a released message is never deleted
            told.append((event, Told(message, standing(message, successor[1], self.now()), successor[0])))
        return told

    def _feature(self, message: Published, language: str) -> dict[str, Any]:
        key = message.identifier, language
        made = self._features.get(key)
        if made is None:
            made = feature(message, self.divisions, language)
            if message.identifier in self._known:
                self._features[key] = made
        return made

    def _is_stale(self) -> bool:
        return self._read_at is None or self._clock() - self._read_at > STALE_AFTER_S


def told_chain(chain: Sequence[Published], at: datetime) -> list[Told]:
    """Each message of a chain, oldest first, with what followed it."""
    after = [*chain[1:], None]
    return [
        Told(message, standing(message, next_.kind if next_ else None, at), next_.identifier if next_ else None)
        for message, next_ in zip(chain, after, strict=True)
    ]
