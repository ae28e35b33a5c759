"""A weather API of the common Chinese shape (QWeather v7: https://dev.qweather.com/docs/api/). Implements a `Feed`.

Every division is asked about on its own: hours, days, air, warnings; then the typhoons of the basin. One answer that
cannot be read, is late or says anything but code "200" is reported and costs its own part only; several of them one
after the other mean that the service is away, and the rest of this look is left. What it says is never trusted beyond
the models: sizes, numbers, times and texts are bounded, redirects are not followed. Warnings become CAP here and are
judged by the intake like anybody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from urllib.parse import quote

import structlog
from pydantic import BaseModel, ValidationError

from channels.transport import Transport
from channels.weather_api_models import (
    AheadTold,
    AirTold,
    DaysTold,
    Envelope,
    HoursTold,
    StormsTold,
    StormTold,
    TrackTold,
    UnreadableError,
    WarningsTold,
    WarningTold,
    air_of,
    days_of,
    hours_of,
    read,
)
from channels.weather_files import ask, feed_away
from server.domain.alerts.cap import to_cap
from server.domain.alerts.model import Reference
from server.domain.alerts.vocabulary import MsgType
from server.domain.china import CHINA
from server.domain.divisions import Divisions
from server.domain.errors import UnavailableError
from server.domain.forecasts import Forecast
from server.domain.typhoons import Typhoon
from server.domain.weather_feeds import AlertFile, Gathered, Memory
from server.domain.weather_warnings import LiveWarning, identifier_of, judged, to_alert, where_of
from server.domain.wording import Event
from server.settings import WeatherApiFeed

MAX_FAILURES = 3  # one after the other
NOT_AHEAD = timedelta(minutes=15)  # no forecast was made later than now, but clocks differ
GOOD, NO_DATA = "200", "204"
CLOSED = {"401", "402", "403", "429"}  # the key, the account or the quota: nothing else will be answered either
STATUSES = {"update": MsgType.UPDATE, "cancel": MsgType.CANCEL}
M = TypeVar("M", bound=BaseModel)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class City:
    """Whom to ask about and what the national list knows."""

    code: str
    divisions: Divisions
    events: Mapping[str, Event]


class _Look:
    """One look: what it has found, and how many answers in a row were missing."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.found = Gathered()
        self.warnings: dict[str, WarningTold] = {}
        self.failures = 0
        self.answers = 0


class WeatherApi:
    """One account of one service."""

    def __init__(self, feed: WeatherApiFeed, city: City, transport: Transport) -> None:
        self.name = feed.name
        self._feed = feed
        self._city = city
        self._transport = transport
        self._headers = (f"X-QW-Api-Key: {feed.key.get_secret_value()}",)
        self._base = feed.base_url.rstrip("/")

    async def gather(self, memory: Memory) -> Gathered:
        """Everything once. UnavailableError if nothing at all was answered."""
        look = _Look(memory)
        try:
            for code, location in self._locations():
                await self._division(look, code, location)
            await self._typhoons(look)
        except UnavailableError as error:
            if not look.answers:
                raise
            look.found.refuse(self.name, error.code, error.zh, error.en)
        if not look.answers:
            raise feed_away(f"{self._base}: nothing could be read")
        look.found.alerts = await self._alerts(look)
        return look.found

    def _locations(self) -> list[tuple[str, str]]:
        """The districts of the city and where the API looks for each."""
        return [
            (code, self._feed.locations.get(code) or _middle(self._city.divisions, code))
            for code in self._city.divisions.districts(self._city.code)
            if code in self._city.divisions.outlines or code in self._feed.locations
        ]

    async def _division(self, look: _Look, code: str, location: str) -> None:
        place = f"location={quote(location, safe=',')}&lang=zh"
        hours = await self._ask(look, HoursTold, f"v7/weather/24h?{place}")
        days = await self._ask(look, DaysTold, f"v7/weather/7d?{place}")
        air = await self._ask(look, AirTold, f"v7/air/now?{place}")
        warnings = await self._ask(look, WarningsTold, f"v7/warning/now?{place}")
        times = [told.update_time for told in (hours, days) if told]
        if times:
            try:
                forecast = Forecast(
                    division=code, source=self.name, as_of=_not_ahead(max(times), look.memory.now),
                    hours=hours_of(hours) if hours else (), days=days_of(days) if days else (),
                    air=air_of(air) if air else None,
                )  # fmt: skip
            except (ValidationError, UnreadableError) as error:
                look.found.refuse(f"forecast {code}", "answer_unfit", "数据超出合理范围", _short(error))
            else:
                look.found.forecasts.append(forecast)
        for number, value in enumerate(warnings.warning if warnings else ()):
            try:
                told = read(WarningTold, value)
            except UnreadableError as error:
                look.found.refuse(f"warning {code}[{number}]", "answer_unfit", "预警无法读取", str(error))
            else:
                look.warnings.setdefault(told.id, told)

    async def _typhoons(self, look: _Look) -> None:
        year = look.memory.now.astimezone(CHINA).year
        storms = await self._ask(look, StormsTold, f"v7/tropical/storm-list?basin={self._feed.basin}&year={year}")
        for storm in storms.storm if storms else ():
            if storm.is_active == "1":
                await self._typhoon(look, storm)
            else:
                look.found.over.append(storm.id)

    async def _typhoon(self, look: _Look, storm: StormTold) -> None:
        track = await self._ask(look, TrackTold, f"v7/tropical/storm-track?stormid={quote(storm.id)}")
        ahead = await self._ask(look, AheadTold, f"v7/tropical/storm-forecast?stormid={quote(storm.id)}")
        if track is None:
            return
        try:
            points = {told.point.at: told.point for told in (*track.track, *((track.now,) if track.now else ()))}
            observed = tuple(points[at] for at in sorted(points))
            as_of = _not_ahead(max(track.update_time, observed[-1].at), look.memory.now) if observed else None
            typhoon = Typhoon(
                id=storm.id, name=storm.name, is_active=track.is_active == "1", source=self.name, as_of=as_of,
                observed=observed, forecast=tuple(told.point for told in ahead.forecast) if ahead else (),
            )  # fmt: skip
        except (ValidationError, UnreadableError) as error:
            look.found.refuse(f"typhoon {storm.id}", "answer_unfit", "台风数据超出合理范围", _short(error))
        else:
            look.found.typhoons.append(typhoon)

    async def _alerts(self, look: _Look) -> list[AlertFile]:
        """The warnings as CAP, oldest first; what was taken before is left out."""
        if self._feed.partner is None:
            return []
        names = {told.id: identifier_of(told.id) for told in look.warnings.values()}
        versions = await look.memory.versions([*names.values()])
        new = sorted((w for w in look.warnings.values() if names[w.id] not in versions), key=lambda w: w.pub_time)
        sent = dict(await look.memory.sent([identifier_of(told.related) for told in new if told.related]))
        files = []
        for told in new:
            warning = _warning(told)
            found = judged(warning, self._city.events)
            where = where_of(warning.issuer, self._city.code, self._city.divisions)
            before = _reference(sent.get(identifier_of(told.related), "")) if told.related else None
            alert = to_alert(warning, found, self._feed.sender, where, before)
            sent[alert.identifier] = str(alert.reference)
            for doubt in found.doubts:
                look.found.refuse(told.id, "warning_disagrees", f"编码与标题不一致：{doubt.value}",
                                  f"number and headline disagree: {doubt.value}")  # fmt: skip
            if warning.status is MsgType.CANCEL and before is None:
                look.found.refuse(told.id, "cancels_nothing", "所解除的预警未收到", "what it cancels never came")
            else:
                files.append(AlertFile(alert.identifier, "", to_cap(alert)))
        return files

    async def _ask(self, look: _Look, model: type[M], path: str) -> M | None:
        """One answer; None if it could not be had or read. UnavailableError when there is no point in going on."""
        name = path.partition("&lang")[0]
        try:
            reply = await ask(self._transport, f"{self._base}/{path}", "", self._headers)
            code = read(Envelope, reply.body).code
            if code == NO_DATA:
                look.failures, look.answers = 0, look.answers + 1
                return None
            if code != GOOD:
                raise feed_away(f"code {code}")
            told = read(model, reply.body)
        except (UnavailableError, UnreadableError) as error:
            why = error.en if isinstance(error, UnavailableError) else str(error)
            look.found.refuse(name, "answer_unusable", "数据源应答不可用", why[:200])
            look.failures += 1
            is_closed = any(why.endswith(f" {code}") for code in CLOSED)
            if look.failures >= MAX_FAILURES or is_closed:
                raise feed_away(f"{name}: {why}") from None
            return None
        look.failures, look.answers = 0, look.answers + 1
        return told


def _warning(told: WarningTold) -> LiveWarning:
    return LiveWarning(
        id=told.id,
        issuer=told.sender,
        title=told.title,
        text=told.text,
        number=told.type,
        name=told.type_name,
        colour=told.severity_color,
        published_at=told.pub_time,
        status=STATUSES.get(told.status, MsgType.ALERT),
        related=told.related,
        begins_at=told.start_time,
        ends_at=told.end_time,
        urgency=told.urgency,
        certainty=told.certainty,
    )


def _reference(text: str) -> Reference | None:
    parts = text.split(",")
    return Reference(*parts) if len(parts) == 3 else None


def _not_ahead(at: datetime, now: datetime) -> datetime:
    """UnreadableError for a time that has not come: it would keep everything newer out."""
    if at > now + NOT_AHEAD:
        raise UnreadableError(f"updateTime {at.isoformat()} has not come yet")
    return at.astimezone(UTC)


def _short(error: ValidationError | UnreadableError) -> str:
    if isinstance(error, UnreadableError):
        return str(error)
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:200]


def _middle(divisions: Divisions, code: str) -> str:
    """The middle of a division, to the hundredth of a degree that such an API wants."""
    point = divisions.outlines[code].representative_point()
    return f"{point.x:.2f},{point.y:.2f}"
