"""The fault script: what goes wrong at which provider, how often, decided by a seed.

What concerns one request is drawn from a seeded generator; what concerns an address is decided by a hash of seed and
address, so a dead number stays dead. Shares are between 0 and 1. An empty script is a perfect day.

    {"seed": 7, "wechat": {"latency_ms": 50, "too_many": 0.3, "retry_after_s": 1, "grant_gone": 0.05},
     "sms_tencent": {"partial": 0.1, "receipts": {"undelivered": 0.1, "doubled": 0.2}},
     "fcm": {"down": [{"from_s": 5, "to_s": 65}]}}
"""

from __future__ import annotations

import hashlib
import random
from bisect import bisect_right
from enum import IntEnum
from itertools import accumulate
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
PROVIDERS = ("wechat", "fcm", "sms_aliyun", "sms_tencent")
ProviderName = Literal["wechat", "fcm", "sms_aliyun", "sms_tencent", "registers", "clamd"]
_STRICT = ConfigDict(extra="forbid", frozen=True)


class Fate(IntEnum):
    """What happens to one request. Up to UNKNOWN_CODE nothing was accepted; after it, everything was."""

    FAIR = 0
    TOO_MANY = 1
    SERVER_ERROR = 2
    HANG = 3
    RESET = 4
    BUSY = 5
    QUOTA = 6
    UNKNOWN_CODE = 7
    ERROR_AFTER = 8
    HANG_AFTER = 9
    RESET_AFTER = 10


class Outage(BaseModel):
    """The provider resets every connection between two times, in seconds after the script was set."""

    model_config = _STRICT
    from_s: float = Field(ge=0)
    to_s: float = Field(ge=0)


class ReceiptFaults(BaseModel):
    """What becomes of the receipts of accepted notices."""

    model_config = _STRICT
    delay_ms: float = Field(default=200, ge=0, le=3_600_000, description="from the accept to the receipt")
    jitter_ms: float = Field(default=200, ge=0, le=3_600_000, description="evenly more than delay_ms")
    undelivered: Share = Field(default=0.0, description="of the addresses; by hash, so always the same ones")
    code: str = Field(default="", pattern=r"^[\w:/. -]{0,32}$", description="of undelivered; empty = a common one")
    lost: Share = Field(default=0.0, description="never sent")
    doubled: Share = Field(default=0.0, description="sent twice")
    late: Share = Field(default=0.0, description="sent late_ms later than they should be")
    late_ms: float = Field(default=2_000, ge=0, le=3_600_000)
    reordered: Share = Field(default=0.0, description="held back until later ones have left")
    posts_per_s: float = Field(default=5_000, gt=0, description="so that receipts do not slow the accepts; a flush may")


class ProviderFaults(BaseModel):
    """What goes wrong at one provider."""

    model_config = _STRICT
    latency_ms: float = Field(default=0, ge=0, le=600_000, description="every answer leaves so much later")
    jitter_ms: float = Field(default=0, ge=0, le=600_000, description="evenly more than latency_ms")
    rate_per_s: float = Field(default=0, ge=0, description="recipients a second; over it: too many. 0 = no limit")
    too_many: Share = Field(default=0.0, description="429 with Retry-After")
    retry_after_s: int = Field(default=1, ge=0, le=3_600)
    server_error: Share = Field(default=0.0, description="HTTP 500 or 503, nothing accepted")
    hang: Share = Field(default=0.0, description="no answer for hang_s, nothing accepted")
    hang_s: float = Field(default=30, ge=0, le=3_600)
    reset: Share = Field(default=0.0, description="connection reset, nothing accepted")
    busy: Share = Field(default=0.0, description="the provider's own word for busy (errcode -1)")
    quota: Share = Field(default=0.0, description="the provider's own word for the account's quota (errcode 45009)")
    unknown_code: Share = Field(default=0.0, description="a code that stands in no documentation, nothing accepted")
    error_after: Share = Field(default=0.0, description="accepted, then HTTP 500 or 503")
    hang_after: Share = Field(default=0.0, description="accepted, then no answer")
    reset_after: Share = Field(default=0.0, description="accepted, then connection reset")
    partial: Share = Field(default=0.0, description="Tencent: of the numbers in a request, refused for now")
    dead: Share = Field(
        default=0.0,
        description="of the addresses, by hash; refused for good (Aliyun answers whole requests: by receipt)",
    )
    grant_gone: Share = Field(default=0.0, description="WeChat: of the openids; 43101, by hash")
    down: tuple[Outage, ...] = ()
    receipts: ReceiptFaults = ReceiptFaults()


class FaultScript(BaseModel):
    """The whole script."""

    model_config = _STRICT
    seed: int = Field(default=1, ge=0, lt=2**63)
    wechat: ProviderFaults = ProviderFaults()
    fcm: ProviderFaults = ProviderFaults()
    sms_aliyun: ProviderFaults = ProviderFaults()
    sms_tencent: ProviderFaults = ProviderFaults()
    registers: ProviderFaults = ProviderFaults()
    clamd: ProviderFaults = ProviderFaults()

    def of(self, provider: ProviderName) -> ProviderFaults:
        """The faults of one provider."""
        match provider:
            case "wechat":
                return self.wechat
            case "fcm":
                return self.fcm
            case "sms_aliyun":
                return self.sms_aliyun
            case "sms_tencent":
                return self.sms_tencent
            case "registers":
                return self.registers
            case "clamd":
                return self.clamd


class Dice:
    """One provider's faults, made ready to be asked for every request. `start` is the clock when the script was set."""

    def __init__(self, seed: int, provider: str, faults: ProviderFaults, start: float) -> None:
        self.faults = faults
        self._start = start
        self._key = f"{seed}/{provider}".encode()
        self._random = random.Random(f"{seed}/{provider}")  # noqa: S311 - a script to be repeated, not a secret
        f = faults
        shares = (f.too_many, f.server_error, f.hang, f.reset, f.busy, f.quota, f.unknown_code)
        self._edges = [*accumulate((*shares, f.error_after, f.hang_after, f.reset_after))]
        self._has_fates = self._edges[-1] > 0
        self._tokens = faults.rate_per_s
        self._filled_at = start
        self.has_dead = faults.dead > 0
        self.has_grant_gone = faults.grant_gone > 0
        self.has_latency = faults.latency_ms > 0 or faults.jitter_ms > 0
        self.is_calm = not (self._has_fates or self.has_latency or faults.down)

    def is_down(self, now: float) -> bool:
        """Whether an outage covers this moment."""
        passed_s = now - self._start
        return any(o.from_s <= passed_s < o.to_s for o in self.faults.down)

    def fate(self) -> Fate:
        """Draw what happens to the next request."""
        if not self._has_fates:
            return Fate.FAIR
        row = bisect_right(self._edges, self._random.random())
        return Fate(row + 1) if row < len(self._edges) else Fate.FAIR

    def takes(self, recipients: int, now: float) -> bool:
        """Whether the announced rate (a bucket of one second) still has room for so many; takes them if so."""
        rate = self.faults.rate_per_s
        if not rate:
            return True
        self._tokens = min(rate, self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now
        if self._tokens < min(recipients, rate):
            return False
        self._tokens -= recipients
        return True

    def latency_s(self) -> float:
        """How much later the next answer leaves."""
        return (self.faults.latency_ms + self.faults.jitter_ms * self._random.random()) / 1000

    def is_dead(self, address: str) -> bool:
        """Whether the provider refuses this address for good."""
        return self.faults.dead > 0 and self._share(b"dead", address) < self.faults.dead

    def is_grant_gone(self, openid: str) -> bool:
        """Whether this citizen has withdrawn every template."""
        return self.faults.grant_gone > 0 and self._share(b"grant", openid) < self.faults.grant_gone

    def is_undelivered(self, address: str) -> bool:
        """Whether the receipt of this address says no."""
        share = self.faults.receipts.undelivered
        return share > 0 and self._share(b"undelivered", address) < share

    def is_partial(self) -> bool:
        """Draw whether the next number of a request is refused for now."""
        return self.faults.partial > 0 and self._random.random() < self.faults.partial

    def receipt_delays_s(self) -> list[float]:
        """When the receipt of the next accept is sent, in seconds from now: none, one or two times."""
        f, draw = self.faults.receipts, self._random.random
        if f.lost and draw() < f.lost:
            return []
        delay_ms = f.delay_ms + f.jitter_ms * draw()
        if f.late and draw() < f.late:
            delay_ms += f.late_ms
        if f.reordered and draw() < f.reordered:
            delay_ms += 50 + 450 * draw()
        if f.doubled and draw() < f.doubled:
            return [delay_ms / 1000, (delay_ms + 100 * draw()) / 1000]
        return [delay_ms / 1000]

    def _share(self, what: bytes, address: str) -> float:
        digest = hashlib.blake2b(what + address.encode(), key=self._key[:64], digest_size=8).digest()
        return int.from_bytes(digest) / 2**64
