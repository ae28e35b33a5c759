"""Bulletins as feed readers take them: RSS 2.0, Atom (RFC 4287) and JSON Feed 1.1. Pure.

Promises: an item's id is permanent; what is withdrawn says so in its title; every text is escaped by the library that
writes it; a feed of the same bulletins has the same bytes, so that its ETag says whether anything is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

import orjson
from lxml import etree

from server.domain.bulletins_json import PublicBulletin, Standing

ATOM = "http://www.w3.org/2005/Atom"
RSS_TYPE, ATOM_TYPE, JSON_FEED_TYPE = "application/rss+xml", "application/atom+xml", "application/feed+json"
TTL_MINUTES = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MARKS = {"zh": "【已撤回】", "en": "[Withdrawn] "}
_TAGS = {"zh": "zh-CN", "en": "en-US"}


@dataclass(frozen=True, slots=True)
class Feed:
    """What a feed is. `base` is the public origin (https://city.example), `path` the feed's own with its query."""

    title: str
    path: str
    base: str
    language: str  # zh or en

    @property
    def url(self) -> str:
        """Its own address."""
        return f"{self.base}{self.path}"


def rss(feed: Feed, bulletins: Sequence[PublicBulletin]) -> bytes:
    """RSS 2.0 with the self link that readers want."""
    root = etree.Element("rss", version="2.0", nsmap={"atom": ATOM})
    channel = etree.SubElement(root, "channel")
    _text(channel, "title", feed.title)
    _text(channel, "link", f"{feed.base}/v1/bulletins")
    _text(channel, "description", feed.title)
    _text(channel, "language", _TAGS[feed.language].lower())
    _text(channel, "lastBuildDate", _rfc822(_changed_at(bulletins)))
    _text(channel, "ttl", str(TTL_MINUTES))
    etree.SubElement(channel, f"{{{ATOM}}}link", href=feed.url, rel="self", type=RSS_TYPE)
    for each in bulletins:
        item = etree.SubElement(channel, "item")
        _text(item, "title", title_of(each, feed.language))
        _text(item, "link", each.link or _address(each, feed))
        _text(item, "description", body_of(each, feed.language))
        _text(item, "category", each.topic)
        _text(item, "guid", _urn(each)).set("isPermaLink", "false")
        _text(item, "pubDate", _rfc822(each.changed_at))
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def atom(feed: Feed, bulletins: Sequence[PublicBulletin]) -> bytes:
    """RFC 4287."""
    root = etree.Element(f"{{{ATOM}}}feed", nsmap={None: ATOM})  # type: ignore[dict-item]  # the stubs forget None
    root.set("{http://www.w3.org/XML/1998/namespace}lang", _TAGS[feed.language])
    _text(root, f"{{{ATOM}}}id", f"urn:huimin:{feed.path}")
    _text(root, f"{{{ATOM}}}title", feed.title)
    _text(root, f"{{{ATOM}}}updated", _rfc3339(_changed_at(bulletins)))
    etree.SubElement(root, f"{{{ATOM}}}link", rel="self", type=ATOM_TYPE, href=feed.url)
    for each in bulletins:
        entry = etree.SubElement(root, f"{{{ATOM}}}entry")
        _text(entry, f"{{{ATOM}}}id", _urn(each))
        _text(entry, f"{{{ATOM}}}title", title_of(each, feed.language))
        _text(entry, f"{{{ATOM}}}updated", _rfc3339(each.changed_at))
        _text(entry, f"{{{ATOM}}}published", _rfc3339(each.published_at))
        author = etree.SubElement(entry, f"{{{ATOM}}}author")
        _text(author, f"{{{ATOM}}}name", each.source.zh if feed.language == "zh" else each.source.en)
        etree.SubElement(entry, f"{{{ATOM}}}category", term=each.topic)
        etree.SubElement(entry, f"{{{ATOM}}}link", rel="alternate", href=each.link or _address(each, feed))
        _text(entry, f"{{{ATOM}}}content", body_of(each, feed.language)).set("type", "text")
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def json_feed(feed: Feed, bulletins: Sequence[PublicBulletin]) -> bytes:
    """JSON Feed 1.1 (jsonfeed.org)."""
    items = [
        {
            "id": _urn(each),
            "url": each.link or _address(each, feed),
            "title": title_of(each, feed.language),
            "content_text": body_of(each, feed.language),
            "date_published": _rfc3339(each.published_at),
            "date_modified": _rfc3339(each.changed_at),
            "authors": [{"name": each.source.zh if feed.language == "zh" else each.source.en}],
            "tags": [each.topic, *(area.division for area in each.areas)],
            "language": _TAGS[feed.language],
        }
        for each in bulletins
    ]
    told = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": feed.title,
        "home_page_url": f"{feed.base}/v1/bulletins",
        "feed_url": feed.url,
        "language": _TAGS[feed.language],
        "items": items,
    }
    return orjson.dumps(told)


def title_of(bulletin: PublicBulletin, language: str) -> str:
    """The headline; it says if the bulletin does not hold any more."""
    said = bulletin.title.zh if language == "zh" else bulletin.title.en or bulletin.title.zh
    return f"{_MARKS[language]}{said}" if bulletin.standing is Standing.WITHDRAWN else said


def body_of(bulletin: PublicBulletin, language: str) -> str:
    """What it says; of a withdrawn one, why it was."""
    if bulletin.standing is Standing.WITHDRAWN:
        return bulletin.reason
    said = bulletin.body.zh if language == "zh" else bulletin.body.en or bulletin.body.zh
    return f"{said}\n\n{bulletin.note}" if bulletin.note else said


def _changed_at(bulletins: Sequence[PublicBulletin]) -> datetime:
    return max((each.changed_at for each in bulletins), default=_EPOCH)


def _address(bulletin: PublicBulletin, feed: Feed) -> str:
    return f"{feed.base}/v1/bulletins/{bulletin.id}"


def _urn(bulletin: PublicBulletin) -> str:
    """Permanent: the id is 128 random bits, in the form of RFC 4122's names."""
    i = bulletin.id
    return f"urn:uuid:{i[:8]}-{i[8:12]}-{i[12:16]}-{i[16:20]}-{i[20:]}"


def _rfc822(at: datetime) -> str:
    return format_datetime(at.astimezone(UTC))


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _text(parent: etree._Element, tag: str, text: str) -> etree._Element:
    element = etree.SubElement(parent, tag)
    element.text = text
    return element
