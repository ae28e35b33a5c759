"""The log of what everybody did: record it, read it, verify it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from server.domain.audit import Event


class Audit(Protocol):
    """What records. An event is durable when the call returns; the same key twice is one entry."""

    async def record(self, *events: Event) -> None:
        """Append them, in this order."""
        ...
