"""The forms of items: fields in our own few kinds; JSON Schema 2020-12, hints for a page and checks follow from them.

A form is never a schema that somebody typed: the schema is made of a closed list of kinds, so there are no references
to fetch, and patterns run on a linear engine. A field that depends on an answer (show-if) is part of the schema too
(if/then/else): where it is hidden it may not be sent, where it is shown it follows its own rule. `format` is asserted,
with formats of our own for Chinese numbers. Numbers: money is in fen, lengths count characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Self

import jsonschema_rs
import phonenumbers
from pydantic import BaseModel, ConfigDict, Field, model_validator
from stdnum import luhn
from stdnum.cn import uscc

from server.domain.real_name import is_id_number
from server.domain.resources import Named

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAME = r"^[a-z][a-z0-9_]{0,39}$"
MAX_ROWS = 50
MAX_TEXT, MAX_LONG_TEXT = 100, 2_000
MAX_FEN = 1_000_000_000_000
KEPT_VALIDATORS = 4_096
Answer = str | int | bool
Json = dict[str, Any]


class FieldKind(StrEnum):
    """What is asked for."""

    TEXT = "text"
    LONG_TEXT = "long_text"
    WHOLE = "whole"  # a whole number
    MONEY = "money"  # in fen
    YES_NO = "yes_no"
    DECLARATION = "declaration"  # has to be agreed to
    DAY = "day"  # 2026-11-24
    ONE_OF = "one_of"
    SOME_OF = "some_of"
    PHONE = "phone"
    EMAIL = "email"
    ID_NUMBER = "id_number"  # GB 11643
    USCC = "uscc"  # GB 32100
    BANK_CARD = "bank_card"
    DIVISION = "division"  # GB/T 2260
    ROWS = "rows"  # a list of the same few fields: the members of a household


CHOICES = frozenset({FieldKind.ONE_OF, FieldKind.SOME_OF})
BOUNDED = frozenset({FieldKind.TEXT, FieldKind.LONG_TEXT, FieldKind.WHOLE, FieldKind.MONEY, FieldKind.ROWS})


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Option(_Model):
    """One answer to choose."""

    value: str = Field(pattern=NAME)
    label: Named


class ShowIf(_Model):
    """Only if this field has one of these answers."""

    field: str = Field(pattern=NAME)
    among: tuple[Answer, ...] = Field(min_length=1, max_length=50)

    def fits(self, controls: Mapping[str, frozenset[Answer]]) -> bool:
        """Whether that field can be answered so. `controls`: fields that others may depend on, and their answers."""
        return set(self.among) <= controls.get(self.field, frozenset())


class FormField(_Model):
    """One thing that is asked for. `least` and `most` bound a number, the length of a text, or the count of rows."""

    id: str = Field(pattern=NAME)
    kind: FieldKind
    label: Named
    help: Named | None = None
    is_required: bool = True
    least: int | None = Field(default=None, ge=0, le=MAX_FEN)
    most: int | None = Field(default=None, ge=0, le=MAX_FEN)
    pattern: str | None = Field(default=None, max_length=200)
    options: tuple[Option, ...] = Field(default=(), max_length=80)
    fill: str | None = Field(
        default=None, pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", description="source.field it is filled from"
    )
    show_if: ShowIf | None = None
    fields: tuple[FormField, ...] = Field(default=(), max_length=20, description="of each row")

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if (self.kind in CHOICES) != bool(self.options):
            raise ValueError("a choice has options, and nothing else has")
        if (self.kind is FieldKind.ROWS) != bool(self.fields):
            raise ValueError("rows have fields, and nothing else has")
        if (self.least is not None or self.most is not None) and self.kind not in BOUNDED:
            raise ValueError(f"{self.kind} has no bounds")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError("the least is more than the most")
        if self.pattern is not None:
            _refuse_pattern(self)
        if any(each.kind is FieldKind.ROWS or each.show_if for each in self.fields):
            raise ValueError("what stands in a row has no rows and no show_if of its own")
        _refuse_twice(each.id for each in self.fields)
        _refuse_twice(each.value for each in self.options)
        return self


class Form(_Model):
    """What is asked for, in order."""

    fields: tuple[FormField, ...] = Field(default=(), max_length=80)

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        _refuse_twice(each.id for each in self.fields)
        for number, each in enumerate(self.fields):
            if each.show_if and not each.show_if.fits(Form.model_construct(fields=self.fields[:number]).controls()):
                raise ValueError(f"{each.id} depends on an answer that no field before it can give")
        return self

    def controls(self) -> dict[str, frozenset[Answer]]:
        """The fields that others may depend on, with their possible answers."""
        found: dict[str, frozenset[Answer]] = {}
        for each in self.fields:
            if each.kind is FieldKind.ONE_OF:
                found[each.id] = frozenset(option.value for option in each.options)
            elif each.kind is FieldKind.YES_NO:
                found[each.id] = frozenset({True, False})
        return found

    def sources(self) -> frozenset[str]:
        """The sources that fields are filled from."""
        return frozenset(each.fill.partition(".")[0] for each in self.fields if each.fill)


class FormFault(_Model):
    """One thing that is wrong with what was filled in: where (`members[0].phone`), by which rule, and in words."""

    field: str
    rule: str
    zh: str
    en: str


def schema_of(form: Form) -> Json:
    """The form as JSON Schema 2020-12."""
    schema = {"$schema": DIALECT, **_object(form.fields)}
    rules = [_shown(each, each.show_if) for each in form.fields if each.show_if]
    return schema | ({"allOf": rules} if rules else {})


def ui_of(form: Form) -> Json:
    """What a page needs beside the schema: order, labels, kinds, options in words, show-if, where values come from."""
    return {"order": [each.id for each in form.fields], "fields": {each.id: _hint(each) for each in form.fields}}


def check(form: Form, data: object) -> list[FormFault]:
    """Everything that is wrong with what was filled in; empty: nothing."""
    labels = {each.id: each for each in form.fields}
    return [_fault(error, labels) for error in _validator(form).iter_errors(data)]


@lru_cache(maxsize=KEPT_VALIDATORS)
def _validator(form: Form) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        schema_of(form),
        formats=dict(FORMATS),
        validate_formats=True,
        ignore_unknown_formats=False,
        pattern_options=jsonschema_rs.RegexOptions(),
        offline=True,
    )


def is_phone(text: str) -> bool:
    """A telephone number of China, mobile or fixed; others with their country code."""
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text, "CN"))
    except phonenumbers.NumberParseException:
        return False


def _is_bank_card(text: str) -> bool:
    return re.fullmatch(r"\d{12,19}", text, re.ASCII) is not None and luhn.is_valid(text)


FORMATS: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {
        "cn-phone": is_phone,
        "cn-id-number": is_id_number,
        "cn-uscc": lambda text: len(text) == 18 and uscc.is_valid(text),
        "cn-bank-card": _is_bank_card,
    }
)


def _object(fields: Iterable[FormField]) -> Json:
    fields = tuple(fields)
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {each.id: _value(each) for each in fields},
        "required": [each.id for each in fields if each.is_required and not each.show_if],
    }


def _shown(each: FormField, rule: ShowIf) -> Json:
    """Show-if: where the other field has such an answer this one follows its rule, elsewhere it is not there."""
    holds = {"properties": {rule.field: {"enum": list(rule.among)}}, "required": [rule.field]}
    shown = {"required": [each.id]} if each.is_required else {}
    return {"if": holds, "then": shown, "else": {"properties": {each.id: False}}}


def _value(each: FormField) -> Json:
    return {"title": each.label.zh, **_rule(each)}


def _rule(each: FormField) -> Json:
    choice = {"enum": [option.value for option in each.options]}
    most = each.most
    match each.kind:
        case FieldKind.TEXT | FieldKind.LONG_TEXT:
            most = most or (MAX_TEXT if each.kind is FieldKind.TEXT else MAX_LONG_TEXT)
            bounds = {"minLength": max(1, each.least or 1), "maxLength": most}
            rule: Json = {"type": "string", **bounds, "pattern": each.pattern or r"\S"}
        case FieldKind.WHOLE | FieldKind.MONEY:
            rule = {"type": "integer", "minimum": each.least or 0, "maximum": MAX_FEN if most is None else most}
        case FieldKind.YES_NO:
            rule = {"type": "boolean"}
        case FieldKind.DECLARATION:
            rule = {"const": True}
        case FieldKind.ONE_OF:
            rule = choice
        case FieldKind.SOME_OF:
            rule = {"type": "array", "items": choice, "minItems": 1, "uniqueItems": True}
        case FieldKind.ROWS:
            bounds = {"minItems": each.least or 1, "maxItems": MAX_ROWS if most is None else most}
            rule = {"type": "array", "items": _object(each.fields), **bounds}
        case _:
            rule = {"type": "string", **_TEXTUAL[each.kind]}
    return rule


_TEXTUAL: Mapping[FieldKind, Json] = MappingProxyType(
    {
        FieldKind.DAY: {"format": "date"},
        FieldKind.PHONE: {"format": "cn-phone", "maxLength": 20},
        FieldKind.EMAIL: {"format": "email", "maxLength": 254},
        FieldKind.ID_NUMBER: {"format": "cn-id-number"},
        FieldKind.USCC: {"format": "cn-uscc"},
        FieldKind.BANK_CARD: {"format": "cn-bank-card"},
        FieldKind.DIVISION: {"pattern": r"^[0-9]{6}([0-9]{3}){0,2}$"},
    }
)


def _hint(each: FormField) -> Json:
    hint: Json = {"kind": each.kind.value, "label": each.label.model_dump(), "is_required": each.is_required}
    if each.help:
        hint["help"] = each.help.model_dump()
    if each.options:
        hint["options"] = [option.model_dump() for option in each.options]
    if each.fill:
        hint["fill"] = each.fill
    if each.show_if:
        hint["show_if"] = each.show_if.model_dump()
    if each.fields:
        hint["order"] = [inner.id for inner in each.fields]
        hint["fields"] = {inner.id: _hint(inner) for inner in each.fields}
    return hint


# keyword of the schema -> what is wrong; {limit} is its value
_SAID: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "required": ("缺少此项", "is missing"),
        "additionalProperties": ("没有这一项", "there is no such field"),
        "falseSchema": ("此时不应填写", "must not be given here"),
        "type": ("类型不对", "is of another kind"),
        "enum": ("不在可选范围内", "is none of the choices"),
        "const": ("须同意", "has to be agreed to"),
        "minLength": ("至少{limit}个字", "needs at least {limit} characters"),
        "maxLength": ("最多{limit}个字", "has more than {limit} characters"),
        "minimum": ("不能小于{limit}", "is less than {limit}"),
        "maximum": ("不能大于{limit}", "is more than {limit}"),
        "minItems": ("至少{limit}项", "needs at least {limit} entries"),
        "maxItems": ("最多{limit}项", "has more than {limit} entries"),
        "uniqueItems": ("有重复", "names something twice"),
        "pattern": ("格式不对", "is not written as it should be"),
        "format": ("格式或校验位不对", "is malformed or has a wrong check digit"),
    }
)


def _fault(error: jsonschema_rs.ValidationError, fields: Mapping[str, FormField]) -> FormFault:
    kind, path = error.kind, list(error.instance_path)
    if kind.name == "required":
        path.append(getattr(kind, "property", ""))
    elif kind.name == "additionalProperties":
        path.append(str(next(iter(getattr(kind, "unexpected", ())), ""))[:60])
    field = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
    zh, en = _SAID.get(kind.name, ("不符合要求", "is not as it should be"))
    limit = getattr(kind, "limit", "")
    label = _label(path, fields)
    zh_label, en_label = (label.zh, label.get("en")) if label else (field, field)
    return FormFault(
        field=field,
        rule=kind.name,
        zh=f"{zh_label}：{zh.format(limit=limit)}" if field else zh.format(limit=limit),
        en=f"{en_label}: {en.format(limit=limit)}" if field else en.format(limit=limit),
    )


def _label(path: list[str | int], fields: Mapping[str, FormField]) -> Named | None:
    """The label of the innermost field that a path leads to."""
    found: Named | None = None
    for step in path:
        if isinstance(step, str):
            each = fields.get(step)
            if each is None:
                return None
            found, fields = each.label, {inner.id: inner for inner in each.fields}
    return found


def _refuse_pattern(each: FormField) -> None:
    """ValueError for a pattern where none belongs, or that the linear engine cannot run."""
    if each.kind not in (FieldKind.TEXT, FieldKind.LONG_TEXT):
        raise ValueError("only a text has a pattern")
    try:
        jsonschema_rs.Draft202012Validator(
            {"pattern": each.pattern}, pattern_options=jsonschema_rs.RegexOptions(), offline=True
        )
    except ValueError as error:
        raise ValueError(f"pattern {each.pattern!r}: {str(error)[:100]}") from None


def _refuse_twice(names: Iterable[str]) -> None:
    names = list(names)
    if len(set(names)) < len(names):
        raise ValueError(f"names something twice: {', '.join(names)}")
