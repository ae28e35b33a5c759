"""All my data, to take away: /v1/me/export."""

from __future__ import annotations

from handlers.base import ApiHandler
from server.services.export import Export

ZIP = "application/zip"


class ExportHandler(ApiHandler):
    """The archive."""

    def initialize(self, export: Export) -> None:
        """`export` makes it."""
        self.export = export

    async def get(self) -> None:
        """Made while it is sent; a reader who is slow makes it slow, not large."""
        pieces = await self.export.begin(self.caller)
        self.set_header("Content-Type", ZIP)
        self.set_header("Content-Disposition", 'attachment; filename="huimin-my-data.zip"')
        async for piece in pieces:
            self.write(piece)
            await self.flush()
