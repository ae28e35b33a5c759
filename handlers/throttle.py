"""How often one caller may ask one process: a quota that refills evenly, kept as one number per caller.

Promises. It costs no round trip. At most `MAX_CALLERS` are remembered; who has not asked for longest is forgotten
first, and starts with a full quota again. It keeps a careless client from hurting others, no more: with n processes a
caller may ask n times as often, and limits that guard money or secrets stand in the database, with their services.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

WINDOW_S = 60
MAX_CALLERS = 100_000  # about 15 MB


@dataclass(frozen=True, slots=True)
class Standing:
    """What one caller has left: as draft-ietf-httpapi-ratelimit-headers tells it."""

    policy: str
    quota: int
    remaining: int
    full_in_s: int  # until nothing is used of the quota
    retry_after_s: int  # 0: it may ask now

    @property
    def headers(self) -> dict[str, str]:
        """RateLimit-Policy and RateLimit."""
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.quota};w={WINDOW_S}',
            "RateLimit": f'"{self.policy}";r={self.remaining};t={self.full_in_s}',
        }


class Throttle:
    """A quota per caller and minute (the generic cell rate algorithm). `clock` is monotonic, in seconds."""

    def __init__(self, policy: str, quota: int, clock: Callable[[], float], max_callers: int = MAX_CALLERS) -> None:
        self._policy = policy
        self._quota = quota
        self._clock = clock
        self._max_callers = max_callers
        self._full_at: OrderedDict[str, float] = OrderedDict()  # when each caller's quota will be full again

    def take(self, caller: str) -> Standing:
        """Use one of a caller's quota if there is one; a refusal uses none."""
        now, each_s = self._clock(), WINDOW_S / self._quota
        used_s = max(self._full_at.get(caller, now) - now, 0.0)
        over_s = used_s + each_s - WINDOW_S
        if over_s > 1e-9:
            return Standing(self._policy, self._quota, 0, math.ceil(used_s), max(1, math.ceil(over_s)))
        used_s += each_s
        self._full_at[caller] = now + used_s
        self._full_at.move_to_end(caller)
        if len(self._full_at) > self._max_callers:
            self._full_at.popitem(last=False)
        remaining = int((WINDOW_S - used_s) / each_s + 1e-6)
        return Standing(self._policy, self._quota, remaining, math.ceil(used_s), 0)
