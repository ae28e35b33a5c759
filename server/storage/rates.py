"""How fast providers have been taking notices: a count per account and second, kept for a week.

`rates`: {_id: "<account> <second>", account, channel, at, accepted}. Workers add what they saw in the last second. It
is a measurement, not a record: a killed worker's last second is missing from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pymongo import UpdateOne

from server.storage.mongo import Database

SECONDS = 60  # of sending, the newest ones: what a rate is taken from


@dataclass(frozen=True, slots=True)
class Rate:
    """Notices a second that a channel has shown it takes, and when that was seen last."""

    per_s: float
    at: datetime


class Rates:
    """Writes and reads."""

    def __init__(self, db: Database) -> None:
        self._rates = db["rates"]

    async def add(self, accepted: Mapping[tuple[str, str], int], now: datetime) -> None:
        """(channel, account) -> how many more the account has accepted since the last call."""
        second = now.replace(microsecond=0)
        changes = [
            UpdateOne(
                {"_id": f"{account} {second:%Y%m%dT%H%M%S}"},
                {"$inc": {"accepted": count}, "$setOnInsert": {"account": account, "channel": channel, "at": second}},
                upsert=True,
            )
            for (channel, account), count in accepted.items()
            if count > 0
        ]
        if changes:
            await self._rates.bulk_write(changes, ordered=False)

    async def find(self, channel: str) -> Rate | None:
        """The channel's rate: the median of the busier half of its newest seconds; None: it has not sent of late.

        Beginnings and ends of broadcasts are slow for reasons of their own, so the slower half is left out.
        """
        by_second: Counter[datetime] = Counter()
        cursor = self._rates.find({"channel": channel}).sort("at", -1).limit(2 * SECONDS)
        async for document in cursor:
            by_second[document["at"]] += document["accepted"]
        busy = sorted((by_second[at] for at in sorted(by_second)[-SECONDS:]), reverse=True)
        if not busy:
            return None
        half = busy[: (len(busy) + 1) // 2]
        return Rate(float(half[len(half) // 2]), max(by_second))
