"""The log that cannot be changed unnoticed: each entry's hash covers its content and the hash before it.

h(n) = SHA-256(h(n-1) || canonical(entry n)), h(0) = 32 zero bytes; one chain per stream, numbered from 1 without a gap.
An entry holds ids, never a name, address, password, code or token. `findings` says what an examined chain has suffered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
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


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in its place in the chain. `at` is to the millisecond, as the database keeps it."""

    key: str
    stream: str
    seq: int
    at: datetime
    actor: str
    action: str
    object: str
    result: str
    details: Mapping[str, Detail]
    hash: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """Where a chain ends, or stood at a checkpoint: the number and hash of its last entry."""

    seq: int = 0
    hash: bytes = GENESIS


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed statement that a chain had this link at this time. Ed25519 over `signed_bytes`; `signer` is the key."""

    stream: str
    link: Link
    at: datetime
    signer: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """Something that is not as it was written. `code` is stable."""

    code: str
    stream: str
    seq: int
    zh: str
    en: str


def chained(link: Link, events: Iterable[tuple[str, datetime, Event]], stream: str) -> Iterator[Entry]:
    """The entries that these events (key, time, event) become after `link`."""
    for key, at, event in events:
        entry = Entry(
            key, stream, link.seq + 1, at, event.actor, event.action, event.object, event.result, event.details, b""
        )
        link = Link(entry.seq, hash_of(link.hash, entry))
        yield replace(entry, hash=link.hash)


def hash_of(before: bytes, entry: Entry) -> bytes:
    """SHA-256 over the hash before it and the entry in canonical JSON: sorted keys, UTC times, no spaces."""
    content = {
        "key": entry.key,
        "stream": entry.stream,
        "seq": entry.seq,
        "at": entry.at.isoformat(timespec="milliseconds"),
        "actor": entry.actor,
        "action": entry.action,
        "object": entry.object,
        "result": entry.result,
        "details": dict(entry.details),
    }
    return hashlib.sha256(before + orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()


def signed_bytes(stream: str, link: Link, at: datetime) -> bytes:
    """What a checkpoint signs."""
    content = {"at": at.isoformat(timespec="milliseconds"), "hash": link.hash.hex(), "seq": link.seq, "stream": stream}
    return b"huimin audit checkpoint 1\n" + orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def _fits(before: bytes, entry: Entry) -> bool:
    try:
        return hash_of(before, entry) == entry.hash
    except (TypeError, AttributeError, ValueError):  # somebody put a value there that no entry has
        return False


class Examination:
    """Reads one chain in order and says what is wrong with it, one finding for each fault."""

    def __init__(self, stream: str, checkpoints: Iterable[Checkpoint]) -> None:
        self._stream = stream
        self._signed = {checkpoint.link.seq: checkpoint.link.hash for checkpoint in checkpoints}
        self._link = Link()

    def read(self, entry: Entry) -> Iterator[AuditFinding]:
        """The next entry."""
        expected = self._link.seq + 1
        if entry.seq > expected:
            yield self._found(
                "audit_missing", expected, f"缺少第{expected}条起的记录", f"entries from {expected} on are gone"
            )
        elif entry.seq < expected or not _fits(self._link.hash, entry):
            zh, en = "内容或位置与哈希不符", "content or place does not fit the hash chain"
            yield self._found("audit_altered", entry.seq, zh, en)
        if entry.seq < expected:
            return  # it has no place of its own: what follows is measured from the last that had one
        signed = self._signed.pop(entry.seq, None)
        if signed is not None and signed != entry.hash:
            yield self._found("audit_rewritten", entry.seq, "与已签名的检查点不符", "differs from a signed checkpoint")
        self._link = Link(entry.seq, entry.hash)

    def end(self) -> Iterator[AuditFinding]:
        """After the last entry: what was signed but is not there any more."""
        last = max((seq for seq in self._signed if seq > self._link.seq), default=None)
        if last is not None:
            yield self._found(
                "audit_truncated",
                self._link.seq,
                f"末尾被截断：曾签名至第{last}条",
                f"the end is cut off: it was signed up to {last}",
            )

    def _found(self, code: str, seq: int, zh: str, en: str) -> AuditFinding:
        return AuditFinding(code, self._stream, seq, zh, en)
