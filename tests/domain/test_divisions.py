"""The registry of divisions: what the data holds, codes in every form, indexes for ever, shapes in WGS-84."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import MultiPoint, Point

from server.domain import divisions
from server.domain.datum import gcj02_to_wgs84
from server.domain.divisions import Divisions, circle, is_within, normal, prefix, ring
from server.domain.errors import ConfigurationError, InvalidInputError
from server.storage.catalogues import DATA, load_divisions

HEADER = "index,code,name,name_en,short\n"
CITY = HEADER + "0,440300,深圳市,Shenzhen,\n"
PINNED = 6334  # divisions whose index is pinned; new ones come after
PINNED_SHA256 = "69a82260ea26b52959fcf891fd73133f9f92b79202f282dd90f25b3d74e67f18"


@pytest.fixture(scope="module")
def registry():
    return load_divisions()


def test_the_data_holds_every_division_of_both_cities(registry: Divisions):
    levels = Counter((each.code[:4], each.level) for each in registry.by_code.values())
    assert levels == {
        ("4403", "city"): 1,
        ("4403", "district"): 9,
        ("4403", "street"): 79,
        ("4403", "community"): 788,
        ("1301", "city"): 1,
        ("1301", "district"): 24,
        ("1301", "street"): 280,
        ("1301", "community"): 5152,
    }


def test_every_code_resolves_bare_and_padded_and_stands_below_its_parents(registry: Divisions):
    for code, division in registry.by_code.items():
        assert registry.get(code) is division
        assert registry.get(code.ljust(12, "0")) is division
        line = registry.lineage(code)
        assert line[0] in {"440300", "130100"}
        assert line[-1] == code
        assert all(below in registry.children(above) for above, below in pairwise(line))
        assert all(is_within(code, above) for above in line)


def test_ancestors_go_from_the_city_down_to_the_street(registry: Divisions):
    community = registry.children(registry.children("440305")[0])[0]
    assert registry.ancestors(community) == ("440300", "440305", community[:9])
    assert registry.ancestors(community[:9]) == ("440300", "440305")
    assert registry.ancestors("440300") == ()


@given(st.text(max_size=14) | st.from_regex(r"\A[0-9]{6}([0-9]{3}){0,2}\Z"))
def test_any_text_is_either_a_known_code_or_none_at_all(text: str):
    registry = divisions.load([CITY], [])
    assert registry.is_known(text) == (text in {"440300", "440300000", "440300000000"})
    assert (registry.find(text) is None) != registry.is_known(text)


@pytest.mark.parametrize("code", ["", "4403", "44030", "4403050", "4403050010033", "44030a", "４４０３０５", "440305 "])
def test_what_is_not_six_nine_or_twelve_ascii_digits_is_refused_with_the_field_named(registry: Divisions, code: str):
    with pytest.raises(InvalidInputError) as caught:
        registry.get(normal(code))
    assert caught.value.field == "division"


def test_a_well_formed_code_that_nobody_has_is_unknown(registry: Divisions):
    with pytest.raises(InvalidInputError, match="division_unknown"):
        registry.get("440399")


@pytest.mark.parametrize(
    ("code", "root", "inside"),
    [
        ("440305", "440300", True),
        ("440305001003", "440300000000", True),
        ("440305001003", "440305001", True),
        ("440305", "440000", True),
        ("440305", "440305000000", True),
        ("440305", "440305001", False),
        ("440305001", "440306", False),
        ("130102", "440300", False),
    ],
)
def test_a_subtree_is_a_prefix_without_padding(code: str, root: str, *, inside: bool):
    assert is_within(code, root) is inside
    assert code.startswith(prefix(root)) is inside


def test_indexes_are_dense_fit_two_bytes_and_lead_back_to_the_code(registry: Divisions):
    assert sorted(registry.by_index) == list(range(len(registry.by_code)))
    assert len(registry.by_index) <= 0x10000
    assert all(registry.code_at(registry.index_of(code)) == code for code in registry.by_code)


def test_no_index_that_a_ledger_may_hold_has_ever_changed(registry: Divisions):
    lines = "".join(f"{index},{registry.code_at(index)}\n" for index in range(PINNED))
    assert hashlib.sha256(lines.encode()).hexdigest() == PINNED_SHA256


def test_adding_a_division_moves_no_other_index(registry: Divisions):
    tables = [path.read_text("utf-8") for path in sorted((DATA / "divisions").glob("*.csv"))]
    grown = divisions.load([*tables, HEADER + f"{len(registry.by_code)},440305999,新街道,New Subdistrict,\n"], [])
    assert all(grown.index_of(code) == registry.index_of(code) for code in registry.by_code)
    assert grown.code_at(len(registry.by_code)) == "440305999"


def test_a_city_alone_keeps_the_same_indexes(registry: Divisions):
    alone = load_divisions(city="130100")
    assert alone.index_of("130102") == registry.index_of("130102")
    assert not alone.is_known("440305")


@pytest.mark.parametrize(
    "row",
    [
        "0,440305,南山区,Nanshan,",  # the index is taken
        "1,440300,深圳市,Shenzhen,",  # the code is taken
        "65536,440305,南山区,Nanshan,",  # more than two bytes
        "1,440305001,某街道,Some,",  # no parent
        "1,440305000,南山区,Nanshan,",  # padded
        "x,440305,南山区,Nanshan,",
        "1,440305",
    ],
)
def test_a_wrong_row_refuses_to_load(row: str):
    with pytest.raises(ConfigurationError, match="divisions_invalid"):
        divisions.load([CITY + row + "\n"], [])


@pytest.mark.parametrize(
    "shapes",
    [
        "",
        "{}",
        '{"features":[{}]}',
        '{"features":[{"properties":{"code":"440399"},"geometry":{"type":"Point","coordinates":[0,0]}}]}',
        '{"features":[{"properties":{"code":"440300"},"geometry":null}]}',
        '{"features":[{"properties":{"code":"440300","within":["440305"]},"geometry":null}]}',
        '{"features":[{"properties":{"code":"440300"},"geometry":{"type":"Polygon","coordinates":[[[0,0],[1,1]]]}}]}',
        (
            '{"features":[{"properties":{"code":"440300"},"geometry":'
            '{"type":"Polygon","coordinates":[[[0,0],[1,1],[1,0],[0,1],[0,0]]]}}]}'
        ),
    ],
)
def test_a_wrong_shape_refuses_to_load(shapes: str):
    with pytest.raises(ConfigurationError, match="divisions_invalid"):
        divisions.load([CITY], [shapes])


def test_every_area_has_an_english_name_and_one_that_fits_an_sms(registry: Divisions):
    for code in registry.by_code:
        area = registry.area(code)
        assert area.en.isascii()
        assert 0 < len(area.short) <= 6, code


def test_short_names_keep_the_sense(registry: Divisions):
    assert registry.area("130171").short == "高新区"
    community = next(c for c, d in registry.by_code.items() if d.name == "东风社区居民委员会")
    assert registry.area(community).short == "东风社区"
    village = next(c for c, d in registry.by_code.items() if d.name == "西生沟村民委员会")
    assert registry.area(village).short == "西生沟村"


def test_all_districts_but_two_have_a_shape_and_those_two_a_stand_in(registry: Divisions):
    districts = {code for city in ("440300", "130100") for code in registry.districts(city)}
    assert districts - set(registry.shapes) == {"130171", "130172"}
    assert set(registry.outlines) == districts


@pytest.mark.parametrize(
    ("lon", "lat", "district"),
    [
        (114.0573, 22.5430, "440304"),  # Shenzhen civic centre
        (113.9301, 22.5333, "440305"),  # Nanshan
        (114.1195, 22.5450, "440303"),  # Dongmen
        (114.5760, 38.1440, "130123"),  # Longxing temple, Zhengding
        (114.1600, 22.2800, None),  # Hong Kong
        (0.0, 0.0, None),
    ],
)
def test_a_wgs84_point_finds_its_district(registry: Divisions, lon: float, lat: float, district: str | None):
    assert registry.district_at(lon, lat) == district


@pytest.mark.parametrize(
    "bank",
    [(114.06388, 22.51636), (114.0568, 22.50538), (114.22558, 22.54564), (114.11259, 22.52969), (114.08011, 22.53087)],
)
def test_the_shapes_are_wgs84_for_they_follow_the_border_river_as_wgs84_maps_draw_it(
    registry: Divisions, bank: tuple[float, float]
):
    corners = MultiPoint([corner for code in registry.districts("440300") for corner in _corners(registry, code)])
    as_gcj02 = MultiPoint([gcj02_to_wgs84(corner.x, corner.y) for corner in corners.geoms])
    assert _metres(corners, bank) < 60
    assert _metres(as_gcj02, bank) > 100


def test_red_takes_every_district_an_area_meets_and_others_only_those_mostly_inside(registry: Divisions):
    around_nanshan = circle(22.53, 113.93, 9)
    meeting = set(registry.districts_meeting(around_nanshan))
    assert {"440305", "440304", "440306"} <= meeting
    assert set(registry.districts_mostly_inside(registry.shapes["440304"])) == {"440304"}
    assert set(registry.districts_mostly_inside(circle(22.6, 114.1, 100))) == set(registry.districts("440300"))
    assert registry.districts_mostly_inside(Point(113.93, 22.53)) == ()


def test_a_district_without_a_shape_is_reached_through_the_ones_it_lies_in(registry: Divisions):
    assert "130172" in registry.districts_meeting(Point(114.82, 38.02))
    assert registry.district_at(114.82, 38.02) == "130109"


@given(st.floats(22.3, 23.0), st.floats(113.5, 114.7), st.floats(0.1, 100))
def test_a_circle_has_the_surface_of_its_radius(lat: float, lon: float, radius_km: float):
    drawn = circle(lat, lon, radius_km)
    km2 = drawn.area * 111.195**2 * 0.9239  # cos of 22.5 degrees: within 1 % in Shenzhen
    assert km2 == pytest.approx(3.14159 * radius_km**2, rel=0.02)
    assert drawn.covers(Point(lon, lat))


@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), max_size=8))
def test_any_ring_of_points_becomes_a_geometry_that_can_be_asked(points: list[tuple[float, float]]):
    assert ring(points).is_valid
    assert ring(points).intersects(Point(1000, 1000)) is False


def _corners(registry: Divisions, code: str) -> list[tuple[float, float]]:
    shape = registry.shapes[code]
    parts = getattr(shape, "geoms", [shape])
    return [corner for part in parts for corner in part.exterior.coords]


def _metres(points: MultiPoint, at: tuple[float, float]) -> float:
    return points.distance(Point(at)) * 111_195 * 0.95
