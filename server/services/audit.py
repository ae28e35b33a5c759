"""The log of what everybody did: record it, sign it, read it, verify it.

Promises. What `record` returned from is durable. Events that wait while others are written go together in the next
write, so five hundred at once cost a few round trips. `sign`, every minute, signs the end of each chain (Ed25519) into
a collection and a file of their own. `verify` finds what was edited, deleted, inserted, reordered or cut off, and steps
of alerts that the log and the alerts tell differently.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.domain.audit import AuditFinding, Checkpoint, Entry, Event, Examination, signed_bytes
from server.storage.audit import AuditStore, CheckpointFile, Draft

MAX_BATCH = 200
SETTLED = timedelta(seconds=10)  # steps younger than this may still be on their way into the log
STEPS = "alert"  # the stream that the steps of the desk are in


class Audit(Protocol):
    """What records. An event is durable when the call returns; the same key twice is one entry."""

    async def record(self, *events: Event) -> None:
        """Append them, in this order."""
        ...


class Steps(Protocol):
    """Where the desk keeps its own account of what was done."""

    def stream_steps(self, before: datetime) -> AsyncIterator[tuple[str, str]]:
        """Key and digest of every step older than this."""
        ...


@dataclass(slots=True)
class _Line:
    """The events of one stream that wait for the write that is out."""

    waiting: list[tuple[list[Draft], asyncio.Future[None]]] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class AuditLog:
    """Implements `Audit` on the store. `seed` are the 32 bytes of the signing key; `random` names keyless events."""

    def __init__(
        self, store: AuditStore, file: CheckpointFile, seed: bytes, *, now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:  # fmt: skip
        self._store = store
        self._file = file
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._signer = self._key.public_key().public_bytes_raw().hex()
        self._clock = now
        self._random = random
        self._lines: dict[str, _Line] = defaultdict(_Line)

    async def record(self, *events: Event) -> None:
        """Append them, in this order; returns when they are durable."""
        at = self._now()
        by_stream: dict[str, list[Draft]] = defaultdict(list)
        for event in events:
            by_stream[event.stream].append((event.key or self._random(16).hex(), at, event))
        for stream, drafts in by_stream.items():
            await self._append(stream, drafts)

    async def latest(self, stream: str, before: int | None = None, limit: int = 100) -> list[Entry]:
        """The newest entries of a chain, newest first."""
        return await self._store.list_latest(stream, before, limit)

    async def sign(self) -> list[Checkpoint]:
        """Sign the end of every chain that has grown: the collection first, the file must not know what it lacks."""
        signed = []
        for stream in await self._store.list_streams():
            link = await self._store.head(stream)
            if link.seq <= await self._store.last_signed(stream):
                continue
            at = self._now()
            checkpoint = Checkpoint(stream, link, at, self._signer, self._key.sign(signed_bytes(stream, link, at)))
            if await self._store.insert_checkpoint(checkpoint):
                await asyncio.to_thread(self._file.append, checkpoint)
                signed.append(checkpoint)
        return signed

    async def verify(self, steps: Steps | None = None) -> list[AuditFinding]:
        """Everything that is not as it was written; empty = the log is whole."""
        settled = self._now() - SETTLED
        told = {key: digest async for key, digest in steps.stream_steps(settled)} if steps else None
        filed = await asyncio.to_thread(self._file.read)
        streams = sorted({*await self._store.list_streams(), *(c.stream for c in filed)} | ({STEPS} if told else set()))
        findings = []
        for stream in streams:
            own = [checkpoint for checkpoint in filed if checkpoint.stream == stream]
            watched = _Retold(told, settled) if told is not None and stream == STEPS else None
            findings += await self._verify(stream, own, watched)
        return findings

    async def _verify(self, stream: str, filed: Sequence[Checkpoint], retold: _Retold | None) -> list[AuditFinding]:
        kept = await self._store.list_checkpoints(stream)
        good, findings = self._checked([*kept, *filed])
        known = {(c.link.seq, c.link.hash) for c in kept}
        findings += [
            AuditFinding(
                "audit_checkpoint_missing",
                stream,
                c.link.seq,
                "检查点已从数据库消失",
                "in the file, gone in the database",
            )
            for c in filed
            if (c.link.seq, c.link.hash) not in known
        ]
        examination = Examination(stream, good)
        async for entry in self._store.stream(stream):
            findings += examination.read(entry)
            findings += retold.read(entry) if retold else ()
        return [*findings, *examination.end(), *(retold.end() if retold else ())]

    def _checked(self, checkpoints: Iterable[Checkpoint]) -> tuple[list[Checkpoint], list[AuditFinding]]:
        """Those whose signature holds, and a finding for each of the others."""
        good, findings = [], []
        for checkpoint in checkpoints:
            try:
                content = signed_bytes(checkpoint.stream, checkpoint.link, checkpoint.at)
                self._key.public_key().verify(checkpoint.signature, content)
            except InvalidSignature:
                seq = checkpoint.link.seq
                findings.append(
                    AuditFinding(
                        "audit_forged", checkpoint.stream, seq, "检查点签名无效", "a checkpoint's signature is wrong"
                    )
                )
            else:
                good.append(checkpoint)
        return good, findings

    async def _append(self, stream: str, drafts: list[Draft]) -> None:
        line = self._lines[stream]
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.waiting.append((drafts, done))
        async with line.turn:  # first come, first served: nobody drives for others after its own is written
            while not done.done():
                await self._send(stream, line)
        await done

    async def _send(self, stream: str, line: _Line) -> None:
        batch, line.waiting = line.waiting[:MAX_BATCH], line.waiting[MAX_BATCH:]
        try:
            await self._store.append(stream, [draft for drafts, _ in batch for draft in drafts])
        except BaseException as error:
            for _, done in batch:
                if not done.done():
                    done.set_exception(error if isinstance(error, Exception) else ConnectionError("stopped"))
                    done.exception()
            if not isinstance(error, Exception):
                raise
        else:
            for _, done in batch:
                if not done.done():
                    done.set_result(None)

    def _now(self) -> datetime:
        at = self._clock().astimezone(UTC)
        return at.replace(microsecond=at.microsecond // 1000 * 1000)


class _Retold:
    """The steps of the desk, told twice: by the alerts and by the log."""

    def __init__(self, told: dict[str, str], settled: datetime) -> None:
        self._told = told
        self._settled = settled

    def read(self, entry: Entry) -> list[AuditFinding]:
        """Compare an entry of the log with what the alert says."""
        if "step" not in entry.details:
            return []
        digest = self._told.pop(entry.key, None)
        if digest is None and entry.at >= self._settled:
            return []
        if digest != entry.details.get("sha256"):
            zh, en = "预警自身的步骤被改动或删除", "the alert's own account of this step was altered or deleted"
            return [
                AuditFinding("audit_step_altered", entry.stream, entry.seq, f"{zh}：{entry.key}", f"{en}: {entry.key}")
            ]
        return []

    def end(self) -> list[AuditFinding]:
        """Steps that the log does not know."""
        zh, en = "预警的步骤没有日志", "a step of an alert is not in the log"
        return [AuditFinding("audit_step_unlogged", STEPS, 0, f"{zh}：{key}", f"{en}: {key}") for key in self._told]
