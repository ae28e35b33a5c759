"""Answers that anybody may keep for a moment: with an ETag, and on the shelf in front of the application."""

from __future__ import annotations

import hashlib
from datetime import datetime

from pydantic import BaseModel

from handlers.base import JSON, LANGUAGES, SECURITY_HEADERS, ApiHandler
from handlers.front import Ready, Shelf
from server.domain.feeds_writing import CAP_TYPE

GUOTU_TYPE = "application/xml"
OWN_LANGUAGES = (CAP_TYPE, GUOTU_TYPE)  # a message says for itself which languages it has


class KeptHandler(ApiHandler):
    """What such handlers share. `fresh_s` is how long others may keep an answer without asking."""

    shelf: Shelf
    generation: int
    fresh_s = 1

    def lean_on(self, shelf: Shelf) -> None:
        """Take the shelf, before anything is read that the answer is made of."""
        self.shelf = shelf
        self.generation = shelf.generation

    def tell(self, body: bytes, kind: str, until: datetime | None, target: str | None) -> None:
        """Answer with bytes that are right until then; kept on the shelf if they were asked for as `target`."""
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
        if kind not in OWN_LANGUAGES:
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
