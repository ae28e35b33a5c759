"""What a profile holds about one person, for an export, a join and an erasure: places, preferences, grants.

A join loses nothing: places that are the same become one, opt-outs add up, and where only one of two can stay (quiet
hours, the own order, the word about a template) the target's own stays, or the later word. It may bring more than ten
places: they stay, and none can be added until there are fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from server.domain.errors import ConflictError
from server.domain.preferences import Grant, parsed, tidy
from server.domain.profile import clock, with_place
from server.storage.mongo import Session
from server.storage.profiles import Profiles

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
Row = Mapping[str, Any]


class PlacesHolding:
    """The places, in `citizens`: whoever has none left there is in no audience."""

    name = "places"
    collections = ("citizens",)

    def __init__(self, store: Profiles, new_id: Callable[[], str]) -> None:
        self._store = store
        self._new_id = new_id

    async def export(self, citizen: int) -> Sequence[Row]:
        """One row a place."""
        _, places = await self._store.places(citizen)
        return [
            {
                "id": place.id,
                "label": place.label.value,
                "name": place.name,
                "address": place.address,
                "division": place.where.division,
                "latitude": place.where.point[0] if place.where.point else None,
                "longitude": place.where.point[1] if place.where.point else None,
                "came_as": place.where.came_as.value if place.where.came_as else None,
            }
            for place in places
        ]

    async def move(self, source: int, target: int, session: Session) -> None:
        """Give them to the target; what it has already is merged. ConflictError if somebody changes them meanwhile."""
        version, given = await self._store.places(source, session)
        if not given:
            return
        target_version, own = await self._store.places(target, session)
        places = [replace(place, id=place.id or self._new_id()) for place in own]  # merging tells them apart by id
        for place in given:
            places, _ = with_place(places, replace(place, id=place.id or self._new_id()))
        is_done = await self._store.set_places(
            target, places, version=target_version, session=session
        ) and await self._store.set_places(source, [], version=version, session=session)
        if not is_done:
            raise ConflictError(
                "places_busy", zh="地点正被同时修改，请重试", en="the places are being changed; try again"
            )

    async def erase(self, citizen: int) -> None:
        """Delete the whole document: nobody plans for this person any more."""
        await self._store.drop(citizen)


class PreferencesHolding:
    """Quiet hours, opt-outs, the own order, taking part in exercises."""

    name = "preferences"
    collections = ("addresses", "citizens")

    def __init__(self, store: Profiles) -> None:
        self._store = store

    async def export(self, citizen: int) -> Sequence[Row]:
        """One row."""
        kept = await self._store.find(citizen)
        return [
            {
                "quiet_begins": clock(kept.quiet[0]) if kept.quiet else None,
                "quiet_ends": clock(kept.quiet[1]) if kept.quiet else None,
                "off": " ".join(kept.off),
                "channels": " ".join(kept.order),
                "is_tester": kept.is_tester,
            }
        ]

    async def move(self, source: int, target: int, session: Session) -> None:
        """Add them to the target's."""
        theirs, own = await self._store.find(source, session), await self._store.find(target, session)
        off = tuple(each.text for each in tidy(map(parsed, (*own.off, *theirs.off))))
        wanted: dict[str, Any] = {
            "quiet": own.quiet or theirs.quiet,
            "off": off,
            "order": own.order or theirs.order,
            "is_tester": own.is_tester or theirs.is_tester,
        }
        if changed := {name: value for name, value in wanted.items() if value != getattr(own, name)}:
            await self._store.change(target, changed, session)
        await self._forget(source, session)

    async def erase(self, citizen: int) -> None:
        """Take them away."""
        await self._forget(citizen, None)

    async def _forget(self, citizen: int, session: Session | None) -> None:
        await self._store.forget(
            citizen, of_citizen=("order", "is_tester"), of_address=("quiet", "off"), session=session
        )


class GrantsHolding:
    """What is known of WeChat's templates."""

    name = "grants"
    collections = ("addresses",)

    def __init__(self, store: Profiles) -> None:
        self._store = store

    async def export(self, citizen: int) -> Sequence[Row]:
        """One row a template."""
        kept = await self._store.find(citizen)
        return [
            {
                "template": template,
                "left": grant.left,
                "at": grant.at.isoformat() if grant.at else None,
                "told": " ".join(f"{each.at.isoformat()}={each.is_accepted}" for each in grant.told),
            }
            for template, grant in sorted(kept.grants.items())
        ]

    async def move(self, source: int, target: int, session: Session) -> None:
        """The later word of the two about each template stays."""
        theirs, own = await self._store.find(source, session), await self._store.find(target, session)
        later = {
            t: g for t, g in theirs.grants.items() if (g.at or LONG_AGO) > (own.grants.get(t, Grant()).at or LONG_AGO)
        }
        missing = {t: g for t, g in theirs.grants.items() if t not in own.grants}
        await self._store.set_grants(target, later | missing, session)
        await self._store.forget(source, of_address=("grants", "told"), session=session)

    async def erase(self, citizen: int) -> None:
        """Take them away."""
        await self._store.forget(citizen, of_address=("grants", "told"), session=None)
