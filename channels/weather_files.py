"""Live alerts as files: CAP 1.2 or 国突, in a folder, or behind a page that lists them. Implements a `Feed`.

A folder: every `*.xml` in it, by name; a file that is still being written shows as broken and is read again once it has
changed. A page is one of
    JSON   ["a.xml", {"name": "b.xml", "version": "3"}]     names are relative to the page
    RSS 2.0 or Atom                                         the link of each item, with its guid or updated as version
Links lead to the page's own origin only, so a page cannot make this server ask others. Pages are asked for under their
ETag. What stands in a file is judged by the intake, not here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urljoin, urlsplit

import orjson
import structlog
from lxml import etree
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from channels.call import Reply, State
from channels.transport import Transport
from server.domain.alerts.document import MAX_BYTES, parse_xml
from server.domain.alerts.finding import Fault
from server.domain.errors import UnavailableError
from server.domain.weather_feeds import AlertFile, Gathered, Memory
from server.settings import AlertFilesFeed

TIMEOUT_S = 10.0
MOST_LISTED = 5_000
MOST_READ = 50  # of one look
MAX_FAILURES = 3  # one after the other: then the rest waits for the next look
ATOM = "{http://www.w3.org/2005/Atom}"

log = structlog.get_logger()


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    name: str = Field(min_length=1, max_length=300)
    version: str = Field(default="", max_length=200)


_LIST = TypeAdapter(Annotated[list[Annotated[str, Field(min_length=1, max_length=300)] | _Entry],
                              Field(max_length=MOST_LISTED)])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that is there."""

    name: str
    version: str


class AlertFolder:
    """A folder of files."""

    def __init__(self, feed: AlertFilesFeed) -> None:
        assert feed.folder is not None
        self.name = feed.name
        self._folder = feed.folder

    async def gather(self, memory: Memory) -> Gathered:
        """New and changed files, by name. UnavailableError if there is no such folder."""
        try:
            listed = await asyncio.to_thread(_in_folder, self._folder)
        except OSError as error:
            raise feed_away(f"{self._folder}: {error.strerror}") from None
        found = Gathered()
        for file in (await _new(listed, memory))[:MOST_READ]:
            try:
                data = await asyncio.to_thread(_bytes_of, self._folder / file.name)
            except OSError as error:
                found.refuse(file.name, "file_unreadable", "文件无法读取", str(error.strerror))
            else:
                found.alerts.append(AlertFile(file.name, file.version, data))
        return found


class AlertPage:
    """A page that lists files."""

    def __init__(self, feed: AlertFilesFeed, transport: Transport) -> None:
        assert feed.url is not None
        self.name = feed.name
        self._url = feed.url
        self._transport = transport

    async def gather(self, memory: Memory) -> Gathered:
        """New files in the order of the page. UnavailableError if the page cannot be had or read."""
        found, known = Gathered(), memory.etags.get(self._url, "")
        page = await ask(self._transport, self._url, known)
        if page.status == 304:
            found.etags[self._url] = known
            return found
        entries = await asyncio.to_thread(read_page, page.body, self._url)
        listed = [file for file in entries if self._is_own(file, found)]
        new, failures = await _new(listed, memory), 0
        for file in new[:MOST_READ]:
            try:
                got = await ask(self._transport, file.name, "")
            except UnavailableError as error:
                found.refuse(file.name, error.code, error.zh, error.en)
                failures += 1
                if failures >= MAX_FAILURES:
                    break
            else:
                failures = 0
                found.alerts.append(AlertFile(file.name, file.version, got.body))
        if page.etag and len(new) == len(found.alerts):  # else the page is asked for again although it is the same
            found.etags[self._url] = page.etag
        return found

    def _is_own(self, file: Listed, found: Gathered) -> bool:
        """Whether the link stays with the page's own server."""
        own, other = urlsplit(self._url), urlsplit(file.name)
        is_own = (own.scheme, own.netloc) == (other.scheme, other.netloc)
        if not is_own:
            found.refuse(file.name, "link_elsewhere", "链接指向其他服务器", "the link leads to another server")
        return is_own


async def ask(transport: Transport, url: str, etag: str, headers: Iterable[str] = ()) -> Reply:
    """GET: an answer with status 200, or 304 if it is still the one of `etag`. UnavailableError `feed_away`."""
    lines = [*headers, *([f"If-None-Match: {etag}"] if etag.isascii() and etag.isprintable() and etag else [])]
    reply = await transport.fetch(url, lines, timeout_s=TIMEOUT_S)
    if reply.state is not State.ANSWERED:
        raise feed_away(f"{url}: {reply.state} {reply.why}")
    if reply.status != 200 and not (reply.status == 304 and etag):
        raise feed_away(f"{url}: HTTP {reply.status}", reply.retry_after_s)
    return reply


def feed_away(why: str, retry_after_s: float | None = None) -> UnavailableError:
    """Nothing can be had just now."""
    return UnavailableError(
        "feed_away", zh=f"气象数据源暂不可用：{why}"[:300], en=why[:300],
        retry_after_s=int(retry_after_s) if retry_after_s else None,
    )  # fmt: skip


def read_page(body: bytes, url: str) -> list[Listed]:
    """What a page lists, with whole links; UnavailableError if it is none of the known kinds."""
    if body.lstrip()[:1] == b"[":
        try:
            entries = _LIST.validate_python(orjson.loads(body))
        except (orjson.JSONDecodeError, ValidationError) as error:
            raise feed_away(f"{url}: no list of names ({type(error).__name__})") from None
        plain = [_Entry(name=each) if isinstance(each, str) else each for each in entries]
        return _whole(plain, url)
    root = parse_xml(body, max_bytes=MAX_BYTES)
    if isinstance(root, Fault):
        raise feed_away(f"{url}:{root.line or 0}: {root.en}")
    if root.tag not in ("rss", f"{ATOM}feed"):
        raise feed_away(f"{url}: neither a JSON list nor RSS nor Atom")
    return _whole(list(_atom(root) if root.tag != "rss" else _rss(root))[:MOST_LISTED], url)


def _atom(root: etree._Element) -> Iterable[_Entry]:
    for entry in root.iterfind(f"{ATOM}entry"):
        links = {link.get("type", ""): link.get("href") for link in entry.iterfind(f"{ATOM}link")}
        href = links.get("application/cap+xml") or next(iter(links.values()), None)
        if href:
            yield _Entry(name=href[:300], version=(entry.findtext(f"{ATOM}updated") or "")[:200])


def _rss(root: etree._Element) -> Iterable[_Entry]:
    for item in root.iterfind("channel/item"):
        link = (item.findtext("link") or "").strip()
        if link:
            yield _Entry(name=link[:300], version=(item.findtext("guid") or "")[:200])


def _whole(entries: Iterable[_Entry], url: str) -> list[Listed]:
    """With whole links, each once."""
    found: dict[str, Listed] = {}
    for entry in entries:
        try:
            link = urljoin(url, entry.name)
        except ValueError:
            continue
        found.setdefault(link, Listed(link, entry.version))
    return list(found.values())


def _in_folder(folder: Path) -> list[Listed]:
    """The files, oldest first: what follows another comes after it."""
    there = [(path, path.stat()) for path in folder.iterdir() if path.suffix.lower() == ".xml" and path.is_file()]
    there.sort(key=lambda one: (one[1].st_mtime_ns, one[0].name))
    return [Listed(path.name, f"{stat.st_mtime_ns}.{stat.st_size}") for path, stat in there]


def _bytes_of(path: Path) -> bytes:
    """The content, no more than one byte over what a message may have: the intake says then that it is too large."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


async def _new(listed: list[Listed], memory: Memory) -> list[Listed]:
    known: Mapping[str, str] = await memory.versions([file.name for file in listed])
    return [file for file in listed if known.get(file.name) != file.version]
