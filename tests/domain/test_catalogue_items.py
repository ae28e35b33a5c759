"""An item, its conditions as data, what differs between versions, and items as JSON and CSV."""

from __future__ import annotations

import csv
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from server.domain.catalogue import Check, Item
from server.domain.catalogue_tables import COLUMNS, from_csv, from_json, to_csv, to_json
from server.domain.catalogue_versions import changes
from server.services.catalogue_scale import more
from server.storage.catalogues import load_divisions
from tests.domain.catalogue_items import by_id, item, seed

ITEMS = list(seed().items)


@pytest.mark.parametrize(
    ("check", "facts", "holds"),
    [
        ({"fact": "age_years", "op": "ge", "value": 80}, {"age_years": 80}, True),
        ({"fact": "age_years", "op": "ge", "value": 80}, {"age_years": 79}, False),
        ({"fact": "age_years", "op": "le", "value": 45}, {"age_years": 46}, False),
        ({"fact": "age_years", "op": "ge", "value": 80}, {}, None),
        ({"fact": "age_years", "op": "ge", "value": 80}, {"age_years": "80"}, None),
        ({"fact": "hukou", "op": "eq", "value": "local"}, {"hukou": "local"}, True),
        ({"fact": "hukou", "op": "ne", "value": "local"}, {"hukou": "local"}, False),
        ({"fact": "hukou", "op": "in", "value": ["a", "b"]}, {"hukou": "b"}, True),
    ],
)
def test_a_condition_is_reckoned_from_facts_and_unknown_without_them(
    check: dict[str, Any], facts: dict[str, Any], holds: object
):
    assert Check.model_validate(check).holds(facts) is holds


@pytest.mark.parametrize("wrong", [{"op": "in", "value": 3}, {"op": "ge", "value": "x"}, {"op": "eq", "value": [1]}])
def test_a_check_that_makes_no_sense_cannot_be_written(wrong: dict[str, Any]):
    with pytest.raises(ValidationError):
        Check.model_validate({"fact": "a", **wrong})


def test_who_may_have_the_allowance_is_told_condition_by_condition():
    told = by_id()["elderly-allowance"].who_may({"age_years": 81, "hukou": "other"})
    assert [(each.text.zh, holds) for each, holds in told] == [("年满80周岁", True), ("具有本市户籍", False)]


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"promised_days": 31}, "promises 31 days"),
        ({"modes": ["nearby", "nearby"]}, "twice"),
        ({"code": "x"}, "code"),
        ({"id": "A B"}, "pattern"),
        ({"fee_fen": -1}, "fee_fen"),
        ({"unknown": 1}, "unknown"),
        (
            {"materials": [{"id": "m", "name": {"zh": "材料"}, "show_if": {"field": "gone", "among": [True]}}]},
            "cannot give",
        ),
    ],
)
def test_an_item_that_contradicts_itself_cannot_be_written(other: dict[str, Any], says: str):
    with pytest.raises(ValidationError, match=says):
        item(**other)


def test_versions_differ_by_name_not_by_place_in_a_list():
    before = by_id()["elderly-allowance"]
    materials = [m.model_dump() for m in before.materials]
    after = item(promised_days=3, materials=[{**materials[1], "is_required": False}, materials[0]])
    told = {change.path: (change.before, change.after) for change in changes(before, after)}
    assert told["promised_days"] == (5, 3)
    assert told["materials[household_register].is_required"] == (True, False)
    assert told["materials[bank_card]"][1] is None
    assert told["materials.order"] == (
        ["id_card", "household_register", "bank_card"],
        ["household_register", "id_card"],
    )
    assert len(told) == 4


def test_the_same_content_has_no_changes():
    assert all(changes(each, Item.model_validate(each.model_dump())) == () for each in ITEMS[:50])


def test_what_is_exported_is_imported_unchanged_from_both_kinds_of_file():
    assert from_json(to_json(ITEMS), "x.json") == (ITEMS, [])
    assert from_csv(to_csv(ITEMS), "x.csv") == (ITEMS, [])


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=40))
def test_any_text_comes_back_from_a_cell_and_none_begins_like_a_formula(text: str):
    written = item(name={"zh": text, "en": text})
    table = to_csv([written])
    assert from_csv(table, "x.csv") == ([written], [])
    assert not any(f",{sign}" in table for sign in ("=", "+", "@"))


@pytest.mark.parametrize(
    ("column", "cell", "told"),
    [
        ("fee_fen", "ten", "x.csv: line 2: fee_fen: 'ten' is no whole number"),
        ("is_offered", "maybe", "x.csv: line 2: is_offered: 'maybe' is not yes or no"),
        ("form", "{", "x.csv: line 2: form: not JSON"),
        ("modes", "flying", "x.csv: line 2 (elderly-allowance): modes.0: Input should be 'one_stop'"),
        ("unit_uscc", "1", "x.csv: line 2 (elderly-allowance): unit.uscc"),
    ],
)
def test_a_bad_cell_is_a_line_that_names_it_and_the_other_items_are_read(column: str, cell: str, told: str):
    head, second = to_csv([]), to_csv([by_id()["passport"]])
    cells = dict(zip(COLUMNS, _cells(by_id()["elderly-allowance"]), strict=True)) | {column: cell}
    line = ",".join('"' + text.replace('"', '""') + '"' for text in cells.values())
    items, defects = from_csv(f"{head}{line}\r\n{second.partition(chr(13) + chr(10))[2]}", "x.csv")
    assert [each.id for each in items] == ["passport"]
    assert str(defects[0]).startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "not JSON"), ("3", "not a list"), ('{"items": {}}', "not a list"), ("[" * 99_999, "not JSON")],
)
def test_a_file_that_is_no_list_of_items_is_one_defect(text: str, told: str):
    items, (defect,) = from_json(text, "x.json")
    assert items == []
    assert told in defect.what


def test_a_bad_entry_of_json_is_named_by_place_and_id():
    good = by_id()["passport"].model_dump_json()
    items, defects = from_json(f'[{{"id": "a-b"}}, 7, {good}]', "x.json")
    assert [each.id for each in items] == ["passport"]
    assert {defect.item for defect in defects} == {"items[0] (a-b)", "items[1]"}


def test_an_unknown_column_and_a_short_line_are_told():
    assert "unknown column" in str(from_csv("id,colour\r\na,b\r\n", "x.csv")[1][0])
    assert "1 cells where the first line has 2" in str(from_csv("id,code\r\na\r\n", "x.csv")[1][0])


def test_a_catalogue_of_scale_is_the_same_for_the_same_seed_and_has_no_twins():
    divisions = load_divisions(city="440300")
    first, again = (list(more(ITEMS, divisions, 1_000, seed=7)) for _ in range(2))
    assert first == again
    assert first != list(more(ITEMS, divisions, 1_000, seed=8))
    everything = [*ITEMS, *first]
    assert len({each.id for each in everything}) == len({each.code for each in everything}) == len(everything)
    assert all(Item.model_validate(each.model_dump()) == each for each in first[:100])


def _cells(one: Item) -> list[str]:
    """The cells of a line as they are before quoting."""
    return list(csv.reader(StringIO(to_csv([one]).removeprefix("\ufeff"))))[1]
