"""Pages for the tests of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from server.domain import ranks
from server.domain.broadcasts import Lane, page_id
from server.domain.pages import Page, PageState
from server.storage.mongo import Database

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)


def page(number: int = 0, *, to: Sequence[int] = range(1, 6), broadcast: str = "b", **changes: Any) -> Page:
    """A planned page that is due."""
    made = Page(
        id=page_id(broadcast, "sms", 0, number), broadcast=broadcast, channel="sms", number=0, lane=Lane.YELLOW,
        state=PageState.OPEN, to=list(to), divisions=[0] * len(to), not_before=LONG_AGO, expires_at=LATER,
        outcomes=[ranks.PLANNED] * len(to),
    )  # fmt: skip
    return replace(made, **changes)


async def age(db: Database, seconds: float) -> None:
    """Let this much time pass for every lease, as the database sees it."""
    for name in ("pages", "ranges"):
        await db[name].update_many(
            {"lease.at": {"$exists": True}},
            [
                {
                    "$set": {
                        "lease.at": {"$subtract": ["$lease.at", int(timedelta(seconds=seconds).total_seconds() * 1000)]}
                    }
                }
            ],
        )
