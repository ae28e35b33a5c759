"""The codes of items: which layout a city uses is a rule that is given, not a constant.

Two layouts are known. `plain` is ours: division, the unit's unified social credit code, and its own number. `sichuan`
is that of a live code of Sichuan's platform. GB/T 39554 orders what must be inside, and provinces differ in how they
write it down; another layout is another function of the type `CodeRule`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from stdnum.cn import uscc

from server.domain.divisions import normal

CODE = r"^[0-9A-Z][0-9A-Z-]{5,89}$"
USCC = r"^[0-9A-HJ-NP-RT-UW-Y]{18}$"  # GB 32100 has no I, O, S, V, Z
_PLAIN = re.compile(r"(\d{6}|\d{9}|\d{12})-([0-9A-Z]{18})-(\d{6})", re.ASCII)
_SICHUAN = re.compile(r"([0-9A-Z]{14})-(\d{12})-(\d{3})-([0-9A-Z]{18})-(\d)-(\d{2})", re.ASCII)

CodeRule = Callable[[str, str, str], str | None]  # code, the unit's division and USCC -> what is wrong with it


def plain_code(code: str, division: str, unit_uscc: str) -> str | None:
    """Division, unit and six digits.

    >>> plain_code("440300-11440300MB2C920273-101010", "440300", "11440300MB2C920273")
    """
    match = _PLAIN.fullmatch(code)
    if match is None:
        return "not like 440300-11440300MB2C920273-101010: division, the unit's credit code, six digits"
    return _fault(match[1], match[2], division, unit_uscc)


def sichuan_code(code: str, division: str, unit_uscc: str) -> str | None:
    """Basic code, division, three digits, unit, one digit and two: as a live code of Sichuan has them.

    >>> sichuan_code("511A0138000000-511602000000-000-115113010833722043-1-00", "511602", "115113010833722043")
    """
    match = _SICHUAN.fullmatch(code)
    if match is None:
        return "not like 511A0138000000-511602000000-000-115113010833722043-1-00"
    return _fault(match[2], match[4], division, unit_uscc)


RULES: Mapping[str, CodeRule] = MappingProxyType({"plain": plain_code, "sichuan": sichuan_code})


def _fault(division: str, unit: str, own_division: str, own_uscc: str) -> str | None:
    if normal(division) != normal(own_division):
        return f"names division {normal(division)}, the unit's is {normal(own_division)}"
    if unit != own_uscc:
        return f"names unit {unit}, the item's has {own_uscc}"
    if not uscc.is_valid(unit):
        return f"the credit code {unit} has a wrong check digit"
    return None
