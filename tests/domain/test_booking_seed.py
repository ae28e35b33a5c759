"""What units write down about bookings: what is wrong is named with file and place, and what grows keeps its ids."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from server.domain.booking_expansion import expand
from server.domain.booking_seed import Defect, read
from server.domain.divisions import Divisions, load
from server.domain.resources import Named, Resource

TABLE = """index,code,name,name_en,short
0,440300,深圳市,Shenzhen,
1,440303,罗湖区,Luohu District,
2,440303001,桂园街道,Guiyuan Subdistrict,
3,440303001001,大塘龙社区居民委员会,,
4,440303001002,桂木园社区居民委员会,,
5,440303002,黄贝街道,Huangbei Subdistrict,
6,440304,福田区,Futian District,
"""
SHARED: dict[str, Any] = {
    "rules": {"week": {"window_days": 7}},
    "hours": {
        "morning": {"weekly": [{"days": [1], "begins": "08:00", "ends": "12:00", "slot_minutes": 60,
                                "places": {"online": 2}}]},
    },
    "materials": {"id": ["身份证", "Identity card"]},
    "services": {"clinic": [{"code": "clinic", "zh": "门诊", "en": "Clinic", "materials": ["id"]}]},
    "lines": {
        "department": [
            {"id": "general", "zh": "普通门诊", "en": "Ordinary clinic", "hours": ["morning"]},
            {"id": "expert", "zh": "专家", "en": "Expert", "hours": ["morning"], "doctors": 2},
        ],
        "windows": [{"id": "window", "zh": "窗口", "en": "Window", "hours": ["morning"], "count": 2}],
    },
    "doctors": {"family": [["王", "Wang"], ["李", "Li"]], "given": [["敏", "Min"], ["强", "Qiang"]],
                "titles": [["主任医师", "Chief physician"]]},
    "templates": {
        "hospital": {"kind": "hospital", "rules": "week", "groups": [
            {"id": "cardio", "zh": "心内科", "en": "Cardiology", "lines": "department", "services": ["clinic"]},
            {"id": "eye", "zh": "眼科", "en": "Eyes", "lines": "department", "services": ["clinic"]}]},
        "hall": {"kind": "counter", "rules": "week", "groups": [
            {"id": "all", "zh": "综合", "en": "All", "lines": "windows", "services": ["clinic"]}]},
    },
}  # fmt: skip
HOSPITAL = {"id": "h1", "template": "hospital", "zh": "人民医院", "en": "Hospital", "division": "440303"}
STREETS = {"id": "street", "template": "hall", "cities": ["440300"], "units": "street", "zh": "{zh}", "en": "{en}"}


@pytest.fixture(scope="module")
def divisions() -> Divisions:
    return load([TABLE], [])


def grown(divisions: Divisions, **book: Any) -> list[Resource]:
    seed, defects = read({"shared.yaml": SHARED, "units.yaml": book}, divisions)
    assert defects == []
    resources, defects = expand(seed, divisions)
    assert defects == []
    return resources


def defects_of(divisions: Divisions, **book: Any) -> list[tuple[str, str, str]]:
    seed, defects = read({"shared.yaml": SHARED, "units.yaml": book}, divisions)
    return [tuple(each) for each in defects or expand(seed, divisions)[1]]


def test_each_group_of_a_unit_has_each_line_of_its_template(divisions: Divisions):
    resources = grown(divisions, units=[HOSPITAL])
    assert [each.id for each in resources] == [
        "h1-cardio-general", "h1-cardio-expert-1", "h1-cardio-expert-2",
        "h1-eye-general", "h1-eye-expert-1", "h1-eye-expert-2",
    ]  # fmt: skip
    assert {each.group for each in resources} == {"h1-cardio", "h1-eye"}
    assert resources[0].services[0].materials == (Named(zh="身份证", en="Identity card"),)


def test_the_sites_of_a_unit_share_its_groups_and_strikes(divisions: Divisions):
    site = {"zh": "分所", "en": "Branch", "division": "440304"}
    sites = [{"id": "hall-a", **site}, {"id": "hall-b", **site}]
    unit = {"id": "hall", "template": "hall", "zh": "厅", "en": "Hall", "division": "440300", "sites": sites}
    resources = grown(divisions, units=[unit])
    assert [each.id for each in resources] == [f"hall-{site}-all-window-{n}" for site in "ab" for n in (1, 2)]
    assert {(each.unit, each.group, each.division) for each in resources} == {("hall", "hall-all", "440304")}
    assert resources[0].name == Named(zh="分所窗口1号", en="Branch: window 1")


def test_a_rule_makes_a_unit_for_every_division_of_its_level(divisions: Divisions):
    resources = grown(divisions, by_division=[STREETS])
    assert {each.unit: each.unit_name.en for each in resources} == {
        "street-440303001": "Guiyuan Subdistrict",
        "street-440303002": "Huangbei Subdistrict",
    }


def test_a_rule_with_sites_makes_none_where_nothing_lies(divisions: Divisions):
    sites = {"sites": "community", "site_zh": "{zh}中心", "site_en": "Centre {code}, {en}"}
    resources = grown(divisions, by_division=[STREETS | sites])
    assert {each.division for each in resources} == {"440303001001", "440303001002"}
    assert resources[0].name == Named(
        zh="大塘龙社区中心窗口1号", en="Centre 440303001001, Guiyuan Subdistrict: window 1"
    )


def test_no_doctor_is_there_twice_in_a_unit_while_names_last(divisions: Divisions):
    names = [each.name.zh for each in grown(divisions, units=[HOSPITAL]) if each.note]
    assert len(set(names)) == len(names) == 4


def test_a_unit_more_changes_nothing_of_the_others(divisions: Divisions):
    before = grown(divisions, units=[HOSPITAL])
    after = grown(divisions, units=[HOSPITAL | {"id": "h0"}, HOSPITAL, HOSPITAL | {"id": "h2"}])
    assert [each for each in after if each.unit == "h1"] == before


@pytest.mark.parametrize(
    ("unit", "path", "says"),
    [
        ({"template": "hotel"}, "units.0.template", "no templates of the name hotel"),
        ({"rules": "none"}, "units.0.rules", "no rules of the name none"),
        ({"groups": ["eye", "ear"]}, "units.0.groups", "its template has no group ear"),
        ({"division": "440399"}, "units.0.division", "there is no division 440399"),
        ({"division": "44"}, "units.0.division", "String should match pattern"),
        ({"id": "H 1"}, "units.0.id", "String should match pattern"),
        ({"en": ""}, "units.0.en", "String should have at least 1 character"),
        ({"colour": "red"}, "units.0.colour", "Extra inputs are not permitted"),
        ({"at": [122.5, 22.5]}, "units.0", "latitude"),
    ],
)
def test_a_defect_is_named_with_its_file_and_place(divisions: Divisions, unit: dict[str, Any], path: str, says: str):
    found = defects_of(divisions, units=[HOSPITAL | unit])
    assert {(file, where) for file, where, _ in found} == {("units.yaml", path)}
    assert says in found[0][2]


def test_what_is_there_twice_is_named(divisions: Divisions):
    assert ("units.yaml", "rules.week", "is there twice") in defects_of(divisions, rules=SHARED["rules"])
    twice = defects_of(divisions, units=[HOSPITAL, HOSPITAL])
    assert ("units.yaml", "units.1", "h1-eye-general is there twice") in twice


def test_a_time_without_quotes_is_refused_and_not_read_as_a_number(divisions: Divisions):
    hours = deepcopy(SHARED["hours"]["morning"])
    hours["weekly"][0]["ends"] = 720  # what YAML makes of 12:00
    (defect,) = defects_of(divisions, hours={"noon": hours})
    assert defect[1] == "hours.noon.weekly.0.ends"


def test_a_group_that_nothing_can_be_booked_for_is_refused(divisions: Divisions):
    group = {"id": "all", "zh": "综合", "en": "All", "lines": "windows"}
    template = {"empty": {"kind": "counter", "rules": "week", "groups": [group]}}
    assert defects_of(divisions, templates=template) == [
        Defect("units.yaml", "templates.empty.groups.0", "neither the group nor its lines have services")
    ]
