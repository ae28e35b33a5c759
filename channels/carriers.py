"""Delivery reports of the Chinese carriers, as every SMS provider passes them on.

Aliyun and Tencent sign nothing: an unguessable key in the path is the only proof, compared in constant time. Carriers
add codes without notice; one that is not in the table is undelivered for now and UNLISTED, never "delivered".
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from channels.base import CallbackRequest, Fault, ForgedCallbackError, Kind, Receipt, ReceiptVerdict
from server.domain.china import CHINA

MAX_BODY_BYTES = 4_194_304
MAX_REPORTS = 10_000

DELIVERED = frozenset({"DELIVRD", "DELIVERED"})
_DEAD = Fault(Kind.ADDRESS_DEAD)
_LATER = Fault(Kind.RETRY)
_CONTENT = Fault(Kind.CONFIG)
_UNLISTED = Fault(Kind.UNLISTED)

CODES: dict[str, Fault] = {
    # no such number
    "MK:0000": _DEAD,
    "MK:0001": _DEAD,
    "MK:0075": _DEAD,
    "CB:0001": _DEAD,
    "DB:0101": _DEAD,
    # on a blacklist: the person or the carrier wants no SMS there
    "MBBLACK": _DEAD,
    "DBBLACK": _DEAD,
    "DB:0144": _DEAD,
    # suspended: it often comes back, so the number is kept
    "MK:0005": _LATER,
    "MK:0013": _LATER,
    "DB:0102": _LATER,
    "UNDELIV": _LATER,
    # switched off, out of reach, carrier busy
    "EXPIRED": _LATER,
    "MK:0010": _LATER,
    "MK:0023": _LATER,
    "IB:0008": _LATER,
    "CB:0022": _LATER,
    "NOROUTER": _LATER,
    "TIMEOUT": _LATER,
    # the carrier will not pass this text
    "MK:0014": _CONTENT,
    "MK:0115": _CONTENT,
    "KEYWORD": _CONTENT,
    "REJECTD": _CONTENT,
}
FAMILIES: dict[str, Fault] = {"CA": _LATER, "MA": _LATER, "ID": _LATER}  # "CA:0054" and the like


def fault_of(code: str) -> Fault:
    """What an undelivered report means."""
    return CODES.get(code) or FAMILIES.get(code.partition(":")[0], _UNLISTED)


def report(phone: str, code: str, reference: str, at: datetime, *, is_success: bool) -> Receipt:
    """The receipt of one report. Delivered only if the provider says so and the carrier's code agrees."""
    if is_success and code in DELIVERED:
        return Receipt(phone, ReceiptVerdict.DELIVERED, code, reference, at)
    return Receipt(phone, ReceiptVerdict.UNDELIVERED, code, reference, at, fault_of(code))


def reports_in(request: CallbackRequest, key: str) -> Sequence[Mapping[str, Any]]:
    """The reports of a POST whose query item `key` is right; raises ForgedCallbackError for anything else."""
    if not hmac.compare_digest(request.query.get("key", "").encode(errors="replace"), key.encode()):
        raise ForgedCallbackError("receipt key")
    if request.method != "POST" or len(request.body) > MAX_BODY_BYTES:
        raise ForgedCallbackError("method or size")
    try:
        reports = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        raise ForgedCallbackError("JSON") from None
    if not isinstance(reports, list) or len(reports) > MAX_REPORTS:
        raise ForgedCallbackError("not an array of reports")
    return [item for item in reports if isinstance(item, dict)]


def text(fields: Mapping[str, Any], name: str) -> str:
    """A field as text of at most 128 characters; "" for anything else."""
    value = fields.get(name)
    return value[:128] if isinstance(value, str) else ""


def mainland(number: str) -> str:
    """A mainland number in the spellings that reports use (with +86, 86 or nothing) as E.164; others get a plus."""
    digits = number.removeprefix("+")
    return f"+86{digits}" if len(digits) == 11 and digits.startswith("1") else f"+{digits}"


def china_time(written: str, otherwise: datetime) -> datetime:
    """The time that `written` ("2017-01-01 00:00:00", China Standard Time) names; `otherwise` if it names none."""
    try:
        return datetime.strptime(written, "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA).astimezone(UTC)
    except (ValueError, OverflowError):
        return otherwise
