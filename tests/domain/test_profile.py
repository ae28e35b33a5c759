"""Where a place is: datums, divisions and points that agree or not, and places that are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Point
from shapely.ops import nearest_points

from server.domain.broadcasts import CHANNELS
from server.domain.datum import wgs84_to_gcj02
from server.domain.errors import InvalidInputError
from server.domain.profile import (
    BORDER_DEGREES,
    Datum,
    Label,
    OwnPlace,
    Where,
    clock,
    full_order,
    locate,
    minutes,
    with_change,
    with_place,
)
from server.storage.catalogues import load_divisions

DIVISIONS = load_divisions()
CODES = sorted(DIVISIONS.by_code)
SHAPED = sorted(code for code in DIVISIONS.shapes if code.startswith("4403"))
NANSHAN, FUTIAN, UNSHAPED = "440305", "440304", "130171"
KM = 1 / 111.2


@st.composite
def points(draw: st.DrawFn) -> tuple[str, tuple[float, float]]:
    """A district and a (latitude, longitude) well inside it."""
    code = draw(st.sampled_from(SHAPED))
    inner = DIVISIONS.shapes[code].buffer(-0.001)
    west, south, east, north = inner.bounds
    lon = draw(st.floats(west, east))
    lat = draw(st.floats(south, north))
    nearest = nearest_points(inner, Point(lon, lat))[0]
    return code, (nearest.y, nearest.x)


@given(points())
def test_a_point_of_either_datum_is_found_in_its_district(found: tuple[str, tuple[float, float]]) -> None:
    code, (lat, lon) = found
    gcj_lon, gcj_lat = wgs84_to_gcj02(lon, lat)
    converted = locate(DIVISIONS, None, (gcj_lat, gcj_lon), Datum.GCJ02)
    plain = locate(DIVISIONS, None, (lat, lon), Datum.WGS84)
    assert converted.point == pytest.approx((lat, lon), abs=3e-6)
    assert (converted.division, plain.division) == (code, code)
    assert (converted.came_as, plain.came_as) == (Datum.GCJ02, Datum.WGS84)


def test_a_home_just_inside_its_district_would_be_somebody_elses_if_its_datum_were_not_converted() -> None:
    shifted = [
        at
        for at in (
            (point.y, point.x)
            for point in (
                DIVISIONS.shapes[FUTIAN].buffer(-0.0008).exterior.interpolate(n / 400, normalized=True)
                for n in range(400)
            )
        )
        if DIVISIONS.district_at(*wgs84_to_gcj02(at[1], at[0])) not in (FUTIAN, None)
    ]
    assert shifted
    for lat, lon in shifted:
        gcj_lon, gcj_lat = wgs84_to_gcj02(lon, lat)
        assert locate(DIVISIONS, None, (gcj_lat, gcj_lon), Datum.GCJ02).division == FUTIAN


@given(st.sampled_from(CODES))
def test_a_division_of_any_level_is_kept_with_all_above(code: str) -> None:
    where = locate(DIVISIONS, f"{code:0<12}", None, None)
    assert (where.division, where.divisions) == (code, (*DIVISIONS.ancestors(code), code))


@given(points(), st.sampled_from(CODES))
def test_a_point_stands_only_with_a_division_that_it_lies_in_or_near(
    found: tuple[str, tuple[float, float]], given_code: str
) -> None:
    code, at = found
    outline = DIVISIONS.outlines.get(given_code[:6])
    is_near = outline is not None and outline.distance(Point(at[1], at[0])) <= BORDER_DEGREES
    if is_near or given_code == "440300":
        where = locate(DIVISIONS, given_code, at, Datum.WGS84)
        assert where.division == (code if given_code in (code, "440300") else given_code)
    else:
        with pytest.raises(InvalidInputError) as refused:
            locate(DIVISIONS, given_code, at, Datum.WGS84)
        assert refused.value.code == "place_contradiction"


def test_a_point_in_a_zone_without_an_outline_counts_for_it_where_the_zone_lies() -> None:
    inside = DIVISIONS.outlines[UNSHAPED].representative_point()
    where = locate(DIVISIONS, UNSHAPED, (inside.y, inside.x), Datum.WGS84)
    assert (where.division, where.point) == (UNSHAPED, (round(inside.y, 6), round(inside.x, 6)))


def at(division: str, point: tuple[float, float] | None = None) -> Where:
    return Where(division, (division,), point, Datum.WGS84 if point else None)


def place(id_: str, where: Where, **words: str) -> OwnPlace:
    return OwnPlace(id_, Label.HOME, where, **words)


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (at(NANSHAN, (22.53, 113.93)), True),
        (at(NANSHAN, (22.53 + 0.004 * KM, 113.93)), True),
        (at(NANSHAN, (22.53 + 0.1 * KM, 113.93)), False),
        (at(NANSHAN), False),
        (at(FUTIAN, (22.53, 113.93)), False),
    ],
)
def test_two_places_are_one_if_division_and_point_agree_to_some_metres(other: Where, *, is_same: bool) -> None:
    assert at(NANSHAN, (22.53, 113.93)).is_same(other) == is_same


WHERE = st.builds(at, st.sampled_from([NANSHAN, FUTIAN]), st.sampled_from([None, (22.5, 113.9), (22.6, 114.0)]))


@given(st.lists(WHERE, max_size=12))
def test_however_often_places_are_added_none_stands_there_twice_and_none_is_lost(wheres: list[Where]) -> None:
    places: list[OwnPlace] = []
    for number, where in enumerate(wheres):
        places, stands = with_place(places, place(str(number), where))
        assert stands in places
    assert {p.where for p in places} == set(wheres)
    assert len(places) == len(set(wheres))


def test_a_place_that_becomes_the_same_as_another_takes_its_stand_and_others_stay() -> None:
    one, two, three = place("1", at(NANSHAN)), place("2", at(FUTIAN)), place("3", at(FUTIAN, (22.5, 114.0)))
    changed = place("2", at(NANSHAN), name="x")
    assert with_change([one, two, three], changed) == [changed, three]


def test_a_twin_keeps_the_words_that_the_newer_one_does_not_have() -> None:
    places, merged = with_place([place("1", at(NANSHAN), name="家", address="5")], place("2", at(NANSHAN), name="新"))
    assert places == [merged] == [place("1", at(NANSHAN), name="新", address="5")]


@given(st.integers(0, 1439))
def test_a_minute_of_the_day_is_written_and_read(minute: int) -> None:
    assert minutes(clock(minute)) == minute


@given(st.lists(st.sampled_from(CHANNELS), unique=True))
def test_an_order_names_every_channel_once_and_begins_as_the_person_said(own: list[str]) -> None:
    assert sorted(full_order(own)) == sorted(CHANNELS)
    assert list(full_order(own))[: len(own)] == own
