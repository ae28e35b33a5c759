"""What can be booked in the city under test: a planner of the hospital opens clinics, each with rules of its own."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyotp

from tests.api.client import Answer
from tests.api.test_main_job import City

UNIT = "sz-nanshan"  # the demo clerk serves it
HALL = {
    "code": "44030041700000", "name": "深圳市政务服务数据管理局", "name_en": "Shenzhen Government Services",
    "sender": "services@sz.example", "division": "440300", "contact": "12345",
}  # fmt: skip
PASSWORD = "seven purple otters juggle"  # noqa: S105 - of nobody
RULES: Mapping[str, Any] = {
    "window_days": 3, "release_time": "00:00", "book_until": {"minutes": 0}, "cancel_until": {"minutes": 0},
    "rerelease_max_s": 0, "check_in_opens_minutes": 24 * 60, "grace_minutes": 24 * 60,
}  # fmt: skip


@dataclass(slots=True)
class Clinics:
    """The planner is sworn in by the administrator, over the officers' API."""

    town: City
    tokens: dict[str, str] = field(default_factory=dict)

    async def officer(self, role: str) -> str:
        """The token of a demo officer."""
        if role not in self.tokens:
            self.tokens[role] = await self.town.log_in(role)
        return self.tokens[role]

    async def planner(self) -> str:
        """The token of who says what can be booked."""
        if "planner" not in self.tokens:
            name = f"规划{secrets.token_hex(3)}"
            form = {
                "name": name, "person": f"mini-{secrets.token_hex(3)}", "roles": ["planner"], "unit": HALL,
                "division": "440300", "institutions": [UNIT],
            }  # fmt: skip
            api = self.town.api
            made = await api("POST", "/v1/staff/officers", form, token=await self.officer("administrator"))
            assert made.status == 201, made.body
            activated = await api("POST", made.json["path"], {"link": made.json["link"], "password": PASSWORD})
            code = pyotp.TOTP(activated.json["totp_secret"]).now()
            entered = await api("POST", "/v1/staff/session", {"name": name, "password": PASSWORD, "code": code})
            assert entered.status == 201, entered.body
            self.tokens["planner"] = entered.json["token"]
        return self.tokens["planner"]

    async def open(self, begins: str, ends: str, minutes: int, **rules: Any) -> str:
        """A clinic with one seat at a time, every day; the id of the resource."""
        name = f"mini-{secrets.token_hex(4)}"
        weekly = {
            "days": list(range(1, 8)), "begins": begins, "ends": ends, "slot_minutes": minutes, "places": {"online": 1},
        }  # fmt: skip
        resource = {
            "id": name, "unit": UNIT, "unit_name": {"zh": "南山医院", "en": "Nanshan Hospital"}, "group": f"g-{name}",
            "group_name": {"zh": "心内科", "en": "Cardiology"}, "kind": "hospital", "name": {"zh": "李医生", "en": "Dr Li"},
            "division": "440305", "address": {"zh": "桃园路89号"}, "spot": {"latitude": 22.54, "longitude": 113.93},
            "services": [{
                "code": "visit", "name": {"zh": "普通门诊", "en": "Consultation"}, "fee_fen": 3000,
                "materials": [{"zh": "居民身份证", "en": "Identity card"}],
            }],
            "rules": {**RULES, **rules}, "schedule": {"weekly": [weekly], "is_open_on_holidays": True},
        }  # fmt: skip
        made = await self.town.api("POST", "/v1/staff/resources", {"resource": resource}, token=await self.planner())
        assert made.status == 201, made.body
        return name

    async def scan(self, ticket: str) -> Answer:
        """The clerk at the counter scans what somebody shows."""
        path = "/v1/staff/bookings/check-in"
        return await self.town.api("POST", path, {"ticket": ticket}, token=await self.officer("clerk"))
