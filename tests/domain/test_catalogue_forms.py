"""Forms: the behaviour of draft 2020-12 that we rely on, show-if both ways, and every fault by field and rule."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from server.domain.catalogue_forms import _SAID, DIALECT, FieldKind, Form, check, schema_of, ui_of
from tests.domain.catalogue_items import field, form, options, seed

KIND = field("kind", "one_of", options=options("own", "rent"))
PROOF = field("proof", "text", most=5, show_if={"field": "kind", "among": ["own"]})
NOTE = field("note", "text", is_required=False, show_if={"field": "kind", "among": ["rent"]})
HOUSING = form(KIND, PROOF, NOTE)

# What the specification says of the keywords that our schemas are made of (JSON Schema Validation 2020-12, 6 and 7;
# Core 10.2.2): schema, value, whether it is valid.
PUBLIC_BEHAVIOUR: list[tuple[Any, Any, bool]] = [
    ({"type": "integer"}, 3, True),
    ({"type": "integer"}, 3.0, True),  # a number without a fraction is an integer
    ({"type": "integer"}, 3.5, False),
    ({"type": "integer"}, True, False),
    ({"type": "integer", "minimum": 2, "maximum": 4}, 4, True),
    ({"maximum": 4}, "99", True),  # a keyword says nothing about another type
    ({"maxLength": 2}, "中文", True),  # characters, not bytes
    ({"maxLength": 1}, "💩", True),  # code points, not UTF-16 units
    ({"pattern": "^[0-9]+$"}, "12", True),
    ({"pattern": "b"}, "abc", True),  # not anchored
    ({"const": True}, 1, False),
    ({"const": 1}, 1.0, True),
    ({"enum": ["a", False]}, 0, False),
    ({"required": ["a"]}, {"a": None}, True),  # there is there, whatever it holds
    ({"additionalProperties": False, "properties": {"a": True}}, {"b": 1}, False),
    ({"properties": {"a": False}}, {}, True),
    ({"properties": {"a": False}}, {"a": None}, False),
    ({"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["c"]}}, {"a": 1, "b": 1}, True),
    ({"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["c"]}}, {"a": 1, "c": 1}, False),
    ({"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["c"]}}, {"c": 1}, True),
    ({"if": {"properties": {"a": {"enum": ["x"]}}}, "then": False}, {}, False),  # so we ask for `required` in `if`
    ({"uniqueItems": True}, [1, 1.0], False),
    ({"uniqueItems": True}, [1, True], True),
    ({"items": {"type": "string"}, "minItems": 1}, [], False),
    ({"allOf": [{"maxLength": 3}, {"minLength": 2}]}, "a", False),
    ({"format": "date"}, "2026-02-29", False),  # asserted: we switch it on
    ({"format": "date"}, "2024-02-29", True),
    ({"format": "date"}, "2024-2-9", False),
    ({"minLength": 2}, "💩", False),
    ({"minimum": 2}, 1.999, False),
    ({"maximum": 3}, 3.0, True),
    ({"maxItems": 2}, [1, 2, 3], False),
    ({"maxItems": 2}, "abc", True),
    ({"enum": [{"a": 1}]}, {"a": 1.0}, True),  # equal as numbers are
    ({"enum": ["1"]}, 1, False),
    ({"const": {"a": [1]}}, {"a": [1]}, True),
    ({"const": ""}, None, False),
    ({"type": ["string", "null"]}, None, True),
    ({"type": "array", "items": False}, [], True),
    ({"items": {"type": "integer"}}, [1, "2"], False),
    ({"uniqueItems": True}, [{"a": 1, "b": 2}, {"b": 2, "a": 1}], False),  # order of keys does not tell apart
    ({"required": []}, {}, True),
    ({"required": ["constructor"]}, {}, False),  # names of other languages' objects are just names
    ({"properties": {"__proto__": {"type": "string"}}}, {"__proto__": 1}, False),
    ({"additionalProperties": False, "properties": {"a": True}}, [1], True),  # says nothing about a list
    ({"allOf": [{"properties": {"a": False}}, {"properties": {"b": True}}]}, {"b": 1}, True),
    ({"if": True, "then": {"const": 1}}, 2, False),
    ({"if": False, "then": {"const": 1}}, 2, True),
    ({"then": False}, 1, True),  # nothing without an if
    ({"pattern": "^\\S+$"}, "　", False),  # a full-width space is a space
    ({"title": "x", "$comment": "y"}, 1, True),  # what is no rule rules nothing
    ({"format": "date"}, 3, True),
    ({"format": "date"}, "2026-13-01", False),
    ({"format": "email"}, "a@b.example", True),
    ({"format": "email"}, "a b@c", False),
]

GOOD: dict[str, Any] = {
    "text": "好", "long_text": "行\n行", "whole": 3, "money": 100, "yes_no": False, "declaration": True,
    "day": "2026-11-24", "one_of": "a", "some_of": ["a", "b"], "phone": "13800138000", "email": "a@b.example",
    "id_number": "110101199003074477", "uscc": "11440300HM0000012A", "bank_card": "6222020000000000000",
    "division": "440305001", "rows": [{"x": "y"}],
}  # fmt: skip
BAD: dict[str, list[tuple[Any, str]]] = {
    "text": [("", "minLength"), (" 　", "pattern"), ("x" * 101, "maxLength"), (1, "type")],
    "long_text": [("x" * 2001, "maxLength")],
    "whole": [(-1, "minimum"), (2.5, "type"), ("3", "type"), (True, "type")],
    "money": [(-1, "minimum"), (10**13, "maximum"), (1.5, "type")],
    "yes_no": [("true", "type"), (0, "type")],
    "declaration": [(False, "const"), (1, "const"), ("true", "const")],
    "day": [("2026-02-30", "format"), ("24.11.2026", "format"), (20261124, "type")],
    "one_of": [("c", "enum"), (["a"], "enum")],
    "some_of": [([], "minItems"), (["a", "a"], "uniqueItems"), (["c"], "enum"), ("a", "type")],
    "phone": [("12345", "format"), ("1380013800x", "format"), ("1" * 40, "maxLength")],
    "email": [("nobody", "format")],
    "id_number": [
        ("110101199003074478", "format"),
        ("11010119900307447", "format"),
        ("110101 19900307 4477", "format"),
    ],
    "uscc": [("11440300HM0000012B", "format")],
    "bank_card": [("6222020000000000001", "format"), ("622202000000000000x", "format")],
    "division": [("44030", "pattern"), ("440305001\n", "pattern")],
    "rows": [
        ([], "minItems"),
        ([{"x": "y"}] * 51, "maxItems"),
        ([{}], "required"),
        ([{"x": "y", "z": 1}], "additionalProperties"),
        ({}, "type"),
    ],
}


def everything() -> Form:
    special = {"one_of": {"options": options("a", "b")}, "some_of": {"options": options("a", "b")},
               "rows": {"fields": [field("x", "text")]}}  # fmt: skip
    return form(*(field(kind.value, kind.value, **special.get(kind.value, {})) for kind in FieldKind))


@pytest.mark.parametrize(("schema", "value", "is_valid"), PUBLIC_BEHAVIOUR)
def test_the_validator_behaves_as_draft_2020_12_says(schema: Any, value: Any, is_valid: bool):  # noqa: FBT001
    validator = jsonschema_rs.Draft202012Validator(
        schema, validate_formats=True, pattern_options=jsonschema_rs.RegexOptions(), offline=True
    )
    assert validator.is_valid(value) is is_valid


def test_a_form_with_a_good_answer_of_every_kind_has_no_fault():
    assert check(everything(), GOOD) == []


@pytest.mark.parametrize(("kind", "value", "rule"), [(k, v, r) for k, cases in BAD.items() for v, r in cases])
def test_a_bad_answer_names_field_and_rule_in_both_languages(kind: str, value: Any, rule: str):
    (fault, *_) = check(everything(), GOOD | {kind: value})
    assert (fault.field.startswith(kind), fault.rule) == (True, rule)
    assert any("\u4e00" <= letter <= "\u9fff" for letter in fault.zh)
    assert fault.en.isascii()


def test_each_rule_of_our_schemas_has_words_and_a_bad_answer_above():
    """No fault is told as 'not as it should be': every keyword that `schema_of` writes is among the tested ones."""
    tested = {rule for cases in BAD.values() for _, rule in cases} | {"falseSchema"}  # the last by show-if below
    assert tested >= _rules(schema_of(everything()))
    assert set(_SAID) == tested


def _rules(schema: Any) -> set[str]:
    """The keywords of a schema that can fail."""
    if isinstance(schema, list):
        return {rule for each in schema for rule in _rules(each)}
    if not isinstance(schema, dict):
        return set()
    inner = {rule for name in ("items", "allOf", "then", "else") for rule in _rules(schema.get(name))}
    inner |= {rule for each in schema.get("properties", {}).values() for rule in _rules(each)}
    silent = {"title", "$schema", "properties", "items", "allOf", "if", "then", "else"}
    return inner | (set(schema) - silent)


def test_every_fault_is_told_not_only_the_first():
    faults = check(everything(), {})
    assert {(fault.field, fault.rule) for fault in faults} == {(kind.value, "required") for kind in FieldKind}


@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_what_is_no_object_is_one_fault(value: Any):
    assert [fault.rule for fault in check(everything(), value)] == ["type"]


def test_a_field_is_asked_for_where_it_is_shown_and_refused_where_it_is_hidden():
    assert check(HOUSING, {"kind": "own", "proof": "A1"}) == []
    assert [(f.field, f.rule) for f in check(HOUSING, {"kind": "own"})] == [("proof", "required")]
    assert [(f.field, f.rule) for f in check(HOUSING, {"kind": "rent", "proof": "A1"})] == [("proof", "falseSchema")]
    assert check(HOUSING, {"kind": "rent"}) == []
    assert check(HOUSING, {"kind": "rent", "note": "x"}) == []


def test_nothing_that_depends_is_asked_for_before_the_question_it_depends_on_is_answered():
    assert [(f.field, f.rule) for f in check(HOUSING, {})] == [("kind", "required")]


@given(st.dictionaries(st.sampled_from(["kind", "proof", "note", "x"]), st.sampled_from(["own", "rent", "", 1, None])))
def test_show_if_is_the_same_rule_as_its_words(data: dict[str, Any]):
    """The reference, by hand: what a person would say about this form."""
    kind = data.get("kind")
    is_text = {name: isinstance(v := data.get(name), str) and 0 < len(v) <= 5 for name in ("proof", "note")}
    expected = (
        set(data) <= {"kind", "proof", "note"}
        and kind in ("own", "rent")
        and (is_text["proof"] if kind == "own" else "proof" not in data)
        and ((is_text["note"] or "note" not in data) if kind == "rent" else "note" not in data)
    )
    assert (check(HOUSING, data) == []) is expected


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kind": "text", "options": options("a")}, "a choice has options"),
        ({"kind": "one_of"}, "a choice has options"),
        ({"kind": "day", "most": 3}, "no bounds"),
        ({"kind": "text", "least": 5, "most": 3}, "more than the most"),
        ({"kind": "whole", "pattern": "x"}, "only a text"),
        ({"kind": "text", "pattern": "(?=a)b"}, "pattern"),  # a look-ahead needs backtracking
        ({"kind": "text", "pattern": "("}, "pattern"),
        ({"kind": "one_of", "options": options("a", "a")}, "twice"),
        ({"kind": "rows"}, "rows have fields"),
        ({"kind": "text", "id": "$where"}, "pattern"),
        ({"kind": "text", "fill": "population"}, "pattern"),
    ],
)
def test_a_field_that_makes_no_sense_cannot_be_written(wrong: dict[str, Any], says: str):
    with pytest.raises(ValidationError, match=says):
        field("a", **wrong)


@pytest.mark.parametrize(
    "show_if",
    [{"field": "kind", "among": ["other"]}, {"field": "gone", "among": [True]}, {"field": "a", "among": [True]}],
)
def test_a_field_cannot_depend_on_an_answer_that_nobody_can_give(show_if: dict[str, Any]):
    with pytest.raises(ValidationError, match="no field before it can give"):
        form(KIND, field("a", "yes_no", show_if=show_if))


def test_a_pattern_that_makes_other_engines_hang_is_answered_at_once():
    hard = form(field("a", "text", most=100, pattern="^(a+)+$"))
    assert [fault.rule for fault in check(hard, {"a": "a" * 99 + "!"})] == ["pattern"]


def test_every_form_of_the_catalogue_is_a_schema_of_its_dialect_with_a_hint_for_each_field():
    for item in seed().items:
        schema, ui = schema_of(item.form), ui_of(item.form)
        jsonschema_rs.meta.validate(schema)
        assert schema["$schema"] == DIALECT
        assert ui["order"] == list(schema["properties"]), item.id
        assert all(ui["fields"][name]["label"]["zh"] for name in ui["order"])


def test_every_form_of_the_catalogue_refuses_an_empty_answer_and_a_foreign_field():
    for item in seed().items:
        if any(each.is_required and not each.show_if for each in item.form.fields):
            assert check(item.form, {}), item.id
        assert any(fault.rule == "additionalProperties" for fault in check(item.form, {"no_such": 1})), item.id
