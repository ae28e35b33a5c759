"""The mini-program in a browser, at /mini/: for trying things, for tests, and for whoever has no WeChat at hand.

It is built from `miniprogram_stub/` (`make mini`) and read once; where nothing is built, as in the image, there is no
such path. The page may load its own script and style, ask its own server, and nothing else: its policy says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from handlers.base import ApiHandler
from handlers.docs import Page
from handlers.routing import PUBLIC, Operation, Route
from server.domain.errors import NotFoundError

BUILT = Path(__file__).parents[1] / "miniprogram_stub" / "dist"
FRONT = "index.html"
KINDS: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def files(folder: Path) -> Mapping[str, Page]:
    """What is built, by name; nothing if it is not."""
    found = {}
    for path in sorted(folder.glob("*")):
        if kind := KINDS.get(path.suffix):
            body = path.read_bytes()
            found[path.name] = Page(body, kind, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
    return found


class MiniHandler(ApiHandler):
    """/mini/ and its files."""

    def initialize(self, files: Mapping[str, Page]) -> None:
        """`files` by name."""
        self.files = files

    def get(self, mini_file: str = FRONT) -> None:
        """The file; it is asked for again each time, so that a new build shows at once."""
        if mini_file not in self.files:
            raise NotFoundError("path_unknown", zh="没有这个地址", en="there is no such path")
        page = self.files[mini_file]
        self.mark(page.etag)
        self.set_header("Content-Type", page.kind)
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Cache-Control", "no-cache")
        self.finish(page.body)


def mini_routes(folder: Path = BUILT) -> list[Route]:
    """The page and what it is made of."""
    unchanged = {304: "unchanged"}
    front = Operation(
        summary="The mini-program in a browser",
        entry=PUBLIC,
        gives_raw={"text/html": "<!doctype html>"},
        answers_as=unchanged,
    )
    part = Operation(
        summary="Its script, its style and its pictures",
        entry=PUBLIC,
        gives_raw={"text/javascript": "start();", "text/css": "page { margin: 0 }", "image/png": ""},
        answers_as=unchanged,
    )
    parts = {"files": files(folder)}
    return [
        Route("/mini/", MiniHandler, {"GET": front}, parts),
        Route("/mini/{mini_file}", MiniHandler, {"GET": part}, parts),
    ]
