"""What people send about themselves and what they see of it. Where a setting has limits, the answer says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from server.domain.broadcasts import CHANNELS, Lane
from server.domain.citizens import Account
from server.domain.delivery import ANY
from server.domain.divisions import Divisions
from server.domain.preferences import ALWAYS_SENT, MAX_OPT_OUTS, Grant, OptOut, Topic, Topics, Way
from server.domain.profile import Datum, Kept, Label, OwnPlace, Quiet, clock, full_order
from server.domain.templates import Registry
from server.services.profile import LaneReach

ALWAYS = "levels that are sent all the same, whatever is set here"
_URGENT = ["red", "orange"]
_ME = {
    "id": "9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d",
    "language": "zh",
    "is_elder_mode": False,
    "is_real_name": True,
    "is_tester": False,
    "quiet_hours": {"begins": "22:00", "ends": "07:00"},
    "channels": ["sms", "wechat", "push"],
    "is_own_order": True,
    "always_sent": {"quiet_hours": _URGENT, "channels": _URGENT},
    "created_at": "2026-11-24T01:30:00Z",
}
_PLACE = {
    "id": "4c1f0e9d2b7a48d6a3c5e8f10b6d7a92",
    "label": "parents",
    "name": "爸妈家",
    "address": "南山大道1001号3栋",
    "division": {"code": "440305001", "name": "南头街道", "name_en": "Nantou Sub-district"},
    "point": {
        "lat": 22.533504,
        "lon": 113.925463,
        "datum": "wgs84",
        "came_as": "gcj02",
        "is_converted": True,
        "district": {"code": "440305", "name": "南山区", "name_en": "Nanshan District"},
    },
}
_OFF = [{"topic": "alert", "level": "*", "channel": "sms"}, {"topic": "offer"}]
_SUBSCRIPTIONS = {
    "off": [
        {"topic": "alert", "level": "*", "channel": "sms", "always_sent": _URGENT},
        {"topic": "offer", "level": "*", "channel": "*", "always_sent": []},
    ],
    "topics": [
        {
            "topic": "alert.weather",
            "name": "气象",
            "name_en": "Weather",
            "levels": ["red", "orange", "yellow", "blue"],
            "always_sent": _URGENT,
        }
    ],
    "channels": list(CHANNELS),
    "always_sent": _URGENT,
}
_GRANTS = {
    "templates": [{"template": "WX_EXERCISE", "kind": "one_time", "left": 1, "is_granted": True}],
    "reachable": [
        {
            "level": "yellow",
            "is_all_at_once": False,
            "uses": ["push"],
            "missing": [
                {"channel": "wechat", "why": "no_grant", "ask": ["WX_ALERT"]},
                {"channel": "sms", "why": "no_address", "ask": []},
            ],
            "partly_off": [{"channel": "push", "topics": ["alert.sea"]}],
            "deferred_until": "2026-11-24T23:00:00Z",
        }
    ],
}


def _example(value: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": value})


class AlwaysSent(BaseModel):
    """Setting by setting, the levels that do not ask for it: red and orange ring at night, on every channel at once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    quiet_hours: tuple[Lane, ...] = ALWAYS_SENT
    channels: tuple[Lane, ...] = ALWAYS_SENT


class MeView(BaseModel):
    """Somebody's own profile. The ETag is its version."""

    model_config = _example(_ME)

    id: str
    language: str
    is_elder_mode: bool
    is_real_name: bool
    is_tester: bool = Field(description="takes part in exercises")
    quiet_hours: Quiet | None
    channels: tuple[str, ...] = Field(description="in the order in which they are used")
    is_own_order: bool = Field(description="false: the order is the city's, and may differ by notice")
    always_sent: AlwaysSent = AlwaysSent()
    created_at: datetime

    @classmethod
    def about(cls, account: Account, kept: Kept) -> Self:
        """Of an account and what is kept beside it."""
        quiet = kept.quiet and Quiet(begins=clock(kept.quiet[0]), ends=clock(kept.quiet[1]))
        return cls(
            id=account.public,
            language=account.language,
            is_elder_mode=account.is_elder_mode,
            is_real_name=account.is_real_name,
            is_tester=kept.is_tester,
            quiet_hours=quiet or None,
            channels=full_order(kept.order),
            is_own_order=bool(kept.order),
            created_at=account.created_at,
        )


class DivisionName(BaseModel):
    """A division by its code and names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str
    name: str
    name_en: str

    @classmethod
    def of(cls, code: str, divisions: Divisions) -> Self:
        """The division of a code; one that is not known any more is named by its code."""
        known = divisions.find(code)
        return cls(code=code, name=known.name if known else code, name_en=divisions.area(code).en if known else code)


class PointView(BaseModel):
    """A point as it is kept: always WGS-84, whatever it came in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lat: float
    lon: float
    datum: Literal[Datum.WGS84] = Datum.WGS84
    came_as: Datum
    is_converted: bool
    district: DivisionName = Field(description="where the point was found to belong; near a border, as its owner said")


class PlaceView(BaseModel):
    """One place of one's own."""

    model_config = _example(_PLACE)

    id: str
    label: Label
    name: str
    address: str
    division: DivisionName = Field(
        description="the finest that is known; what is meant for a part of it only does not concern this place"
    )
    point: PointView | None

    @classmethod
    def about(cls, place: OwnPlace, divisions: Divisions) -> Self:
        """Of a place."""
        where, point = place.where, None
        if where.point and where.came_as:
            point = PointView(
                lat=where.point[0],
                lon=where.point[1],
                came_as=where.came_as,
                is_converted=where.came_as is Datum.GCJ02,
                district=DivisionName.of(where.division[:6], divisions),
            )
        return cls(
            id=place.id,
            label=place.label,
            name=place.name,
            address=place.address,
            division=DivisionName.of(where.division, divisions),
            point=point,
        )


class PlacesView(BaseModel):
    """All of them."""

    model_config = _example({"places": [_PLACE]})

    places: tuple[PlaceView, ...]


class OffForm(BaseModel):
    """One thing to switch off; "*" is all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str = Field(default=ANY, max_length=41)
    level: Literal["*", "red", "orange", "yellow", "blue", "transactional", "reminder", "digest"] = "*"
    channel: Literal["*", "wechat", "push", "sms"] = "*"


class SubscriptionsForm(BaseModel):
    """Everything that shall be off; what is not named is on."""

    model_config = _example({"off": _OFF})

    off: tuple[OffForm, ...] = Field(max_length=MAX_OPT_OUTS)

    @property
    def wanted(self) -> Sequence[OptOut]:
        """As the rules know it."""
        return [OptOut(each.topic, each.level, each.channel) for each in self.off]


class OffView(BaseModel):
    """One thing that is off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str
    level: str
    channel: str
    always_sent: tuple[Lane, ...] = Field(description=ALWAYS)


class TopicView(BaseModel):
    """One thing that may be switched off. A dot makes a part: alert.weather goes with alert."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str
    name: str
    name_en: str
    levels: tuple[Lane, ...]
    always_sent: tuple[Lane, ...] = Field(description=ALWAYS)

    @classmethod
    def about(cls, topic: Topic) -> Self:
        """Of a topic."""
        always = tuple(lane for lane in topic.lanes if lane in ALWAYS_SENT)
        return cls(topic=topic.id, name=topic.zh, name_en=topic.en, levels=topic.lanes, always_sent=always)


class SubscriptionsView(BaseModel):
    """What is off, and what there is. The ETag is the profile's version."""

    model_config = _example(_SUBSCRIPTIONS)

    off: tuple[OffView, ...]
    topics: tuple[TopicView, ...]
    channels: tuple[str, ...] = CHANNELS
    always_sent: tuple[Lane, ...] = Field(default=ALWAYS_SENT, description=ALWAYS)

    @classmethod
    def about(cls, off: Sequence[OptOut], topics: Topics) -> Self:
        """Of opt-outs."""
        return cls(
            off=tuple(
                OffView(topic=o.topic, level=o.level, channel=o.channel, always_sent=o.always_sent(topics)) for o in off
            ),
            topics=tuple(map(TopicView.about, topics.topics)),
        )


class GrantsForm(BaseModel):
    """What wx.requestSubscribeMessage answered, as it came. `id` is the client's own: told again, it counts once."""

    model_config = _example({"id": "9f1c22ab-7d1e", "answers": {"WX_EXERCISE": "accept", "WX_NOTICE": "reject"}})

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")
    answers: dict[str, Literal["accept", "acceptWithAudio", "acceptWithAlert", "reject", "ban", "filter"]] = Field(
        min_length=1, max_length=10
    )

    @property
    def said(self) -> Mapping[str, bool]:
        """Template -> accepted. `filter` and `ban` mean that the platform takes no message of it either."""
        return {template: answer.startswith("accept") for template, answer in self.answers.items()}


class TemplateView(BaseModel):
    """One filed template. Of a one-time one every accept is one message; of a long-term one they are not counted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    template: str
    kind: Literal["long_term", "one_time"]
    left: int | None = Field(description="a forecast: WeChat decides; null for a long-term one")
    is_granted: bool


class MissingView(BaseModel):
    """A channel that would not be used, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channel: str
    why: Literal["no_address", "no_grant", "opted_out"] = Field(
        description="no phone, openid or device is known; WeChat would refuse: ask; the person switched it off"
    )
    ask: tuple[str, ...] = Field(default=(), description="templates to call wx.requestSubscribeMessage with")


class PartlyOffView(BaseModel):
    """A channel that some topics of the level would not use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channel: str
    topics: tuple[str, ...]


class LaneView(BaseModel):
    """By what a notice of this level would reach one now."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Lane
    is_all_at_once: bool = Field(description="false: one after the other, until one arrives")
    uses: tuple[str, ...]
    missing: tuple[MissingView, ...]
    partly_off: tuple[PartlyOffView, ...]
    deferred_until: datetime | None = Field(description="quiet hours are on: it would be sent then")

    @classmethod
    def about(cls, reach: LaneReach) -> Self:
        """Of what was found."""
        ask = tuple(template for template, left in reach.templates.items() if not left)
        return cls(
            level=reach.lane,
            is_all_at_once=reach.lane.is_urgent,
            uses=tuple(way.channel for way in reach.ways if not way.why),
            missing=tuple(_missing(way, ask) for way in reach.ways if way.why),
            partly_off=tuple(
                PartlyOffView(channel=way.channel, topics=way.opted_out)
                for way in reach.ways
                if way.opted_out and not way.why
            ),
            deferred_until=reach.deferred_until,
        )


class GrantsView(BaseModel):
    """What WeChat would take, and by what every level would reach one now."""

    model_config = _example(_GRANTS)

    templates: tuple[TemplateView, ...]
    reachable: tuple[LaneView, ...]

    @classmethod
    def about(
        cls, grants: Mapping[str, Grant], reached: Sequence[LaneReach], templates: Registry, now: datetime
    ) -> Self:
        """Of what is known."""
        shown = []
        for template in templates.wechat:
            left, is_counted = grants[template.id].forecast(now), template.kind == "one_time"
            shown.append(
                TemplateView(
                    template=template.id,
                    kind=template.kind,
                    left=left if is_counted else None,
                    is_granted=left > 0,
                )
            )
        return cls(templates=tuple(shown), reachable=tuple(map(LaneView.about, reached)))


def _missing(way: Way, ask: tuple[str, ...]) -> MissingView:
    match way.why:
        case "no_grant":
            return MissingView(channel=way.channel, why="no_grant", ask=ask)
        case "opted_out":
            return MissingView(channel=way.channel, why="opted_out")
        case _:
            return MissingView(channel=way.channel, why="no_address")
