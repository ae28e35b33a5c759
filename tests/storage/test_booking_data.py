"""What the cities' plans promise can be booked is in `data/booking`: the counts, every district, both languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from shutil import copytree

import pytest

from server.domain.divisions import Divisions, is_within
from server.domain.errors import ConfigurationError
from server.domain.resources import Kind, Named, Resource
from server.domain.schedules import Quota, layouts_on
from server.domain.working_days import WorkingDays
from server.storage.catalogues import DATA, load_divisions, load_resources

SHENZHEN, SHIJIAZHUANG = "440300", "130100"
PROMISED_COMMUNITIES = 642  # in the city's plan of 2015; the table of divisions has more of them by now
DAY = date(2026, 11, 23)  # a Monday without holidays near


@pytest.fixture(scope="module")
def divisions() -> Divisions:
    return load_divisions()


@pytest.fixture(scope="module")
def resources(divisions: Divisions) -> list[Resource]:
    return load_resources(divisions)


def of(resources: Sequence[Resource], kind: Kind, city: str = "") -> list[Resource]:
    return [each for each in resources if each.kind is kind and (not city or is_within(each.division, city))]


def districts_of(resources: Sequence[Resource]) -> set[str]:
    return {each.division[:6] for each in resources}


def codes(resources: Sequence[Resource]) -> set[str]:
    return {service.code for each in resources for service in each.services}


def test_there_is_plenty_and_not_too_much(resources: list[Resource]):
    assert 3_000 < len(resources) < 10_000, "the search is measured over 10,000"
    assert Counter(each.kind for each in resources).keys() == set(Kind)


def test_every_district_with_a_shape_has_a_public_hospital(resources: list[Resource], divisions: Divisions):
    for city, least in ((SHENZHEN, 35), (SHIJIAZHUANG, 29)):  # the large ones; and one or more in each district
        hospitals = of(resources, Kind.HOSPITAL, city)
        assert len({each.unit for each in hospitals}) >= least
        assert districts_of(hospitals) == {code for code in divisions.districts(city) if code in divisions.shapes}


def test_hospitals_have_departments_and_experts_and_keep_places_for_the_old(resources: list[Resource]):
    hospitals = of(resources, Kind.HOSPITAL)
    assert min(Counter(unit for unit, _ in {(each.unit, each.group) for each in hospitals}).values()) >= 3
    for code in ("ordinary", "expert"):
        kept = [each for each in hospitals if codes([each]) == {code}]
        assert len({each.unit for each in kept}) == len({each.unit for each in hospitals})
        assert all(line.places[Quota.ELDER] > 0 for each in kept for line in each.schedule.weekly)
    assert {each.rules.window_days for each in hospitals} == {7, 14}


def test_no_unit_has_two_doctors_of_one_name(resources: list[Resource]):
    doctors = [(each.unit, each.name.zh) for each in of(resources, Kind.HOSPITAL) if each.note]
    assert len(doctors) > 800
    assert len(set(doctors)) == len(doctors)


def test_all_35_vehicle_services_can_be_booked_in_every_district(resources: list[Resource], divisions: Divisions):
    vehicle = of(resources, Kind.VEHICLE, SHENZHEN)
    assert len(codes(vehicle)) == 35
    for district in divisions.districts(SHENZHEN):
        assert len(codes([each for each in vehicle if each.division == district])) == 35
    assert all(s.materials and s.minutes for each in vehicle for s in each.services)


def test_all_exit_entry_services_can_be_booked_in_every_district(resources: list[Resource], divisions: Divisions):
    halls = of(resources, Kind.EXIT_ENTRY, SHENZHEN)
    families = Counter(code.split("-")[0] for code in codes(halls))
    asked = {"passport": 5, "hkm": 8, "taiwan": 6, "visa": 4, "residence": 5, "permanent": 2}
    assert {name: families[name] for name in asked} == asked
    assert len(codes(halls)) == 38
    for district in divisions.districts(SHENZHEN):
        assert codes([each for each in halls if each.division == district]) == codes(halls)


def test_every_community_of_shenzhen_and_every_street_of_shijiazhuang_has_a_counter(
    resources: list[Resource], divisions: Divisions
):
    counters = {each.division for each in of(resources, Kind.COUNTER)}
    assert sum(len(code) == 12 for code in counters) >= PROMISED_COMMUNITIES
    for city, digits in ((SHENZHEN, 12), (SHIJIAZHUANG, 9)):
        below = {code for code in divisions.by_code if is_within(code, city) and len(code) == digits}
        assert below <= counters


@pytest.mark.parametrize(
    "service", ["social-card", "fund-rent", "marry", "tax-house", "home-id-card", "home-disability"]
)
def test_every_district_of_both_cities_has(service: str, resources: list[Resource], divisions: Divisions):
    where = districts_of([each for each in resources if each.service(service)])
    assert where == {*divisions.districts(SHENZHEN), *divisions.districts(SHIJIAZHUANG)}


@pytest.mark.parametrize(
    ("service", "least"),
    [("id-card-renew", 79), ("exam-electrician", 10), ("badminton", 40), ("swimming", 7), ("reading-seat", 20),
     ("visit", 4), ("volunteer-elders", 33), ("notary-will", 14), ("jobseeker", 1_000)],
)  # fmt: skip
def test_there_is_enough_of(service: str, least: int, resources: list[Resource]):
    assert sum(each.service(service) is not None for each in resources) >= least


def test_every_name_is_in_both_languages(resources: list[Resource]):
    for each in resources:
        services = [named for service in each.services for named in (service.name, *service.materials)]
        names: list[Named] = [each.unit_name, each.group_name, each.name, *services]
        names += [named for named in (each.note, each.address) if named]
        assert all(named.zh and named.en and named.en.isascii() | ("Lü" in named.en) for named in names), each.id


def test_points_lie_in_the_district_that_is_named(resources: list[Resource], divisions: Divisions):
    placed = [each for each in resources if each.spot]
    assert len({each.spot for each in placed}) > 80
    for each in placed:
        assert each.spot
        assert divisions.district_at(each.spot.longitude, each.spot.latitude) == each.division[:6], each.id


def test_everything_can_be_booked_some_time_within_its_window(resources: list[Resource]):
    calendar = WorkingDays()
    for each in resources:
        days = [DAY + timedelta(days=n) for n in range(max(each.rules.window_days, 7))]
        assert any(layouts_on(each.where, each.schedule, day, calendar) for day in days), each.id


def test_a_file_that_does_not_fit_refuses_to_load_and_tells_every_defect(tmp_path: Path, divisions: Divisions):
    data = copytree(DATA, tmp_path / "data")
    offices = data / "booking" / "offices.yaml"
    offices.write_text(offices.read_text("utf-8").replace("template: notary", "template: notaries"), "utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load_resources(divisions, data)
    assert refused.value.code == "booking_data_invalid"
    assert refused.value.en.count("offices.yaml: units.") == 7
