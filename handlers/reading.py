"""Bytes from anywhere to a checked model, or an error that names the field. No input gets further than this unread.

Promises: a body is UTF-8 JSON of bounded depth without duplicate keys, keys that a database could take for an operator
(`$`, dots), numbers that are none (NaN, 1e999) and text that cannot be stored or shown (NUL, controls, half surrogate
pairs). After it the model decides, strictly: "5" is no number, and what it does not know is refused. Every fault is
told, not only the first.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from server.domain.faults import MAX_FAULTS, Fault, FaultyInputError

MAX_DEPTH = 50
MAX_VALUES = 20_000  # of one body, however small they are
MAX_INTEGER = 2**53 - 1  # what every JSON reader can hold (RFC 8259, 6)
MAX_QUERY_FIELDS = 50
_UNFIT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_ZH = {
    "missing": "缺少此项",
    "extra_forbidden": "不认识的字段",
    "string_type": "应为文本",
    "int_type": "应为整数",
    "int_parsing": "应为整数",
    "float_type": "应为数字",
    "bool_type": "应为true或false",
    "bool_parsing": "应为true或false",
    "list_type": "应为数组",
    "tuple_type": "应为数组",
    "model_type": "应为对象",
    "dict_type": "应为对象",
    "string_too_long": "太长（最多{max_length}字）",
    "string_too_short": "太短（至少{min_length}字）",
    "too_long": "太多（最多{max_length}项）",
    "too_short": "太少（至少{min_length}项）",
    "string_pattern_mismatch": "格式不对",
    "enum": "应为{expected}之一",
    "literal_error": "应为{expected}之一",
    "timezone_aware": "时间须带时区",
    "datetime_parsing": "应为时间（如2026-11-24T09:00:00+08:00）",
    "datetime_from_date_parsing": "应为时间（如2026-11-24T09:00:00+08:00）",
    "greater_than": "应大于{gt}",
    "greater_than_equal": "应不小于{ge}",
    "less_than": "应小于{lt}",
    "less_than_equal": "应不大于{le}",
}
M = TypeVar("M", bound=BaseModel)
_Place: TypeAlias = "tuple[_Place, str | int] | None"  # where something stands: what holds it, and its key or number


class _Pairs(list[tuple[str, Any]]):
    """An object as it was written, so that keys which come twice can be seen."""


def read_model(data: bytes, model: type[M]) -> M:
    """The model in some JSON bytes; FaultyInputError `json_invalid` (400) or `input_invalid` (422)."""
    refuse_unfit_json(data)
    try:
        return model.model_validate_json(data, strict=True)
    except ValidationError as error:
        raise FaultyInputError("input_invalid", list(_faults(error))) from None


def read_query(query: str, model: type[M]) -> M:
    """The model in the query of a URL; a name may come once unless its field is a list. FaultyInputError."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:  # not UTF-8, or too many
        raise _refused("query_invalid", "", "查询参数无法读取", "the query cannot be read") from None
    values: dict[str, Any] = {}
    for name, value in pairs:
        if _UNFIT.search(name) or _UNFIT.search(value):
            raise _refused("query_invalid", _shown(name), "含有不可用的字符", "it holds characters that cannot be used")
        values.setdefault(name, []).append(value)
    many = {name for name, field in model.model_fields.items() if "tuple" in str(field.annotation)}
    for name, found in values.items():
        if name not in many and len(found) > 1:
            raise _refused("query_invalid", _shown(name), "只能出现一次", "it may be given once")
    try:
        return model.model_validate({name: v if name in many else v[0] for name, v in values.items()})
    except ValidationError as error:
        raise FaultyInputError("input_invalid", list(_faults(error))) from None


def refuse_unfit_json(data: bytes) -> None:
    """FaultyInputError `json_invalid` for what is not JSON as this house takes it; the place is named."""
    try:
        text = data.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise _refused("json_invalid", "", "不是UTF-8", f"not UTF-8 at byte {error.start}") from None
    try:
        found = json.loads(
            text, object_pairs_hook=_Pairs, parse_constant=_no_number, parse_float=_float, parse_int=_integer
        )
    except RecursionError:
        raise _too_deep("") from None
    except json.JSONDecodeError as error:
        where = f"{error.msg} at line {error.lineno} column {error.colno}"
        zh = f"不是JSON（第{error.lineno}行第{error.colno}列）"
        raise _refused("json_invalid", "", zh, f"not JSON: {where}") from None
    except ValueError as error:
        raise _refused("json_invalid", "", "含有不是数字的数", f"a number that is none: {error}") from None
    for path, fault in _unfit(found):
        raise _refused("json_invalid", path, *fault)


def _unfit(root: Any) -> Iterator[tuple[str, tuple[str, str]]]:
    """Where and why, by a walk that does not recurse. A place is a link to what holds it: few are written out."""
    todo: list[tuple[Any, int, _Place]] = [(root, 0, None)]
    values = 1
    while todo:
        value, depth, place = todo.pop()
        if depth > MAX_DEPTH:
            raise _too_deep(_path(place))
        values += len(value) if isinstance(value, list) else 0
        if values > MAX_VALUES:
            raise _refused("json_invalid", "", f"超过{MAX_VALUES}个值", f"more than {MAX_VALUES} values")
        if isinstance(value, str) and _UNFIT.search(value):
            yield _path(place), ("含有不可用的字符", "it holds NUL, a control character or half a surrogate pair")
        elif isinstance(value, _Pairs):
            yield from _unfit_keys(value, place)
            todo.extend((inner, depth + 1, (place, key)) for key, inner in value)
        elif isinstance(value, list):
            todo.extend((inner, depth + 1, (place, n)) for n, inner in enumerate(value))


def _unfit_keys(pairs: _Pairs, place: _Place) -> Iterator[tuple[str, tuple[str, str]]]:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            yield _path((place, key)), ("字段重复", "the key comes twice")
        if key.startswith("$") or "." in key or _UNFIT.search(key) or not key:
            why = "a key may not be empty, begin with $, or hold a dot or a control"
            yield _path((place, key)), ("字段名不可用", why)
        seen.add(key)


def _path(place: _Place) -> str:
    """areas[0].divisions[1]."""
    steps: list[str | int] = []
    while place is not None:
        place, step = place
        steps.append(step)
    return _written(reversed(steps))


def _written(steps: Iterable[str | int]) -> str:
    path = ""
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f"{'.' if path else ''}{_shown(step)}"
    return path


def _faults(error: ValidationError) -> Iterator[Fault]:
    found = error.errors(include_url=False, include_input=False)[: 2 * MAX_FAULTS]
    places = [each["loc"] for each in found]
    for each in found:
        if any(len(other) > len(each["loc"]) and other[: len(each["loc"])] == each["loc"] for other in places):
            continue  # "too few" of a list whose items are at fault, which is told for itself
        field = _written(each["loc"])
        context: Mapping[str, Any] = each.get("ctx", {})
        zh = str(context.get("zh") or _ZH.get(each["type"], "值不正确").format_map({**context}))
        yield Fault(field, zh, each["msg"].removeprefix("Value error, "))


def _shown(name: str) -> str:
    """A name that somebody else chose, as an answer may repeat it."""
    return _UNFIT.sub("?", name)[:60]


def _no_number(text: str) -> Any:
    raise ValueError(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text[:20])
    return value


def _integer(text: str) -> int:
    value = int(text) if len(text) <= 20 else MAX_INTEGER + 1
    if abs(value) > MAX_INTEGER:
        raise ValueError(text[:20])
    return value


def _too_deep(path: str) -> FaultyInputError:
    return _refused("json_invalid", path[:200], "嵌套太深", f"nested deeper than {MAX_DEPTH}")


def _refused(code: str, field: str, zh: str, en: str) -> FaultyInputError:
    return FaultyInputError(code, [Fault(field, zh, en)])
