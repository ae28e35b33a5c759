"""What a reply means before the provider's own words are read: the part that all providers share.

Honesty rule: RETRY is only said when nothing can have been handed over. A broken connection, a body that is not the
provider's and every HTTP 5xx are UNKNOWN: providers have delivered what they answered with 500 or 503, and whoever
sends that again warns somebody twice. No path in here leads to ACCEPTED.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from channels.base import NOT_STARTED, Fault, Kind, Outcome, Scope, Verdict
from channels.call import Reply, State

BUSY = Fault(Kind.RETRY)
LOST = Fault(Kind.UNKNOWN)
UNLISTED = Fault(Kind.UNLISTED)
TOO_MANY = Fault(Kind.QUOTA, Scope.ACCOUNT, reset_s=1.0)  # until Retry-After, where one is given


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
    if reply.status == 429:
        return judged("http_429", TOO_MANY, reply)
    return judged(f"http_{reply.status}", UNLISTED if 300 <= reply.status < 500 else LOST, reply)


def read_object(body: bytes) -> Mapping[str, Any] | None:
    """The JSON object in `body`; None for anything else (NaN, a list, HTML, bytes that are not UTF-8)."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def judged(code: str, fault: Fault | None, reply: Reply) -> Outcome:
    """The outcome of a refusal with the provider's own `code`; no row in its table means UNLISTED."""
    fault = LOST if reply.status >= 500 else fault or UNLISTED
    return Outcome(fault.verdict, code[:64], fault, retry_after_s=reply.retry_after_s)
