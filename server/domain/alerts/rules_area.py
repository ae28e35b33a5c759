"""Rules about where (CAP-024 .. 032)."""

from __future__ import annotations

from collections.abc import Iterator

from server.domain.alerts import geometry
from server.domain.alerts.context import Context, Message
from server.domain.alerts.finding import Fault, Patch
from server.domain.alerts.model import Alert, Area
from server.domain.alerts.vocabulary import DIVISION_CODE, MsgType

MAX_POLYGONS = 100
MAX_POINTS = 2_000
EXCLUDED = "EXCLUDE_POLYGON"  # a geocode of this name holds a ring that is a hole, never a position


def _areas(alert: Alert) -> Iterator[tuple[str, Area]]:
    for n, info in enumerate(alert.infos, 1):
        for m, area in enumerate(info.areas, 1):
            yield f"/alert/info[{n}]/area[{m}]", area


def _rings(alert: Alert) -> Iterator[tuple[str, str, geometry.Ring | None]]:
    for path, area in _areas(alert):
        for n, text in enumerate(area.polygons, 1):
            if text.count(",") <= geometry.MAX_POINTS:  # CAP-028 refuses the others unread
                yield f"{path}/polygon[{n}]", text, geometry.parse_ring(text)


def has_area(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-024: every block says where, and every area can be found on a map."""
    for n, info in enumerate(message.alert.infos, 1):
        if not info.areas and message.alert.msg_type in {MsgType.ALERT, MsgType.UPDATE}:
            yield Fault(f"/alert/info[{n}]", "缺少 area", "area is missing")
    for path, area in _areas(message.alert):
        if not (area.polygons or area.circles or area.geocodes):
            yield Fault(path, "区域没有范围（多边形、圆或区划代码）", "area has no geometry")


def polygons(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-025: a closed ring of at least four pairs on this earth that does not cross itself."""
    for path, text, ring in _rings(message.alert):
        yield from _ring(path, text, ring)


def _ring(path: str, text: str, ring: geometry.Ring | None) -> Iterator[Fault]:
    if ring is None:
        yield Fault(path, f"“{text[:40]}”不是“纬度,经度 纬度,经度 …”", f'"{text[:40]}" is not "lat,lon lat,lon ..."')
        return
    if off := next((point for point in ring if not geometry.is_on_earth(*point)), None):
        shown = f"{off[0]:g},{off[1]:g}"
        yield Fault(path, f"坐标 {shown} 超出范围", f"coordinate {shown} is out of range")
        return
    if len(ring) >= 3 and ring[0] != ring[-1]:
        patch = Patch(path, f"{text.strip()} {text.split(maxsplit=1)[0]}")
        yield Fault(path, "多边形未闭合", "ring not closed", patch=patch)
        ring = (*ring, ring[0])
    if len(ring) < 4:
        yield Fault(path, "多边形至少四对坐标", "a polygon has at least four pairs")
    elif at := geometry.crossing(ring):
        yield Fault(path, f"多边形在 {at} 自相交", f"ring crosses itself at {at}")


def swapped(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-026: latitude and longitude that changed places."""
    for path, _text, ring in _rings(message.alert):
        if ring and geometry.looks_swapped(ring):
            patch = Patch(path, geometry.ring_text(tuple((lon, lat) for lat, lon in ring)))
            yield Fault(path, "纬度、经度可能颠倒", "lat,lon swapped?", patch=patch)


def circles(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-027: "lat,lon radius_km" with a radius; 国突 allows 0 for a point."""
    for path, area in _areas(message.alert):
        for n, text in enumerate(area.circles, 1):
            where = f"{path}/circle[{n}]"
            circle = geometry.parse_circle(text)
            if circle is None or not geometry.is_on_earth(*circle[:2]):
                yield Fault(
                    where, f"“{text[:40]}”应为“纬度,经度 半径（公里）”", f'circle must be lat,lon r, not "{text[:40]}"'
                )
            elif circle[2] < 0 or (circle[2] == 0 and message.alert.china is None):
                yield Fault(where, "半径须大于 0", "the radius must be greater than 0")


def limits(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-028: what a map or a phone can still draw."""
    for path, area in _areas(message.alert):
        if len(area.polygons) > MAX_POLYGONS:
            n = len(area.polygons)
            yield Fault(path, f"多边形过多（{n}）", f"too many polygons ({n})")
        points = sum(len(text.split()) for text in area.polygons)
        if points > MAX_POINTS:
            yield Fault(path, f"坐标过多（{points}）", f"too many coordinates ({points})")


def geocodes(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-029: no blank code; a division has 6, 9 or 12 digits."""
    for path, area in _areas(message.alert):
        for n, code in enumerate(area.geocodes, 1):
            where, value = f"{path}/geocode[{n}]/value", code.value.strip()
            if not value:
                yield Fault(where, "区域代码为空", "geocode is blank")
            elif code.value_name == DIVISION_CODE and not geometry.DIVISION.fullmatch(value):
                yield Fault(
                    where,
                    f"“{value[:40]}”不是 6、9 或 12 位区划代码",
                    f'"{value[:40]}" is no division code of 6, 9 or 12 digits',
                )


def divisions(message: Message, context: Context) -> Iterator[Fault]:
    """CAP-029 with the registry: the division exists."""
    is_known = context.is_known_division
    for path, area in _areas(message.alert) if is_known else ():
        for n, code in enumerate(area.geocodes, 1):
            value = code.value.strip()
            is_division = code.value_name == DIVISION_CODE and geometry.DIVISION.fullmatch(value)
            if is_division and is_known and not is_known(value):
                yield Fault(f"{path}/geocode[{n}]/value", f"未知区划 {value}", f"unknown division {value}")


def holes(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-030: coordinates in a geocode are a hole in the area; a hole that cannot be read is no hole."""
    for path, area in _areas(message.alert):
        for n, code in enumerate(area.geocodes, 1):
            if code.value_name == EXCLUDED and code.value.strip() and geometry.parse_ring(code.value) is None:
                yield Fault(f"{path}/geocode[{n}]/value", "排除区域无法读取", "excluded polygon cannot be read")


def jurisdiction(message: Message, context: Context) -> Iterator[Fault]:
    """CAP-031: nobody warns his neighbour's people."""
    may_warn = context.may_warn
    for path, area in _areas(message.alert) if may_warn else ():
        for code in area.divisions:
            if may_warn and not may_warn(message.alert.sender, code):
                yield Fault(path, f"{code} 不在发布单位辖区内", f"area {code} is outside the sender's division")


def altitudes(message: Message, _: Context) -> Iterator[Fault]:
    """CAP-032: a ceiling needs a floor below it."""
    for path, area in _areas(message.alert):
        if area.ceiling is None:
            continue
        if area.altitude is None:
            yield Fault(f"{path}/ceiling", "有 ceiling 而无 altitude", "ceiling without altitude")
        elif (low := _feet(area.altitude)) is not None and (high := _feet(area.ceiling)) is not None and high < low:
            yield Fault(f"{path}/ceiling", "ceiling 低于 altitude", "ceiling is below altitude")


def _feet(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
