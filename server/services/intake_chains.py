"""Which alert of ours a partner's message speaks of: what earlier messages of its chain became."""

from __future__ import annotations

from datetime import datetime

from server.domain.intake import Received
from server.storage.feeds import PublicStore
from server.storage.intake import IntakeStore


class IntakeChains:
    """Follows references of partners to alerts of the desk."""

    def __init__(self, intake: IntakeStore, public: PublicStore) -> None:
        self._intake = intake
        self._public = public

    async def head(self, found: Received, at: datetime) -> str | None:
        """The newest released alert of ours that earlier messages of the same chain became."""
        drafts = [each.draft for each in await self._earlier(found, at) if each.draft]
        for message in await self._public.find(drafts):
            return (await self._public.find_chain(message.chain))[-1].identifier
        return None

    async def awaiting(self, found: Received, at: datetime) -> list[Received]:
        """Earlier messages of the same chain about which the standing orders have not decided, oldest first."""
        return [each for each in await self._earlier(found, at) if each.awaits_order]

    async def _earlier(self, found: Received, at: datetime) -> list[Received]:
        names = [entry.identifier for entry in found.alert.referenced]
        history = await self._intake.find_history(found.alert.sender, names, at)
        return [each for each in history if each.chain == found.chain and each.key != found.key]
