"""What is known of the weather at one moment, and what of it is told to one subscription. Pure.

A place takes the forecast of the finest division that has one: its own, else the one above. What is worked out once for
a division (which forecast, which outlook, where its middle is) serves everybody there: millions live in nine districts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from server.domain.divisions import Area, Divisions
from server.domain.forecasts import Forecast, Outlook, outlook
from server.domain.typhoons import Point, Typhoon
from server.domain.weather_conditions import Sight, reasons
from server.domain.weather_subscriptions import PlaceSeen, Wish
from server.domain.weather_words import Told


class _Spot(NamedTuple):
    """A division at one moment. `middle` stands for places without a point."""

    area: Area
    outlook: Outlook | None
    middle: Point | None


class Skies:
    """Made for one run, with what was read at its beginning."""

    def __init__(
        self, forecasts: Mapping[str, Forecast], typhoons: Sequence[Typhoon], divisions: Divisions, now: datetime
    ) -> None:
        self._forecasts = forecasts
        self._typhoons = typhoons
        self._divisions = divisions
        self._now = now
        self._spots: dict[tuple[str, datetime], _Spot | None] = {}

    def forecast(self, division: str) -> Forecast | None:
        """The one of the finest division here or above that has one; None: none has, or the code is unknown."""
        if not self._divisions.is_known(division):
            return None
        above = reversed(self._divisions.lineage(division))
        return next((self._forecasts[code] for code in above if code in self._forecasts), None)

    def told(self, wish: Wish, places: Sequence[PlaceSeen], due_at: datetime) -> list[Told]:
        """What is said of the wish's places at that moment, in its order; nothing: they are not told.

        Places that are gone are left out, and so is one of which nothing is known.
        """
        by_id = {place.id: place for place in places}
        found = (self._of(wish, by_id[each], due_at) for each in wish.places if each in by_id)
        return [told for told in found if told]

    def _of(self, wish: Wish, place: PlaceSeen, due_at: datetime) -> Told | None:
        spot = self._spot(place.division, due_at)
        if spot is None:
            return None
        if not wish.conditions:
            return Told(place.label, spot.area, spot.outlook) if spot.outlook else None
        sight = Sight(spot.outlook, self._typhoons, place.point or spot.middle, self._now)
        why = reasons(wish.conditions, sight)
        return Told(place.label, spot.area, spot.outlook, tuple(why)) if why else None

    def _spot(self, division: str, due_at: datetime) -> _Spot | None:
        key = division, due_at
        if key not in self._spots:
            self._spots[key] = self._look(division, due_at)
        return self._spots[key]

    def _look(self, division: str, due_at: datetime) -> _Spot | None:
        if not self._divisions.is_known(division):
            return None
        forecast = self.forecast(division)
        known = forecast if forecast and not forecast.is_useless(self._now) else None
        return _Spot(
            area=self._divisions.area(division),
            outlook=outlook(known, due_at) if known else None,
            middle=middle_of(self._divisions, division),
        )


def middle_of(divisions: Divisions, division: str) -> Point | None:
    """A point (latitude, longitude) inside the finest division here or above that has a shape."""
    for code in reversed(divisions.lineage(division)):
        if code in divisions.outlines:
            point = divisions.outlines[code].representative_point()
            return point.y, point.x
    return None
