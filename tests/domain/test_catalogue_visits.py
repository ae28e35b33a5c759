"""From an item to what can be booked for it: every item of both cities, and each broken link as one line."""

from __future__ import annotations

from functools import cache

import pytest

from server.domain.catalogue import Mode
from server.domain.catalogue_visits import Offered, offered, unbookable
from server.domain.catalogue_windows import Desk, Ground, Visit, Window, nearest, visit_at, visits_elsewhere
from server.domain.resources import Kind, Named, Resource, Spot
from server.storage.catalogues import load_divisions, load_resources
from tests.domain.catalogue_items import SHENZHEN, SHIJIAZHUANG, by_id, item, seed

CITIES = [SHENZHEN, SHIJIAZHUANG]
HALL = Window(
    id="w-1", name=Named(zh="大厅"), networks=("hall",), division="440305", address=Named(zh="路"),
    spot=Spot(latitude=22.5, longitude=114.0),
)  # fmt: skip
DESK = Desk(id="hall", kind=Kind.COUNTER, networks=("hall",), group="hall-{district}-hall")
THERE = Offered({(Kind.COUNTER, "hall-440305-hall", "440305"): frozenset({"general"})})


@cache
def resources() -> tuple[Resource, ...]:
    return tuple(load_resources(load_divisions()))


def visits(name: str, city: str = SHENZHEN) -> set[Visit | None]:
    """What is booked for an item, at all its windows."""
    ground, one = seed(city).ground, by_id(city)[name]
    near = nearest(ground.windows, one.networks, point=None, division=None)
    return {visit_at(ground.desks, name, one.networks, each.window) for each in near}


@pytest.mark.parametrize("city", CITIES)
def test_no_window_desk_or_item_of_a_city_leads_to_nothing(city: str):
    assert list(unbookable(seed(city).items, seed(city).ground, offered(resources(), city))) == []


@pytest.mark.parametrize("city", CITIES)
def test_every_item_that_can_be_done_next_door_is_booked_at_each_of_its_windows(city: str):
    there = {(each.kind, each.group) for each in resources()}
    nearby = [each for each in seed(city).items if Mode.NEARBY in each.modes]
    assert len(nearby) >= 69
    for each in nearby:
        found = visits(each.id, city)
        assert found, each.id
        assert all(visit and (visit.kind, visit.group) in there for visit in found), each.id


@pytest.mark.parametrize(
    ("name", "kind", "service"),
    [
        ("elderly-allowance", "counter", "elder-allowance"),
        ("elderly-card", "counter", "elder-card"),
        ("passport", "exit_entry", "passport-first"),
        ("foreigner-residence", "exit_entry", "residence-work"),
        ("driving-licence-renew", "vehicle", "licence-renew"),
        ("vehicle-registration", "vehicle", "vehicle-register"),
        ("marriage-registration", "counter", "marry"),
        ("identity-card-renew", "counter", "household-identity"),
        ("housing-list", "counter", "housing"),
    ],
)
def test_an_item_is_booked_as_the_service_that_it_is(name: str, kind: str, service: str):
    assert (kind, service) in {(visit.kind.value, visit.service) for visit in visits(name) if visit}


def test_every_vehicle_business_is_booked_at_the_vehicle_office():
    vehicle = [each.id for each in seed().items if each.theme == "vehicles"]
    assert len(vehicle) >= 35
    for name in vehicle:
        assert Kind.VEHICLE in {visit.kind for visit in visits(name) if visit}, name


def test_what_is_done_at_no_window_leads_to_the_places_themselves():
    desks = seed().ground.desks
    assert visits_elsewhere(desks, "hospital-appointment") == (Visit(kind=Kind.HOSPITAL, service="ordinary"),)
    assert visits_elsewhere(desks, "museum-booking") == (Visit(kind=Kind.VENUE, service="visit"),)
    assert visits_elsewhere(desks, "elderly-card") == ()


def test_a_group_that_is_gone_is_told_by_window():
    told = [str(each) for each in unbookable([], Ground(windows=(HALL,), desks=(DESK,)), Offered({}))]
    where = "the desk hall books hall-440305-hall, which has no counter in 440305"
    assert told == [f"windows.yaml: w-1: networks: {where}: add it to data/booking"]


def test_a_service_that_nobody_offers_is_told_by_item():
    desk = DESK.model_copy(update={"services": {"elderly-card": "cards"}})
    told = [str(each) for each in unbookable([], Ground(windows=(HALL,), desks=(desk,)), THERE)]
    assert told == [
        "desks.yaml: hall: services.elderly-card: nobody offers cards at w-1: name another service of data/booking"
    ]


def test_an_item_without_any_desk_is_told():
    lonely = item(networks=["moon"])
    told = [str(each) for each in unbookable([lonely], Ground(windows=(HALL,), desks=(DESK,)), THERE)]
    assert told == ["elderly-allowance: networks: nothing can be booked at moon: add a desk to desks.yaml"]


def test_a_desk_has_networks_and_a_group_or_neither():
    with pytest.raises(ValueError, match="networks and a group"):
        Desk(id="hall", kind=Kind.COUNTER, networks=("hall",))
    with pytest.raises(ValueError, match="pattern"):
        Desk(id="hall", kind=Kind.COUNTER, networks=("hall",), group="hall-{city.__class__}")
