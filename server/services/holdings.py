"""What the product holds about one person, feature by feature: to hand out, to move to a joined account, to erase.

Each feature that stores something about people brings one `Holding`, so that an export forgets nothing, a join loses
nothing and an erasure leaves nothing. A test holds that every collection with a citizen's id belongs to a holding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from server.storage.mongo import Session


class Holding(Protocol):
    """One feature's part."""

    @property
    def name(self) -> str:
        """What the part is called in an export: "places", "consents", "bookings"."""
        ...

    @property
    def collections(self) -> Sequence[str]:
        """The collections it answers for."""
        ...

    async def export(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """All of it as plain rows (JSON values), opened, oldest first. Internal ids are left out."""
        ...

    async def move(self, source: int, target: int, session: Session) -> None:
        """Give all of it to another citizen, within the caller's transaction. May be repeated."""
        ...

    async def erase(self, citizen: int) -> None:
        """Delete it, or take everything personal out of what has to stay. May be repeated."""
        ...
