"""The catalogue on the wire: what is asked, and what the answers hold, each with an example for the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from server.domain.catalogue import EXAMPLE, Applicant, Item, Mode, Text
from server.domain.catalogue_search import MAX_QUERY
from server.domain.catalogue_versions import Change
from server.domain.catalogue_windows import Visit, Window
from server.domain.resources import Named

SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
MAX_WINDOWS = 50
AT = "2026-11-24T09:30:00+08:00"
LINE: Mapping[str, Any] = {
    **{key: EXAMPLE[key] for key in ("id", "code", "name", "about", "theme", "modes", "promised_days", "fee_fen")},
    "version": 1,
    "unit": EXAMPLE["unit"]["name"],
    "is_paperless": True,
}
WINDOW: Mapping[str, Any] = {
    "id": "sz-street-nantou",
    "name": {"zh": "南头街道党群服务中心", "en": "Nantou street centre"},
    "networks": ["street", "community"],
    "division": "440305001",
    "address": {"zh": "南山区南头街", "en": "Nantou Street"},
    "spot": {"latitude": 22.544, "longitude": 113.922},
    "hours": None,
}
VISIT: Mapping[str, Any] = {"kind": "counter", "group": "street-440305001-counter", "service": "elder-allowance"}
MOMENT: Mapping[str, Any] = {
    "id": "growing-old",
    "name": {"zh": "老有所养", "en": "Growing old"},
    "about": {"zh": "优待证、高龄津贴、照护。", "en": "Card and allowance and care."},
    "items": ["elderly-card", "elderly-allowance"],
}
DRAFT: Mapping[str, Any] = {
    "id": EXAMPLE["id"], "version": 1, "edit": 2, "published": EXAMPLE, "draft": None,
    "by": "6f2c9d0e6a1b4f0d8c3e7b5a9f1d2c4e", "changed_at": AT,
}  # fmt: skip


def _like(example: Mapping[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": dict(example)})


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ItemsQuery(BaseModel):
    """What to look for; everything that is given has to fit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    q: str = Field(
        default="", max_length=MAX_QUERY, description="words, or the first letters of their pinyin", examples=["gljt"]
    )
    moment: str | None = Field(default=None, pattern=SLUG, max_length=60, examples=["growing-old"])
    theme: str | None = Field(default=None, pattern=SLUG, max_length=60, examples=["elderly"])
    unit: str | None = Field(default=None, pattern=SLUG, max_length=60, examples=["civil-affairs"])
    division: str | None = Field(default=None, pattern=r"^\d{6}(\d{3}){0,2}$", examples=["440305"])
    applicant: Applicant | None = Field(default=None, description="who asks", examples=["person"])
    mode: Mode | None = Field(default=None, description="only what can be done so", examples=["online"])
    limit: int = Field(default=20, ge=1, le=100, examples=[20])
    after: int = Field(default=0, ge=0, le=100_000, description="`next` of the page before", examples=[0])


class WindowsQuery(BaseModel):
    """From where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    point: str | None = Field(default=None, max_length=40, description="lat,lon in degrees", examples=["22.54,113.93"])
    datum: Literal["wgs84", "gcj02"] | None = Field(
        default=None, description="of the point: gcj02 is what WeChat and Chinese maps give", examples=["gcj02"]
    )
    division: str | None = Field(default=None, pattern=r"^\d{6}(\d{3}){0,2}$", examples=["440305"])
    limit: int = Field(default=10, ge=1, le=MAX_WINDOWS, examples=[10])

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        if (self.point is None) != (self.datum is None):
            raise ValueError("point and datum belong together")
        return self


class VersionQuery(BaseModel):
    """Which version: that on offer, if none is named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int | None = Field(default=None, ge=1, le=999_999, description="what an application refers to")


class ItemLine(_Told):
    """One item in a list."""

    id: str
    version: int
    code: str
    name: Named
    about: Text
    unit: Named
    theme: str
    modes: tuple[Mode, ...]
    promised_days: int
    fee_fen: int
    is_paperless: bool


class ItemPage(BaseModel):
    """Some items, best first. `total`: how many fit; `next`: ask again with it as `after`."""

    model_config = _like({"total": 1, "items": [LINE], "next": None})

    total: int
    items: tuple[ItemLine, ...]
    next: int | None = None


class ItemView(BaseModel):
    """One version of an item, whole; without its form."""

    model_config = _like({"version": 1, "is_paperless": True, "item": EXAMPLE, "visits": []})

    version: int
    is_paperless: bool
    item: Item
    visits: tuple[Visit, ...] = Field(description="bookable places that are no window: ask /v1/resources with them")


class FormView(BaseModel):
    """The form of one version: JSON Schema 2020-12 to check by, and what a page needs to show it."""

    model_config = _like(
        {"item": EXAMPLE["id"], "version": 1, "json_schema": {"type": "object"}, "ui": {"order": ["phone"]}}
    )

    item: str
    version: int
    json_schema: dict[str, Any]
    ui: dict[str, Any]


class WindowView(_Told):
    """A place with counters; `metres` from the point, if one was given; `visit`: ask /v1/resources with it."""

    window: Window
    metres: int | None = None
    visit: Visit | None = None


class WindowPage(BaseModel):
    """Nearest first."""

    model_config = _like({"windows": [{"window": WINDOW, "metres": 1893, "visit": VISIT}]})

    windows: tuple[WindowView, ...]


class MomentView(_Told):
    """A bundle, with the items on offer in the order in which they are usually done."""

    id: str
    name: Named
    about: Named
    items: tuple[str, ...]


class MomentsView(BaseModel):
    """All of them."""

    model_config = _like({"moments": [MOMENT]})

    moments: tuple[MomentView, ...]


class GroupView(_Told):
    """A unit or theme with how many items it has."""

    id: str
    name: Named
    items: int


class GroupsView(BaseModel):
    """All of them."""

    model_config = _like({"groups": [{"id": "civil-affairs", "name": EXAMPLE["unit"]["name"], "items": 14}]})

    groups: tuple[GroupView, ...]


class DraftsQuery(BaseModel):
    """Which items."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    is_draft: bool | None = Field(default=None, description="only those with (without) an unpublished draft")
    limit: int = Field(default=50, ge=1, le=100, examples=[50])
    after: str = Field(default="", pattern=SLUG[:-1] + "|$", max_length=60, description="`next` of the page before")


class DiffQuery(BaseModel):
    """Which versions; 0 is the draft."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: int = Field(ge=0, le=999_999, examples=[1])
    after: int = Field(ge=0, le=999_999, examples=[2])


class Publication(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": {"note": "承诺时限缩短为3天"}})

    note: str = Field(min_length=2, max_length=200)


class DraftView(BaseModel):
    """An item as editors see it. `version` 0: nothing is published yet."""

    model_config = _like(DRAFT)

    id: str
    version: int
    edit: int
    published: Item | None = None
    draft: Item | None = None
    by: str
    changed_at: AwareDatetime


class DraftLine(_Told):
    """One of them in a list."""

    id: str
    code: str
    name: str
    version: int
    is_draft: bool
    changed_at: AwareDatetime


class DraftPage(BaseModel):
    """By id. `next`: ask again with it as `after`."""

    model_config = _like(
        {
            "items": [
                {
                    "id": EXAMPLE["id"],
                    "code": EXAMPLE["code"],
                    "name": "高龄津贴",
                    "version": 1,
                    "is_draft": False,
                    "changed_at": AT,
                }
            ],
            "next": None,
        }
    )

    items: tuple[DraftLine, ...]
    next: str | None = None


class VersionLine(_Told):
    """One publication."""

    version: int
    published_at: AwareDatetime
    by: str
    note: str


class VersionsView(BaseModel):
    """Newest first."""

    model_config = _like({"versions": [{"version": 1, "published_at": AT, "by": DRAFT["by"], "note": "新设"}]})

    versions: tuple[VersionLine, ...]


class VersionView(BaseModel):
    """One version, for good."""

    model_config = _like({"version": 1, "item": EXAMPLE})

    version: int
    item: Item


class DiffView(BaseModel):
    """What differs."""

    model_config = _like({"before": 1, "after": 2, "changes": [{"path": "promised_days", "before": 5, "after": 3}]})

    before: int
    after: int
    changes: tuple[Change, ...]
