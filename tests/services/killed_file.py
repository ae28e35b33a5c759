"""Processes that do something with files and kill themselves (SIGKILL) before their n-th write to the database.

python killed_file.py MONGO_URL VERB APPLICATION...: the n-th application's process dies before write n (from 1 on).
Prints a line for each: "killed" or "done". Nothing is caught, nothing is cleaned up.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime

import uvloop
from pymongo import monitoring

from server.services.attachments import Upload
from server.storage import mongo
from tests.domain.items import MATERIAL, item
from tests.services.application_world import Town, caller

WRITES = frozenset({"insert", "update", "delete", "findAndModify", "commitTransaction"})
PDF = b"%PDF-1.7\n" + b"0" * 600_000 + b"\n%%EOF\n"  # several chunks


class Dying(monitoring.CommandListener):
    """Dies before write `last`."""

    def __init__(self, last: int) -> None:
        self.left = last

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """A command is about to be sent."""
        self.left -= event.command_name in WRITES
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing to do."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing to do."""


async def main(mongo_url: str, verb: str, application: str, at: datetime) -> None:
    """Do it, or die."""
    async with mongo.client(mongo_url) as client:
        town = Town(mongo.database(client, "huimin_test"), item(materials=[MATERIAL]))
        town.clock.at = at
        if verb == "upload":
            await town.attachments.add(caller(), application, Upload("id_card", "a.pdf", "application/pdf", PDF))
            return
        draft = (await town.counter.get(caller(), application)).application
        if verb == "remove":
            await town.attachments.remove(caller(), application, draft.brought[0].ref)
        elif verb == "discard":
            await town.counter.discard(draft)


def lives(mongo_url: str, verb: str, application: str, write: int, at: datetime) -> bool:
    """Whether a process that dies before this write has lived to the end."""
    pid = os.fork()
    if pid == 0:
        monitoring.register(Dying(write))
        uvloop.run(main(mongo_url, verb, application, at))
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


if __name__ == "__main__":
    url, what, now, *applications = sys.argv[1:]
    for n, each in enumerate(applications, 1):
        has_lived = lives(url, what, each, n, datetime.fromisoformat(now))
        sys.stdout.write("done\n" if has_lived else "killed\n")
        sys.stdout.flush()
