"""A warning as weather services write it in JSON, turned into CAP 1.2 so that it passes the same intake. Pure.

Services number events their own ways, and the same digits mean different things: of the usual one 10NN is 11BNN and
1241 to 1247 are 11D01 to 11D07 of GB/T 35561; others write type and level, from blue to red or the other way round.
So a number is only believed in that one form and where the national list knows it. Where number and headline name
different events, both are kept and said to disagree. "橙色升级为红色" is red: the colour after the verb counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from server.domain.alerts.model import Alert, Area, Info, NamedValue, Reference, cap_time, colour_parameter
from server.domain.alerts.vocabulary import (
    DIVISION_CODE,
    EVENT_CODE,
    Category,
    Certainty,
    Colour,
    MsgType,
    Urgency,
)
from server.domain.china import CHINA
from server.domain.divisions import Division, Divisions
from server.domain.wording import Event

HEADLINE_EVENT = "标题事件"  # valueName: the event that the headline names, where the number says another
HEADLINE_COLOUR = "标题颜色"  # valueName: the same of the colour
MAX_ID = 80
_ZH_COLOURS = {"红": Colour.RED, "橙": Colour.ORANGE, "黄": Colour.YELLOW, "蓝": Colour.BLUE}
_MET, _GEO = re.compile(r"10(\d\d)", re.ASCII), re.compile(r"124([1-7])", re.ASCII)
_CHANGED = re.compile(r"(?:升级|降级|变更|调整|更新)[为成]\W{0,2}(?:\S{0,12}?)([红橙黄蓝])色")
_COLOUR = re.compile(r"([红橙黄蓝])色")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]")
_KIND = re.compile(r"(?:新区|矿区|区|县|市)$")
MIN_NAME = 2  # a district of two characters keeps its last one


@dataclass(frozen=True, slots=True)
class LiveWarning:
    """One warning of a service. `number` and `colour` as it writes them; `related`: the id of what it follows."""

    id: str
    issuer: str
    title: str
    text: str
    number: str
    name: str
    colour: str
    published_at: datetime
    status: MsgType
    related: str = ""
    begins_at: datetime | None = None
    ends_at: datetime | None = None
    urgency: str = ""
    certainty: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """What its event and colour are taken to be, and what of that disagrees (CAP parameters)."""

    event: Event | None
    colour: Colour | None
    doubts: tuple[NamedValue, ...]


def event_of(number: str, events: Mapping[str, Event]) -> Event | None:
    """What a number means, if it is of the one known form and the national list has it.

    >>> known = {"11B06": Event("11B06", "大风", "", "Gale"), "11D02": Event("11D02", "泥石流事件", "泥石流", "")}
    >>> [event_of(number, known) and event_of(number, known).code for number in ("1006", "1242", "0103", "1087")]
    ['11B06', '11D02', None, None]
    """
    if met := _MET.fullmatch(number):
        return events.get(f"11B{met[1]}")
    if geo := _GEO.fullmatch(number):
        return events.get(f"11D0{geo[1]}")
    return None


def event_in(text: str, events: Iterable[Event]) -> Event | None:
    """The event of natural disasters that a headline names; the longest name wins: 雷雨大风 is no 大风."""
    found = [
        (len(name), each.code, each)
        for each in events
        if each.code.startswith(("11B", "11D")) and not each.code.endswith("00")
        for name in {each.name, each.short or each.name}
        if name in text
    ]
    return max(found, key=lambda one: (one[0], one[1]))[2] if found else None


def colour_in(title: str) -> Colour | None:
    """The colour that a headline comes to.

    >>> colour_in("暴雨橙色预警升级为红色"), colour_in("发布大风蓝色预警[IV级/一般]"), colour_in("天气公报")
    (<Colour.RED: 'Red'>, <Colour.BLUE: 'Blue'>, None)
    """
    if changed := _CHANGED.search(title):
        return _ZH_COLOURS[changed[1]]
    said = _COLOUR.findall(title)
    return _ZH_COLOURS[said[-1]] if said else None


def judged(warning: LiveWarning, events: Mapping[str, Event]) -> Judged:
    """Number and colour against the headline."""
    numbered = event_of(warning.number, events)
    named = event_in(warning.title, events.values()) or event_in(warning.name, events.values())
    given, told = next((c for c in Colour if c == warning.colour), None), colour_in(warning.title)
    doubts = []
    if numbered and named and numbered.code != named.code:
        doubts.append(NamedValue(value_name=HEADLINE_EVENT, value=f"{named.code}; {named.name}"))
    if given and told and given is not told:
        doubts.append(NamedValue(value_name=HEADLINE_COLOUR, value=f"{told}; {told.level}"))
    return Judged(numbered or named, told or given, tuple(doubts))


def where_of(issuer: str, city: str, divisions: Divisions) -> Division:
    """What a warning is about by who gives it: the district that the issuer's name holds, else the whole city."""
    known = [divisions.get(code) for code in divisions.districts(city)]
    names = [*((each.name, each) for each in known), *((_stem(each.name), each) for each in known)]
    return next((each for name, each in names if name in issuer), divisions.get(city))


def to_alert(warning: LiveWarning, found: Judged, sender: str, where: Division, before: Reference | None) -> Alert:
    """The CAP message. `before` is what it follows; without one it is a first message, whatever it calls itself."""
    follows = before is not None and warning.status is not MsgType.ALERT
    notes = [f"{doubt.value_name} {doubt.value}" for doubt in found.doubts]
    if warning.status is not MsgType.ALERT and not follows:
        notes.append(f"前报未收到 the message before was not received: {warning.related}"[:200])
    return Alert(
        identifier=identifier_of(warning.id),
        sender=sender,
        sent=cap_time(warning.published_at, CHINA),
        msg_type=(warning.status if follows else MsgType.ALERT).value,
        source=warning.issuer or None,
        note="；".join(notes) or None,
        references=str(before) if follows else None,
        infos=(_info(warning, found, where),),
    )


def identifier_of(id_: str) -> str:
    """The service's id as CAP may have it."""
    return _UNFIT.sub("-", id_)[:MAX_ID]


def _info(warning: LiveWarning, found: Judged, where: Division) -> Info:
    colour, event = found.colour, found.event
    is_geo = event is not None and event.code.startswith("11D")
    return Info(
        language="zh-CN",
        categories=((Category.GEO if is_geo else Category.MET).value,),
        event=warning.name or (event.name if event else ""),
        urgency=warning.urgency if warning.urgency in {*Urgency} else Urgency.UNKNOWN.value,
        severity=colour.severity.value if colour else "Unknown",
        certainty=warning.certainty if warning.certainty in {*Certainty} else Certainty.UNKNOWN.value,
        event_codes=(NamedValue(value_name=EVENT_CODE, value=event.code),) if event else (),
        onset=cap_time(warning.begins_at, CHINA) if warning.begins_at else None,
        expires=cap_time(warning.ends_at, CHINA) if warning.ends_at else None,
        sender_name=warning.issuer or None,
        headline=warning.title,
        description=warning.text,
        parameters=(*((colour_parameter(colour),) if colour else ()), *found.doubts),
        areas=(Area(area_desc=where.name, geocodes=(NamedValue(value_name=DIVISION_CODE, value=where.code),)),),
    )


def _stem(name: str) -> str:
    """The name of a district as those who live there say it: 南山区 -> 南山."""
    return _KIND.sub("", name) if len(name) > MIN_NAME else name
