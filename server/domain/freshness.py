"""What takes a fresh log-in: carrying all of one's data away, erasing oneself, changing what one logs in with. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from server.domain.citizens import Caller
from server.domain.errors import ForbiddenError

FRESH = timedelta(minutes=15)  # somebody who finds an unlocked phone is not who logged in a moment ago


def refuse_stale_log_in(caller: Caller, now: datetime) -> None:
    """ForbiddenError `log_in_stale` unless the caller's log-in began within the last 15 minutes."""
    log_in = next((each for each in caller.account.log_ins if each.id == caller.log_in), None)
    if log_in is None or now - log_in.began_at > FRESH:
        raise ForbiddenError(
            "log_in_stale",
            zh="请重新登录后再办理（十五分钟内有效）",
            en="log in again first: for this the log-in must be at most fifteen minutes old",
        )
