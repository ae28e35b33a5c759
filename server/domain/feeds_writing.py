"""Released alerts as the world reads them: JSON, Atom (RFC 4287) and GeoJSON (RFC 7946).

Promises: ids are permanent and belong to one message for ever; every text is escaped by the library that writes it; a
feed of the same alerts has the same bytes, so that its ETag says whether anything is new.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import shapely
from lxml import etree
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from shapely.geometry.base import BaseGeometry

from server.domain.alerts.geometry import parse_circle
from server.domain.alerts.model import Info
from server.domain.divisions import Divisions, circle, ring
from server.domain.feeds import Published, Standing, rings_of
from server.domain.wording import LANGUAGES, Kind

ATOM = "http://www.w3.org/2005/Atom"
CAP_TYPE, ATOM_TYPE, GEOJSON_TYPE = "application/cap+xml", "application/atom+xml", "application/geo+json"
_DIGITS = 1e-6  # degrees, a tenth of a metre
_TITLES = {"zh": "生效中的预警", "en": "Alerts in force"}


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PublicArea(_Told):
    """Where, as the message says it. Everything is WGS-84: polygons "lat,lon lat,lon ...", circles "lat,lon km"."""

    name: str
    divisions: tuple[str, ...] = ()
    polygons: tuple[str, ...] = ()
    circles: tuple[str, ...] = ()


class PublicText(_Told):
    """What it says in one language."""

    event: str
    headline: str = ""
    description: str = ""
    instruction: str = ""
    sender_name: str = ""


class Links(_Told):
    """Paths below this server."""

    self: str
    cap: str
    guotu: str
    history: str


class PublicAlert(_Told):
    """One released message of a chain. `divisions` are all that its area touches; `replaced_by` is what followed it."""

    identifier: str = Field(examples=["44030041600000_20261124093000"])
    chain: str = Field(description="identifier of the first message")
    standing: Standing
    kind: Kind
    msg_type: str = Field(examples=["Alert"])
    sender: str
    colour: str = Field(examples=["Orange"])
    severity: str
    urgency: str
    certainty: str
    event_code: str = Field(description="GB/T 35561", examples=["11B03"])
    sent_at: AwareDatetime
    onset_at: AwareDatetime | None = None
    expires_at: AwareDatetime
    follows: str | None = None
    replaced_by: str | None = None
    divisions: tuple[str, ...]
    areas: tuple[PublicArea, ...]
    texts: Mapping[str, PublicText] = Field(description="by language: zh, en")
    links: Links


def links_of(identifier: str) -> Links:
    """Where the forms of one message are."""
    path = f"/v1/alerts/{identifier}"
    return Links(self=path, cap=f"{path}.cap", guotu=f"{path}.guotu", history=f"{path}/history")


def public_alert(message: Published, standing: Standing, replaced_by: str | None = None) -> PublicAlert:
    """The JSON of one message."""
    info = message.alert.infos[0]
    return PublicAlert(
        identifier=message.identifier,
        chain=message.chain,
        standing=standing,
        kind=message.kind,
        msg_type=message.alert.msg_type,
        sender=message.alert.sender,
        colour=message.colour.value,
        severity=message.alert.severity,
        urgency=info.urgency,
        certainty=info.certainty,
        event_code=info.event_code or "",
        sent_at=message.released_at,
        onset_at=info.onset_at,
        expires_at=message.expires_at,
        follows=message.follows,
        replaced_by=replaced_by,
        divisions=message.divisions,
        areas=_areas(message),
        texts={language: _text(found) for language in LANGUAGES if (found := message.alert.info(language))},
        links=links_of(message.identifier),
    )


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


def geojson(messages: Sequence[Published], divisions: Divisions, language: str) -> dict[str, Any]:
    """A FeatureCollection; the geometry of an alert that only names divisions is drawn from the city's map."""
    return {"type": "FeatureCollection", "features": [_feature(each, divisions, language) for each in messages]}


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


def _feature(message: Published, divisions: Divisions, language: str) -> dict[str, Any]:
    geometry, source = surface(message, divisions)
    text = _text(_block(message, language))
    told = public_alert(message, Standing.ACTIVE).model_dump(mode="json", exclude={"texts", "areas"})
    return {
        "type": "Feature",
        "id": message.identifier,
        "geometry": shapely.geometry.mapping(geometry) if geometry is not None else None,
        "properties": {
            **told,
            **text.model_dump(),
            "area": "；".join(area.name for area in _areas(message) if area.name),
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


def _text(info: Info) -> PublicText:
    return PublicText(
        event=info.event,
        headline=info.headline or "",
        description=info.description or "",
        instruction=info.instruction or "",
        sender_name=info.sender_name or "",
    )


def _areas(message: Published) -> tuple[PublicArea, ...]:
    info = message.alert.info("zh") or message.alert.infos[0]
    return tuple(
        PublicArea(name=area.area_desc, divisions=area.divisions, polygons=area.polygons, circles=area.circles)
        for area in info.areas
    )


def _urn(name: str) -> str:
    """A permanent id: the same name has the same one for ever (RFC 4122, version 5)."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'urn:huimin:{name}')}"


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
