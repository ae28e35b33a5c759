"""The contract at /openapi.json."""

from __future__ import annotations

import hashlib

from handlers.base import ApiHandler


class OpenApiHandler(ApiHandler):
    """One document, made from the route table when the process starts."""

    def initialize(self, document: bytes) -> None:
        """`document` is JSON."""
        self.document = document

    def get(self) -> None:
        """The document; it may be kept for a minute."""
        self.mark(f'"{hashlib.sha256(self.document).hexdigest()[:32]}"')
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.set_header("Cache-Control", "public, max-age=60")
        self.finish(self.document)
