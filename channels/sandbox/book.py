"""What every provider of the sandbox works with: its clock, its dice, its counts, its journal lines, its receipts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, Protocol

from channels.sandbox.faults import Dice, FaultScript, ProviderName
from channels.sandbox.journal import Journal, clean


class Answer(NamedTuple):
    """The bytes that go back, and the journal lines that must be on the disk before (b"" = nothing was accepted)."""

    data: bytes
    lines: bytes = b""


class Owed(NamedTuple):
    """A receipt that a provider owes. `code` is empty if the notice was delivered; `event` is another event's XML."""

    address: str
    template: str
    ours: str
    theirs: str
    accepted_at_s: float
    code: str
    event: str = ""


_NO_SUCH_NUMBER = "MK:0001"
_UNDELIVERED = {"wechat": "user block", "fcm": "", "sms_aliyun": "UNDELIV", "sms_tencent": "UNDELIV"}

Owe = Callable[[float, Owed], None]  # (seconds from now, receipt)


class Book:
    """The state that one provider shares with the server around it.

    `clock` is Unix time in seconds. `owe` is None while nobody wants receipts.
    """

    def __init__(self, provider: ProviderName, account: str, journal: Journal, clock: Callable[[], float]) -> None:
        self.provider = provider
        self.clock = clock
        self.counts: Counter[str] = Counter()
        self.owe: Owe | None = None
        self.dice = Dice(0, provider, FaultScript().of(provider), clock())
        self._journal = journal
        self._middle = f"\t{provider}\t{account}\t"

    def script(self, script: FaultScript) -> None:
        """Put a fault script in force; times of its outages begin now."""
        self.dice = Dice(script.seed, self.provider, script.of(self.provider), self.clock())

    def accept(self, address: str, template: str, ours: str, theirs: str) -> bytes:
        """The journal line of one accept; its receipt becomes due. Texts of the caller are made printable."""
        now = self.clock()
        self.counts["accepted"] += 1
        if not (ours.isprintable() and address.isprintable()):
            ours, address = clean(ours), clean(address)
        if self.owe is not None:
            self._owe(Owed(address, template, ours, theirs, now, ""))
        return f"{self._journal.stamp(now)}{self._middle}{address}\t{template}\t{ours}\t{theirs}\n".encode()

    def refuse(self, code: str) -> None:
        """Count an answer that is not an accept, by the provider's own code."""
        self.counts[f"refused {code}"] += 1

    def is_over_rate(self, recipients: int) -> bool:
        """Whether so many recipients more are over the announced rate; counted."""
        if self.dice.takes(recipients, self.clock()):
            return False
        self.counts["over rate"] += 1
        return True

    def _owe(self, owed: Owed) -> None:
        assert self.owe is not None
        delays_s = self.dice.receipt_delays_s()
        if not delays_s:
            self.counts["receipts lost"] += 1
        if self.provider == "sms_aliyun" and self.dice.is_dead(owed.address):
            owed = owed._replace(code=_NO_SUCH_NUMBER)
        elif self.dice.is_undelivered(owed.address):
            owed = owed._replace(code=self.dice.faults.receipts.code or _UNDELIVERED[self.provider])
        for delay_s in delays_s:
            self.owe(delay_s, owed)


class Provider(Protocol):
    """One provider's front: which faults it can put in its own words."""

    book: Book

    def busy(self) -> bytes:
        """The provider's answer when it is busy."""
        ...

    def over_quota(self) -> bytes:
        """The provider's answer when the account's quota is used up."""
        ...

    def too_many(self, retry_after_s: int) -> bytes:
        """HTTP 429."""
        ...

    def server_error(self) -> bytes:
        """HTTP 5xx."""
        ...

    def unknown(self) -> bytes:
        """A code that stands in no documentation."""
        ...
