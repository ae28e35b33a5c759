"""A process in which an officer or an applicant does one thing and which kills itself at the n-th touch.

python killed_officer.py MONGO_URL FOLDER APPLICATION DEED TOUCH: nothing is caught, nothing is cleaned up. A touch is a
call of the store, of the audit log or of the booking counter.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import uvloop

from server.services.application_seats import ApplicationSeats
from server.services.audit import AuditLog
from server.storage import mongo
from server.storage.audit import AuditStore, CheckpointFile
from server.storage.mongo import Database
from tests.services.application_world import CLERK, Town, caller
from tests.services.booking_world import Clock, slot_at
from tests.services.booking_world import Town as Hall
from tests.services.killed_application import Dying


def log_of(db: Database, town: Town, folder: Path) -> AuditLog:
    """The real log, on this database."""
    file = CheckpointFile(folder / "checkpoints")
    return AuditLog(AuditStore(db), file, b"s" * 32, now=town.clock, random=secrets.token_bytes)


async def main(mongo_url: str, folder: str, application: str, deed: str, touch: str) -> None:
    """Do it, or die."""
    async with mongo.client(mongo_url) as client:
        db = mongo.database(client, "huimin_test")
        town, hall = Town(db), Hall(db, Clock(), slot_at(9))
        town.clock.at = hall.clock.at
        object.__setattr__(town.ground, "audit", Dying(log_of(db, town, Path(folder)), int(touch)))
        object.__setattr__(town.ground, "store", Dying(town.store, int(touch)))
        if deed == "claim":
            await town.desk.claim(CLERK, application)
        elif deed == "transfer":
            await town.desk.transfer(CLERK, application, "")
        else:
            await town.counter.withdraw(caller(), application, "w")
            seats = ApplicationSeats(town.ground, town.steps, town.counter, Dying(hall.counter, int(touch)))
            await seats.sweep()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
