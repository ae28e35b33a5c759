"""What answers to everybody share: an ETag, headers that let others keep them for a moment, a place on the shelf."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime

from pydantic import BaseModel

from handlers.base import JSON, LANGUAGES, SECURITY_HEADERS, ApiHandler
from handlers.front import Ready, Shelf
from server.domain.datum import gcj02_to_wgs84
from server.domain.errors import InvalidInputError

_POINT = re.compile(r"([-+]?\d{1,3}(?:\.\d{1,12})?),([-+]?\d{1,3}(?:\.\d{1,12})?)", re.ASCII)


class PublicHandler(ApiHandler):
    """Answers that anybody may keep for a moment. `initialize` of each calls `stand_behind`.

    `fresh_s` is how long others may keep an answer without asking again.
    """

    fresh_s = 1

    def stand_behind(self, shelf: Shelf) -> None:
        """Where answers are kept; `generation` is of the facts that this answer is made of."""
        self.shelf = shelf
        self.generation = shelf.generation

    def tell(
        self, body: bytes, kind: str, until: datetime | None, target: str | None, *, is_worded: bool = True
    ) -> None:
        """Answer with bytes that are right until then; kept on the shelf if they were asked for as `target`.

        `is_worded` False: what is told says for itself which languages it has.
        """
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        self.mark(etag)
        headers = {
            **SECURITY_HEADERS,
            "Content-Type": f"{kind}; charset=utf-8",
            "Cache-Control": f"public, max-age={self.fresh_s}",
            "Vary": "Accept-Language",
            "Access-Control-Allow-Origin": "*",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        if is_worded:
            headers["Content-Language"] = LANGUAGES[self.language]
        if "Link" in self._headers:
            headers["Link"] = self._headers["Link"]
        for name, value in headers.items():
            self.set_header(name, value)
        if target is not None and target == self.request.uri:
            ready = Ready(body, etag, (*headers.items(), ("Etag", etag)), until)
            self.shelf.put(target, self.language, ready, self.generation)
        self.finish(body)

    def tell_model(self, model: BaseModel, until: datetime | None, target: str | None) -> None:
        """The same with JSON."""
        self.tell(model.model_dump_json().encode(), JSON, until, target)


def point_of(text: str, datum: str | None) -> tuple[float, float]:
    """Latitude and longitude, WGS-84, of "lat,lon" in degrees of this datum. InvalidInputError `point_unreadable`."""
    match = _POINT.fullmatch(text)
    lat, lon = (float(match[1]), float(match[2])) if match else (0.0, 999.0)
    if not (-90 <= lat <= 90 and -180 <= lon <= 180):
        raise InvalidInputError("point_unreadable", zh="点应为“纬度,经度”", en="a point is lat,lon", field="point")
    if datum == "gcj02":
        lon, lat = gcj02_to_wgs84(lon, lat)
    return lat, lon
