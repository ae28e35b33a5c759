"""The log that cannot be changed unnoticed: each entry's hash covers its content and the hash before it.

h(n) = SHA-256(h(n-1) || canonical(entry n)), h(0) = 32 zero bytes; one chain per stream, numbered from 1 without a gap.
An entry holds ids, never a name, address, password, code or token. `findings` says what an examined chain has suffered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

import orjson

GENESIS = bytes(32)
OPERATOR = "operator"  # someone at the server's own command line
SYSTEM = "system"  # the product itself
NOBODY = "nobody"  # not logged in
DONE = "done"

Detail = str | int | bool


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `action` is `<stream>.<verb>`; `key` makes recording it twice one entry."""

    actor: str
    action: str
    object: str
    result: str = DONE
    details: Mapping[str, Detail] = field(default_factory=lambda: MappingProxyType({}))
    key: str = ""

    @property
    def stream(self) -> str:
        """The chain it belongs to: what stands before the dot, so that a flood of log-ins does not delay the desk."""
        return self.action.partition(".")[0]
