"""Rules are read narrowly and line by line; those of `data/rules` are whole, and say what fits on every channel."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from server.domain.catalogue import Item
from server.domain.catalogue_forms import check
from server.domain.facts import Kind, day_number
from server.domain.notices import frames_of
from server.domain.prefill import ID_NUMBER, NAME, PHONE, declarations, filled
from server.domain.rule_faults import MOST, Known, faults_of, item_faults
from server.domain.rule_files import MAX_BYTES, FiledRule, digest_of, document_of, read_rules, rule_schema
from server.domain.rules import After, Rule, Years, compiled, counted_on, said
from server.domain.templates import units
from server.domain.working_days import WorkingDays
from server.storage.catalogue_files import load_units, read_seed
from server.storage.catalogues import DATA, load_consents, load_facts, load_texts, read_rule_texts

GOOD = """rules:
- id: one
  kind: reminder
  unit: police
  title: {zh: 到期, en: It ends}
  body: {zh: "{date}", en: "{date}"}
  when: [{fact: id_card_until, days: [0, 30]}]
  lane: reminder
  period: occurrence
  lasts_days: 30
"""
EDGES = (date(2026, 12, 31), date(2027, 1, 1), date(2028, 2, 29), date(2027, 2, 28), date(2026, 11, 24))


@cache
def items() -> Mapping[str, Item]:
    return {item.id: item for item in read_seed("440300").items}


@cache
def known() -> Known:
    return Known(load_facts(), items(), load_units(), load_consents(), frames_of(load_texts().templates))


@cache
def filed() -> list[FiledRule]:
    rules, defects = read_rules(read_rule_texts())
    assert defects == []
    return rules


def wrong(text: str) -> list[tuple[int, str, str]]:
    return [(each.line, each.rule, each.field) for each in read_rules({"a.yaml": text})[1]]


def test_the_rules_of_the_city_are_many_and_have_no_fault() -> None:
    """At least thirty, each of them releasable: facts, units, items, consents, templates and form fields are there."""
    assert len(filed()) >= 30
    told = [each.defects(faults_of(each.rule, known())) for each in filed()]
    told += [
        each.defects(item_faults(each.rule, items()[each.rule.item], known().facts))
        for each in filed()
        if each.rule.item
    ]
    assert [str(defect) for defects in told for defect in defects] == []
    one_tap = {each.rule.item for each in filed() if each.rule.is_one_tap}
    assert one_tap == {"elderly-allowance", "elderly-card"}


@pytest.mark.parametrize("filed_rule", filed(), ids=lambda each: each.rule.id)
def test_what_a_rule_says_fits_on_the_ends_of_its_window(filed_rule: FiledRule) -> None:
    """On leap days, at the turn of the year and a day later, for both ends of the window, no word is cut."""
    rule = filed_rule.rule
    kind = load_facts().by_id[rule.anchor.fact].kind
    for today in EDGES:
        bound = compiled(rule.anchor, today, WorkingDays())
        for occurrence in (bound.lo, bound.hi) if kind is Kind.DATE else (bound.among or (6,))[:1]:
            assert occurrence is not None
            title, body = said(rule, occurrence, kind, today)
            assert units(title.zh) <= MOST
            assert units(body.zh) <= MOST
            assert title.en
            assert body.en
            assert "{" not in title.zh + title.en + body.zh + body.en


def test_eighty_is_reached_on_the_birthday_itself() -> None:
    """SZ-10b: the offer is due on the day somebody becomes 80, not the day before, also for those of a leap day."""
    rule = next(each.rule for each in filed() if each.rule.id == "elderly-allowance-80")
    for born in (date(1946, 11, 24), date(1948, 2, 29)):
        day = counted_on(born, rule.anchor.after)
        held = [compiled(rule.anchor, today, WorkingDays()).holds(day_number(born))
                for today in (day - timedelta(days=1), day, day + timedelta(days=9))]  # fmt: skip
        assert held == [False, True, True]


def test_a_good_file_is_read_and_the_digest_is_of_its_content() -> None:
    """The same content in other words of YAML has the same digest; any change another."""
    rule = read_rules({"a": GOOD})[0][0].rule
    again = Rule.model_validate(orjson.loads(orjson.dumps(document_of(rule))))
    assert digest_of(again) == digest_of(rule)
    assert digest_of(rule.model_copy(update={"lasts_days": 31})) != digest_of(rule)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("days: [0, 30]", "days: [0, 30"), (7, "", "")),
        (("lasts_days: 30", "lasts_days: 2026-11-24"), (10, "one", "lasts_days")),
        (("lasts_days: 30", "lasts_days: 1.5"), (10, "one", "lasts_days")),
        (("lasts_days: 30", "lasts_days: 10:30"), (10, "one", "lasts_days")),
        (("lasts_days: 30", "lasts_days: 30\n  strange: 1"), (11, "one", "strange")),
        (("lasts_days: 30", "lasts_days: 30\n  lasts_days: 31"), (11, "one", "lasts_days")),
        (("period: occurrence", "period: hourly"), (9, "one", "period")),
        (("days: [0, 30]", "days: [0, soon]"), (7, "one", "when[0].days[1]")),
        (("unit: police", "unit: &a police"), (4, "", "")),
        (("unit: police", "unit: *a"), (4, "", "")),
        (("unit: police", "unit: !!python/name:os.system police"), (4, "", "")),
        (("unit: police", "unit: " + "[" * 20 + "]" * 20), (4, "", "")),
        (("unit: police", "? [a]\n  : police"), (4, "one", "?")),
        (("unit: police", "<<: {unit: police}"), (4, "one", "?")),
        (("rules:", "rule:"), (1, "", "")),
        (("lasts_days: 30\n", "lasts_days: 30\n---\nrules: []\n"), (11, "", "")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(change: tuple[str, str], expected: tuple[int, str, str]) -> None:
    """Each defect names the line where a person has to look."""
    assert change[0] in GOOD
    assert expected in wrong(GOOD.replace(*change))
    assert read_rules({"a": GOOD.replace(*change)})[0] == []


def test_a_bad_rule_keeps_no_other_back_and_a_doubled_id_is_told() -> None:
    """The good one is read; the second file's rule of the same id is refused and says where the first is."""
    bad = GOOD.removeprefix("rules:\n").replace("id: one", "id: two").replace("lane: reminder", "lane: red")
    rules, defects = read_rules({"a.yaml": GOOD + bad, "b.yaml": GOOD})
    assert [each.rule.id for each in rules] == ["one"]
    assert [(each.file, each.line, each.field) for each in defects] == [("a.yaml", 17, "lane"), ("b.yaml", 2, "id")]
    assert "a.yaml:2" in str(defects[1])


@pytest.mark.parametrize(
    "text", ["x" * (MAX_BYTES + 1), "[" * 100_000, "a: b\n" * 20_001, "\udcff", "", "rules: []", "\x00", "a: [&x *x]"]
)
def test_what_is_too_much_or_no_yaml_is_refused_before_anything_is_built(text: str) -> None:
    """Too long, too deep, too many, no text, nothing."""
    rules, defects = read_rules({"a": text})
    assert (rules, len(defects)) == ([], 1)


@given(st.text(max_size=200), st.integers(0, len(GOOD)))
def test_whatever_is_written_into_a_file_is_read_or_refused(text: str, place: int) -> None:
    """No input raises."""
    rules, defects = read_rules({"a": GOOD[:place] + text + GOOD[place:]})
    assert rules or defects


def _changed(**other: Any) -> list[str]:
    plain = yaml.safe_load(GOOD)["rules"][0] | {"unit": "public-security"}
    return [fault.field for fault in faults_of(Rule.model_validate(plain | other), known())]


@pytest.mark.parametrize(
    ("other", "field"),
    [
        ({"unit": "nobody"}, "unit"),
        ({"item": "nothing"}, "item"),
        ({"template": "fancy"}, "template"),
        ({"consents": ["everything", "service_offers"]}, "consents"),
        ({"when": [{"fact": "shoe_size", "at_least": 40}]}, "when[0].fact"),
        ({"when": [{"fact": "residence", "is": ["hukou"]}], "period": "once"}, "when[0]"),
        ({"when": [{"fact": "id_card_until", "at_least": 3}]}, "when[0]"),
        ({"when": [{"fact": "id_card_until", "days": [30, 0]}]}, "when[0].days"),
        ({"when": [{"fact": "id_card_until", "days": [None, None]}]}, "when[0].days"),
        ({"when": [{"fact": "id_card_until", "working_days": [0, 99_999]}]}, "when[0].working_days"),
        ({"when": [{"fact": "insured_months", "at_least": 9, "at_most": 3}], "period": "once"}, "when[0].at_most"),
        ({"when": [{"fact": "insured_months", "at_least": 9}]}, "period"),
        (
            {
                "when": [{"fact": "disability_level", "is": ["five"]}],
                "period": "once",
                "consents": ["service_offers", "health_data"],
            },
            "when[0].is",
        ),
        ({"when": [{"fact": "disability_card_until", "days": [0, 9]}]}, "consents"),
        ({"unless": [{"fact": "elderly_card", "is": ["true"]}]}, "unless[0].is"),
        ({"title": {"zh": "到期{who}", "en": "It ends"}}, "title.zh"),
        ({"title": {"zh": "到期", "en": "It ends {0.__class__}"}}, "title.en"),
        ({"title": {"zh": "到期", "en": "It ends {days:>999999999}"}}, "title.en"),
        ({"title": {"zh": "到期{date!r}", "en": "It ends"}}, "title.zh"),
        ({"body": {"zh": "一" * 21, "en": "It ends"}}, "body.zh"),
        ({"body": {"zh": "{date}", "en": "Your identity card ends {date}"}}, "body.en"),
    ],
)  # fmt: skip
def test_each_fault_names_its_field(other: dict[str, Any], field: str) -> None:
    """What is not known or does not fit is told where it stands, and alone."""
    assert _changed(**other) == [field]


def test_each_fault_says_why_and_what_to_do_in_both_languages() -> None:
    """One sentence each, and several faults at once."""
    plain = yaml.safe_load(GOOD)["rules"][0] | {"item": "nothing"}
    faults = faults_of(Rule.model_validate(plain), known())
    assert [fault.field for fault in faults] == ["unit", "item"]
    assert all("，" in fault.zh and ":" in fault.en for fault in faults)


def test_an_offer_is_filled_from_facts_that_its_form_asks_for() -> None:
    """A field that is not there, one of another kind, and a fact of several things are faults."""
    facts, item = load_facts(), items()["elderly-allowance"]
    plain = yaml.safe_load(GOOD)["rules"][0] | {"item": item.id}
    for prefill, fields in (
        ({"birth_day": "birth_date"}, []),
        ({"shoe": "birth_date"}, ["prefill.shoe"]),
        ({"tier": "birth_date"}, ["prefill.tier"]),
        ({"birth_day": "child_birth_date"}, ["prefill.birth_day"]),
    ):
        rule = Rule.model_validate(plain | {"prefill": prefill})
        assert [fault.field for fault in item_faults(rule, item, facts)] == fields


@pytest.mark.parametrize(
    "one_tap", [each.rule for each in filed() if each.rule.is_one_tap], ids=lambda rule: f"{rule.id}"
)
@pytest.mark.parametrize("years", [0, 5, 10, 25, 40])
def test_a_bare_tap_leaves_nothing_required_open(one_tap: Rule, years: int) -> None:
    """For who has a verified name, a telephone and the rule's facts: no fault, and departments prove every material."""
    item, today, own = items()[one_tap.item], date(2028, 2, 29), {NAME: "林秀英", PHONE: "+8613900000001"}
    newest = compiled(one_tap.anchor, today, WorkingDays()).hi
    assert newest is not None
    values = dict.fromkeys(one_tap.prefill_facts, newest - 366 * years)
    form = filled(one_tap, load_facts(), values, own | {ID_NUMBER: "44030519461124103X"}, today)
    form |= dict.fromkeys(declarations(one_tap, item.form), True)
    assert check(item.form, form) == []
    left = [each.id for each in item.materials if each.is_required and not each.source
            and (each.show_if is None or form[each.show_if.field] in each.show_if.among)]  # fmt: skip
    assert left == []


@pytest.mark.parametrize(("age", "tier"), [(80, "from80"), (89, "from80"), (90, "from90"), (100, "from100")])
def test_the_tier_follows_from_the_birth_date_and_changes_on_the_birthday(age: int, tier: str) -> None:
    """The day before it is the tier below; of somebody too young there is none."""
    rule = next(each.rule for each in filed() if each.rule.id == "elderly-allowance-80")
    tiers, born = rule.prefill["tier"], date(1930, 6, 1)
    assert isinstance(tiers, Years)
    birthday = counted_on(born, After(years=age))
    below = {80: None, 89: "from80", 90: "from80", 100: "from90"}[age]
    assert tiers.chosen(day_number(born), birthday) == tier
    assert tiers.chosen(day_number(born), birthday - timedelta(days=1)) == below


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"usual": {"pay_to": "cash", "by_family": False}}, "usual.pay_to"),
        ({"usual": {"pay_to": "social_card", "by_family": "no"}}, "usual.by_family"),
        ({"usual": {"pay_to": "social_card"}}, "is_one_tap"),
        ({"usual": {"pay_to": "other_account", "by_family": False}}, "is_one_tap"),
        ({"declares": ["truth"]}, "is_one_tap"),
        ({"declares": ["truth", "sharing", "phone"]}, "declares"),
        ({"prefill": {"phone": "account.id_number"}}, "prefill.phone"),
        ({"prefill": {"tier": {"fact": "birth_date", "least_years": {"from70": 70}}}}, "prefill.tier"),
    ],
)
def test_a_tap_that_could_not_file_is_no_rule(change: dict[str, Any], field: str) -> None:
    """Answers that the form does not have, and required fields that nothing fills, are told before a release."""
    rule = next(each.rule for each in filed() if each.rule.id == "elderly-allowance-80")
    plain = document_of(rule)
    changed = plain | change | {"prefill": plain["prefill"] | change.get("prefill", {})}
    faults = item_faults(Rule.model_validate(changed), items()[rule.item], load_facts())
    assert {fault.field for fault in faults} == {field}


def test_the_published_schema_is_that_of_the_rules_and_takes_the_files() -> None:
    """`data/rules/rule.schema.json` is what the code says, 2020-12, and an editor that follows it accepts our files."""
    schema = rule_schema()
    assert orjson.loads((DATA / "rules" / "rule.schema.json").read_bytes()) == schema
    validator = jsonschema_rs.Draft202012Validator(schema)
    texts = read_rule_texts()
    for text in texts.values():
        validator.validate(yaml.safe_load(text))
    good = yaml.safe_load(GOOD)
    assert validator.is_valid(good)
    for key, value in itertools.product(("lane", "when", "unit", "extra"), (None, 7)):
        assert not validator.is_valid({"rules": [good["rules"][0] | {key: value}]})
    assert Path(DATA / "rules" / "rule.schema.json").read_text("utf-8").endswith("}\n")
