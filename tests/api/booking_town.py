"""A small town for the tests of booking over HTTP: resources whose seats are laid out, and people who want them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Any

from server.app import Services
from server.assemble import Assembly
from server.assemble_booking import booking
from server.domain.booking import Booking, State, stepped
from server.domain.booking_rules import BookingRules, CutOff
from server.domain.china import china_day
from server.domain.relations import Kind as RelationKind
from server.domain.relations import Relation, Role, Scope
from server.domain.relations import State as RelationState
from server.domain.resources import Kind, Named, Resource, Service, Spot
from server.domain.schedules import Quota, Schedule, Weekday, Weekly
from server.storage.relations import RelationStore
from server.storage.seats import Swap
from tests.api.client import Answer, Client

RULES = BookingRules(
    rerelease_max_s=0, release_time=time(0), cancel_until=CutOff(minutes=60), check_in_opens_minutes=24 * 60,
    grace_minutes=24 * 60,
)  # fmt: skip


def resource(name: str = "clinic-1", *, places: int = 1, rules: BookingRules = RULES, **changed: Any) -> Resource:
    """Half an hour with a doctor, all day and every day."""
    weekly = Weekly(
        days=tuple(Weekday), begins=time(0), ends=time(23, 59), slot_minutes=30,
        places={Quota.ONLINE: places, Quota.ELDER: 1, Quota.COUNTER: 1},
    )  # fmt: skip
    given: dict[str, Any] = {
        "id": name, "unit": "h1", "unit_name": Named(zh="市人民医院"), "group": f"h1-{name}",
        "group_name": Named(zh="心内科"), "kind": Kind.HOSPITAL, "name": Named(zh="李医生"), "division": "440305",
        "services": (Service(code="visit", name=Named(zh="普通门诊")),), "rules": rules,
        "schedule": Schedule(weekly=(weekly,), is_open_on_holidays=True),
        "spot": Spot(latitude=22.54, longitude=114.05),
    }  # fmt: skip
    return Resource(**given | changed)


def slot(day: date, hour: int, minute: int = 0, name: str = "clinic-1") -> str:
    """The id of a time."""
    return f"{day.isoformat()}/{name}/{hour:02}{minute:02}"


async def make_booking(assembly: Assembly, api: Client, _owner: int, token: str) -> dict[str, str]:
    """A held seat of the owner's, with a doctor of their own."""
    name = f"clinic-{secrets.token_hex(8)}"
    await booking(assembly).schedules.create(resource(name, unit=name))
    day = china_day(assembly.now()) + timedelta(days=1)
    held = await api("POST", "/v1/bookings", {"slot": slot(day, 9, name=name)}, token=token)
    return {"booking": held.json["id"]}


async def make_entry(assembly: Assembly, api: Client, _owner: int, token: str) -> dict[str, str]:
    """The owner waits for a doctor of their own."""
    name = f"clinic-{secrets.token_hex(8)}"
    await booking(assembly).schedules.create(resource(name))
    day = (china_day(assembly.now()) + timedelta(days=1)).isoformat()
    form = {"group": f"h1-{name}", "first_day": day, "last_day": day}
    return {"entry": (await api("POST", "/v1/waiting", form, token=token)).json["id"]}


async def make_visit(assembly: Assembly, api: Client, _owner: int, token: str) -> dict[str, str]:
    """The owner holds a visit of two steps, with doctors of their own."""
    names = [f"clinic-{secrets.token_hex(8)}" for _ in range(2)]
    for name in names:
        await booking(assembly).schedules.create(resource(name, unit=names[0]))
    day = china_day(assembly.now()) + timedelta(days=1)
    steps = [{"slot": slot(day, hour, name=name)} for hour, name in zip((9, 10), names, strict=True)]
    return {"visit": (await api("POST", "/v1/visits", {"steps": steps}, token=token)).json["id"]}


@dataclass(slots=True)
class BookingTown:
    """Resources come by `open`."""

    assembly: Assembly
    services: Services
    api: Client

    @property
    def tomorrow(self) -> date:
        """In China."""
        return china_day(self.assembly.now()) + timedelta(days=1)

    async def open(self, *resources: Resource) -> None:
        """With their seats."""
        for each in resources or [resource()]:
            await self.services.booking.schedules.create(each)

    async def hold(self, token: str, slot: str, **more: Any) -> Answer:
        """Hold a seat."""
        return await self.api("POST", "/v1/bookings", {"slot": slot, **more}, token=token)

    async def book(self, token: str, slot: str, **more: Any) -> str:
        """Hold and confirm; the code."""
        held = await self.hold(token, slot, **more)
        assert held.status == 201, held.body
        code = held.json["id"]
        assert (await self.verb(token, code, "confirm")).status == 200
        return str(code)

    async def verb(self, token: str, code: str, verb: str, body: Any = b"") -> Answer:
        """One step of a booking."""
        return await self.api("POST", f"/v1/bookings/{code}/{verb}", body, token=token)

    async def come(self, citizen: int, name: str = "clinic-1", *, nth: int = 0) -> str:
        """Somebody has a booking in the time that has begun last today (or before that); its code."""
        at, parts = self.assembly.now(), self.services.booking
        seats = [
            s for s in await parts.seats.find_day(name, china_day(at)) if s.begins_at <= at and s.quota == "online"
        ]
        seat = seats[-1 - nth]
        at = at.replace(microsecond=0)
        booking = Booking(secrets.token_urlsafe(16), citizen, citizen, secrets.token_hex(8), at, at, booked_at=at)
        assert await parts.seats.swap([(seat, stepped(seat, State.BOOKED, booking))]) == [Swap.DONE]
        return booking.code

    async def agree(self, actor: int, subject: int, *scopes: Scope) -> None:
        """Let one act for another."""
        now = self.assembly.now()
        relation = Relation(
            secrets.token_hex(16), RelationKind.RELATIVE, actor, subject, Role.PARENT,
            frozenset(scopes or {Scope.BOOK}), RelationState.ACTIVE, now, now + timedelta(days=1),
        )  # fmt: skip
        assert await RelationStore(self.assembly.db, self.assembly.person_vault).insert(relation)
