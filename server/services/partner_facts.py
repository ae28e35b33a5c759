"""Takes facts from departments over HTTP: signed JSON lines, each answered for itself.

Promises. Only a partner whose registration names the source states its facts. Taken means stored. The same request
again, whole or in parts, ends the same. The answer does not tell whether a person is known here or has agreed: a line
about a stranger is taken like any other, and nothing of it is kept. The log has figures only.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from server.domain.audit import Detail, Event
from server.domain.errors import InvalidInputError, UnauthenticatedError
from server.domain.fact_feeds import MAX_LINE_BYTES, Encoding, Line, Reader, Refused, Why, json_reader
from server.domain.partners import Partner, signature
from server.services.facts import BATCH, Ground, Taking, one
from server.storage.partners import PartnerStore

MAX_LINES = 50_000
TOLERANCE = timedelta(minutes=5)  # of a signature's time, as Standard Webhooks advises
TOLD = 5_000  # refused lines in one answer


@dataclass(frozen=True, slots=True)
class Signed:
    """The headers of Standard Webhooks: who signs says when, and gives the request a name of its own."""

    name: str
    timestamp: str
    signature: str


@dataclass(frozen=True, slots=True)
class HandedIn:
    """What came of a request: how many lines, and which were refused (all are counted, the first `TOLD` told)."""

    lines: int
    refused_count: int
    refused: Sequence[Refused]


class PartnerFacts:
    """The counter."""

    def __init__(self, ground: Ground, partners: PartnerStore) -> None:
        self._ground = ground
        self._partners = partners

    async def take(self, partner: Partner, signed: Signed, body: bytes) -> HandedIn:
        """Keep what the lines say. UnauthenticatedError `signature_wrong`; InvalidInputError `lines_too_many`."""
        await self._refuse_unsigned(partner, signed, body)
        count = body.count(b"\n") + 1
        if count > MAX_LINES:
            zh, en = f"一次最多{MAX_LINES}行", f"at most {MAX_LINES} lines at a time"
            raise InvalidInputError("lines_too_many", zh=zh, en=en)
        read, taking = json_reader(self._ground.terms(partner.sources)), Taking(self._ground)
        rows = [(number, row) for number, row in enumerate(body.split(b"\n"), 1) if row.strip()]
        refused: list[Refused] = []
        counts: Counter[str] = Counter()
        for start in range(0, len(rows), BATCH):
            found = await asyncio.to_thread(_read, rows[start : start + BATCH], read)
            lines, wrong = taking.sifted(found)
            refused += wrong
            counts += await taking.take(lines)
        told: dict[str, Detail] = {"lines": len(rows), "refused": len(refused), **counts}
        actor, name = f"partner/{partner.id}", f"facts/{partner.id}/{signed.name}"
        await self._ground.audit.record(Event(actor, "facts.take", partner.id, details=told, key=name))
        return HandedIn(len(rows), len(refused), refused[:TOLD])

    async def _refuse_unsigned(self, partner: Partner, signed: Signed, body: bytes) -> None:
        at = int(signed.timestamp) if signed.timestamp.isascii() and signed.timestamp.isdigit() else 0
        is_fresh = abs(self._ground.now().timestamp() - at) <= TOLERANCE.total_seconds()
        wanted = signature(await self._partners.secret(partner.id), signed.name, at, body)
        given = signed.signature.split(" ")  # several while a secret changes
        is_signed = any(hmac.compare_digest(each.encode(), wanted.encode()) for each in given)
        if not (signed.name and is_fresh and is_signed):
            raise UnauthenticatedError(
                "signature_wrong",
                zh="签名缺失、过期或不符（webhook-id、webhook-timestamp、webhook-signature）",
                en="the signature is missing, too old or wrong (webhook-id, webhook-timestamp, webhook-signature)",
            )


def _read(rows: Sequence[tuple[int, bytes]], read: Reader) -> list[Line | Refused]:
    return [
        Refused(number, Why.TOO_LONG) if len(row) > MAX_LINE_BYTES else one(number, row, Encoding.UTF_8, read)
        for number, row in rows
    ]
