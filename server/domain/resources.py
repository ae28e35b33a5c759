"""What can be booked: a doctor's hours, a counter, an examination room, a court, a team that comes to the house.

A resource is data that a unit writes: where it is, what it is for, its rules and its schedule. Its id is a readable
name, for it stands in the id of each of its slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from server.domain import booking_refusals as refusals
from server.domain.booking import Slot
from server.domain.booking_rules import BookingRules
from server.domain.errors import HuiminError
from server.domain.officers import DIVISION
from server.domain.schedules import Schedule, Where

ID = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Slug = Annotated[str, Field(pattern=ID, min_length=2, max_length=60)]
NEVER = date(1900, 1, 1)  # a day before all seats


class Kind(StrEnum):
    """What sort of visit it is."""

    HOSPITAL = "hospital"  # 预约挂号
    VEHICLE = "vehicle"  # 车驾管
    EXIT_ENTRY = "exit_entry"  # 出入境
    COUNTER = "counter"  # a community's or a hall's counter
    HOME_VISIT = "home_visit"  # 上门服务
    EXAM = "exam"
    SPORTS = "sports"
    VENUE = "venue"  # museums, libraries
    OTHER = "other"


class Named(BaseModel):
    """A name in both languages; English may be missing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zh: str = Field(min_length=1, max_length=60)
    en: str = Field(default="", max_length=120)

    def get(self, language: str) -> str:
        """In this language, else in Chinese."""
        return (self.en if language == "en" else "") or self.zh


class Service(BaseModel):
    """One thing that a resource is booked for. What takes longer than a slot takes several in a row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Slug
    name: Named
    minutes: int = Field(default=0, ge=0, le=480, description="0: one slot, whatever its length")
    fee_fen: int = Field(default=0, ge=0, le=10_000_000)
    materials: tuple[Named, ...] = Field(default=(), max_length=20, description="what to bring")


class Spot(BaseModel):
    """A point on the map, WGS-84 degrees."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)


class Resource(BaseModel):
    """One thing that can be booked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Slug
    unit: Slug = Field(description="the institution: strikes and open bookings are counted there")
    unit_name: Named
    group: Slug = Field(description="a person books once a day in it: a department, a kind of business")
    group_name: Named
    kind: Kind
    name: Named
    note: Named | None = Field(default=None, description="a title, a speciality, where to go in the building")
    division: str = Field(pattern=DIVISION)
    address: Named | None = None
    spot: Spot | None = None
    services: tuple[Service, ...] = Field(min_length=1, max_length=60)
    rules: BookingRules = BookingRules()
    schedule: Schedule
    is_open: bool = Field(default=True, description="False: nothing new can be booked")

    @model_validator(mode="after")
    def _names_each_service_once(self) -> Self:
        if len({each.code for each in self.services}) < len(self.services):
            raise ValueError("names a service twice")
        return self

    @property
    def where(self) -> Where:
        """Whose slots they are."""
        return Where(self.id, self.unit, self.group)

    def service(self, code: str) -> Service | None:
        """One of its services."""
        return next((each for each in self.services if each.code == code), None)


def unfit_service(resource: Resource, code: str, slot: Slot) -> HuiminError | None:
    """Why this service cannot be booked as one seat of this slot; none at all ("") always can."""
    if not code:
        return None
    service = resource.service(code)
    if service is None:
        return refusals.service_unknown()
    is_longer = timedelta(minutes=service.minutes) > slot.ends_at - slot.begins_at
    return refusals.service_longer() if is_longer else None


@dataclass(frozen=True, slots=True)
class Kept:
    """A resource as it is stored, with seats up to the day `laid_until`.

    `version` counts its changes, `reason` is why it was changed last.
    """

    resource: Resource
    version: int
    laid_until: date
    reason: str = ""

    @property
    def is_laid(self) -> bool:
        """Whether any seats stand for this version."""
        return self.laid_until > NEVER


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which resources: all that are given have to fit. `division`: lies at or below it."""

    kind: Kind | None = None
    unit: str | None = None
    group: str | None = None
    division: str | None = None
    service: str | None = None
    is_open: bool | None = True


@dataclass(frozen=True, slots=True)
class Near:
    """A point, WGS-84 degrees."""

    latitude: float
    longitude: float
