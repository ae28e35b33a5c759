"""From an alert on the desk to the broadcast that leaves: lane, audience, frozen texts, and what it replaces.

Promise: a broadcast for everyone can only be built from an Actual alert. An exercise or a test goes to the test list
and nowhere else, every text of it says 演练, and without a test list nothing is built at all. No caller can get this
wrong, because there is no other way to build one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from server.domain.alerts.desk import DeskAlert
from server.domain.alerts.geometry import Ring, is_on_earth, parse_circle, parse_ring
from server.domain.alerts.model import Alert, Area, Info, cap_time
from server.domain.alerts.vocabulary import Colour, ResponseType, Scope, Status, category_of
from server.domain.broadcasts import Audience, Broadcast, Lane, Policy, digest
from server.domain.china import CHINA
from server.domain.divisions import Divisions, circle, ring
from server.domain.errors import InvalidInputError
from server.domain.preferences import Topics
from server.domain.texts import Facts, render
from server.domain.wording import LANGUAGES, Kind, Wording, Words
from server.domain.wording import Colour as TextColour

Circle = tuple[float, float, float]
MAX_RADIUS_KM = 2_000.0
MAX_SHAPES, MAX_POINTS = 100, 2_000  # of one alert: what the map can be asked for without making anybody wait
DRILL_MARKS = ("演练", "[exercise]", "test: no action")  # as the frames of the texts write it
_COLOURS: Mapping[Colour, TextColour] = {
    Colour.RED: "red",
    Colour.ORANGE: "orange",
    Colour.YELLOW: "yellow",
    Colour.BLUE: "blue",
}
PAGE = "pages/alert/alert?id="  # of the mini-program


@dataclass(frozen=True, slots=True)
class World:
    """What a release depends on besides the alert: the map, the texts, who takes part in exercises, topics."""

    divisions: Divisions
    wording: Wording
    test_list: tuple[int, ...] = ()
    topics: Topics = field(default_factory=Topics)


def broadcast_of(desk: DeskAlert, world: World, replaces: tuple[str, ...], sent_at: datetime) -> Broadcast:
    """The broadcast of this alert if it is sent at `sent_at`; InvalidInputError names what forbids it."""
    refuse_unfit(desk.alert)
    lane = Lane(desk.colour.lower())
    audience = audience_of(desk.alert, lane, world.divisions)
    if desk.is_exercise:
        audience = audience.model_copy(update={"citizens": _test_list(world)})
    texts = texts_of(desk, world, sent_at)
    if desk.is_exercise:
        _refuse_unmarked(texts)
    broadcast = Broadcast(
        id=desk.identifier,
        subject=desk.identifier,
        chain=desk.chain,
        topic=world.topics.of_event(desk.facts.events[0] if desk.facts.events else ""),
        lane=lane,
        policy=Policy.ALL if lane.is_urgent else Policy.LADDER,
        is_loud=desk.is_loud,
        is_exercise=desk.is_exercise,
        texts=texts,
        audience=audience,
        replaces=replaces,
        is_all_clear=desk.kind is Kind.CANCEL,
        released_at=sent_at,
        expires_at=_expires_at(desk),
    )
    return broadcast.model_copy(update={"digest": digest(broadcast)})


def texts_of(desk: DeskAlert, world: World, sent_at: datetime) -> dict[str, Any]:
    """The words of all channels and languages, as `texts.render` makes them; InvalidInputError if a fact is missing."""
    alert, unit = desk.alert, desk.unit
    codes = dict.fromkeys([*desk.facts.divisions])
    details = {language: info.description or "" for language in LANGUAGES if (info := alert.info(language))}
    facts = Facts(
        event=desk.facts.events[0] if desk.facts.events else "",
        colour=_COLOURS[desk.colour],
        kind=desk.kind,
        areas=[world.divisions.area(code) for code in codes],
        sender=Words(unit.name, unit.name_en or unit.name),
        sent_at=sent_at,
        expires_at=_expires_at(desk),
        page=f"{PAGE}{desk.identifier}",
        is_exercise=desk.is_exercise,
        previous=_COLOURS[desk.previous] if desk.previous else None,
        detail=Words(details.get("zh", ""), details.get("en", "")),
        reason=Words(alert.note or "", "") if desk.kind is Kind.CANCEL else Words("", ""),
    )
    return render(facts, world.wording)


def message_of(desk: DeskAlert, world: World, sent_at: datetime) -> Alert:
    """The CAP message as it is sent: what officers wrote, and the texts' words where they left it to the desk."""
    texts = texts_of(desk, world, sent_at)
    infos = tuple(_worded(info, desk, world, texts) for info in desk.alert.infos)
    return desk.alert.model_copy(update={"sent": cap_time(sent_at, CHINA), "infos": infos})


def _worded(info: Info, desk: DeskAlert, world: World, texts: Mapping[str, Mapping[str, str]]) -> Info:
    """One block with the headline of the texts, and with what its author left open."""
    language = (info.language or "en-US").strip().lower().split("-")[0]
    said = language if language in LANGUAGES else "en"
    event, unit = world.wording.events[desk.facts.events[0]], desk.unit
    words = {
        "categories": info.categories or (category_of(event.code).value,),
        "event": info.event or (event.name if said == "zh" else event.name_en),
        "response_types": info.response_types or (ResponseType.EXECUTE.value,),  # CAP: do what the instruction says
        "sender_name": info.sender_name or Words(unit.name, unit.name_en).get(said),
        "contact": info.contact or unit.contact or None,
        "headline": texts["headline"][said],
        "description": _own(info.description, desk, said) or texts["description"][said],
        "instruction": _own(info.instruction, desk, said) or texts["instruction"][said],
        "areas": tuple(_described(area, world, said) for area in info.areas),
    }
    return info.model_copy(update=words)


def _described(area: Area, world: World, language: str) -> Area:
    """An area says in words where it is."""
    if area.area_desc.strip():
        return area
    named = [world.divisions.area(code) for code in area.divisions]
    words = "、".join(each.zh for each in named) if language == "zh" else ", ".join(each.en for each in named)
    return area.model_copy(
        update={"area_desc": words or ("地图所示区域" if language == "zh" else "the area on the map")}
    )


def audience_of(alert: Alert, lane: Lane, divisions: Divisions) -> Audience:
    """Who lives or is in the area; InvalidInputError for an unknown division, or if nothing of the city is covered.

    People without a point count with their district: if the area meets it (red, orange), or if it lies mostly inside.
    """
    named = {divisions.get(code).code for info in alert.infos for area in info.areas for code in area.divisions}
    polygons, circles = shapes_of(alert)
    surface = surface_of(polygons, circles)
    meeting = divisions.districts_meeting(surface)
    if not named and not meeting:
        raise InvalidInputError(
            "area_missing", zh="预警没有覆盖任何区划", en="the area covers no division", field="info.area"
        )
    return Audience(
        divisions=tuple(sorted(named)),
        polygons=polygons,
        circles=circles,
        shape_districts=meeting,
        loose_districts=meeting if lane.is_urgent else divisions.districts_mostly_inside(surface),
    )


def surface_of(polygons: Sequence[Ring], circles: Sequence[Circle]) -> BaseGeometry:
    """The union of the shapes, in the datum and axis order of the divisions' own."""
    return shapely.union_all([*map(ring, polygons), *(circle(*each) for each in circles)])


def touched(alert: Alert, divisions: Divisions) -> tuple[str, ...]:
    """The districts that the alert's polygons and circles meet."""
    return divisions.districts_meeting(surface_of(*shapes_of(alert)))


def shapes_of(alert: Alert) -> tuple[tuple[Ring, ...], tuple[Circle, ...]]:
    """The polygons and circles of all blocks, each once; InvalidInputError names one that nobody can read."""
    areas = [area for info in alert.infos for area in info.areas]
    texts = dict.fromkeys(text for area in areas for text in area.polygons)
    circles = dict.fromkeys(text for area in areas for text in area.circles)
    if len(texts) + len(circles) > MAX_SHAPES or sum(text.count(",") for text in texts) > MAX_POINTS:
        raise InvalidInputError("area_too_fine", zh="区域过于复杂", en="too many shapes or points", field="info.area")
    return tuple(map(_read_ring, texts)), tuple(map(_read_circle, circles))


def refuse_unfit(alert: Alert) -> None:
    """InvalidInputError for a message that may never leave this desk, whatever else is right with it."""
    if alert.status not in (Status.ACTUAL, Status.EXERCISE, Status.TEST):
        raise InvalidInputError(
            "status_unfit", zh="状态须为Actual、Exercise或Test", en="status cannot be sent", field="status"
        )
    if alert.scope != Scope.PUBLIC:
        raise InvalidInputError(
            "scope_unfit", zh="只发布公开预警", en="only public alerts are broadcast", field="scope"
        )


def _expires_at(desk: DeskAlert) -> datetime:
    expires_at = desk.alert.expires_at
    if expires_at is None:
        raise InvalidInputError("expires_missing", zh="没有失效时间", en="expires is missing", field="info.expires")
    return expires_at


def _own(text: str | None, desk: DeskAlert, language: str) -> str:
    """An officer's own words, marked if they are only practice."""
    if not text or not desk.is_exercise:
        return text or ""
    mark = "【演练】" if language == "zh" else "[EXERCISE] "
    return mark + text.removeprefix(mark)


def _test_list(world: World) -> tuple[int, ...]:
    if not world.test_list:
        raise InvalidInputError(
            "test_list_missing",
            zh="演练和测试只发给测试名单，而名单为空",
            en="an exercise or test reaches only the test list, and there is none",
            field="status",
        )
    return world.test_list


def _refuse_unmarked(texts: Mapping[str, Mapping[str, Any]]) -> None:
    """An exercise must say so in every notice. `texts`: part -> language -> what one person reads."""
    for part, languages in texts.items():
        for language, notice in languages.items():
            said = " ".join(_leaves(notice)).lower()
            if not any(mark in said for mark in DRILL_MARKS):
                raise InvalidInputError(
                    "drill_unmarked",
                    zh=f"演练文字缺少“演练”：{part}.{language}",
                    en=f"an exercise has to say so: {part}.{language}",
                    field=f"texts.{part}.{language}",
                )


def _leaves(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    return [value] if isinstance(value, str) else []


def _read_ring(text: str) -> Ring:
    points = parse_ring(text)
    if points is None or len(points) < 4 or points[0] != points[-1] or not all(is_on_earth(*p) for p in points):
        raise InvalidInputError(
            "polygon_unreadable", zh="多边形格式不对", en="the polygon is wrong", field="info.area.polygon"
        )
    return points


def _read_circle(text: str) -> Circle:
    found = parse_circle(text)
    if found is None or not is_on_earth(*found[:2]) or not 0 < found[2] <= MAX_RADIUS_KM:
        raise InvalidInputError(
            "circle_unreadable", zh="圆形格式不对", en="the circle is wrong", field="info.area.circle"
        )
    return found
