"""How one application behaves towards its callers, beside what its routes do: repeats, quotas, other sites' pages.

The handler base asks; here stand the parts it asks and the pure rules. CORS is an allow-list (Fetch standard): a page
of a listed origin may call and read, with a token in a header. Cookies are never taken: no answer allows credentials.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from handlers.routing import Operation, Who
from handlers.throttle import Throttle
from server.domain.origins import Network
from server.services.idempotency import Idempotency

PREFLIGHT_AGE_S = 600
ASKED_HEADERS = (
    "Accept-Language, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Install-Id, X-Request-Id"
)
TOLD_HEADERS = (
    "Content-Language, ETag, Idempotency-Replayed, Link, Location, "
    "RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
)
# Of an answer that is kept: the rest is set anew, or is not the answer's.
KEPT_HEADERS: Sequence[str] = (
    "Content-Type",
    "Content-Language",
    "Content-Disposition",
    "Location",
    "Etag",
    "Link",
    "Retry-After",
    "Www-Authenticate",
)


@dataclass(frozen=True, slots=True)
class Manners:
    """What is missing here is not offered: no keys, no quotas, no other site."""

    idempotency: Idempotency | None = None
    throttles: Mapping[Who, Throttle] = field(default_factory=dict)  # never officers: nothing may slow a warning
    origins: frozenset[str] = frozenset()
    proxies: Sequence[Network] = ()


PLAIN = Manners()


def cors_headers(origin: str, origins: Collection[str]) -> dict[str, str]:
    """What lets a page of a listed origin read an answer; nothing for others."""
    if origin not in origins:
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": TOLD_HEADERS}


def preflight_headers(operations: Mapping[str, Operation]) -> dict[str, str]:
    """What a page of a listed origin may do here."""
    return {
        "Access-Control-Allow-Methods": ", ".join(sorted(operations)),
        "Access-Control-Allow-Headers": ASKED_HEADERS,
        "Access-Control-Max-Age": str(PREFLIGHT_AGE_S),
    }


def next_link(uri: str, changes: Mapping[str, object]) -> str:
    """A Link header's value (RFC 8288) that leads to the same list with other parameters.

    >>> next_link("/v1/things?limit=5&cursor=a", {"cursor": "b c"})
    '</v1/things?limit=5&cursor=b%20c>; rel="next"'
    """
    parts = urlsplit(uri)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in changes]
    query = urlencode([*kept, *((name, str(value)) for name, value in changes.items())], quote_via=quote)
    return f'<{parts.path}?{query}>; rel="next"'
