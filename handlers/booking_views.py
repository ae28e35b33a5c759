"""Bookings, resources and times as the API shows and takes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from server.domain.booking_rules import BookingRules
from server.domain.datum import gcj02_to_wgs84
from server.domain.errors import InvalidInputError
from server.domain.resources import Kind, Named, Near, Resource, Service, Slug, Spot, Wanted
from server.domain.schedules import Quota
from server.services.booking_search import Found, Offer, Offers
from server.services.booking_tickets import Ticket
from server.services.own_bookings import Shown, When

CODE = "q83vEjRWeJASNFZ4kBI0Vg"
SLOT = "2026-11-25/sz-hall-car-1/0900"
MOST_DAYS = 31
_POINT = re.compile(r"(-?\d{1,2}(?:\.\d{1,9})?),(-?\d{1,3}(?:\.\d{1,9})?)", re.ASCII)
AT = "2026-11-25T01:00:00Z"
BOOKING = {
    "id": CODE,
    "state": "held",
    "slot": SLOT,
    "begins_at": AT,
    "ends_at": "2026-11-25T01:30:00Z",
    "resource": "sz-hall-car-1",
    "resource_name": {"zh": "车驾管1号窗口", "en": "Vehicle counter 1"},
    "unit_name": {"zh": "市民中心", "en": "Civic Centre"},
    "group_name": {"zh": "车驾管业务", "en": "Vehicles and drivers"},
    "address": {"zh": "福中三路", "en": "Fuzhong 3rd Road"},
    "account": "9d53a1c0e2b4d6f84b1de8c2f4a84c6e",
    "is_own": True,
    "quota": "online",
    "service": "renew-licence",
    "hold_until": "2026-11-24T01:40:00Z",
    "server_at": "2026-11-24T01:30:00Z",
    "can_cancel_until": "2026-11-24T07:00:00Z",
    "moves_left": 2,
    "renewals_left": 1,
    "number": 1,
    "reason": "",
}
_RESOURCE = {
    "id": "sz-hall-car-1",
    "unit": "sz-hall",
    "unit_name": {"zh": "市民中心", "en": "Civic Centre"},
    "group": "sz-hall-car",
    "group_name": {"zh": "车驾管业务", "en": "Vehicles and drivers"},
    "kind": "vehicle",
    "name": {"zh": "车驾管1号窗口", "en": "Vehicle counter 1"},
    "note": None,
    "division": "440304",
    "address": {"zh": "福中三路", "en": "Fuzhong 3rd Road"},
    "spot": {"latitude": 22.543, "longitude": 114.058},
    "services": [
        {
            "code": "renew-licence",
            "name": {"zh": "期满换证", "en": "Renew a licence"},
            "minutes": 0,
            "fee_fen": 1000,
            "materials": [{"zh": "居民身份证", "en": "Resident identity card"}],
        }
    ],
    "rules": BookingRules().model_dump(mode="json"),
    "is_open": True,
    "distance_m": 420.5,
}


def like(example: Mapping[str, Any]) -> ConfigDict:
    """The configuration of a model with this example."""
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": dict(example)})


class WantedQuery(BaseModel):
    """Which resources: all that is given has to fit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind | None = Field(default=None, examples=["vehicle"])
    unit: Slug | None = Field(default=None, examples=["sz-hall"])
    group: Slug | None = Field(default=None, examples=["sz-hall-car"])
    division: str | None = Field(
        default=None, pattern=r"^\d{6}(\d{3}){0,2}$", description="at or below it", examples=["440304"]
    )
    service: Slug | None = Field(default=None, examples=["renew-licence"])
    after: str = Field(default="", max_length=60, description="`next` of the page before", examples=[""])
    limit: int = Field(default=20, ge=1, le=100, examples=[20])

    @property
    def wanted(self) -> Wanted:
        """As the store takes it: what is open."""
        return Wanted(self.kind, self.unit, self.group, self.division, self.service)


class ResourcesQuery(WantedQuery):
    """Which resources, and near which point."""

    near: str | None = Field(
        default=None, max_length=40, description="lat,lon in degrees: nearest first", examples=["22.54,114.05"]
    )
    datum: Literal["wgs84", "gcj02"] | None = Field(
        default=None, description="of the point: gcj02 is what WeChat and Chinese maps give", examples=["gcj02"]
    )

    @model_validator(mode="after")
    def _has_a_datum(self) -> Self:
        if (self.near is None) != (self.datum is None):
            raise ValueError("near and datum belong together")
        return self

    @property
    def point(self) -> Near | None:
        """In WGS-84; InvalidInputError `point_unreadable`."""
        if self.near is None:
            return None
        match = _POINT.fullmatch(self.near)
        lat, lon = (float(match[1]), float(match[2])) if match else (0.0, 999.0)
        if not (-90 <= lat <= 90 and -180 <= lon <= 180):
            raise InvalidInputError("point_unreadable", zh="点应为“纬度,经度”", en="a point is lat,lon", field="near")
        if self.datum == "gcj02":
            lon, lat = gcj02_to_wgs84(lon, lat)
        return Near(lat, lon)


class SlotsQuery(WantedQuery):
    """Of which resources, from which day on."""

    resource: tuple[Slug, ...] = Field(
        default=(), max_length=50, description="these, instead of a search", examples=[["sz-hall-car-1"]]
    )
    from_day: date | None = Field(default=None, description="China's date; without it today", examples=["2026-11-25"])
    days: int = Field(default=7, ge=1, le=MOST_DAYS, examples=[7])

    def dates(self, today: date) -> list[date]:
        """The days; InvalidInputError `day_past`, or `day_far` for more than a year ahead."""
        first = self.from_day or today
        if first < today:
            raise InvalidInputError("day_past", zh="日期已过", en="that day is over", field="from_day")
        if first > today + timedelta(days=400):
            raise InvalidInputError("day_far", zh="日期太远", en="that day is too far ahead", field="from_day")
        return [first + timedelta(days=n) for n in range(self.days)]


class BookingForm(BaseModel):
    """What to hold a seat of."""

    model_config = like({"slot": SLOT, "service": "renew-licence"})

    slot: str = Field(min_length=1, max_length=90, description="id of a time, as the search gives it")
    for_: str | None = Field(
        default=None, alias="for", max_length=64, description="public id of a relative; without it the caller"
    )
    service: str = Field(default="", max_length=60, description="code of a service of the resource")
    quota: Literal["online", "elder"] = Field(default="online", description="elder: for verified people of 60 and more")


class MoveForm(BaseModel):
    """Where to."""

    model_config = like({"slot": SLOT})

    slot: str = Field(min_length=1, max_length=90)
    quota: Literal["online", "elder"] = "online"


class BookingView(BaseModel):
    """A booking as its people see it. Countdowns are reckoned from `server_at`, not from the own clock."""

    model_config = like(BOOKING)

    id: str
    state: str = Field(description="held, booked, checked_in, called, served, missed; cancelled, withdrawn, closed")
    slot: str
    begins_at: datetime
    ends_at: datetime
    resource: str
    resource_name: Named | None
    unit_name: Named | None
    group_name: Named | None
    address: Named | None
    account: str = Field(description="public id of whom it is for")
    is_own: bool = Field(description="whether that is the caller")
    quota: str
    service: str
    hold_until: datetime | None = Field(description="confirm before it; null once that is done")
    server_at: datetime
    can_cancel_until: datetime
    moves_left: int
    renewals_left: int
    number: int = Field(description="of the seat within its time")
    reason: str = Field(description="what the office said, if it ended or excused it")

    @classmethod
    def of(cls, shown: Shown) -> Self:
        """Without internal ids."""
        seat, booking, rules = shown.visit.seat, shown.visit.booking, shown.rules
        resource = shown.resource
        return cls(
            id=booking.code,
            state=_state(shown),
            slot=seat.slot,
            begins_at=seat.begins_at,
            ends_at=seat.ends_at,
            resource=seat.resource,
            resource_name=resource.name if resource else None,
            unit_name=resource.unit_name if resource else None,
            group_name=resource.group_name if resource else None,
            address=resource.address if resource else None,
            account=shown.subject,
            is_own=shown.is_own,
            quota=seat.quota,
            service=booking.service,
            hold_until=None if booking.booked_at else booking.hold_until,
            server_at=shown.at,
            can_cancel_until=rules.cancel_until.moment(seat.begins_at),
            moves_left=max(0, rules.moves - booking.moves),
            renewals_left=max(0, rules.renewals - booking.renewals),
            number=seat.rank,
            reason=booking.reason,
        )


def _state(shown: Shown) -> str:
    """A booking on its way to another seat is booked, for whoever has it."""
    state = shown.visit.state.value
    return "booked" if state in ("left", "awaited") else state


class BookingsQuery(BaseModel):
    """Which part of the own list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    when: When = Field(default=When.UPCOMING, examples=["upcoming"])
    after: str = Field(default="", max_length=22, description="`next` of the page before", examples=[""])
    limit: int = Field(default=20, ge=1, le=100, examples=[20])


class BookingsView(BaseModel):
    """Part of a list of bookings."""

    model_config = like({"bookings": [BOOKING], "next": ""})

    bookings: tuple[BookingView, ...]
    next: str


class TicketView(BaseModel):
    """What to show as a QR code."""

    model_config = like(
        {
            "ticket": f"H1.{CODE}.t67wj0.Rk5xWm1aLXVtTnNhTlZ5Zg",
            "until": "2026-11-25T00:51:30Z",
            "renew_at": "2026-11-25T00:51:00Z",
            "server_at": "2026-11-25T00:50:00Z",
        }
    )

    ticket: str
    until: datetime
    renew_at: datetime = Field(description="fetch the next one then")
    server_at: datetime

    @classmethod
    def of(cls, ticket: Ticket) -> Self:
        """As it is."""
        return cls(ticket=ticket.text, until=ticket.until, renew_at=ticket.renew_at, server_at=ticket.at)


class ScanForm(BaseModel):
    """What the scanner read."""

    model_config = like({"ticket": f"H1.{CODE}.t67wj0.Rk5xWm1aLXVtTnNhTlZ5Zg"})

    ticket: str = Field(max_length=100)


class ResourceView(BaseModel):
    """One thing that can be booked."""

    model_config = like(_RESOURCE)

    id: str
    unit: str
    unit_name: Named
    group: str
    group_name: Named
    kind: Kind
    name: Named
    note: Named | None
    division: str
    address: Named | None
    spot: Spot | None
    services: tuple[Service, ...]
    rules: BookingRules
    is_open: bool
    distance_m: float | None = Field(description="from the point that was asked for")

    @classmethod
    def of(cls, resource: Resource, distance_m: float | None = None) -> Self:
        """Without the schedule: times are asked for by day."""
        fields = {name: getattr(resource, name) for name in cls.model_fields if name != "distance_m"}
        return cls(**fields, distance_m=round(distance_m, 1) if distance_m is not None else None)


class ResourcesView(BaseModel):
    """Part of a list of resources."""

    model_config = like({"resources": [_RESOURCE], "next": ""})

    resources: tuple[ResourceView, ...]
    next: str

    @classmethod
    def of(cls, found: list[Found], following: str) -> Self:
        """Of a search."""
        return cls(resources=tuple(ResourceView.of(f.resource, f.distance_m) for f in found), next=following)


class OfferView(BaseModel):
    """One time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    resource: str
    begins_at: datetime
    ends_at: datetime
    free: Mapping[Quota, int] = Field(description="by quota; 0: full, or not released yet")
    opens_at: datetime | None = Field(description="when it can be booked from, if not yet")

    @classmethod
    def of(cls, offer: Offer) -> Self:
        """As it is."""
        slot = offer.slot
        return cls(
            id=slot.id,
            resource=slot.resource,
            begins_at=slot.begins_at,
            ends_at=slot.ends_at,
            free=offer.free,
            opens_at=offer.opens_at,
        )


class OffersView(BaseModel):
    """Times, by resource and time; those that are over for booking are left out."""

    model_config = like(
        {
            "as_of": "2026-11-24T01:30:00Z",
            "slots": [
                {
                    "id": SLOT,
                    "resource": "sz-hall-car-1",
                    "begins_at": AT,
                    "ends_at": "2026-11-25T01:30:00Z",
                    "free": {"online": 3, "elder": 1},
                    "opens_at": None,
                }
            ],
            "next": "",
        }
    )

    as_of: datetime = Field(description="when it was counted: never more than a second ago")
    slots: tuple[OfferView, ...]
    next: str

    @classmethod
    def of(cls, offers: Offers) -> Self:
        """Of a search."""
        return cls(as_of=offers.as_of, slots=tuple(map(OfferView.of, offers.offers)), next=offers.next)
