"""What a reply means before the provider's own words are read: the part that all providers share.

Honesty rule: RETRY is only said when nothing can have been handed over. A gateway that lost the answer (502, 504), a
broken connection and a body that is not the provider's are UNKNOWN. No path in here leads to ACCEPTED.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from channels.base import NOT_STARTED, Fault, Kind, Outcome, Verdict
from channels.call import Reply, State

BUSY = Fault(Kind.RETRY)
LOST = Fault(Kind.UNKNOWN)
UNLISTED = Fault(Kind.UNLISTED)

_CLEAN = frozenset({429, 500, 503})  # the provider itself says that it did not do it


def failure(reply: Reply) -> Outcome | None:
    """The outcome of a reply that never reached the provider's own code; None = read `status` and `body`."""
    match reply.state:
        case State.ANSWERED:
            return None
        case State.NOT_STARTED:
            return NOT_STARTED
        case State.REFUSED:
            return Outcome(Verdict.RETRY, "no_connection", BUSY)
        case State.BROKEN:
            return Outcome(Verdict.UNKNOWN, "broken", LOST)


def unreadable(reply: Reply) -> Outcome:
    """The outcome of an answer that is not the provider's format: an HTML page, a cut JSON, a wrong type."""
    code = f"http_{reply.status}"
    if reply.status in _CLEAN:
        return Outcome(Verdict.RETRY, code, BUSY, retry_after_s=reply.retry_after_s)
    if 300 <= reply.status < 500:
        return Outcome(Verdict.RETRY, code, UNLISTED)
    return Outcome(Verdict.UNKNOWN, code, LOST)


def read_object(body: bytes) -> Mapping[str, Any] | None:
    """The JSON object in `body`; None for anything else (NaN, a list, HTML, bytes that are not UTF-8)."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def judged(code: str, fault: Fault | None, reply: Reply | None = None) -> Outcome:
    """The outcome of a refusal with the provider's own `code`; no row in its table means UNLISTED."""
    fault = fault or UNLISTED
    return Outcome(fault.verdict, code[:64], fault, retry_after_s=reply.retry_after_s if reply else None)
