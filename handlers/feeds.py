"""What everybody may read: alerts in force, one alert in its forms, feeds, the log of releases, the heartbeat.

Every answer carries an ETag; what many ask for in the same words is kept on the shelf in front of the application.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from handlers.front import Shelf
from handlers.public import PublicHandler, point_of
from server.domain.alerts.guotu_writing import to_guotu
from server.domain.divisions import normal
from server.domain.errors import InvalidInputError
from server.domain.feeds import Place, Published, Standing
from server.domain.feeds_json import ActiveAlerts, AlertHistory, FeedEvent, FeedEvents, FeedVersion, public_alert
from server.domain.feeds_writing import ATOM_TYPE, CAP_TYPE, GEOJSON_TYPE, atom, heartbeat
from server.services.feeds import Board, Feeds

GUOTU_TYPE = "application/xml"
MAX_IN_FEED = 500
MAX_SEQ = 2**53 - 1  # the largest whole number that every JSON reader keeps exactly
_AFTER = re.compile(r"(\d)\.(-?\d{1,15})\.([A-Za-z0-9][A-Za-z0-9._-]{0,79})", re.ASCII)


class DivisionQuery(BaseModel):
    """Where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    division: str | None = Field(
        default=None, pattern=r"^\d{6}(\d{3}){0,2}$", description="6, 9 or 12 digits", examples=["440305"]
    )


class AlertsQuery(DivisionQuery):
    """Where: a division, or a point with its datum. Without any of them the whole city."""

    point: str | None = Field(default=None, max_length=40, description="lat,lon in degrees", examples=["22.54,113.93"])
    datum: Literal["wgs84", "gcj02"] | None = Field(
        default=None, description="of the point: gcj02 is what WeChat and Chinese maps give", examples=["gcj02"]
    )
    limit: int = Field(default=100, ge=1, le=MAX_IN_FEED, examples=[100])
    after: str | None = Field(default=None, max_length=120, description="`next` of the page before")

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        if (self.point is None) != (self.datum is None):
            raise ValueError("point and datum belong together")
        if self.point is not None and self.division is not None:
            raise ValueError("either a point or a division")
        return self


class EventsQuery(BaseModel):
    """From where in the log of releases: forwards with `since`, or backwards with `before`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: int = Field(default=0, ge=0, le=MAX_SEQ, description="`next` of the page before", examples=[7])
    before: int | None = Field(
        default=None, ge=1, le=MAX_SEQ, examples=[MAX_SEQ],
        description=f"newest first: `next` of the page before, or {MAX_SEQ} to begin with the newest",
    )  # fmt: skip
    limit: int = Field(default=50, ge=1, le=100, examples=[50])

    @model_validator(mode="after")
    def _has_one_direction(self) -> Self:
        if self.before is not None and self.since:
            raise ValueError("either since or before")
        return self


class FeedHandler(PublicHandler):
    """Answers about alerts."""

    def initialize(self, feeds: Feeds, shelf: Shelf, base: str, city: str) -> None:
        """`base` is the origin that links begin with ("" = relative links), `city` is GB/T 2260."""
        self.feeds = feeds
        self.base = base
        self.city = city
        self.stand_behind(shelf)


class AlertsHandler(FeedHandler):
    """/v1/alerts: what is in force here."""

    def get(self) -> None:
        """By division, by point, or all of it; worst first."""
        query = self.asked(AlertsQuery)
        place = self._place(query)
        board = self.feeds.board(division=query.division, place=place)
        page, more = _page(board, query)
        alerts = tuple(public_alert(message, Standing.ACTIVE) for message in page)
        answer = ActiveAlerts(version=board.version, changed_at=board.changed_at, alerts=alerts, next=more)
        self.link_next({"after": more})
        is_plain = place is None and query.after is None and query.limit == AlertsQuery().limit
        self.tell_model(answer, board.until, _target("/v1/alerts", query.division) if is_plain else None)

    def _place(self, query: AlertsQuery) -> Place | None:
        if query.point is None:
            return None
        lat, lon = point_of(query.point, query.datum)
        return self.feeds.place(lat, lon)


class AlertHandler(FeedHandler):
    """/v1/alerts/{identifier}: one message, in force or not."""

    async def get(self, identifier: str) -> None:
        """As JSON."""
        told = await self.feeds.get(identifier)
        self.tell_model(told.as_json(), told.until, f"/v1/alerts/{identifier}")


class CapHandler(FeedHandler):
    """/v1/alerts/{identifier}.cap: the bytes that were released."""

    async def get(self, identifier: str) -> None:
        """As CAP 1.2."""
        told = await self.feeds.get(identifier)
        self.tell(told.message.cap, CAP_TYPE, None, f"/v1/alerts/{identifier}.cap", is_worded=False)


class GuotuHandler(FeedHandler):
    """/v1/alerts/{identifier}.guotu: the same for the national platform."""

    async def get(self, identifier: str) -> None:
        """As 国突 XML."""
        told = await self.feeds.get(identifier)
        path = f"/v1/alerts/{identifier}.guotu"
        self.tell(to_guotu(told.message.alert), GUOTU_TYPE, None, path, is_worded=False)


class HistoryHandler(FeedHandler):
    """/v1/alerts/{identifier}/history: the chain that a message belongs to."""

    async def get(self, identifier: str) -> None:
        """Oldest first."""
        chain = await self.feeds.history(identifier)
        answer = AlertHistory(chain=chain[0].message.chain, alerts=tuple(told.as_json() for told in chain))
        until = next((told.until for told in chain if told.until), None)
        self.tell_model(answer, until, f"/v1/alerts/{identifier}/history")


class AtomHandler(FeedHandler):
    """/v1/feeds/alerts.atom."""

    def get(self) -> None:
        """RFC 4287, a CAP link per entry."""
        board, path, messages = _feed(self, "/v1/feeds/alerts.atom")
        self.tell(atom(messages, path, self.base, self.language, board.changed_at), ATOM_TYPE, board.until, path)


class GeoJsonHandler(FeedHandler):
    """/v1/feeds/alerts.geojson."""

    def get(self) -> None:
        """RFC 7946, WGS-84, longitude first."""
        board, path, messages = _feed(self, "/v1/feeds/alerts.geojson")
        told = {"type": "FeatureCollection", "features": self.feeds.features(messages, self.language)}
        self.tell(orjson.dumps(told), GEOJSON_TYPE, board.until, path)


class VersionHandler(FeedHandler):
    """/v1/feeds/version: whether anything has changed."""

    def get(self) -> None:
        """A few bytes that differ whenever what is in force differs."""
        board = self.feeds.board()
        answer = FeedVersion(version=board.version, changed_at=board.changed_at, active=len(board.alerts))
        self.tell_model(answer, board.until, "/v1/feeds/version")


class HeartbeatHandler(FeedHandler):
    """/v1/feeds/heartbeat.cap: who does not get one of this minute is cut off."""

    def get(self) -> None:
        """A CAP System message; 503 if this process itself cannot tell what is in force."""
        board, at = self.feeds.board(), self.feeds.now()
        end = at.replace(second=0, microsecond=0) + timedelta(minutes=1)
        until = min(filter(None, (board.until, end)))
        told = heartbeat(board.alerts, self.city, at)
        self.tell(told, CAP_TYPE, until, "/v1/feeds/heartbeat.cap", is_worded=False)


class EventsHandler(FeedHandler):
    """/v1/feeds/events: every release in order, from a cursor."""

    async def get(self) -> None:
        """Firsts, updates and cancels alike; a cursor misses nothing."""
        query = self.asked(EventsQuery)
        name, cursor = ("since", query.since) if query.before is None else ("before", query.before)
        ask = self.feeds.events if query.before is None else self.feeds.latest
        found = await ask(cursor, query.limit)
        events = tuple(FeedEvent(seq=event.seq, released_at=event.at, alert=told.as_json()) for event, told in found)
        answer = FeedEvents(events=events, next=events[-1].seq if events else cursor)
        self.link_next({name: answer.next if len(events) == query.limit else None})
        self.tell_model(answer, None, None)


def _feed(handler: FeedHandler, path: str) -> tuple[Board, str, tuple[Published, ...]]:
    """What a feed holds, and the path that it was asked by."""
    division = handler.asked(DivisionQuery).division
    board = handler.feeds.board(division=division)
    return board, _target(path, division), board.alerts[:MAX_IN_FEED]


def _target(path: str, division: str | None) -> str:
    """The one way to ask for this that is kept: any other spelling is answered, but never kept."""
    return path if division is None else f"{path}?division={normal(division)}"


def _page(board: Board, query: AlertsQuery) -> tuple[tuple[Published, ...], str | None]:
    """The messages after the cursor, and the cursor after them. The cursor is a rank, so it outlives its message."""
    alerts = board.alerts
    if query.after is not None:
        match = _AFTER.fullmatch(query.after)
        if match is None:
            raise InvalidInputError("cursor_unreadable", zh="游标无效", en="no such cursor", field="after")
        last = (int(match[1]), int(match[2]), match[3])
        alerts = tuple(message for message in alerts if message.rank > last)
    page = alerts[: query.limit]
    return page, ".".join(map(str, page[-1].rank)) if len(alerts) > len(page) else None
