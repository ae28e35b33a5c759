"""Check-in tickets: what a citizen's telephone shows as a QR code and a counter scans.

A ticket is `H1.<booking>.<until>.<seal>`: the public code, a time in seconds since 1970 (base 36), and 128 bits of
HMAC-SHA256 over both under the house's index key. It is short enough for a small QR code, lives for seconds so that a
photograph of it is worth nothing, and is stored nowhere: the app asks for the next one before it ends.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from server.domain.errors import ConflictError, InvalidInputError

LIFE = timedelta(seconds=90)
ROTATES = timedelta(seconds=60)  # the app shows a new one by then
FIELD = "bookings.ticket"
_TICKET = re.compile(r"H1\.([A-Za-z0-9_-]{22})\.([0-9a-z]{1,9})\.([A-Za-z0-9_-]{22})", re.ASCII)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What to show, until when, and when to fetch the next."""

    text: str
    until: datetime
    renew_at: datetime


class Tickets:
    """Makes and reads them. `seal` gives the 16 bytes that only this house can make from a text."""

    def __init__(self, seal: Callable[[str], bytes], now: Callable[[], datetime]) -> None:
        self._seal = seal
        self._now = now

    def make(self, code: str) -> Ticket:
        """A ticket of this booking."""
        now = self._now().replace(microsecond=0)
        until = now + LIFE
        facts = f"H1.{code}.{_base36(int(until.timestamp()))}"
        return Ticket(f"{facts}.{self._sealed(facts)}", until, now + ROTATES)

    def read(self, text: str) -> str:
        """The code of the booking; InvalidInputError `ticket_invalid` (none of ours), ConflictError `ticket_over`."""
        match = _TICKET.fullmatch(text)
        facts = text.rpartition(".")[0]
        if match is None or not hmac.compare_digest(match[3], self._sealed(facts)):
            raise InvalidInputError(
                "ticket_invalid",
                zh="签到码无效，请让对方在应用中重新打开签到码",
                en="this is no check-in code of ours: have it opened in the app again",
                field="ticket",
            )
        if datetime.fromtimestamp(int(match[2], 36), UTC) <= self._now():
            raise ConflictError(
                "ticket_over",
                zh="签到码已过期，请刷新后再扫",
                en="this check-in code is too old: refresh it and scan again",
                field="ticket",
            )
        return match[1]

    def _sealed(self, facts: str) -> str:
        return urlsafe_b64encode(self._seal(facts)).decode().rstrip("=")


def _base36(number: int) -> str:
    """A number in the digits that `int(text, 36)` reads.

    >>> _base36(35), _base36(36)
    ('z', '10')
    """
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
