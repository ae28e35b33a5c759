"""From an alert on the desk to the broadcast that leaves: lane, audience, frozen texts, and what it replaces.

Promise: a broadcast for everyone can only be built from an Actual alert. An exercise or a test goes to the test list
and nowhere else, every text of it says 演练, and without a test list nothing is built at all. No caller can get this
wrong, because there is no other way to build one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from server.domain.alerts.desk import DeskAlert
from server.domain.alerts.model import Alert, cap_time
from server.domain.alerts.verbs import BEIJING, Verb
from server.domain.alerts.vocabulary import Scope, Status
from server.domain.broadcasts import Audience, Broadcast, Lane, Policy, digest
from server.domain.errors import InvalidInputError

Ring = tuple[tuple[float, float], ...]
Circle = tuple[float, float, float]
DRILL_MARKS = ("演练", "exercise", "drill")


class Geography(Protocol):
    """Which districts a shape touches. Points are (latitude, longitude) in WGS-84, radii in km."""

    def districts_meeting(self, polygons: Sequence[Ring], circles: Sequence[Circle]) -> tuple[str, ...]:
        """Districts that one of the shapes meets."""
        ...

    def districts_inside(self, polygons: Sequence[Ring], circles: Sequence[Circle]) -> tuple[str, ...]:
        """Districts that lie mostly inside the union of the shapes."""
        ...


class Render(Protocol):
    """The texts of all channels and languages for one alert, frozen at release."""

    def __call__(self, alert: Alert, verb: Verb) -> Mapping[str, Any]:
        """InvalidInputError if a text cannot be made."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """What a release depends on besides the alert: the map, the texts, and the citizens who take part in exercises."""

    geography: Geography
    render: Render
    test_list: tuple[int, ...] = ()


def broadcast_of(desk: DeskAlert, world: World, replaces: tuple[str, ...], sent_at: datetime) -> Broadcast:
    """The broadcast of this alert if it is sent at `sent_at`; InvalidInputError names what forbids it."""
    refuse_unfit(desk.alert)
    expires_at = desk.alert.expires_at
    if expires_at is None:
        raise InvalidInputError("expires_missing", zh="没有失效时间", en="expires is missing", field="info.expires")
    lane = Lane(desk.colour.lower())
    texts = world.render(with_sent(desk.alert, sent_at), desk.verb)
    audience = audience_of(desk.alert, lane, world.geography)
    if desk.is_exercise:
        _refuse_unmarked(texts)
        audience = audience.model_copy(update={"citizens": _test_list(world)})
    broadcast = Broadcast(
        id=desk.identifier,
        subject=desk.identifier,
        chain=desk.chain,
        lane=lane,
        policy=Policy.ALL if lane.is_urgent else Policy.LADDER,
        is_loud=desk.is_loud,
        is_exercise=desk.is_exercise,
        texts=texts,
        audience=audience,
        replaces=replaces,
        is_all_clear=desk.verb is Verb.CANCEL,
        released_at=sent_at,
        expires_at=expires_at,
    )
    return broadcast.model_copy(update={"digest": digest(broadcast)})


def audience_of(alert: Alert, lane: Lane, geography: Geography) -> Audience:
    """Who lives or is in the area.

    People without a point count with their district: if the area meets it (red, orange), or if it lies mostly inside.
    """
    areas = [area for info in alert.infos for area in info.areas]
    divisions = dict.fromkeys(division for area in areas for division in area.divisions)
    polygons, circles = shapes_of(alert)
    has_shapes = bool(polygons or circles)
    meeting = geography.districts_meeting(polygons, circles) if has_shapes else ()
    if not divisions and not meeting:
        raise InvalidInputError(
            "area_missing", zh="预警没有覆盖任何区划", en="the area covers no division", field="info.area"
        )
    loose = meeting if lane.is_urgent or not has_shapes else geography.districts_inside(polygons, circles)
    return Audience(
        divisions=tuple(divisions),
        polygons=polygons,
        circles=circles,
        shape_districts=meeting,
        loose_districts=loose,
    )


def shapes_of(alert: Alert) -> tuple[tuple[Ring, ...], tuple[Circle, ...]]:
    """The polygons and circles of all blocks, each once; InvalidInputError names one that nobody can read."""
    areas = [area for info in alert.infos for area in info.areas]
    polygons = dict.fromkeys(_ring(text) for area in areas for text in area.polygons)
    circles = dict.fromkeys(_circle(text) for area in areas for text in area.circles)
    return tuple(polygons), tuple(circles)


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


def with_sent(alert: Alert, at: datetime) -> Alert:
    """The message as sent at this moment."""
    return alert.model_copy(update={"sent": cap_time(at, BEIJING)})


def _test_list(world: World) -> tuple[int, ...]:
    if not world.test_list:
        raise InvalidInputError(
            "test_list_missing",
            zh="演练和测试只发给测试名单，而名单为空",
            en="an exercise or test reaches only the test list, and there is none",
            field="status",
        )
    return world.test_list


def _refuse_unmarked(texts: Mapping[str, Any]) -> None:
    """An exercise that does not say so in every text must not exist."""
    for path, text in _leaves(texts):
        if not any(mark in text.lower() for mark in DRILL_MARKS):
            raise InvalidInputError(
                "drill_unmarked", zh=f"演练文字缺少“演练”：{path}", en=f"an exercise has to say so: {path}", field=path
            )


def _leaves(value: Any, path: str = "texts") -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(path, value)]
    if isinstance(value, Mapping):
        return [leaf for key, item in value.items() for leaf in _leaves(item, f"{path}.{key}")]
    return []


def _ring(text: str) -> Ring:
    try:
        ring = tuple((float(lat), float(lon)) for lat, lon in (pair.split(",") for pair in text.split()))
    except ValueError:
        ring = ()
    if len(ring) < 4 or ring[0] != ring[-1] or not all(_is_place(*point) for point in ring):
        raise InvalidInputError(
            "polygon_unreadable", zh="多边形格式不对", en="the polygon is wrong", field="info.area.polygon"
        )
    return ring


def _circle(text: str) -> Circle:
    try:
        centre, radius = text.split()
        latitude, longitude = (float(number) for number in centre.split(","))
        circle = (latitude, longitude, float(radius))
    except ValueError:
        circle = (0.0, 0.0, -1.0)
    if not _is_place(*circle[:2]) or not 0 < circle[2] <= 20_000:
        raise InvalidInputError(
            "circle_unreadable", zh="圆形格式不对", en="the circle is wrong", field="info.area.circle"
        )
    return circle


def _is_place(latitude: float, longitude: float) -> bool:
    return -90 <= latitude <= 90 and -180 <= longitude <= 180  # false for NaN too
