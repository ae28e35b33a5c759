"""A request that is sent twice is done once: the rules of the Idempotency-Key header.

After draft-ietf-httpapi-idempotency-key-header: a caller names a POST with a key of their own. The same request under
the same key gets the same answer again for a day; another request under it is refused; and so is the same one while the
first is still being worked on. What did not come to an end on our side (a 5xx, "too many") leaves the key free.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from server.domain.errors import ConflictError, InvalidInputError

LIFE = timedelta(hours=24)  # of an answer
LEASE = timedelta(seconds=60)  # of a request in flight; its process may have been killed
RETRY_AFTER_S = 1
_KEY = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, to be answered again."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def key_of(header: str) -> str:
    """The key in a header, in quotes (a structured field, RFC 9651) or bare; InvalidInputError `idempotency_key`.

    >>> key_of('"8e03978e-40d5"'), key_of(" 8e03978e-40d5 ")
    ('8e03978e-40d5', '8e03978e-40d5')
    """
    key = header.strip()
    if len(key) > 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if _KEY.fullmatch(key) is None:
        raise InvalidInputError(
            "idempotency_key",
            zh="Idempotency-Key 应为1至128个可见ASCII字符",
            en="an Idempotency-Key is 1 to 128 visible ASCII characters",
            field="Idempotency-Key",
        )
    return key


def fingerprint(words: Sequence[str], body: bytes) -> bytes:
    """32 bytes that differ when the request differs: its method, target, and headers with a meaning, then the body."""
    found = hashlib.sha256()
    for part in (*(word.encode("utf-8", "surrogatepass") for word in words), body):
        found.update(len(part).to_bytes(8, "big") + part)
    return found.digest()


def is_final(status: int) -> bool:
    """Whether asking again would be told the same: not if something broke here, nor if it only came too early.

    >>> [is_final(status) for status in (201, 404, 409, 429, 503)]
    [True, True, True, False, False]
    """
    return status < 500 and status != 429


def mismatch() -> InvalidInputError:
    """The key names another request."""
    return InvalidInputError(
        "idempotency_mismatch",
        zh="此 Idempotency-Key 已用于另一请求",
        en="this Idempotency-Key was used for another request",
        field="Idempotency-Key",
    )


def in_flight() -> ConflictError:
    """The same request is being worked on."""
    return ConflictError(
        "idempotency_in_flight",
        zh="相同的请求正在处理",
        en="the same request is being worked on",
        retry_after_s=RETRY_AFTER_S,
    )
