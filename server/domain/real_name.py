"""Real names: ID numbers of persons (GB 11643) and codes of organisations (GB 32100), checked fault by fault. Pure.

Each fault has a code of its own, so that whoever mistyped learns where to look. What is right here is only well formed:
whether it is somebody's is the verifier's word. Ages are derived when they are needed and stored nowhere.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from stdnum import numdb
from stdnum.cn import ric, uscc
from stdnum.exceptions import InvalidChecksum, InvalidLength, ValidationError

from server.domain.errors import InvalidInputError

ADULT_YEARS = 18
ELDER_YEARS = 60  # 老年人权益保障法, article 2
OLDEST_YEARS = 150
MAX_NAME = 50  # characters: names of some minorities and of foreign residents are long
SEAS = frozenset({"810000", "820000", "830000"})  # residence permits of people from Hong Kong, Macao and Taiwan
_REGIONS: Any = numdb.get("cn/loc")  # read once, when the process starts: it would hold the loop for 25 ms
_CODE = re.compile(r"[0-9]{17}[0-9X]", re.ASCII)
_FOREIGN = re.compile(r"9[1-8][0-9]{4}", re.ASCII)  # permanent residents: 9, province, nationality
_DOTS = str.maketrans("•・‧∙．", "·····")
_NAME = re.compile(r"[^\W\d_](?:[^\W\d_]|[· '-])*")


class Verdict(StrEnum):
    """What an authority says about a claim."""

    MATCH = "match"
    MISMATCH = "mismatch"  # they are known, and it is not so
    UNKNOWN = "unknown"  # it knows nothing of them


@dataclass(frozen=True, slots=True)
class IdNumber:
    """A well-formed ID number and the birth date in it."""

    text: str
    born_date: date


@dataclass(frozen=True, slots=True)
class RealName:
    """Who somebody is: the name, and the ID number or (an organisation) the USCC."""

    name: str
    number: str


def read_id_number(text: str, today: date, field: str = "id_number") -> IdNumber:
    """The ID number; InvalidInputError `id_number_{length,characters,check_digit,birth_date,region}`.

    GB 11643-1999: region (6), birth date (8), order (3), check digit (ISO 7064 MOD 11-2). The region is one that was
    ever in force, whenever: people born long before 1983 got theirs when the numbers began.
    """
    number = _compact(text)
    if len(number) != 18:
        raise _unfit("id_number_length", "身份证号应为18位", "an ID number has 18 characters", field)
    if not _CODE.fullmatch(number):
        zh, en = "身份证号只能是数字，末位可为X", "an ID number is digits; only the last may be X"
        raise _unfit("id_number_characters", zh, en, field)
    if ric.calc_check_digit(number) != number[-1]:
        zh, en = "身份证号有误（校验位不符），请核对", "the check digit does not fit: some character is mistyped"
        raise _unfit("id_number_check_digit", zh, en, field)
    born = _born(number)
    if born is None or born > today or age_years(born, today) > OLDEST_YEARS:
        zh, en = "身份证号中的出生日期不对", "the birth date in the ID number cannot be"
        raise _unfit("id_number_birth_date", zh, en, field)
    if not _is_region(number[:6]):
        zh, en = "身份证号中的地区码不存在", "the region code in the ID number does not exist"
        raise _unfit("id_number_region", zh, en, field)
    return IdNumber(number, born)


def read_uscc(text: str, field: str = "uscc") -> str:
    """The code of an organisation; InvalidInputError `uscc_{length,characters,check_digit}` (GB 32100-2015)."""
    try:
        return str(uscc.validate(_compact(text)))
    except InvalidLength:
        zh, en = "统一社会信用代码应为18位", "a unified social credit code has 18 characters"
        raise _unfit("uscc_length", zh, en, field) from None
    except InvalidChecksum:
        zh, en = "统一社会信用代码有误（校验位不符），请核对", "the check digit of the code does not fit"
        raise _unfit("uscc_check_digit", zh, en, field) from None
    except ValidationError:
        zh, en = "统一社会信用代码含有不允许的字符", "the code holds characters that no such code has"
        raise _unfit("uscc_characters", zh, en, field) from None


def read_name(text: str, field: str = "name") -> str:
    """A person's name in one spelling: NFKC, one dot for all dots, single spaces; InvalidInputError `name_invalid`."""
    name = " ".join(unicodedata.normalize("NFKC", text.translate(_DOTS)).split())
    if not 0 < len(name) <= MAX_NAME or not _NAME.fullmatch(name):
        raise _unfit("name_invalid", "姓名只能是文字和间隔号", "a name is letters, with dots or spaces between", field)
    return name


def read_organisation_name(text: str, field: str = "name") -> str:
    """An organisation's name in one spelling; InvalidInputError `name_invalid`."""
    name = " ".join(unicodedata.normalize("NFKC", text).split())
    if not 1 < len(name) <= 100:
        raise _unfit("name_invalid", "单位名称应为2至100字", "an organisation's name has 2 to 100 characters", field)
    return name


def born_date(number: str) -> date:
    """The birth date in a number that was read before."""
    born = _born(number)
    assert born is not None
    return born


def age_years(born: date, today: date) -> int:
    """Completed years; who was born on 29 February is a year older on 1 March of a common year."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def is_minor(born: date, today: date) -> bool:
    """Under 18 (民法典, article 17)."""
    return age_years(born, today) < ADULT_YEARS


def is_elder(born: date, today: date) -> bool:
    """60 or older."""
    return age_years(born, today) >= ELDER_YEARS


def mask_name(name: str) -> str:
    """张三丰 -> 张**: enough to recognise one's own."""
    return name[:1] + "*" * (len(name) - 1)


def mask_number(number: str) -> str:
    """440305199001011234 -> 440***********1234, as on a counter's receipt."""
    return number[:3] + "*" * (len(number) - 7) + number[-4:]


def _born(number: str) -> date | None:
    try:
        return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None


def _is_region(code: str) -> bool:
    if code in SEAS or _FOREIGN.fullmatch(code):
        return True
    found = [properties for _, properties in _REGIONS.info(code)]
    return len(found) > 1 and all(found)


def is_id_number(text: str) -> bool:
    """Whether this is a well-formed ID number, on whatever day it is read; nothing is tidied up."""
    is_code = _CODE.fullmatch(text) is not None and ric.calc_check_digit(text) == text[-1]
    return is_code and _born(text) is not None and _is_region(text[:6])


def _compact(text: str) -> str:
    return re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", text)).upper()


def _unfit(code: str, zh: str, en: str, field: str) -> InvalidInputError:
    return InvalidInputError(code, zh=zh, en=en, field=field)
