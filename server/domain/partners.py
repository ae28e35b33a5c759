"""A partner: another system that is told of every public alert (webhook) or hands in its own (intake).

Where a webhook may go is decided here, twice: by its URL when it is registered, and by the address it connects to each
time it is called, so that a name that later points inwards leads nowhere (server-side request forgery).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from server.domain.errors import ConfigurationError, InvalidInputError
from server.domain.officers import DIVISION
from server.domain.sources import NAME

Network = IPv4Network | IPv6Network

SECRET_PREFIX, KEY_PREFIX = "whsec_", "hmk_"
MAX_URL = 500
FIRST_RETRY_S, LAST_RETRY_S, LONGEST_WAIT_S = 1.0, 900.0, 3_600.0
# Addresses that lead to an IPv4 one: what is inside the envelope is not looked at, none of them is needed.
_ENVELOPES = tuple(
    ip_network(text) for text in ("::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)


class Partner(BaseModel):
    """One partner. Without a `url` it is told nothing, without `senders` or `sources` it hands in nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z][a-z0-9-]{1,39}$")
    name: str = Field(min_length=1, max_length=60)
    url: str | None = Field(default=None, max_length=MAX_URL)
    senders: tuple[str, ...] = Field(default=(), max_length=20, description="CAP senders it may hand in messages of")
    sources: tuple[Annotated[str, Field(pattern=NAME)], ...] = Field(
        default=(), max_length=20, description="sources it may state facts of (data/sources.yaml)"
    )
    division: str = Field(pattern=DIVISION, description="what it is told about, and where it may warn")
    is_active: bool = True
    created_at: AwareDatetime


def refuse_unfit_url(url: str, *, may_be_plain: bool) -> None:
    """InvalidInputError unless a webhook may be registered there: https, a host, no login, no fragment."""
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        raise _unfit("无法读取", "it cannot be read") from None
    if parts.scheme != "https" and not (may_be_plain and parts.scheme == "http"):
        raise _unfit("须为 https", "it has to be https")
    if not parts.hostname or not has_port or parts.username is not None or parts.fragment or len(url) > MAX_URL:
        raise _unfit("须有主机名，不得含登录名和片段", "it needs a host, and no login or fragment")
    if not url.isascii() or any(character <= " " for character in url):
        raise _unfit("含有不可用的字符", "it holds characters that a URL cannot have")


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks from CIDR texts; ConfigurationError."""
    try:
        return tuple(ip_network(text) for text in texts)
    except ValueError as error:
        raise ConfigurationError("networks_invalid", zh=f"网段有误：{error}", en=f"networks: {error}") from None


def may_reach(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Whether a webhook may connect to this IP address: a public one, or one in a network that settings allow.

    >>> may_reach("8.8.8.8"), may_reach("127.0.0.1"), may_reach("100.64.0.1"), may_reach("::ffff:8.8.8.8")
    (True, False, False, False)
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if any(ip.version == network.version and ip in network for network in allowed):
        return True
    if isinstance(ip, IPv6Address) and any(ip in network for network in _ENVELOPES):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def signature(secret: str, name: str, timestamp_s: int, body: bytes) -> str:
    """The `webhook-signature` of a delivery, as Standard Webhooks has it: HMAC-SHA256 over name, timestamp and body.

    `secret` is `whsec_` and the key in base64; the receiver signs `webhook-id`.`webhook-timestamp`.body too.
    """
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = hmac.new(key, f"{name}.{timestamp_s}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def retry_in_s(attempt: int, retry_after_s: float | None, jitter: float) -> float:
    """How long to wait after the `attempt`-th (from 1) has failed; `jitter` is 0..1, a server's own wish is followed.

    >>> [retry_in_s(n, None, 1.0) for n in (1, 2, 3, 11, 10_000)], retry_in_s(1, 30.0, 0.0)
    ([1.0, 2.0, 4.0, 900.0, 900.0], 30.0)
    """
    backoff = min(LAST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(attempt - 1, 20)) * (0.5 + jitter / 2)
    return max(backoff, min(retry_after_s or 0.0, LONGEST_WAIT_S))


def _unfit(zh: str, en: str) -> InvalidInputError:
    return InvalidInputError("url_unfit", zh=f"回调地址{zh}", en=f"the webhook's URL: {en}", field="url")
