"""The ranks of a notice: one total order, so that what is known about it can only rise.

A ledger page keeps one rank per recipient. Intents, outcomes and receipts are applied with `max`, so they may come
late, twice or in any order and the result is the same. The order is the product's promise in one line:

planned < sending1 < retry1 < sending2 < ... < suppressed < expired < refused < unknown < accepted < undelivered
        < delivered < read

`sendingN` is an intent: the N-th hand-off may have happened. `retryN` is a clean refusal for now: it did not happen.
`unknown` may or may not have reached the person. `undelivered` is a receipt's word, and a later `delivered` beats it.
"""

from __future__ import annotations

PLANNED = 0
MAX_ATTEMPTS = 400  # with a minute between them, longer than any outage that somebody should sit out
SUPPRESSED = 1000
EXPIRED = 1001
REFUSED = 1002
UNKNOWN = 1003
ACCEPTED = 1004
UNDELIVERED = 1005
DELIVERED = 1006
READ = 1007

FINAL_NAMES = {
    SUPPRESSED: "suppressed",
    EXPIRED: "expired",
    REFUSED: "refused",
    UNKNOWN: "unknown",
    ACCEPTED: "accepted",
    UNDELIVERED: "undelivered",
    DELIVERED: "delivered",
    READ: "read",
}
HANDED_OVER = frozenset({ACCEPTED, UNDELIVERED, DELIVERED, READ})
STATUSES = ("planned", "sending", "retry", *FINAL_NAMES.values())


def sending(attempt: int) -> int:
    """The rank of the intent to hand over for the `attempt`-th time (1 ..= MAX_ATTEMPTS)."""
    if not 1 <= attempt <= MAX_ATTEMPTS:
        raise ValueError(f"attempt {attempt} is not in 1..{MAX_ATTEMPTS}")
    return 2 * attempt - 1


def retry(attempt: int) -> int:
    """The rank of a clean refusal for now of the `attempt`-th hand-off."""
    return sending(attempt) + 1


def is_final(rank: int) -> bool:
    """Nothing more will be sent for this rank (receipts may still raise it)."""
    return rank >= SUPPRESSED


def is_in_doubt(rank: int) -> bool:
    """An intent without an outcome: if the lease has lapsed, nobody knows whether the provider got it."""
    return PLANNED < rank < SUPPRESSED and rank % 2 == 1


def attempts(rank: int) -> int:
    """How many hand-offs have been started for an unfinished rank."""
    return (rank + 1) // 2 if rank < SUPPRESSED else 0


def status(rank: int) -> str:
    """The word people read for a rank; `sending1` and `sending2` are both `sending`."""
    if rank in FINAL_NAMES:
        return FINAL_NAMES[rank]
    if rank == PLANNED:
        return "planned"
    return "sending" if is_in_doubt(rank) else "retry"
