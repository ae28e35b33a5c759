"""Callbacks of providers: /v1/receipts/<provider>[/<key>]."""

from __future__ import annotations

from channels.base import CallbackRequest
from handlers.base import ApiHandler
from server.services.receipts import Receipts


class ReceiptHandler(ApiHandler):
    """Hands the raw request to the provider's reader; answers what the provider wants to hear, once it is durable."""

    def initialize(self, receipts: Receipts) -> None:
        """`receipts` applies what was verified."""
        self.receipts = receipts

    async def get(self, provider: str, key: str | None = None) -> None:
        """The provider checks the address (WeChat's echo)."""
        await self._take(provider, key)

    async def post(self, provider: str, key: str | None = None) -> None:
        """Receipts and events."""
        await self._take(provider, key)

    async def _take(self, provider: str, key: str | None) -> None:
        query = {name: values[-1].decode("utf-8", "replace") for name, values in self.request.query_arguments.items()}
        if key:
            query["key"] = key
        request = CallbackRequest(self.request.method or "", query, dict(self.request.headers), self.request.body)
        callback = await self.receipts.take(provider, request)
        self.set_header("Content-Type", callback.content_type)
        self.finish(callback.answer)
