"""The typed fields of a WeChat subscribe message and the limits that the vendor documents for each type."""

from __future__ import annotations

import re
from functools import lru_cache

_TIME = r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?"
_DATE = r"\d{4}(?:年\d{1,2}月\d{1,2}日|-\d{1,2}-\d{1,2}|/\d{1,2}/\d{1,2}|\.\d{1,2}\.\d{1,2})"
_MOMENT = rf"(?:{_DATE}(?: ?{_TIME})?|{_TIME})"

PATTERNS = {
    "thing": r".{1,20}",
    "number": r"-?(?=[\d.]{1,32}$)\d+(?:\.\d+)?",
    "letter": r"[A-Za-z]{1,32}",
    "symbol": r"[^\w\s]{1,5}",
    "character_string": r"[\x21-\x7e](?:[\x20-\x7e]{0,30}[\x21-\x7e])?",
    "time": rf"{_MOMENT}(?: ?~ ?{_MOMENT})?",
    "date": rf"{_DATE}(?: ?{_TIME})?(?: ?~ ?{_DATE}(?: ?{_TIME})?)?",
    "amount": r"[¥￥$€£]?\d{1,10}(?:\.\d{1,2})?元?",
    "phone_number": r"[\d+*-]{1,17}",
    "car_number": r"[\u4e00-\u9fffA-Z0-9]{1,8}",
    "name": r"(?:[\u4e00-\u9fff·]{1,10}|[A-Za-z .]{1,20})",
    "phrase": r"[\u4e00-\u9fff]{1,5}",
    "enum": r".{1,20}",
    "const": r".{1,20}",
}
_COMPILED = {kind: re.compile(pattern) for kind, pattern in PATTERNS.items()}


def kind_of(key: str) -> str:
    """The type of a template key: `thing1` -> thing. ValueError for a type that does not exist."""
    kind = key.rstrip("0123456789")
    if kind not in PATTERNS:
        raise ValueError(f"{key} has no known type")
    return kind


@lru_cache(maxsize=65_536)
def fault(kind: str, value: str) -> str:
    """What is wrong with a value, in the vendor's words; empty if nothing. Kept, for a broadcast repeats its values."""
    if not value:
        return "is empty"
    if not value.isprintable():
        return "invalid"  # control characters and line ends are never allowed
    return "" if _COMPILED[kind].fullmatch(value) else "invalid"
