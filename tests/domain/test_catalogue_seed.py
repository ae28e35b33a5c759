"""The city's catalogue holds what it promises, in both cities, and each defect of its files is told in one line."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest
import yaml

from server.domain.catalogue import Mode
from server.domain.catalogue_codes import plain_code, sichuan_code
from server.domain.catalogue_forms import check
from server.domain.catalogue_targets import figures
from server.domain.resources import Named
from server.storage.catalogue_files import FOLDER, read_seed
from tests.domain.catalogue_items import SHENZHEN, SHIJIAZHUANG, by_id, seed

PAPERLESS = {
    "talent-hukou", "child-medical-insurance-school", "child-medical-insurance-home", "school-place",
    "kindergarten-subsidy", "private-school-subsidy", "newborn-hukou", "minimum-living", "talent-housing",
    "disabled-transit-card", "disabled-welfare-fund", "disabled-insurance-subsidy",
}  # fmt: skip
THEMES = 29
# What the plans of the two cities (SZ, SJZ) and of the ministries (NDRC) promise as something to apply for, row by row.
ROWS = {
    "SZ-1 portal": "own-credit-report data-access-log e-licence-copy water-account-bill",
    "SZ-2 mobile applications": "social-card online-classroom trace-query-report",
    "SZ-3 online hall": "company-registration annual-report property-transfer",
    "SZ-6a grid": "grid-report grid-report-correct",
    "SZ-7b social insurance at any window": "insurance-record social-card flexible-insurance",
    "SZ-7c treatment elsewhere": "medical-record-elsewhere medical-reimbursement",
    "SZ-7d paperless": "talent-hukou child-medical-insurance-school child-medical-insurance-home",
    "SZ-8c referral": "referral",
    "SZ-9b training": "skill-training online-classroom-lifelong",
    "SZ-9c places and subsidies": "school-place kindergarten-subsidy private-school-subsidy",
    "SZ-10b elders": "elderly-allowance elderly-card",
    "SZ-12b vehicles": "vehicle-registration driving-licence driving-licence-renew",
    "SZ-12c exit and entry": "passport hk-macao-permit taiwan-permit",
    "SZ-12e newborns": "newborn-hukou",
    "SZ-13a one counter": "company-registration minimum-living",
    "SZ-13c minimum living": "minimum-living",
    "SZ-16a waiting list": "housing-list housing-purchase housing-rent",
    "SZ-16b employers' housing": "company-housing",
    "SZ-16c talent": "talent-housing",
    "SZ-16d swap": "housing-swap",
    "SZ-16e property management": "property-complaint property-complaint-committee",
    "SZ-19b disability": "disabled-transit-card disabled-welfare-fund disabled-insurance-subsidy",
    "SZ-20 four certificates": "company-registration company-name e-licence-copy",
    "SZ-23 own data": "grid-report-correct data-access-log",
    "SZ-28 flags": "elderly-card social-card",
    "SJZ-T1a any item": "hotline elderly-card",
    "SJZ-T1b social insurance online": "employee-enrolment insurance-record",
    "SJZ-T3b approvals online": "company-registration food-licence",
    "SJZ-1 one stop": "company-registration",
    "SJZ-2 social card": "social-card social-card-replace",
    "SJZ-11 joint approval": "company-registration property-transfer",
    "SJZ-16 deadlines shown": "passport",
    "NDRC-2 social security": "insurance-transfer insurance-transfer-medical",
    "NDRC-6 work": "employment-registration employment-registration-lost-work job-search",
    "NDRC-9 community": "volunteer community-activity hotline",
    "NDRC-A1.1 aid and opinion": "charity-application temporary-aid policy-survey",
}
CITIES = [SHENZHEN, SHIJIAZHUANG]


@pytest.mark.parametrize("city", CITIES)
def test_the_files_of_a_city_have_no_defect_and_hold_at_least_two_hundred_items(city: str):
    found = seed(city)
    assert found.defects == ()
    assert len(found.items) >= 200


def test_every_theme_has_items_and_the_thirty_five_vehicle_businesses_are_there():
    themes = {theme.id for theme in seed().ground.themes}
    having = [item.theme for item in seed().items]
    assert len(themes) == THEMES
    assert set(having) == themes
    assert having.count("vehicles") >= 35
    assert having.count("exit-entry") >= 10


def test_nothing_has_to_be_brought_for_the_twelve_items_that_the_plan_names():
    named = {item for group in seed().plan.named if group.is_paperless for item in group.items}
    assert named == PAPERLESS
    for name in sorted(named):
        item = by_id()[name]
        assert item.is_paperless, name
        assert any(material.source for material in item.materials), name
        assert Mode.ONLINE in item.modes, name


def test_newborns_need_neither_birth_certificate_nor_birth_registration_on_paper():
    sources = {m.id: m.source.name for m in by_id()["newborn-hukou"].materials if m.source}
    assert sources["birth_certificate"] == "birth"
    assert sources["birth_registration"] == "family_planning"


def test_the_other_items_that_the_plan_names_are_there_as_it_describes_them():
    items = by_id()
    assert {"housing-list", "housing-purchase", "housing-rent"} <= items.keys()
    assert items["company-registration"].workflow == "parallel"
    for name in ("elderly-allowance", "elderly-card"):
        assert {Mode.NEARBY, Mode.PROACTIVE} <= set(items[name].modes)


@pytest.mark.parametrize("city", CITIES)
def test_the_modes_reach_the_plan_where_real_items_can_and_the_rest_is_told_as_short(city: str):
    told = {figure.name: figure for figure in figures(seed(city).items, seed(city).plan)}
    targets = {"one_stop": 30, "city_wide": 105, "nearby": 69, "online": 80, "proactive": 446}
    assert {name: told[name].target for name in targets} == targets
    assert all(told[name].is_reached for name in ("one_stop", "city_wide", "nearby", "online"))
    assert not told["proactive"].is_reached
    assert told["proactive"].count == sum(Mode.PROACTIVE in item.modes for item in seed(city).items)
    assert told["proactive"].gap == 446 - told["proactive"].count


def test_what_a_rule_offers_counts_as_proactive_once_and_only_if_it_is_offered():
    before = {figure.name: figure.count for figure in figures(seed().items, seed().plan)}["proactive"]
    rules = frozenset({"passport", "elderly-allowance", "no-such-item"})  # the second has the flag already
    assert {f.name: f.count for f in figures(seed().items, seed().plan, rules)}["proactive"] == before + 1


@pytest.mark.parametrize(("row", "names"), [(row, names.split()) for row, names in ROWS.items()])
def test_each_service_that_the_plans_promise_is_an_item(row: str, names: list[str]):
    there = by_id().keys() | by_id(SHIJIAZHUANG).keys()
    assert names, row
    assert set(names) <= there, row


def test_a_named_item_that_needs_paper_is_told_as_missing():
    paper = [item.model_copy(update={"materials": ()}) if item.id != "school-place" else item for item in seed().items]
    broken = [i.model_copy(update={"is_offered": False}) if i.id == "talent-hukou" else i for i in paper]
    told = {figure.name: figure for figure in figures(broken, seed().plan)}
    assert told["paperless-social"].missing == ("talent-hukou",)


@pytest.mark.parametrize("city", CITIES)
def test_every_item_says_who_how_long_what_for_and_what_happens_in_both_languages(city: str):
    for item in seed(city).items:
        assert item.name.en, item.id
        assert item.about.en, item.id
        assert item.steps, item.id
        assert item.networks, item.id
        assert item.form.fields, item.id
        assert plain_code(item.code, item.division, item.unit.uscc) is None
        assert item.unit.division == city


def test_names_of_units_are_the_citys_own():
    assert by_id(SHENZHEN)["elderly-allowance"].unit.name == Named(
        zh="深圳市民政局", en="Shenzhen Civil Affairs Bureau"
    )
    assert by_id(SHIJIAZHUANG)["elderly-allowance"].unit.name.zh == "石家庄市民政局"


def test_an_item_of_one_city_is_not_in_the_other():
    assert "talent-hukou" in by_id(SHENZHEN)
    assert "talent-hukou" not in by_id(SHIJIAZHUANG)
    assert "rural-home" in by_id(SHIJIAZHUANG)


def test_a_dozen_forms_are_rich_and_the_one_of_a_company_takes_a_real_answer():
    assert sum(len(item.form.fields) >= 12 for item in seed().items) >= 12
    company = by_id()["company-registration"].form
    answer = {
        "company_kind": "limited", "company_name": "深圳市惠民科技有限公司", "company_address": "南山区科技路1号",
        "clustered": False, "scope": "软件开发", "capital": 100_000_000,
        "shareholders": [{"shareholder": "王敏", "shareholder_number": "110101199003074477", "share": 100_000_000}],
        "legal_name": "王敏", "legal_id_number": "110101199003074477", "manager_name": "李强",
        "seals": ["company", "finance"], "invoices": True, "staff_count": 3, "contact_name": "王敏",
        "contact_phone": "13800138000", "delivery": "electronic", "sharing": True, "truth": True,
    }  # fmt: skip
    assert check(company, answer) == []
    faults = check(company, answer | {"clustered": True, "delivery": "post"})
    assert {(fault.field, fault.rule) for fault in faults} == {("host", "required"), ("post_address", "required")}


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("items/elderly.yaml", "unit: civil-affairs, at", "unit: civil, at", "'civil' is not in units.yaml"),
        ("items/elderly.yaml", "need: [id_card, household_register, {", "need: [passport_of_mars, {",
         "elderly-allowance: need[0]: 'passport_of_mars' is not in materials.yaml"),
        ("items/elderly.yaml", "days: [30, 5]", "days: 30", "elderly-allowance: days: write [by law, promised]"),
        ("items/elderly.yaml", "days: [30, 5]", "days: [5, 30]", "promises 30 days where the law has 5"),
        ("items/elderly.yaml", "{age_from: 80}, local_hukou", "{older_than: 80}", "if[0]: 'older_than' is not in"),
        ("items/elderly.yaml", "form: [person, birth_day", "form: [person, birthday", "form[1]: 'birthday' is not in"),
        ("items/elderly.yaml", "flow: proactive\n  form: [person, birth_day, division?",
         "flow: magic\n  form: [person, birth_day, division?", "flow: 'magic' is not in flows.yaml"),
        ("items/elderly.yaml", "show_if: {by_family: true}", "show_if: {by_familly: true}", "no field before it"),
        ("items/elderly.yaml", 'number: "140010"', 'number: "1"', "elderly-allowance: number: the code"),
        ("items/elderly.yaml", "at: [community, street]", "at: [moon]", "at: no window has the network 'moon'"),
        ("items/elderly.yaml", "- id: elderly-card\n", "- id: elderly-allowance\n", "the same id or code as"),
        ("items/elderly.yaml", "  about:", "  abuot:", "abuot: unknown key"),
        ("items/elderly.yaml", "items:", "items: [", "items/elderly.yaml: while parsing"),
        ("materials.yaml", "[name, id_number, id_valid_until], identity_check",
         "[name, shoe_size], identity_check", "source population has no field shoe_size"),
        ("fields.yaml", "fill: population.name}", "fill: population.nickname}", "has no field nickname"),
        ("moments.yaml", "elderly-allowance, home-care", "elderly-alowance, home-care",
         "growing-old: items: there is no item 'elderly-alowance'"),
        ("desks.yaml", "elderly-card: elder-card", "elderly-cart: elder-card", "there is no item 'elderly-cart'"),
        ("desks.yaml", '{"440300": sz-border-residents, ', "{", "desks.yaml: residents: group: no group for 440300"),
        ("windows.yaml", "spot: [22.5445", "spot: [222.5445", "spot.latitude"),
    ],
)  # fmt: skip
def test_each_defect_is_one_line_that_says_where_and_what_to_do(
    tmp_path: Path, file: str, old: str, new: str, told: str
):
    folder = copytree(FOLDER, tmp_path / "catalogue")
    text = (folder / file).read_text("utf-8")
    assert old in text, old
    (folder / file).write_text(text.replace(old, new, 1), "utf-8")
    found = read_seed(SHENZHEN, folder)
    lines = [str(defect) for defect in found.defects]
    assert any(told in line for line in lines), lines[:5]
    assert all("\n" not in line for line in lines)
    assert len(found.items) > 0


def test_a_folder_that_is_none_is_a_defect(tmp_path: Path):
    assert "is this the folder of a catalogue?" in str(read_seed(SHENZHEN, tmp_path).defects[0])


def test_no_fragment_is_written_for_nothing():
    """What no item uses is a fragment that nobody keeps right."""
    said = "".join(path.read_text("utf-8") for path in (FOLDER / "items").glob("*.yaml"))
    groups = (FOLDER / "forms.yaml").read_text("utf-8")
    for file, also in (("materials", ""), ("conditions", ""), ("fields", groups), ("forms", ""), ("flows", "standard")):
        names = yaml.safe_load((FOLDER / f"{file}.yaml").read_text("utf-8"))
        assert [name for name in names if name not in said + also] == [], file


def test_a_live_code_of_another_province_fits_its_own_layout():
    code, unit = "511A0138000000-511602000000-000-115113010833722043-1-00", "115113010833722043"
    assert sichuan_code(code, "511602", unit) is None
    assert "division" in (sichuan_code(code, "511600", unit) or "")
    assert "not like" in (plain_code(code, "511602", unit) or "")
    assert "check digit" in (plain_code("440300-115113010833722044-101010", "440300", "115113010833722044") or "")
