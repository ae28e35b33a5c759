"""What somebody filled into a form, checked against its JSON Schema (draft 2020-12) and told in both languages.

The schema decides, as jsonschema-rs reads the standard, formats included. A fault names the field as a path and the
rule that it breaks in words for people; `refuse_faulty` tells all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from jsonschema_rs import Draft202012Validator, FancyRegexOptions, ReferencingError, ValidationError

from server.domain.errors import ConfigurationError
from server.domain.faults import MAX_FAULTS, Fault, FaultyInputError

MAX_PATTERN_STEPS = 100_000  # of one match: a pattern that backtracks for ever is no way to stop the server

# What a rule of the standard says to people. `{0}`: its value in the schema.
_RULES: Mapping[str, tuple[str, str]] = {
    "type": ("类型应为{0}", "has to be of type {0}"),
    "enum": ("应为{0}之一", "has to be one of {0}"),
    "const": ("应为{0}", "has to be {0}"),
    "minLength": ("至少{0}个字", "at least {0} characters"),
    "maxLength": ("最多{0}个字", "at most {0} characters"),
    "pattern": ("格式不对", "is not in the form wanted"),
    "format": ("不是有效的{0}", "is no valid {0}"),
    "minimum": ("应不小于{0}", "at least {0}"),
    "maximum": ("应不大于{0}", "at most {0}"),
    "exclusiveMinimum": ("应大于{0}", "more than {0}"),
    "exclusiveMaximum": ("应小于{0}", "less than {0}"),
    "multipleOf": ("应为{0}的倍数", "a multiple of {0}"),
    "minItems": ("至少{0}项", "at least {0} of them"),
    "maxItems": ("最多{0}项", "at most {0} of them"),
    "uniqueItems": ("不可重复", "no two may be the same"),
    "contains": ("缺少必需的一项", "one of them is missing"),
    "minProperties": ("至少填写{0}项", "at least {0} fields"),
    "maxProperties": ("最多填写{0}项", "at most {0} fields"),
    "required": ("缺少此项", "this is missing"),
    "dependentRequired": ("缺少此项", "this is missing"),
    "additionalProperties": ("表单没有此项", "the form has no such field"),
    "unevaluatedProperties": ("表单没有此项", "the form has no such field"),
    "not": ("不可如此填写", "may not be filled in like this"),
}
_OTHER = ("不符合表单规则（{0}）", "does not fit the form ({0})")


class Validator(Protocol):
    """A compiled schema."""

    def iter_errors(self, instance: Any) -> Iterable[ValidationError]:
        """Everything that is wrong."""
        ...


def compile_form(schema: Mapping[str, Any], where: str) -> Validator:
    """The schema, ready to check with; ConfigurationError `form_invalid`: it is none, or it points elsewhere."""
    try:
        return Draft202012Validator(
            dict(schema),
            validate_formats=True,
            retriever=_nowhere,
            pattern_options=FancyRegexOptions(backtrack_limit=MAX_PATTERN_STEPS),
        )
    except (ValidationError, ReferencingError, ValueError) as error:
        text = f"{where}: {error}"[:500]
        raise ConfigurationError("form_invalid", zh=f"表单有误：{text}", en=f"the form is wrong: {text}") from None


def faults_of(validator: Validator, data: Mapping[str, Any]) -> list[Fault]:
    """Everything that is wrong with what was filled in, in the order of the form; at most MAX_FAULTS."""
    found: dict[tuple[str, str], Fault] = {}
    for error in validator.iter_errors(dict(data)):
        for fault in _faults(error):
            found.setdefault((fault.field, fault.en), fault)
            if len(found) >= MAX_FAULTS:
                return list(found.values())
    return list(found.values())


def refuse_faulty(faults: Sequence[Fault]) -> None:
    """FaultyInputError `form_faulty` with all of them; none: nothing happens."""
    if faults:
        raise FaultyInputError("form_faulty", faults)


def _nowhere(uri: str) -> Any:
    """A form is whole in itself: nothing is fetched, whatever it names."""
    raise ValueError(f"a form may not point to {uri}")


def _faults(error: ValidationError) -> list[Fault]:
    rule = str(error.schema_path[-1]) if error.schema_path else "false"
    kind = error.kind
    if rule in ("required", "dependentRequired") and (name := getattr(kind, "property", None)):
        return [_fault([*error.instance_path, str(name)], rule, "")]
    if names := getattr(kind, "unexpected", None):
        return [_fault([*error.instance_path, str(name)], rule, "") for name in names]
    return [_fault(error.instance_path, rule if rule in _RULES else _rule_above(error), _value(kind))]


def _rule_above(error: ValidationError) -> str:
    """Some errors end in a member of their rule (`dependentRequired/a`): the rule stands above it."""
    return next((str(part) for part in reversed(error.schema_path) if str(part) in _RULES), "schema")


def _fault(path: Iterable[str | int], rule: str, value: str) -> Fault:
    zh, en = _RULES.get(rule, _OTHER)
    value = value or rule
    return Fault(_field(path), zh.format(value), en.format(value))


def _field(path: Iterable[str | int]) -> str:
    """`form.members[0].name`."""
    return "form" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def _value(kind: object) -> str:
    """The rule's value, in short."""
    for name in ("limit", "options", "expected_value", "format", "types", "multiple_of"):
        value = getattr(kind, name, None)
        if value is not None:
            told = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            return told if len(told) <= 80 else f"{told[:79]}…"
    return ""
