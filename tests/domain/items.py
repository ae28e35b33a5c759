"""Items of a small catalogue, for the tests of applications."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from server.domain.catalogue import Item
from server.domain.catalogue_versions import Kept

AT = datetime(2026, 11, 1, tzinfo=UTC)

UNIT = {
    "id": "sz-civil-affairs",
    "name": {"zh": "深圳市民政局", "en": "Civil Affairs Bureau"},
    "uscc": "11440300MB2C92027E",
    "division": "440300",
}
FORM = {
    "fields": [
        {"id": "reason", "kind": "text", "label": {"zh": "申请理由", "en": "Reason"}, "most": 20},
        {"id": "has_home", "kind": "yes_no", "label": {"zh": "是否有房", "en": "Owns a home"}, "is_required": False},
        {
            "id": "home",
            "kind": "text",
            "label": {"zh": "房产地址", "en": "Home"},
            "show_if": {"field": "has_home", "among": [True]},
        },
    ]
}


MATERIAL = {
    "id": "id_card",
    "name": {"zh": "身份证", "en": "ID card"},
    "is_required": False,
    "source": {
        "name": "population",
        "title": {"zh": "人口库", "en": "Population register"},
        "fields": ["name", "id_number"],
        "purpose": "identity_check",
    },
}


def item(**change: Any) -> Item:
    """An item that takes ten working days, with one material to bring."""
    fields: dict[str, Any] = {
        "id": "elder-allowance",
        "code": "440300-11440300MB2C92027E-101010",
        "theme": "elderly",
        "unit": UNIT,
        "name": {"zh": "高龄老人津贴", "en": "Allowance for the aged"},
        "about": {"zh": "发放高龄津贴", "en": "An allowance"},
        "applicants": ["person"],
        "statutory_days": 20,
        "promised_days": 10,
        "workflow": "standard",
        "form": FORM,
    }
    return Item.model_validate(fields | change)


class Shelf:
    """Published items, by id: their versions."""

    def __init__(self, *items: Item) -> None:
        self.versions: dict[str, list[Item]] = {}
        for each in items:
            self.publish(each)

    def publish(self, new: Item) -> None:
        """One version on."""
        self.versions.setdefault(new.id, []).append(new)

    async def find(self, item: str) -> Kept | None:
        """What is in force."""
        versions = self.versions.get(item, [])
        return Kept(item, len(versions), versions[-1], None, 1, "test", AT) if versions else None

    async def find_version(self, item: str, version: int) -> Item | None:
        """One version, for good."""
        versions = self.versions.get(item, [])
        return versions[version - 1] if 0 < version <= len(versions) else None
