"""What can be booked in the city under test: a planner of the hospital opens clinics, each with rules of its own."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from server.domain.china import china_day
from tests.api.client import Answer
from tests.api.test_main_job import City
from tests.miniprogram.telephone import Telephone

UNIT = "sz-nanshan"  # the demo clerk serves it
RULES: Mapping[str, Any] = {
    "window_days": 3, "release_time": "00:00", "book_until": {"minutes": 0}, "cancel_until": {"minutes": 0},
    "rerelease_max_s": 0, "check_in_opens_minutes": 24 * 60, "grace_minutes": 24 * 60, "max_open": 100,
}  # fmt: skip


@dataclass(slots=True)
class Clinics:
    """Officers log in once: a one-time code works once."""

    town: City
    tokens: dict[str, str] = field(default_factory=dict)

    async def officer(self, role: str) -> str:
        """The token of a demo officer."""
        if role not in self.tokens:
            self.tokens[role] = await self.town.log_in(role)
        return self.tokens[role]

    async def open(self, begins: str, ends: str, minutes: int, *, lasts_minutes: int = 0) -> str:
        """A clinic with one seat at a time, every day; the id of the resource. A visit lasts one time, or longer."""
        name = f"mini-{secrets.token_hex(4)}"
        weekly = {
            "days": list(range(1, 8)), "begins": begins, "ends": ends, "slot_minutes": minutes, "places": {"online": 1},
        }  # fmt: skip
        resource = {
            "id": name, "unit": UNIT, "unit_name": {"zh": "南山医院", "en": "Nanshan Hospital"}, "group": f"g-{name}",
            "group_name": {"zh": "心内科", "en": "Cardiology"}, "kind": "hospital",
            "name": {"zh": "李医生", "en": "Dr Li"}, "division": "440305", "address": {"zh": "桃园路89号"},
            "spot": {"latitude": 22.54, "longitude": 113.93},
            "services": [{
                "code": "visit", "name": {"zh": "普通门诊", "en": "Consultation"}, "fee_fen": 3000,
                "minutes": lasts_minutes,
                "materials": [{"zh": "居民身份证", "en": "Identity card"}],
            }],
            "rules": RULES, "schedule": {"weekly": [weekly], "is_open_on_holidays": True},
        }  # fmt: skip
        token = await self.officer("planner")
        made = await self.town.api("POST", "/v1/staff/resources", {"resource": resource}, token=token)
        assert made.status == 201, made.body
        return name

    async def queries(self, phone: Telephone, *, is_held: bool) -> dict[str, dict[str, str]]:
        """What the pages of booking are opened with to show all they have: a hold or a booking, and an offer."""
        held, wanted = await self.open("09:00", "17:00", 30), await self.open("09:00", "09:30", 30)
        day = (china_day(datetime.now(UTC)) + timedelta(days=2)).isoformat()
        token = str(await phone.page.evaluate("() => wx.getStorageSync('session').access"))
        api = self.town.api
        booking = await api("POST", "/v1/bookings", {"slot": f"{day}/{held}/0900", "service": "visit"}, token=token)
        assert booking.status == 201, booking.body
        if not is_held:
            assert (await api("POST", f"/v1/bookings/{booking.json['id']}/confirm", b"", token=token)).status == 200
        wish = {"group": f"g-{wanted}", "first_day": day, "last_day": day}
        entry = await api("POST", "/v1/waiting", wish, token=token)
        assert entry.status == 201, entry.body
        return {
            "pages/book/book": {"kind": "hospital"},
            "pages/times/times": {"resource": held},
            "pages/booking/booking": {"id": booking.json["id"]},
            "pages/waiting/waiting": {"entry": entry.json["id"]},
        }

    async def scan(self, ticket: str) -> Answer:
        """The clerk at the counter scans what somebody shows."""
        path = "/v1/staff/bookings/check-in"
        return await self.town.api("POST", path, {"ticket": ticket}, token=await self.officer("clerk"))
