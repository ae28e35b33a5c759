"""What officers give and get at the counter of bookings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from handlers.booking_views import CODE, SLOT, WantedQuery, like
from server.domain.booking_day import ENTRY, DayEntry
from server.domain.booking_rules import Ban
from server.domain.resources import Kept, Resource, Wanted
from server.services.booking_office import Person, Stop
from server.services.schedules import Breakage

MOST_SHOWN = 500  # broken bookings of a preview; the number is told in any case
RESOURCE = {
    "id": "sz-hall-car-1",
    "unit": "sz-hall",
    "unit_name": {"zh": "市民中心", "en": "Civic Centre"},
    "group": "sz-hall-car",
    "group_name": {"zh": "车驾管业务", "en": "Vehicles and drivers"},
    "kind": "vehicle",
    "name": {"zh": "车驾管1号窗口", "en": "Vehicle counter 1"},
    "division": "440304",
    "services": [{"code": "renew-licence", "name": {"zh": "期满换证", "en": "Renew a licence"}}],
    "schedule": {
        "weekly": [
            {
                "days": [1, 2, 3, 4, 5],
                "begins": "09:00",
                "ends": "12:00",
                "slot_minutes": 30,
                "places": {"online": 3, "elder": 1, "counter": 1},
            }
        ]
    },
}
_KEPT = {"resource": RESOURCE, "version": 1, "laid_until": "2026-12-03"}


class DayQuery(BaseModel):
    """Which day."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    day: date | None = Field(
        default=None, alias="date", description="China's; without it today", examples=["2026-11-25"]
    )


class CalledView(BaseModel):
    """Who was called; null: nobody waits."""

    model_config = like({"called": ENTRY})

    called: DayEntry | None


class ReasonForm(BaseModel):
    """Why; it is logged, and people concerned read it."""

    model_config = like({"reason": "系统故障，非本人原因"})

    reason: str = Field(min_length=2, max_length=200)


class PersonForm(BaseModel):
    """Who stands there: exactly one of these."""

    model_config = like({"phone": "13800138000"})

    id_number: str = Field(default="", max_length=40)
    phone: str = Field(default="", max_length=30)
    booking: str = Field(default="", pattern=r"^([A-Za-z0-9_-]{22})?$", description="a booking of theirs")

    @property
    def person(self) -> Person:
        """As the counter takes it."""
        return Person(self.id_number, self.phone, self.booking)


class ErrandForm(PersonForm):
    """Whom to book for, and what."""

    model_config = like({"phone": "13800138000", "slot": SLOT, "quota": "counter", "service": "renew-licence"})

    slot: str = Field(min_length=1, max_length=90)
    quota: Literal["counter", "phone"] = "counter"
    service: str = Field(default="", max_length=60)


class LiftForm(PersonForm):
    """Whose ban to lift, and why."""

    model_config = like({"phone": "13800138000", "reason": "住院期间未能到场，已核实"})

    reason: str = Field(min_length=2, max_length=200)


class BanView(BaseModel):
    """A ban at a unit, and the bookings that it follows from."""

    model_config = like(
        {"is_banned": True, "until": "2027-02-20T01:00:00Z", "strike": "missed", "strikes": 3, "bookings": [CODE]}
    )

    is_banned: bool
    until: datetime | None = None
    strike: str = Field(default="", description="what was done too often: missed or cancelled")
    strikes: int = 0
    bookings: tuple[str, ...] = ()

    @classmethod
    def of(cls, ban: Ban | None) -> Self:
        """None: there is none."""
        if ban is None:
            return cls(is_banned=False)
        return cls(
            is_banned=True,
            until=ban.until,
            strike=ban.penalty.strike.value,
            strikes=len(ban.codes),
            bookings=ban.codes,
        )


class StopForm(BaseModel):
    """What to close or to open again: one time, one day, or (neither) everything ahead."""

    model_config = like({"date": "2026-11-25", "reason": "医生临时停诊"})

    reason: str = Field(min_length=2, max_length=200, description="people concerned read it")
    slot: str = Field(default="", max_length=90)
    day: date | None = Field(default=None, alias="date")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.slot and self.day:
            raise ValueError("either a slot or a date")
        return self

    @property
    def stop(self) -> Stop:
        """As the counter takes it."""
        return Stop(self.reason, self.slot, self.day)


class ClosedView(BaseModel):
    """What is closed now, and how many bookings that has ended."""

    model_config = like({"seats": 30, "bookings": 12})

    seats: int
    bookings: int


class ReopenedView(BaseModel):
    """How many seats can be taken again."""

    model_config = like({"seats": 30})

    seats: int


class StaffResourcesQuery(WantedQuery):
    """Which resources; without a unit the officer's first."""

    is_open: bool | None = Field(default=None, description="without it both", examples=[True])

    @property
    def wanted(self) -> Wanted:
        """As the store takes it."""
        return Wanted(self.kind, self.unit, self.group, self.division, self.service, self.is_open)


class KeptView(BaseModel):
    """A resource with its schedule, its version, and until when its seats stand."""

    model_config = like(_KEPT)

    resource: Resource
    version: int
    laid_until: date

    @classmethod
    def of(cls, kept: Kept) -> Self:
        """As it is stored."""
        return cls(resource=kept.resource, version=kept.version, laid_until=kept.laid_until)


class KeptPage(BaseModel):
    """Part of a list of resources."""

    model_config = like({"resources": [_KEPT], "next": ""})

    resources: tuple[KeptView, ...]
    next: str


class ResourceForm(BaseModel):
    """A resource as it is to be."""

    model_config = like({"resource": RESOURCE})

    resource: Resource


class ResourceChangeForm(ResourceForm):
    """A resource as it is to be, and how many broken bookings the planner has seen."""

    model_config = like({"resource": RESOURCE, "accepted": 0, "reason": "门诊时间调整"})

    accepted: int = Field(default=0, ge=0, description="`broken` of the preview")
    reason: str = Field(min_length=2, max_length=200, description="who loses a booking reads it")


class BrokenView(BaseModel):
    """One booking that a change would end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    slot: str
    number: int
    state: str


class BreakagesView(BaseModel):
    """What a change would break; nothing has happened yet."""

    model_config = like({"broken": 1, "bookings": [{"slot": SLOT, "number": 1, "state": "booked"}]})

    broken: int
    bookings: tuple[BrokenView, ...] = Field(description=f"the first {MOST_SHOWN} of them")

    @classmethod
    def of(cls, breakages: Sequence[Breakage]) -> Self:
        """Day by day."""
        seats = [seat for each in breakages for seat in each.seats]
        shown = (BrokenView(slot=seat.slot, number=seat.rank, state=seat.state.value) for seat in seats[:MOST_SHOWN])
        return cls(broken=len(seats), bookings=tuple(shown))
