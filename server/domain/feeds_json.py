"""The JSON of the public API: what one released message is to a reader, and the lists that hold it.

Allow-lists: a field that is not written here never leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from server.domain.alerts.model import Info
from server.domain.feeds import Published, Standing
from server.domain.wording import LANGUAGES, Kind

AT = "2026-11-24T09:30:00+08:00"
_PATH = "/v1/alerts/44030041600000_20261124093000"
EXAMPLE: Mapping[str, Any] = {
    "identifier": "44030041600000_20261124093000",
    "chain": "44030041600000_20261124093000",
    "standing": "active",
    "kind": "alert",
    "msg_type": "Alert",
    "sender": "weather@sz.example",
    "colour": "Orange",
    "severity": "Severe",
    "urgency": "Expected",
    "certainty": "Likely",
    "event_code": "11B03",
    "sent_at": AT,
    "onset_at": None,
    "expires_at": "2026-11-24T21:30:00+08:00",
    "follows": None,
    "replaced_by": None,
    "divisions": ["440305"],
    "areas": [{"name": "南山区", "divisions": ["440305"], "polygons": [], "circles": []}],
    "texts": {
        "zh": {
            "event": "暴雨",
            "headline": "深圳市气象台发布暴雨橙色预警",
            "description": "南山区未来3小时有暴雨。",
            "instruction": "请留在室内。",
            "sender_name": "深圳市气象台",
        }
    },
    "links": {"self": _PATH, "cap": f"{_PATH}.cap", "guotu": f"{_PATH}.guotu", "history": f"{_PATH}/history"},
}


def _like(example: Mapping[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": dict(example)})


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PublicArea(_Told):
    """Where, as the message says it. Everything is WGS-84: polygons "lat,lon lat,lon ...", circles "lat,lon km"."""

    name: str
    divisions: tuple[str, ...] = ()
    polygons: tuple[str, ...] = ()
    circles: tuple[str, ...] = ()


class PublicText(_Told):
    """What it says in one language."""

    event: str
    headline: str = ""
    description: str = ""
    instruction: str = ""
    sender_name: str = ""


class Links(_Told):
    """Paths below this server."""

    self: str
    cap: str
    guotu: str
    history: str


class PublicAlert(_Told):
    """One released message of a chain. `divisions` are all that its area touches; `replaced_by` is what followed it."""

    identifier: str = Field(examples=["44030041600000_20261124093000"])
    chain: str = Field(description="identifier of the first message")
    standing: Standing
    kind: Kind
    msg_type: str = Field(examples=["Alert"])
    sender: str
    colour: str = Field(examples=["Orange"])
    severity: str
    urgency: str
    certainty: str
    event_code: str = Field(description="GB/T 35561", examples=["11B03"])
    sent_at: AwareDatetime
    onset_at: AwareDatetime | None = None
    expires_at: AwareDatetime
    follows: str | None = None
    replaced_by: str | None = None
    divisions: tuple[str, ...]
    areas: tuple[PublicArea, ...]
    texts: Mapping[str, PublicText] = Field(description="by language: zh, en")
    links: Links | None = Field(description="null for an exercise in an inbox: it is not published")

    model_config = _like(EXAMPLE)


class ActiveAlerts(_Told):
    """What is in force, worst first. `version` changes whenever anything in the city does; `next` asks for more."""

    version: str
    changed_at: AwareDatetime
    alerts: tuple[PublicAlert, ...]
    next: str | None = Field(default=None, description="the `after` of the next page; null = no more")

    model_config = _like({"version": "9f86d081884c7d65", "changed_at": AT, "alerts": [EXAMPLE], "next": None})


class AlertHistory(_Told):
    """The messages of one chain, oldest first."""

    chain: str
    alerts: tuple[PublicAlert, ...]

    model_config = _like({"chain": EXAMPLE["identifier"], "alerts": [EXAMPLE]})


class FeedVersion(_Told):
    """Cheap to ask every second: load the alerts again when `version` is another one."""

    version: str
    changed_at: AwareDatetime = Field(description="the newest release; what expires changes the version too")
    active: int

    model_config = _like({"version": "9f86d081884c7d65", "changed_at": AT, "active": 1})


class FeedEvent(_Told):
    """The `seq`-th release of a public message, as it stands now."""

    seq: int
    released_at: AwareDatetime
    alert: PublicAlert


class FeedEvents(_Told):
    """Releases, first messages, updates and cancels alike. Ask again with `since=next`, or `before=next`."""

    events: tuple[FeedEvent, ...]
    next: int

    model_config = _like({"events": [{"seq": 7, "released_at": AT, "alert": EXAMPLE}], "next": 7})


def links_of(identifier: str) -> Links:
    """Where the forms of one message are."""
    path = f"/v1/alerts/{identifier}"
    return Links(self=path, cap=f"{path}.cap", guotu=f"{path}.guotu", history=f"{path}/history")


def public_alert(message: Published, standing: Standing, replaced_by: str | None = None) -> PublicAlert:
    """The JSON of one message."""
    info = message.alert.infos[0]
    return PublicAlert(
        identifier=message.identifier,
        chain=message.chain,
        standing=standing,
        kind=message.kind,
        msg_type=message.alert.msg_type,
        sender=message.alert.sender,
        colour=message.colour.value,
        severity=message.alert.severity,
        urgency=info.urgency,
        certainty=info.certainty,
        event_code=info.event_code or "",
        sent_at=message.released_at,
        onset_at=info.onset_at,
        expires_at=message.expires_at,
        follows=message.follows,
        replaced_by=replaced_by,
        divisions=message.divisions,
        areas=areas_of(message),
        texts={language: text_of(found) for language in LANGUAGES if (found := message.alert.info(language))},
        links=links_of(message.identifier),
    )


def text_of(info: Info) -> PublicText:
    """What a block says."""
    return PublicText(
        event=info.event,
        headline=info.headline or "",
        description=info.description or "",
        instruction=info.instruction or "",
        sender_name=info.sender_name or "",
    )


def areas_of(message: Published) -> tuple[PublicArea, ...]:
    """Where a message applies, once, whatever its languages."""
    info = message.alert.info("zh") or message.alert.infos[0]
    return tuple(
        PublicArea(name=area.area_desc, divisions=area.divisions, polygons=area.polygons, circles=area.circles)
        for area in info.areas
    )
