"""Check-in tickets: what a citizen's telephone shows as a QR code and a counter scans.

A ticket is `H1.<booking>.<until>.<seal>`: the public code, a time in seconds since 1970 (base 36), and 128 bits of
HMAC-SHA256 over both under the house's index key. It is short enough for a small QR code, lives for seconds so that a
photograph of it is worth nothing, and is stored nowhere: the app asks for the next one before it ends. The other way
round a counter shows `H2.<resource>.<until>.<seal>`, the code of the day, and the citizen's telephone scans it.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from server.domain.china import CHINA, china_day
from server.domain.errors import ConflictError, InvalidInputError

LIFE = timedelta(seconds=90)
ROTATES = timedelta(seconds=60)  # the app shows a new one by then
FIELD = "bookings.ticket"
BOOKING, PLACE = "H1", "H2"
_TICKET = re.compile(r"(H[12])\.([A-Za-z0-9_-]{2,60})\.([0-9a-z]{1,9})\.([A-Za-z0-9_-]{22})", re.ASCII)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What to show, until when, and when to fetch the next."""

    text: str
    until: datetime
    renew_at: datetime
    at: datetime  # the house's time, to the second


class Tickets:
    """Makes and reads them. `seal` gives the 16 bytes that only this house can make from a text."""

    def __init__(self, seal: Callable[[str], bytes], now: Callable[[], datetime]) -> None:
        self._seal = seal
        self._now = now

    def make(self, code: str) -> Ticket:
        """A ticket of this booking."""
        now = self._now().replace(microsecond=0)
        return Ticket(self._text(BOOKING, code, now + LIFE), now + LIFE, now + ROTATES, now)

    def make_place(self, resource: str) -> Ticket:
        """A code to hang up where the resource is, good until the end of the day in China."""
        now = self._now().replace(microsecond=0)
        until = datetime.combine(china_day(now) + timedelta(days=1), time(), CHINA).astimezone(UTC)
        return Ticket(self._text(PLACE, resource, until), until, until, now)

    def read(self, text: str) -> str:
        """The code of the booking; InvalidInputError `ticket_invalid` (none of ours), ConflictError `ticket_over`."""
        return self._about(BOOKING, text)

    def read_place(self, text: str) -> str:
        """The resource whose code this is; `ticket_invalid`, `ticket_over`."""
        return self._about(PLACE, text)

    def _text(self, kind: str, about: str, until: datetime) -> str:
        facts = f"{kind}.{about}.{_base36(int(until.timestamp()))}"
        return f"{facts}.{self._sealed(facts)}"

    def _about(self, kind: str, text: str) -> str:
        match = _TICKET.fullmatch(text)
        if (
            match is None
            or match[1] != kind
            or not hmac.compare_digest(match[4], self._sealed(text[: -len(match[4]) - 1]))
        ):
            raise InvalidInputError(
                "ticket_invalid",
                zh="签到码无效，请重新打开签到码后再扫",
                en="this is no check-in code of ours: have it opened anew and scan again",
                field="ticket",
            )
        if datetime.fromtimestamp(int(match[3], 36), UTC) <= self._now():
            raise ConflictError(
                "ticket_over",
                zh="签到码已过期，请刷新后再扫",
                en="this check-in code is too old: refresh it and scan again",
                field="ticket",
            )
        return match[2]

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


def elsewhere() -> ConflictError:
    """The code of another place."""
    return ConflictError(
        "ticket_elsewhere",
        zh="这不是您预约的地点的签到码，请核对窗口或诊室",
        en="this is the code of another place: look where your booking is",
        field="ticket",
    )
