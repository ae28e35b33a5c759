"""The API reference for people, at /docs: one page that reads /openapi.json. Nothing of it comes from another site.

The page may load its own script and style and ask its own server, and nothing else: its policy says so to the browser.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from handlers.base import ApiHandler
from handlers.routing import PUBLIC, Operation, Route

FOLDER = Path(__file__).parent / "docs_page"
KINDS: Mapping[str, str] = {"page.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}
KEPT_S = 300
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


def docs_routes() -> list[Route]:
    """What the page is made of."""
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
    parts = {"pages": pages()}
    return [
        Route("/docs", DocsHandler, {"GET": page}, parts),
        Route("/docs/{page_file}", DocsHandler, {"GET": part}, parts),
    ]
