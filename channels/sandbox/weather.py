"""The sandbox's weather: an API of the common Chinese shape, and a page of CAP files. The same every time one looks.

GET /v7/weather/24h, /v7/weather/7d, /v7/air/now, /v7/warning/now      ?location=lon,lat
GET /v7/tropical/storm-list, /v7/tropical/storm-track, /v7/tropical/storm-forecast
GET /cap/index.json (under an ETag), /cap/<name>
The key goes into the header X-QW-Api-Key. What it is like follows from latitude, season, hour and the place itself, and
from what the operator has set (see control.py): rain, air, temperatures and wind for everybody or for one place, where
the typhoon is, which warnings and files there are, and whole answers that are wrong.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from math import cos, pi
from typing import Any
from urllib.parse import parse_qs

import orjson
from pydantic import BaseModel, ConfigDict, Field

from channels.sandbox.http import Reply, Request, response
from server.domain.china import CHINA
from server.settings import SANDBOX_PREFIX

KEY = f"{SANDBOX_PREFIX}weather-key"
STORM = "NP_SANDBOX"
_STRICT = ConfigDict(extra="forbid", frozen=True)


class Setting(BaseModel):
    """What the weather shall be like; None = as it comes. `location`: only there ("lon,lat"), else everywhere."""

    model_config = _STRICT
    location: str | None = Field(default=None, pattern=r"^-?\d{1,3}\.\d\d,-?\d{1,2}\.\d\d$")
    rain_percent: int | None = Field(default=None, ge=0, le=100)
    aqi: int | None = Field(default=None, ge=0, le=500)
    low_c: float | None = None
    high_c: float | None = None
    wind_kmh: float | None = Field(default=None, ge=0, le=400)
    update_time: str | None = None  # of all answers, for one that has fallen behind


class TyphoonSetting(BaseModel):
    """Where the typhoon is; `is_active` false: there is none."""

    model_config = _STRICT
    lat: float = Field(default=19.4, ge=0, le=60)
    lon: float = Field(default=121.8, ge=100, le=180)
    is_active: bool = True


class Alerts(BaseModel):
    """What is in force: warnings as the API writes them, CAP files by name. They replace those there are."""

    model_config = _STRICT
    warnings: list[dict[str, Any]] | None = None
    files: dict[str, str] | None = None


class Broken(BaseModel):
    """Answers that are to be wrong: path -> status and body. They replace those there are."""

    model_config = _STRICT
    answers: dict[str, tuple[int, str]] = {}


class Weather:
    """All of it. `clock` is Unix time in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._settings: dict[str | None, Setting] = {}
        self._typhoon = TyphoonSetting()
        self._warnings: list[dict[str, Any]] = []
        self._files: dict[str, str] = {}
        self._broken: Mapping[str, tuple[int, str]] = {}
        self.asked: dict[str, int] = {}
        self._answers: Mapping[str, Callable[[str], dict[str, Any]]] = {
            "/v7/weather/24h": self._hours,
            "/v7/weather/7d": self._days,
            "/v7/air/now": self._air,
            "/v7/warning/now": lambda _: {"warning": self._warnings},
            "/v7/tropical/storm-list": lambda _: {"storm": [self._storm()]},
            "/v7/tropical/storm-track": lambda _: self._track(),
            "/v7/tropical/storm-forecast": lambda _: self._ahead(),
        }

    def set(self, setting: Setting) -> None:
        """From now on it is like this."""
        self._settings[setting.location] = setting

    def set_typhoon(self, typhoon: TyphoonSetting) -> None:
        """From now on it is there."""
        self._typhoon = typhoon

    def set_alerts(self, alerts: Alerts) -> None:
        """From now on these are in force; what is not named stays."""
        self._warnings = self._warnings if alerts.warnings is None else alerts.warnings
        self._files = self._files if alerts.files is None else alerts.files

    def set_broken(self, broken: Broken) -> None:
        """From now on these answers are wrong, and only these."""
        self._broken = broken.answers

    def serve(self, request: Request, reply: Reply) -> None:
        """One request; 404 for what is not of the weather."""
        path = request.path.decode("latin-1")
        self.asked[path] = self.asked.get(path, 0) + 1
        if (wrong := self._broken.get(path)) is not None:
            reply.send(response(wrong[0], wrong[1].encode()))
        elif request.method != b"GET":
            reply.send(response(404, b""))
        elif path.startswith("/cap/"):
            reply.send(self._file(path.removeprefix("/cap/"), request))
        elif (answer := self._answers.get(path)) is not None:
            location = parse_qs(request.query.decode("latin-1")).get("location", [""])[0]
            reply.send(response(200, self._told(request, location, answer)))
        else:
            reply.send(response(404, b""))

    def _told(self, request: Request, location: str, answer: Callable[[str], dict[str, Any]]) -> bytes:
        if request.header(b"x-qw-api-key") != KEY.encode():
            return orjson.dumps({"code": "401"})
        at = self._set("update_time", location) or _minute(self._now().replace(minute=0))
        return orjson.dumps({"code": "200", "updateTime": at} | answer(location))

    def _file(self, name: str, request: Request) -> bytes:
        if name == "index.json":
            body = orjson.dumps([{"name": each, "version": _digest(text)} for each, text in self._files.items()])
            etag = f'"{_digest(body.decode())}"'
            if request.header(b"if-none-match") == etag.encode():
                return response(304, b"", headers=f"ETag: {etag}\r\n")
            return response(200, body, headers=f"ETag: {etag}\r\n")
        if name not in self._files:
            return response(404, b"")
        return response(200, self._files[name].encode(), content_type="application/cap+xml")

    # -- what it is like

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC).astimezone(CHINA)

    def _set(self, name: str, location: str) -> Any:
        """What was set for this place, else for everybody."""
        for key in (location, None):
            setting = self._settings.get(key)
            if setting is not None and getattr(setting, name) is not None:
                return getattr(setting, name)
        return None

    def _hours(self, location: str) -> dict[str, Any]:
        first = self._now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        return {"hourly": [self._hour(location, first + timedelta(hours=n)) for n in range(24)]}

    def _hour(self, location: str, at: datetime) -> dict[str, Any]:
        low, high = self._span(location, at)
        warmth = (1 - cos((at.hour - 5) / 24 * 2 * pi)) / 2  # coldest at five in the morning
        rain, kmh = self._rain(location, at), self._wind(location, at)
        return {
            "fxTime": _minute(at), "temp": f"{low + (high - low) * warmth:.0f}", "icon": _icon(rain),
            "text": "", "wind360": "90", "windDir": "东风", "windScale": "1-3", "windSpeed": f"{kmh:.0f}",
            "humidity": f"{50 + rain // 3}", "pop": f"{rain}", "precip": f"{max(0, rain - 50) / 10:.1f}",
            "pressure": "1012", "cloud": f"{rain}", "dew": "18",
        }  # fmt: skip

    def _days(self, location: str) -> dict[str, Any]:
        today = self._now().replace(hour=12, minute=0)
        return {"daily": [self._day(location, today + timedelta(days=n)) for n in range(7)]}

    def _day(self, location: str, at: datetime) -> dict[str, Any]:
        low, high = self._span(location, at)
        rain = self._rain(location, at)
        return {
            "fxDate": f"{at:%Y-%m-%d}", "tempMax": f"{high:.0f}", "tempMin": f"{low:.0f}", "iconDay": _icon(rain),
            "iconNight": _icon(rain), "windSpeedDay": f"{self._wind(location, at):.0f}", "humidity": "60",
            "precip": f"{max(0, rain - 50) / 5:.1f}", "uvIndex": "5",
        }  # fmt: skip

    def _air(self, location: str) -> dict[str, Any]:
        now = self._now()
        aqi = self._set("aqi", location)
        aqi = 30 + _dice(location, f"{now:%Y%m%d}", 90) if aqi is None else aqi
        return {"now": {"pubTime": _minute(now.replace(minute=0)), "aqi": f"{aqi}", "level": "1", "category": ""}}

    def _span(self, location: str, at: datetime) -> tuple[float, float]:
        """The lowest and the highest of a day: colder in the north, coldest in January."""
        lat = float(location.partition(",")[2] or "22.5")
        season = cos((at.timetuple().tm_yday - 20) / 365 * 2 * pi)
        middle = 40 - 0.78 * lat - season * (lat - 10) * 0.55
        wobble = _dice(location, f"{at:%Y%m%d}", 5) - 2
        low, high = self._set("low_c", location), self._set("high_c", location)
        return middle + wobble - 4 if low is None else low, middle + wobble + 4 if high is None else high

    def _rain(self, location: str, at: datetime) -> int:
        rain: int | None = self._set("rain_percent", location)
        return _dice(location, f"rain{at:%Y%m%d}", 80) if rain is None else rain

    def _wind(self, location: str, at: datetime) -> float:
        wind: float | None = self._set("wind_kmh", location)
        return 5.0 + _dice(location, f"wind{at:%Y%m%d}", 20) if wind is None else wind

    # -- the typhoon

    def _storm(self) -> dict[str, Any]:
        return {"id": STORM, "name": "海棠", "basin": "NP", "year": f"{self._now():%Y}", "isActive": self._active}

    @property
    def _active(self) -> str:
        return "1" if self._typhoon.is_active else "0"

    def _track(self) -> dict[str, Any]:
        now = self._now().replace(minute=0)
        track = [
            self._point(now, -step) | {"time": _minute(now - timedelta(hours=6 * step))} for step in range(8, 0, -1)
        ]
        here = self._point(now, 0) | {"pubTime": _minute(now)}
        return {"isActive": self._active, "now": here, "track": track}

    def _ahead(self) -> dict[str, Any]:
        now = self._now().replace(minute=0)
        return {"forecast": [self._point(now, step) | {"fxTime": _minute(now + timedelta(hours=12 * step))}
                             for step in range(1, 5)]}  # fmt: skip

    def _point(self, _: datetime, step: int) -> dict[str, Any]:
        """It comes from the south-east and goes north-west."""
        radius = {"neRadius": "260", "seRadius": "220", "swRadius": "180", "nwRadius": "220"}
        return {
            "lat": f"{self._typhoon.lat + 0.5 * step:.1f}", "lon": f"{self._typhoon.lon - 0.9 * step:.1f}",
            "type": "TY", "pressure": "965", "windSpeed": "38", "moveSpeed": "18", "moveDir": "NW", "move360": "315",
            "windRadius30": radius,
        }  # fmt: skip


def _dice(*facts: Any) -> int:
    """A number below the last fact that the others decide."""
    *words, below = facts
    return zlib.crc32("|".join(map(str, words)).encode()) % int(below)


def _icon(rain: int) -> str:
    return "100" if rain < 20 else "101" if rain < 40 else "104" if rain < 60 else "305" if rain < 80 else "306"


def _minute(at: datetime) -> str:
    return at.isoformat(timespec="minutes")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
