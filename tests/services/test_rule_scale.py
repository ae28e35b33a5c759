"""The rules of the scale test are rules that a city could load."""

from __future__ import annotations

from datetime import date

from server.domain.outbox import LANES
from server.domain.rule_faults import Known, faults_of
from server.domain.rules import scans
from server.domain.working_days import WorkingDays
from server.services.rule_scale import generated_rules
from server.storage.catalogue_files import read_seed
from server.storage.catalogues import load_facts


def test_446_generated_rules_have_no_fault_and_are_all_different() -> None:
    """Each would pass the counter, none is another's copy, and the same seed makes the same ones."""
    facts = load_facts()
    items = {item.id: item.unit.id for item in read_seed("440300").items}
    rules = generated_rules(446, 1, facts, items)
    known = Known(
        facts, frozenset(items), frozenset(items.values()), frozenset({"service_offers", "health_data"}),
        frozenset({rules[0].template}),
    )  # fmt: skip
    assert [fault for rule in rules for fault in faults_of(rule, known)] == []
    assert len({rule.id for rule in rules}) == len({rule.model_dump_json(exclude={"id"}) for rule in rules}) == 446
    assert rules == generated_rules(446, 1, facts, items) != generated_rules(446, 2, facts, items)
    assert {rule.lane for rule in rules} == set(LANES)
    indexed = {fact.id for fact in facts.facts if fact.is_indexed}
    assert {rule.anchor.fact for rule in rules} == indexed
    assert all(scans(rule, date(2026, 11, 24), WorkingDays()) for rule in rules)
