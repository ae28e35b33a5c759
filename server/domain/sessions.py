"""Being logged in: how long a session lasts, how fresh its second factor is, and how failures slow down the next try.

Pure rules with their figures (OWASP ASVS 5.0 6.3, 7.3, 7.5.3). A hard lock of one account is a nuisance that strangers
could cause, so an origin from which the account has logged in before is counted on its own (see `services/officers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.domain.errors import ForbiddenError
from server.domain.officers import Officer

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
FRESH = timedelta(minutes=5)  # of the second factor, for what cannot be taken back
LINK_LIFE = timedelta(hours=24)
TOUCH_EVERY = timedelta(minutes=1)  # a session's last use is written no more often

# Seconds until the next try, by failures in a row: index 0 = none yet. The last one stands for all that follow.
ACCOUNT_DELAYS_S: Sequence[int] = (0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 900)
# Of one origin over all names. An office shares one address, so there is room for a morning's typing errors.
ORIGIN_DELAYS_S: Sequence[int] = (*(0,) * 30, *(2,) * 20, *(10,) * 50, 900)
FORGET_AFTER = timedelta(hours=24)  # failures, after the last one
KNOW_ORIGIN_FOR = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Session:
    """A logged-in officer. `id` names the session in lists; the token that opens it is known to its holder only."""

    id: str
    officer: Officer
    created_at: datetime
    seen_at: datetime
    totp_at: datetime  # when the second factor was last shown
    origin: str  # the network address it was begun from

    @property
    def expires_at(self) -> datetime:
        """When it ends if it is not used any more; never later than its absolute end."""
        return min(self.seen_at + IDLE, self.created_at + ABSOLUTE)


def is_over(session: Session, at: datetime) -> bool:
    """Whether the session has ended by itself."""
    return at >= session.expires_at


def is_fresh(session: Session, at: datetime) -> bool:
    """Whether the second factor was shown within the last five minutes."""
    return at - session.totp_at <= FRESH


def refuse_stale(session: Session, at: datetime) -> None:
    """ForbiddenError `totp_stale` unless `is_fresh`: to be asked before a release or a cancellation."""
    if not is_fresh(session, at):
        raise ForbiddenError(
            "totp_stale",
            zh="请先输入动态口令（五分钟内有效）",
            en="confirm with a code of your authenticator first: it must be at most five minutes old",
        )


def delay_s(failures: int, delays_s: Sequence[int]) -> int:
    """Seconds to wait after so many failures in a row."""
    return delays_s[min(failures, len(delays_s) - 1)]
