"""What people read who build on the API: its reference, at /docs, and whom to tell of a weakness.

The reference is one page that reads /openapi.json. Nothing of it comes from another site.

The page may load its own script and style and ask its own server, and nothing else: its policy says so to the browser.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from handlers.base import ApiHandler
from handlers.routing import PUBLIC, Operation, Route
from server.domain.errors import NotFoundError

FOLDER = Path(__file__).parent / "docs_page"
KINDS: Mapping[str, str] = {"page.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}
KEPT_S = 300
HOLDS = timedelta(days=180)  # RFC 9116 asks for less than a year
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)


@dataclass(frozen=True, slots=True)
class Page:
    """One file, ready to be sent."""

    body: bytes
    kind: str
    etag: str


def pages() -> Mapping[str, Page]:
    """All files of the page, read once."""
    found = {}
    for name, kind in KINDS.items():
        body = (FOLDER / name).read_bytes()
        found[name] = Page(body, kind, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
    return found


class DocsHandler(ApiHandler):
    """/docs and the files it is made of."""

    def initialize(self, pages: Mapping[str, Page]) -> None:
        """`pages` by name."""
        self.pages = pages

    def get(self, page_file: str = "page.html") -> None:
        """The file; browsers may keep it for some minutes."""
        page = self.pages[page_file]
        self.mark(page.etag)
        self.set_header("Content-Type", f"{page.kind}; charset=utf-8")
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Cache-Control", f"public, max-age={KEPT_S}")
        self.finish(page.body)


class SecurityHandler(ApiHandler):
    """/.well-known/security.txt."""

    def initialize(self, contact: str, now: Callable[[], datetime]) -> None:
        """`contact` is a URI, or "" if the city names none."""
        self.contact = contact
        self.now = now

    def get(self) -> None:
        """RFC 9116; it holds for half a year from when it is read."""
        if not self.contact:
            raise NotFoundError("path_unknown", zh="没有这个地址", en="there is no such path")
        until = (self.now() + HOLDS).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"Contact: {self.contact}\nExpires: {until}\nPreferred-Languages: zh, en\n".encode())


def docs_routes(contact: str, now: Callable[[], datetime]) -> list[Route]:
    """What the page is made of, and the file about weaknesses."""
    unchanged = {304: "unchanged"}
    page = Operation(
        summary="The API reference, for people",
        entry=PUBLIC,
        gives_raw={"text/html": "<!doctype html>"},
        answers_as=unchanged,
    )
    part = Operation(
        summary="Its style and its script",
        entry=PUBLIC,
        gives_raw={"text/css": "body { margin: 0 auto }", "text/javascript": "show();"},
        answers_as=unchanged,
    )
    security = Operation(
        summary="Whom to tell of a weakness (RFC 9116)",
        entry=PUBLIC,
        gives_raw={"text/plain": "Contact: mailto:security@sz.example"},
    )
    parts = {"pages": pages()}
    return [
        Route("/docs", DocsHandler, {"GET": page}, parts),
        Route("/docs/{page_file}", DocsHandler, {"GET": part}, parts),
        Route("/.well-known/security.txt", SecurityHandler, {"GET": security}, {"contact": contact, "now": now}),
    ]
