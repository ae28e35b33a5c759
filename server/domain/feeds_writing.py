"""Released alerts as feed readers take them: Atom (RFC 4287), GeoJSON (RFC 7946), and the CAP heartbeat.

Promises: ids are permanent and belong to one message for ever; every text is escaped by the library that writes it; a
feed of the same alerts has the same bytes, so that its ETag says whether anything is new.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import shapely
from lxml import etree
from shapely.geometry.base import BaseGeometry

from server.domain.alerts.cap import to_cap
from server.domain.alerts.geometry import parse_circle
from server.domain.alerts.model import Alert, Info, cap_time
from server.domain.alerts.vocabulary import Status
from server.domain.china import CHINA
from server.domain.divisions import Divisions, circle, ring
from server.domain.feeds import Published, Standing, rings_of
from server.domain.feeds_json import areas_of, links_of, public_alert, text_of

ATOM = "http://www.w3.org/2005/Atom"
CAP_TYPE, ATOM_TYPE, GEOJSON_TYPE = "application/cap+xml", "application/atom+xml", "application/geo+json"
_DIGITS = 1e-6  # degrees, a tenth of a metre
_TITLES = {"zh": "生效中的预警", "en": "Alerts in force"}


def atom(messages: Sequence[Published], path: str, base: str, language: str, changed_at: datetime) -> bytes:
    """An Atom feed, an entry per message. `base` is the public origin (https://city.example), `path` the feed's own."""
    feed = etree.Element(f"{{{ATOM}}}feed", nsmap={None: ATOM})  # type: ignore[dict-item]  # the stubs forget None
    feed.set("{http://www.w3.org/XML/1998/namespace}lang", {"zh": "zh-CN", "en": "en-US"}[language])
    _leaf(feed, "id", _urn(path))
    _leaf(feed, "title", _TITLES[language])
    _leaf(feed, "updated", _time(changed_at))
    _leaf(feed, "link", rel="self", type=ATOM_TYPE, href=f"{base}{path}")
    for message in messages:
        _entry(feed, message, base, language)
    return bytes(etree.tostring(feed, xml_declaration=True, encoding="UTF-8"))


def heartbeat(messages: Sequence[Published], city: str, at: datetime) -> bytes:
    """A CAP System message of this minute that names what is in force: who has not seen one for long is cut off."""
    minute = at.astimezone(CHINA).replace(second=0, microsecond=0)
    alert = Alert(
        identifier=f"{city}-heartbeat-{minute:%Y%m%d%H%M}",
        sender=f"{city}.huimin",
        sent=cap_time(minute, CHINA),
        status=Status.SYSTEM.value,
        references=" ".join(str(message.alert.reference) for message in messages) or None,
    )
    return to_cap(alert)


def surface(message: Published, divisions: Divisions) -> tuple[BaseGeometry | None, str]:
    """What a message covers in (lon, lat), and where that comes from: "message", "divisions" (no shape) or "none"."""
    areas = [area for info in message.alert.infos for area in info.areas]
    shapes = [ring(points) for area in areas for points in rings_of(dict.fromkeys(area.polygons))]
    shapes += [circle(*found) for area in areas for text in area.circles if (found := parse_circle(text))]
    source = "message"
    if not shapes:
        codes = {outline for code in message.divisions for outline in _outlines(code, divisions)}
        shapes, source = [divisions.outlines[code] for code in sorted(codes)], "divisions"
    if not shapes:
        return None, "none"
    rounded = shapely.set_precision(shapely.union_all(shapes), _DIGITS)
    return shapely.orient_polygons(rounded), source


def _outlines(code: str, divisions: Divisions) -> list[str]:
    """The districts that stand for a division on the map: itself, those below it, or the one above it."""
    if not divisions.is_known(code):
        return []
    around = [code, *divisions.children(code), *divisions.ancestors(code)]
    known = [each for each in around if each in divisions.outlines]
    return [code] if code in known else [each for each in known if each.startswith(code[:4])]


def feature(message: Published, divisions: Divisions, language: str) -> dict[str, Any]:
    """A GeoJSON feature; the geometry of an alert that only names divisions is drawn from the city's map."""
    geometry, source = surface(message, divisions)
    text = text_of(_block(message, language))
    told = public_alert(message, Standing.ACTIVE).model_dump(mode="json", exclude={"texts", "areas"})
    return {
        "type": "Feature",
        "id": message.identifier,
        "geometry": shapely.geometry.mapping(geometry) if geometry is not None else None,
        "properties": {
            **told,
            **text.model_dump(),
            "area": "；".join(area.name for area in areas_of(message) if area.name),
            "geometry_source": source,
        },
    }


def _entry(feed: etree._Element, message: Published, base: str, language: str) -> None:
    info, links = _block(message, language), links_of(message.identifier)
    entry = etree.SubElement(feed, f"{{{ATOM}}}entry")
    alert = message.alert
    _leaf(entry, "id", _urn(f"{alert.sender},{message.identifier},{alert.sent}"))
    _leaf(entry, "title", info.headline or info.event)
    _leaf(entry, "updated", _time(message.released_at))
    _leaf(entry, "published", _time(message.released_at))
    author = etree.SubElement(entry, f"{{{ATOM}}}author")
    _leaf(author, "name", info.sender_name or alert.sender)
    for term in (message.colour.value, info.event_code or ""):
        if term:
            _leaf(entry, "category", term=term)
    _leaf(entry, "link", rel="alternate", type=CAP_TYPE, href=f"{base}{links.cap}", title="cap")
    _leaf(entry, "link", rel="related", type="application/json", href=f"{base}{links.self}")
    _leaf(entry, "summary", "\n".join(filter(None, (info.description, info.instruction))) or info.event)


def _leaf(parent: etree._Element, tag: str, text: str | None = None, **attributes: str) -> None:
    element = etree.SubElement(parent, f"{{{ATOM}}}{tag}", attributes)
    element.text = text


def _block(message: Published, language: str) -> Info:
    return message.alert.info(language) or message.alert.infos[0]


def _urn(name: str) -> str:
    """A permanent id: the same name has the same one for ever (RFC 4122, version 5)."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'urn:huimin:{name}')}"


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
