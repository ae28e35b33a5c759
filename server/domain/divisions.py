"""The divisions of the cities: names, who stands above whom, district shapes, and a small number for each.

A division is a node of GB/T 2260 (city, district: 6 digits) or below it (street: 9, community: 12). Codes are compared
by prefix without padding: 440305 also comes as 440305000000, and 440300 stands for all that begins with 4403. The
index of a division fits two bytes and never changes: a new division gets the next free number, an abolished one keeps
its row. Shapes are WGS-84, (lon, lat) in degrees. Everything here is pure; files are read in `storage/catalogues.py`.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from math import cos, radians
from typing import NamedTuple

import shapely
from shapely.geometry import MultiPoint, Point, Polygon, shape
from shapely.geometry.base import BaseGeometry

from server.domain.errors import ConfigurationError, InvalidInputError

LEVELS = {6: "district", 9: "street", 12: "community"}
MAX_DIVISIONS = 0x10000  # an index is two bytes in the ledger
COLUMNS = ("index", "code", "name", "name_en", "short")
SHORT_LIMIT = 6  # characters an SMS variable may have
_CODE = re.compile(r"\d{6}|\d{9}|\d{12}", re.ASCII)
_COMMITTEE = re.compile(r"(?:居民委员会|居委会|委员会)$")
_VILLAGE = re.compile(r"(?:村民委员会|村委会)$")
DECIMALS = 9  # of a degree: a tenth of a millimetre
_KM_PER_DEGREE = 111.195  # of latitude, on the sphere


class Area(NamedTuple):
    """A place as texts name it. `short` fits an SMS variable, "" = none is known."""

    zh: str
    en: str
    short: str = ""


@dataclass(frozen=True, slots=True)
class Division:
    """One division. `name_en` and `short` are "" where the data has none of its own."""

    index: int
    code: str
    name: str
    name_en: str
    short: str

    @property
    def level(self) -> str:
        """One of city, district, street, community."""
        return "city" if self.code.endswith("00") and len(self.code) == 6 else LEVELS[len(self.code)]

    @property
    def parent(self) -> str | None:
        """The code one level up, None for a city."""
        if self.level == "city":
            return None
        return f"{self.code[:4]}00" if self.level == "district" else self.code[:-3]


def normal(code: str) -> str:
    """The code without zero padding: 440305000000 -> 440305. Raises InvalidInputError for anything but 6, 9, 12 digits.

    >>> normal("440305001000")
    '440305001'
    """
    if not _CODE.fullmatch(code):
        raise InvalidInputError(
            "division_malformed",
            zh="行政区划代码应为6、9或12位数字",
            en="a division code has 6, 9 or 12 digits",
            field="division",
        )
    while len(code) > 6 and code.endswith("000"):
        code = code[:-3]
    return code


def prefix(code: str) -> str:
    """What all codes of the subtree begin with: 440300 -> 4403, 440000 -> 44, 440305 -> 440305."""
    code = normal(code)
    if code.endswith("0000"):
        return code[:2]
    return code[:4] if len(code) == 6 and code.endswith("00") else code


def is_within(code: str, root: str) -> bool:
    """Whether `code` is `root` or lies below it; both may be padded."""
    return normal(code).startswith(prefix(root))


@dataclass(frozen=True, slots=True)
class Divisions:
    """All known divisions. Build it with `load`."""

    by_code: Mapping[str, Division]
    by_index: Mapping[int, Division]
    below: Mapping[str, tuple[str, ...]]
    shapes: Mapping[str, BaseGeometry] = field(repr=False)  # what a point is looked up in
    outlines: Mapping[str, BaseGeometry] = field(repr=False)  # the same and stand-ins, for audiences

    def find(self, code: str) -> Division | None:
        """The division of a code of 6, 9 or 12 digits, padded or not; None if unknown or malformed."""
        return self.by_code.get(normal(code)) if _CODE.fullmatch(code) else None

    def get(self, code: str) -> Division:
        """As `find`; InvalidInputError `division_unknown` where there is none."""
        division = self.find(code)
        if division is None:
            raise InvalidInputError(
                "division_unknown", zh="没有这个行政区划代码", en="there is no such division", field="division"
            )
        return division

    def is_known(self, code: str) -> bool:
        """Whether the code names a division of these cities."""
        return self.find(code) is not None

    def ancestors(self, code: str) -> tuple[str, ...]:
        """The codes above, from the city down, without itself: 440305001003 -> (440300, 440305, 440305001)."""
        above: list[str] = []
        parent = self.get(code).parent
        while parent is not None:
            above.append(parent)
            parent = self.get(parent).parent
        return tuple(reversed(above))

    def lineage(self, code: str) -> tuple[str, ...]:
        """The ancestors and the division itself: what a citizen's place is stored under."""
        return (*self.ancestors(code), self.get(code).code)

    def children(self, code: str) -> tuple[str, ...]:
        """The codes one level down, in order."""
        return self.below.get(self.get(code).code, ())

    def named(self, beginning: str) -> list[Division]:
        """Those whose Chinese or English name begins so, in any case of letters: larger ones first, then by code."""
        start = beginning.strip().casefold()
        found = (
            each for each in self.by_code.values()
            if each.name.casefold().startswith(start) or each.name_en.casefold().startswith(start)
        )  # fmt: skip
        return sorted(found, key=lambda each: (len(each.code), each.code)) if start else []

    def districts(self, city: str) -> tuple[str, ...]:
        """The districts of a city, in order of their codes."""
        return self.children(city)

    def index_of(self, code: str) -> int:
        """The division's number for the ledger, 0 .. 65535, the same for ever."""
        return self.get(code).index

    def code_at(self, index: int) -> str:
        """The code that has this number; KeyError if nobody has it."""
        return self.by_index[index].code

    def area(self, code: str) -> Area:
        """How texts name the division; what it lacks (an English or a short name) it takes from the next one above."""
        division = self.get(code)
        up = [self.by_code[each] for each in reversed(self.lineage(code))]
        return Area(
            zh=_place(division.name),
            en=next((each.name_en for each in up if each.name_en), division.name),
            short=next((short for short in map(_short, up) if len(short) <= SHORT_LIMIT), ""),
        )

    def district_at(self, lon: float, lat: float) -> str | None:
        """The district whose own shape holds the WGS-84 point; None outside. On a border the smaller code wins."""
        point = Point(lon, lat)
        return next((code for code in sorted(self.shapes) if self.shapes[code].covers(point)), None)

    def districts_meeting(self, geometry: BaseGeometry) -> tuple[str, ...]:
        """The districts that share any point with the geometry (red and orange ask this)."""
        return tuple(code for code in sorted(self.outlines) if self.outlines[code].intersects(geometry))

    def districts_mostly_inside(self, geometry: BaseGeometry, share: float = 0.5) -> tuple[str, ...]:
        """The districts of whose surface more than `share` (0 .. 1) lies inside the geometry (the others ask this)."""
        return tuple(code for code in self.districts_meeting(geometry) if self.share_inside(code, geometry) > share)

    def share_inside(self, code: str, geometry: BaseGeometry) -> float:
        """Which part (0 .. 1) of a district lies inside the geometry; 0 for a division without a shape."""
        own = self.outlines.get(normal(code))
        return 0.0 if own is None else float(own.intersection(geometry).area / own.area)


def ring(points: Sequence[tuple[float, float]]) -> BaseGeometry:
    """The surface inside (lat, lon) pairs in the order of CAP; what crosses itself is repaired, nothing is raised.

    Points are taken to a tenth of a millimetre: what lies closer together cannot be repaired.

    >>> ring([(22.5, 113.9), (22.5, 114.0), (22.6, 114.0), (22.5, 113.9)]).area > 0
    True
    """
    turned = [(round(lon, DECIMALS), round(lat, DECIMALS)) for lat, lon in points]
    if len(turned) < 3:
        return MultiPoint(turned)
    return shapely.make_valid(Polygon(turned))


def circle(lat: float, lon: float, radius_km: float) -> BaseGeometry:
    """A circle of CAP as a polygon of 64 corners, good to 1 % up to some 100 km; a radius of 0 is a point."""
    if radius_km <= 0:
        return Point(lon, lat)
    unit = Point(0, 0).buffer(1, quad_segs=16)
    north = radius_km / _KM_PER_DEGREE
    east = north / max(cos(radians(lat)), 0.01)
    return shapely.transform(unit, lambda xy: xy * (east, north) + (lon, lat))


def load(tables: Iterable[str], shapes: Iterable[str]) -> Divisions:
    r"""The registry from texts: tables are CSV (index, code, name, name_en, short), shapes are GeoJSON.

    A feature without a geometry names in `within` the districts it lies in and is treated as their union for audiences.
    ConfigurationError says which row is wrong.

    >>> load(["index,code,name,name_en,short\n0,440300,深圳市,Shenzhen,\n"], []).index_of("440300000000")
    0
    """
    all_divisions = [_division(row) for table in tables for row in csv.DictReader(StringIO(table))]
    _check(all_divisions)
    by_code = {each.code: each for each in all_divisions}
    below: dict[str, list[str]] = {}
    for each in sorted(all_divisions, key=lambda division: division.code):
        if each.parent is not None:
            below.setdefault(each.parent, []).append(each.code)
    drawn, outlines = _shapes(shapes, by_code)
    return Divisions(
        by_code=by_code,
        by_index={each.index: each for each in all_divisions},
        below={code: tuple(codes) for code, codes in below.items()},
        shapes=drawn,
        outlines=outlines,
    )


def _division(row: Mapping[str, str | None]) -> Division:
    index, *words = (row.get(column) for column in COLUMNS)
    code, name, name_en, short = ("" if word is None else word for word in words)
    if None in words or index is None or not (index.isascii() and index.isdigit()):
        raise _wrong(f"{dict(row)} is not {','.join(COLUMNS)}")
    return Division(int(index), code, name, name_en, short)


def _check(divisions: Sequence[Division]) -> None:
    codes = Counter(each.code for each in divisions)
    indexes = Counter(each.index for each in divisions)
    for each in divisions:
        if not _CODE.fullmatch(each.code) or normal(each.code) != each.code:
            raise _wrong(f"{each.code} is no code without padding")
        if codes[each.code] > 1 or indexes[each.index] > 1:
            raise _wrong(f"{each.code} or its index {each.index} appears twice")
        if not 0 <= each.index < MAX_DIVISIONS:
            raise _wrong(f"{each.code}: the index {each.index} does not fit two bytes")
        if each.parent is not None and each.parent not in codes:
            raise _wrong(f"{each.code}: its parent {each.parent} is missing")


def _shapes(
    texts: Iterable[str], by_code: Mapping[str, Division]
) -> tuple[dict[str, BaseGeometry], dict[str, BaseGeometry]]:
    """The shapes drawn, and the same with the unions that stand in for districts without one."""
    try:
        features = [feature for text in texts for feature in json.loads(text)["features"]]
        within = {f["properties"]["code"]: f["properties"].get("within", ()) for f in features}
        drawn = {f["properties"]["code"]: shape(f["geometry"]) for f in features if f["geometry"]}
        unions = {code: shapely.union_all([drawn[each] for each in parts]) for code, parts in within.items() if parts}
    except (ValueError, KeyError, TypeError, AttributeError, shapely.errors.ShapelyError) as error:
        raise _wrong(f"a shape is not as it should be: {error!r}") from None
    outlines = unions | drawn
    for code in within:
        if code not in by_code or code not in outlines or not outlines[code].is_valid:
            raise _wrong(f"shape of {code}: no such division, nothing drawn, or it crosses itself")
    return drawn, outlines


def _short(division: Division) -> str:
    return division.short or _place(division.name)


def _place(name: str) -> str:
    """A community is named after its committee; people know the place: 西生沟村民委员会 -> 西生沟村."""
    return _COMMITTEE.sub("", _VILLAGE.sub("村", name)) or name


def _wrong(what: str) -> ConfigurationError:
    return ConfigurationError("divisions_invalid", zh=f"行政区划数据有误：{what}", en=f"divisions: {what}")
