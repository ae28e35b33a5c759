"""A quota refills evenly, is each caller's own, tells the truth about waiting, and is kept for so many callers only."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from handlers.throttle import WINDOW_S, Throttle


@dataclass(slots=True)
class Clock:
    """Seconds that the test moves."""

    at: float = 1_000.0

    def __call__(self) -> float:
        """Now."""
        return self.at


def test_a_quota_is_used_up_and_refills_evenly():
    clock = Clock()
    throttle = Throttle("citizen", 6, clock)
    assert [throttle.take("a").remaining for _ in range(6)] == [5, 4, 3, 2, 1, 0]
    refused = throttle.take("a")
    assert (refused.remaining, refused.retry_after_s, refused.full_in_s) == (0, 10, 60)
    clock.at += 10
    assert throttle.take("a").retry_after_s == 0
    assert throttle.take("a").retry_after_s == 10


def test_a_refusal_uses_nothing_and_another_caller_is_not_meant():
    throttle = Throttle("citizen", 1, Clock())
    throttle.take("a")
    assert {throttle.take("a").retry_after_s for _ in range(100)} == {60}
    assert throttle.take("b").retry_after_s == 0


def test_who_has_not_asked_for_longest_is_forgotten_first():
    throttle = Throttle("public", 1, Clock(), max_callers=2)
    for caller in ("a", "b", "c"):
        throttle.take(caller)
    assert throttle.take("c").retry_after_s > 0
    assert throttle.take("b").retry_after_s > 0
    assert throttle.take("a").retry_after_s == 0


def test_the_headers_are_the_drafts():
    standing = Throttle("citizen", 6, Clock()).take("a")
    assert standing.headers == {"RateLimit-Policy": '"citizen";q=6;w=60', "RateLimit": '"citizen";r=5;t=10'}


@given(st.integers(1, 1_000), st.lists(st.floats(0, 30), min_size=1, max_size=300))
def test_waiting_as_long_as_told_is_long_enough_and_no_window_gives_twice_the_quota(quota: int, gaps: list[float]):
    clock = Clock()
    throttle = Throttle("p", quota, clock)
    taken: list[float] = []
    for gap in gaps:
        clock.at += gap
        standing = throttle.take("a")
        if standing.retry_after_s:
            clock.at += standing.retry_after_s
            assert throttle.take("a").retry_after_s == 0
        taken.append(clock.at)
    assert max(sum(at - WINDOW_S < other <= at for other in taken) for at in taken) <= 2 * quota
