"""A process that releases an alert and kills itself (SIGKILL) just before or just after the broadcast is durable.

python killed_release.py MONGO_URL REDIS_URL IDENTIFIER DIGEST before|after FOLDER
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from redis.asyncio import Redis

from server.domain.alerts.release import World
from server.domain.broadcasts import Broadcast
from server.services.alerts import Alerts
from server.storage import mongo
from server.storage.alerts import AlertStore
from tests.services.desk import DIVISIONS, RELEASER, TEXTS, Clock, audit_of, real_publisher


class Suicidal:
    """A publisher that does not outlive its call."""

    def __init__(self, publisher: object, moment: str) -> None:
        self._publisher = publisher
        self._moment = moment

    async def publish(self, broadcast: Broadcast) -> None:
        """Die before or after the real thing."""
        if self._moment == "after":
            await self._publisher.publish(broadcast)  # type: ignore[attr-defined]
        os.kill(os.getpid(), signal.SIGKILL)


async def main(mongo_url: str, redis_url: str, name: str, digest: str, moment: str, folder: str) -> None:
    """Release and die."""
    async with mongo.client(mongo_url) as client, Redis.from_url(redis_url, protocol=3) as redis:
        db = mongo.database(client, "huimin_test")
        publisher = Suicidal(real_publisher(db, redis), moment)
        desk = Alerts(
            AlertStore(db), World(DIVISIONS, TEXTS), publisher, audit_of(db, Clock(), Path(folder)), now=Clock()
        )
        await desk.release(RELEASER, name, digest)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
