"""A partner, two officers and a standing order, over stores that may be mortal."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from server.domain.alerts.cap import to_cap
from server.domain.alerts.desk import DeskAlert
from server.domain.alerts.model import Alert, Area, NamedValue, cap_time
from server.domain.alerts.release import World
from server.domain.alerts.vocabulary import DIVISION_CODE, EVENT_CODE, Colour
from server.domain.china import CHINA
from server.domain.intake import Received
from server.domain.officers import Officer
from server.domain.partners import Partner
from server.domain.standing_orders import StandingOrder, Terms
from server.services.alerts import Alerts
from server.services.audit import AuditLog
from server.services.intake import Intake
from server.services.intake_chains import IntakeChains
from server.services.order_releases import OrderReleases, Shelves
from server.services.standing_orders import StandingOrders
from server.storage.alerts import AlertStore
from server.storage.broadcasts import Broadcasts
from server.storage.feeds import PublicStore
from server.storage.intake import IntakeStore
from server.storage.mongo import Database
from server.storage.partners import PartnerStore
from server.storage.standing_orders import OrderStore
from server.storage.vault import Vault
from tests.services.desk import AUTHOR, DIVISIONS, RELEASER, START, TEXTS, Clock, Post, typhoon
from tests.services.mortal_stores import FOREVER, Life, Mortal

SENDER = "bureau@sz.example"
PARTNER = Partner(id="bureau", name="市气象局", senders=(SENDER,), division="440300", created_at=START)


def terms(**changes: object) -> Terms:
    """Rainstorms in 南山区, blue to orange."""
    plain = {
        "partner": "bureau", "senders": (SENDER,), "events": ("11B03",), "highest": "Orange", "lowest": "Blue",
        "divisions": ("440305",), "max_per_hour": 3, "valid_until": "2027-03-01T00:00:00Z",
    }  # fmt: skip
    return Terms.model_validate(plain | changes)


def rain(
    name: str = "B1", colour: Colour = Colour.YELLOW, *, division: str = "440305", event: str = "11B03", **changes: Any
) -> Alert:
    """A rainstorm alert of the partner's own."""
    place = Area(area_desc="南山区", geocodes=(NamedValue(value_name=DIVISION_CODE, value=division),))
    infos = tuple(
        info.model_copy(
            update={
                "event": "暴雨" if info.language == "zh-CN" else "Rainstorm",
                "headline": f"rain {colour}",
                "instruction": "请留在室内" if info.language == "zh-CN" else "Stay indoors",
                "event_codes": (NamedValue(value_name=EVENT_CODE, value=event),),
            }
        )
        for info in typhoon(colour, area=place).infos
    )
    plain = {"identifier": name, "sender": SENDER, "sent": cap_time(START, CHINA), "infos": infos}
    return typhoon(colour).model_copy(update=plain | changes)


def after(name: str, before: Alert, kind: str, clock: Clock, colour: Colour = Colour.YELLOW, **changes: Any) -> Alert:
    """An Update or Cancel of the partner's."""
    head = {"msg_type": kind, "references": str(before.reference), "sent": cap_time(clock(), CHINA)}
    return rain(name, colour, **(head | changes))


class Hasty(IntakeStore):
    """Of a process that was paused for so long that others have taken up what it still believes to have."""

    async def claim_for_orders(self, key: str, at: datetime) -> bool:
        """Always."""
        return bool(key and at)


class House:
    """What the processes share: databases, the log, the post, the clock."""

    def __init__(self, db: Database, audit: AuditLog, clock: Clock, post: Post) -> None:
        self.db, self.audit, self.clock, self.post = db, audit, clock, post
        self.partners = PartnerStore(db, Vault({1: b"k" * 32}, b"i" * 32, secrets.token_bytes))
        self.alerts = AlertStore(db)
        self.orders = StandingOrders(
            (OrderStore(db), self.partners), DIVISIONS, audit, now=clock, new_id=partial(secrets.token_hex, 16)
        )
        self.intake, self.releases, self.desk = self.process()

    async def open(self) -> None:
        """The partner is known."""
        await self.partners.insert(PARTNER, key="hmk_x", secret="whsec_eA==", cursor=0)

    def process(
        self, touches: int = FOREVER, store: type[IntakeStore] = IntakeStore, fast_s: float = 0
    ) -> tuple[Intake, OrderReleases, Alerts]:
        """One process, which dies before it touches the databases or the post so often. Its clock may be fast."""

        def now() -> datetime:
            return self.clock() + timedelta(seconds=fast_s)

        life, db = Life(touches), self.db

        def mortal(inner: Any) -> Any:
            return Mortal(inner, life)

        audit, intake = mortal(self.audit), mortal(store(db))
        alerts = mortal(self.alerts)
        desk = Alerts(alerts, World(DIVISIONS, TEXTS), mortal(self.post), audit, now=now)
        shelves = Shelves(
            orders=mortal(OrderStore(db)), intake=intake, chains=IntakeChains(intake, PublicStore(db)),
            partners=self.partners, alerts=alerts, broadcasts=Broadcasts(db),
        )  # fmt: skip
        releases = OrderReleases(shelves, desk, DIVISIONS, audit, now=now)
        stores = (intake, self.partners, PublicStore(db))
        return Intake(stores, desk, DIVISIONS, audit, now=now, orders=releases), releases, desk

    async def order(self, author: Officer = AUTHOR, releaser: Officer = RELEASER, **changes: object) -> StandingOrder:
        """An order in force."""
        drafted = await self.orders.draft(author, terms(**changes))
        return await self.orders.release(releaser, drafted.id, drafted.digest)

    async def take(self, alert: Alert) -> Received:
        """What becomes of a message of the partner's."""
        found = await self.intake.take(PARTNER, to_cap(alert))
        assert isinstance(found, Received)
        return found

    async def every(self) -> list[DeskAlert]:
        """All alerts of the desk."""
        return [await self.alerts.get(d["_id"]) async for d in self.db["alerts"].find({}).sort("_id")]

    async def told(self, stream: str) -> list[tuple[str, str, dict[str, Any]]]:
        """Actor, action and details of a stream of the log."""
        return [(e.actor, e.action, dict(e.details)) for e in reversed(await self.audit.latest(stream))]
