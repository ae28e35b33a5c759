"""Ranks are one total order: what is known about a notice only rises, whatever comes late, twice or out of order."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain import ranks

ORDER = [
    ranks.PLANNED,
    *(rank for n in range(1, ranks.MAX_ATTEMPTS + 1) for rank in (ranks.sending(n), ranks.retry(n))),
    *sorted(ranks.FINAL_NAMES),
]
A_RANK = st.sampled_from(ORDER)


def test_the_order_is_the_one_that_the_product_promises():
    named = ["suppressed", "expired", "refused", "unknown", "accepted", "undelivered", "delivered", "read"]
    assert [ranks.status(rank) for rank in sorted(ranks.FINAL_NAMES)] == named
    assert all(lower < higher for lower, higher in pairwise(ORDER))


@given(st.lists(A_RANK, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_intents_outcomes_and_receipts_by_max_end_the_same_in_any_order_and_repeated(known: list[int], random: Random):
    shuffled = known + [random.choice(known) for _ in range(5)]
    random.shuffle(shuffled)
    rank = ranks.PLANNED
    for one in shuffled:
        rank = max(rank, one)
    assert rank == max(known)


@given(st.integers(1, ranks.MAX_ATTEMPTS))
def test_an_attempt_can_be_read_from_its_ranks(attempt: int):
    assert ranks.attempts(ranks.sending(attempt)) == ranks.attempts(ranks.retry(attempt)) == attempt
    assert ranks.is_in_doubt(ranks.sending(attempt))
    assert not ranks.is_in_doubt(ranks.retry(attempt))


@given(A_RANK)
def test_every_rank_has_exactly_one_meaning(rank: int):
    is_open = ranks.status(rank) in {"planned", "retry"}
    assert ranks.is_final(rank) + ranks.is_in_doubt(rank) + is_open == 1
    assert ranks.status(rank) in ranks.STATUSES


@pytest.mark.parametrize("attempt", [0, -1, ranks.MAX_ATTEMPTS + 1])
def test_an_attempt_that_would_run_into_the_final_ranks_is_refused(attempt: int):
    with pytest.raises(ValueError, match="attempt"):
        ranks.sending(attempt)


def test_a_refusal_or_a_drop_cannot_lower_a_doubt_and_a_delivery_beats_a_failure():
    assert max(ranks.UNKNOWN, ranks.REFUSED, ranks.EXPIRED, ranks.SUPPRESSED) == ranks.UNKNOWN
    assert max(ranks.UNDELIVERED, ranks.DELIVERED) == ranks.DELIVERED
