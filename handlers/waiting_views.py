"""The waiting list and visits of several seats as the API shows and takes them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, Self

from pydantic import BaseModel, Field

from handlers.booking_views import BOOKING, SLOT, BookingView, like
from server.domain.resources import Slug
from server.domain.schedules import Quota
from server.services.own_visits import Errand, ShownVisit
from server.services.own_waiting import Waits, Wish

ENTRY = "Vw3qJk8sTz5mXc1bN7rPdg"
_FOR = Field(default=None, alias="for", max_length=64, description="public id of a relative; without it the caller")
_WISH = {"group": "sz-hall-car", "first_day": "2026-11-25", "last_day": "2026-11-27"}
_ENTRY = {
    "id": ENTRY,
    "state": "waiting",
    "group": "sz-hall-car",
    "resource": None,
    "quota": "online",
    "first_day": "2026-11-25",
    "last_day": "2026-11-27",
    "asked_at": "2026-11-24T01:30:00Z",
    "before": 3,
    "is_replacement": False,
    "account": "9d53a1c0e2b4d6f84b1de8c2f4a84c6e",
    "is_own": True,
    "offer": BOOKING,
    "server_at": "2026-11-24T01:35:00Z",
}
_STEPS = {"steps": [{"slot": SLOT, "service": "renew-licence"}]}
_VISIT = {
    "id": BOOKING["id"],
    "state": "held",
    "account": "9d53a1c0e2b4d6f84b1de8c2f4a84c6e",
    "is_own": True,
    "hold_until": "2026-11-24T01:40:00Z",
    "parts": [BOOKING],
    "server_at": "2026-11-24T01:30:00Z",
}


class WaitingForm(BaseModel):
    """What to wait for: a seat on one of these days, anywhere in the group or at one resource of it."""

    model_config = like(_WISH)

    group: Slug
    resource: Slug | None = None
    quota: Literal["online", "elder"] = Field(default="online", description="elder: for verified people of 60 and more")
    first_day: date
    last_day: date
    for_: str | None = _FOR

    def wish(self, key: str) -> Wish:
        """As the counter takes it."""
        return Wish(self.group, self.resource, Quota(self.quota), self.first_day, self.last_day, key, self.for_)


class WaitingView(BaseModel):
    """An entry of the waiting list. Countdowns are reckoned from `server_at`, not from the own clock."""

    model_config = like(_ENTRY)

    id: str
    state: Literal["waiting", "offered", "done", "withdrawn", "over"]
    group: str
    resource: str | None
    quota: str
    first_day: date
    last_day: date
    asked_at: datetime
    before: int = Field(description="how many come before it")
    is_replacement: bool = Field(description="whether it stands for a booking that was closed; then it goes first")
    account: str = Field(description="public id of whom it is for")
    is_own: bool = Field(description="whether that is the caller")
    offer: BookingView | None = Field(description="a seat that is kept: accept or decline it before `hold_until`")
    server_at: datetime

    @classmethod
    def of(cls, waits: Waits) -> Self:
        """Without internal ids."""
        entry = waits.standing.entry
        return cls(
            id=entry.id,
            state="offered" if waits.offer else entry.stage.value,
            group=entry.group,
            resource=entry.resource,
            quota=entry.quota,
            first_day=entry.first_day,
            last_day=entry.last_day,
            asked_at=entry.asked_at,
            before=waits.standing.before,
            is_replacement=bool(entry.replaces),
            account=waits.subject,
            is_own=waits.is_own,
            offer=BookingView.of(waits.offer) if waits.offer else None,
            server_at=waits.at,
        )


class WaitingListView(BaseModel):
    """Entries, newest first."""

    model_config = like({"entries": [_ENTRY]})

    entries: tuple[WaitingView, ...]


class VisitStepForm(BaseModel):
    """A service of a resource, from the beginning of this time on; a long one takes the times that follow too."""

    model_config = like({"slot": SLOT, "service": "renew-licence"})

    slot: str = Field(min_length=1, max_length=90)
    service: str = Field(default="", max_length=60)


class StepsForm(BaseModel):
    """Where a visit goes, one step after the other."""

    model_config = like(_STEPS)

    steps: tuple[VisitStepForm, ...] = Field(min_length=1, max_length=6)

    @property
    def errands(self) -> tuple[Errand, ...]:
        """As the counter takes them."""
        return tuple(Errand(step.slot, step.service) for step in self.steps)


class VisitForm(StepsForm):
    """All of a visit that is to be held."""

    quota: Literal["online", "elder"] = Field(default="online", description="elder: for verified people of 60 and more")
    for_: str | None = _FOR


class VisitView(BaseModel):
    """A visit of several seats: confirmed, moved and cancelled as one, checked in seat by seat."""

    model_config = like(_VISIT)

    id: str
    state: str = Field(description="held, booked, ended; or what is being done with it just now")
    account: str = Field(description="public id of whom it is for")
    is_own: bool
    hold_until: datetime | None = Field(description="confirm before it; null once that is done")
    parts: tuple[BookingView, ...] = Field(description="its seats, by time")
    server_at: datetime

    @classmethod
    def of(cls, shown: ShownVisit) -> Self:
        """Without internal ids."""
        chain = shown.whole.chain
        return cls(
            id=chain.code,
            state=chain.stage.value,
            account=shown.subject,
            is_own=shown.is_own,
            hold_until=chain.until if chain.stage == "held" else None,
            parts=tuple(map(BookingView.of, shown.parts)),
            server_at=shown.at,
        )


class VisitsView(BaseModel):
    """Visits, latest first."""

    model_config = like({"visits": [_VISIT]})

    visits: tuple[VisitView, ...]
