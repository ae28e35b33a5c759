"""What people's own apps say of notices: displayed, opened. It counts as a provider's receipt does.

A notice that was displayed is delivered, one that was opened is read: so the ladder does not go on to the next channel,
and the report says it. Whoever names a notice of somebody else, or none at all, changes nothing and is not told.
"""

from __future__ import annotations

from dataclasses import dataclass

from channels.base import ReceiptVerdict
from server.services.inbox import Inbox
from server.services.receipts import Receipts, Sighting


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice of the caller: broadcast, the thing it is about ("" for an alert), and the channel it came by."""

    broadcast: str
    about: str
    channel: str


class Sightings:
    """The verbs; each is durable when it returns and may be repeated."""

    def __init__(self, receipts: Receipts, inbox: Inbox) -> None:
        self._receipts = receipts
        self._inbox = inbox

    async def shown(self, citizen: int, notice: Notice) -> None:
        """It was displayed."""
        await self._see(citizen, notice, ReceiptVerdict.DELIVERED)

    async def read(self, citizen: int, notice: Notice) -> None:
        """It was opened: in the inbox it is read too."""
        await self._see(citizen, notice, ReceiptVerdict.READ)
        await self._inbox.mark_opened(citizen, notice.broadcast, notice.about)

    async def _see(self, citizen: int, notice: Notice, verdict: ReceiptVerdict) -> None:
        await self._receipts.see(Sighting(citizen, notice.channel, notice.broadcast, notice.about, verdict))
