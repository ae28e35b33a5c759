"""Chiefs are called exactly once wherever the process that calls them dies."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from push.duties import call_chiefs
from server.domain.alerts.release import World
from server.domain.alerts.states import Action
from server.domain.alerts.vocabulary import Colour
from server.domain.officers import Role
from server.services.alerts import RED_WAIT, Alerts
from server.services.audit import AuditLog
from server.services.duty_notices import DutyNotices, Shelves
from server.services.officers import Officers
from server.storage.alerts import AlertStore
from server.storage.catalogues import load_escalation, load_working_days
from server.storage.duty import Bound, CardBoard, DutyPhones
from server.storage.mongo import Database
from server.storage.officers import OfficerStore
from server.storage.outbox import Outbox
from server.storage.vault import Vault
from tests.services.desk import DIVISIONS, TEXTS, Clock, Post, submitted, typhoon
from tests.services.mortal_stores import FOREVER, KilledError, Life, Mortal
from tests.services.office import hired, newcomer, office_of

CITIZENS = (7, 8)


class House:
    """What processes share."""

    def __init__(self, db: Database, audit: AuditLog, clock: Clock) -> None:
        self.db, self.audit, self.clock = db, audit, clock
        self.vault = Vault({1: b"k" * 32}, b"i" * 32, secrets.token_bytes)
        self.office: Officers = office_of(db, audit, clock)

    async def open(self) -> None:
        """Two chiefs with telephones."""
        for citizen in CITIZENS:
            new = newcomer(f"chief {citizen}", f"staff-{citizen}", Role.CHIEF)
            self.clock.pass_by(seconds=1)
            person = await hired(self.office, self.clock, new)
            assert await DutyPhones(self.db, self.vault).bind(Bound(person.id, citizen, self.clock()))

    def desk(self, store: Any) -> Alerts:
        """The desk over a store."""
        return Alerts(store, World(DIVISIONS, TEXTS), Post(), self.audit, now=self.clock)

    async def process(self, touches: int = FOREVER) -> bool:
        """One turn of a process that dies before it touches the databases so often; whether it lived."""
        life = Life(touches)
        alerts, outbox = Mortal(AlertStore(self.db), life), Mortal(Outbox(self.db), life)
        phones = Mortal(DutyPhones(self.db, self.vault), life)
        shelves = Shelves(alerts, OfficerStore(self.db, self.vault), phones, CardBoard(self.db), outbox)  # type: ignore[arg-type]
        duty = DutyNotices(shelves, TEXTS.templates, load_escalation(), load_working_days(), self.clock)
        try:
            await call_chiefs(self.desk(alerts), self.office, duty.call)
        except KilledError:
            return False
        return True

    async def told(self) -> list[int]:
        """Who has a call, in the order of their ids."""
        return sorted([d["citizen"] async for d in self.db["outbox"].find({"template": "duty.release"})])


async def test_whenever_the_first_process_dies_each_chief_is_called_once(db: Database, audit: AuditLog, clock: Clock):
    house = House(db, audit, clock)
    await house.open()
    lived, touches = False, 0
    while not lived:
        name, _ = await submitted(house.desk(AlertStore(db)), typhoon(Colour.RED))
        assert await house.process()
        assert await house.told() == []
        clock.at += RED_WAIT
        lived = await house.process(touches)
        await asyncio.gather(house.process(), house.process())
        assert await house.told() == [7], f"died before touch {touches}"
        clock.at += RED_WAIT
        await asyncio.gather(house.process(), house.process())
        assert await house.told() == [7, 8]
        steps = (await AlertStore(db).get(name)).steps
        assert sum(step.action == Action.PAGE for step in steps) == 2
        for collection in ("alerts", "outbox"):
            await db[collection].delete_many({})
        touches += 1
    assert touches > 4
