"""The people, the clock and the alert of the desk's tests."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from redis.asyncio import Redis

from server.domain.alerts.model import Alert, Area, Info, NamedValue, cap_time
from server.domain.alerts.verbs import Change
from server.domain.alerts.vocabulary import DIVISION_CODE, EVENT_CODE, Colour
from server.domain.broadcasts import Broadcast
from server.domain.china import CHINA
from server.domain.errors import (
    UnavailableError,
)
from server.domain.officers import Officer, Role, Unit
from server.domain.wording import Kind
from server.services.alerts import Alerts
from server.services.audit import AuditLog
from server.services.broadcasts import Broadcasts
from server.storage.audit import AuditStore, CheckpointFile
from server.storage.broadcasts import Broadcasts as BroadcastStore
from server.storage.catalogues import load_divisions, load_texts
from server.storage.citizens import Citizens
from server.storage.mongo import Database
from server.storage.pages import Pages
from server.storage.queue import Queue
from server.storage.vault import Vault

DIVISIONS = load_divisions(city="440300")
TEXTS = load_texts()
START = datetime(2026, 9, 1, 1, 30, tzinfo=UTC)
UNIT = Unit(code="44030041600000", name="深圳市气象台", sender="weather@sz.example", division="440300", contact="12121")
NANSHAN_RING = "22.50,113.90 22.50,113.95 22.55,113.95 22.55,113.90 22.50,113.90"


class Clock:
    """A clock the test moves."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        """The time it is."""
        return self.at

    def pass_by(self, **delta: float) -> None:
        """Let time go by."""
        self.at += timedelta(**delta)


class Post:
    """What was published: idempotent by id, as the contract asks. `fails` calls die, `refuses` raise."""

    def __init__(self) -> None:
        self.broadcasts: dict[str, Broadcast] = {}
        self.fails = 0
        self.refuses = 0

    async def publish(self, broadcast: Broadcast) -> None:
        """Keep it, or die."""
        if self.fails:
            self.fails -= 1
            raise KilledError
        if self.refuses:
            self.refuses -= 1
            raise UnavailableError("down", zh="不可用", en="down")
        self.broadcasts.setdefault(broadcast.id, broadcast)


class KilledError(Exception):
    """The process dies here."""


def officer(person: str, *roles: Role, division: str = "440300", account: str = "") -> Officer:
    return Officer(
        id=account or f"o-{person}", person=person, name="张", roles=frozenset(roles), unit=UNIT, division=division,
        events=("11B",),
    )  # fmt: skip


AUTHOR = officer("author", Role.AUTHOR, Role.DRILL)
RELEASER = officer("releaser", Role.RELEASER, Role.DRILL)
CHIEF = officer("chief", Role.CHIEF)


def typhoon(colour: Colour = Colour.YELLOW, *, status: str = "Actual", area: Area | None = None) -> Alert:
    """A typhoon alert for Nanshan in two languages, as an author would hand it in."""
    where = area or Area(area_desc="南山区", geocodes=(NamedValue(value_name=DIVISION_CODE, value="440305"),))

    def block(language: str, event: str, unit: str) -> Info:
        return Info(
            language=language, categories=("Met",), event=event, urgency="Expected", severity=colour.severity.value,
            certainty="Likely", event_codes=(NamedValue(value_name=EVENT_CODE, value="11B01"),), sender_name=unit,
            expires=cap_time(START + timedelta(hours=6), CHINA), description=f"{event} 12", areas=(where,),
        )  # fmt: skip

    note = None if status == "Actual" else "2026年防台风演练"
    return Alert(
        status=status, note=note, infos=(block("zh-CN", "台风", "深圳市气象台"), block("en-US", "Typhoon", "Shenzhen"))
    )


async def submitted(desk: Alerts, alert: Alert) -> tuple[str, str]:
    """The identifier and the digest of an alert that waits for its second person."""
    begun = await desk.draft(AUTHOR, alert)
    waiting = await desk.submit(AUTHOR, begun.identifier, begun.version)
    return waiting.identifier, waiting.digest


async def released(desk: Alerts, alert: Alert, by: Officer = RELEASER) -> str:
    """The identifier of a released alert."""
    return (await desk.release(by, *await submitted(desk, alert))).identifier


async def followed(desk: Alerts, name: str, kind: Kind, change: Change, by: Officer = RELEASER) -> str:
    """The identifier of a released follow-up."""
    begun = await desk.follow(AUTHOR, name, kind, change)
    waiting = await desk.submit(AUTHOR, begun.identifier, begun.version)
    return (await desk.release(by, waiting.identifier, waiting.digest)).identifier


def audit_of(db: Database, now: Callable[[], datetime], folder: Path) -> AuditLog:
    """The product's audit log."""
    file = CheckpointFile(folder / "checkpoints.jsonl")
    return AuditLog(AuditStore(db), file, b"s" * 32, now=now, random=secrets.token_bytes)


def real_publisher(db: Database, redis: Redis) -> Broadcasts:
    """The product's own publisher, with nobody in the city."""
    citizens = Citizens(db, Vault({1: b"k" * 32}, b"i" * 32, secrets.token_bytes), DIVISIONS.index_of)
    return Broadcasts(BroadcastStore(db), Pages(db), citizens, Queue(redis), lambda: START)
