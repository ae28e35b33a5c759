"""A page of the ledger: up to 500 recipients of one broadcast on one channel, and the pure rules over it.

Nothing in here sends or stores; the engine and the storage floor ask these functions what a page means. Positions are
indexes into the page's recipients. Intents are kept as `sent` entries: a window of positions, the attempt, when and by
which account. The rank of a position is the higher of its outcome and its latest intent, so an intent without an
outcome is visible as `sendingN`, in doubt, until somebody settles it.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from server.domain import ranks
from server.domain.broadcasts import Lane


class PageState(StrEnum):
    """`open`: something is left to do, now or from `not_before` on. `dead`: a human has to look."""

    OPEN = "open"
    DONE = "done"
    DEAD = "dead"


CHANNEL_OFF = "channel_off"  # reason: the person wants it, but not on this channel (ladder: they go on at once)
MOVED = "moved"  # reason of a suppressed position whose person went on to a page of a later time: not counted twice


@dataclass(frozen=True, slots=True)
class Sent:
    """One intent: these positions may have been handed over, as attempt `attempt`, at `at`, through `account`."""

    positions: Sequence[int]
    attempt: int
    at: datetime
    account: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it was read. `to` are citizen ids, ascending; `divisions` their places' division indexes."""

    id: str
    broadcast: str
    channel: str
    number: int  # of the range
    lane: Lane
    state: PageState
    to: Sequence[int]
    divisions: Sequence[int]
    not_before: datetime
    expires_at: datetime
    outcomes: Sequence[int]  # rank per position
    why: Mapping[int, str] = field(default_factory=dict)
    sent: Sequence[Sent] = ()
    resent: frozenset[int] = frozenset()
    references: Mapping[int, frozenset[bytes]] = field(default_factory=dict)
    about: Sequence[str] = ()  # personal notices: the id of the thing each one is about
    attempt: int = 0  # of the lease
    owner: str | None = None
    reason: str = ""  # why it is dead
    tries: int = 0  # exceptions met so far
    waits_until: datetime | None = None  # ladder: when the unreached go on
    is_fallen: bool = False  # ladder: the refused have gone on

    def entry(self, position: int) -> dict[str, Any]:
        """What this page says about one recipient, for people: status, why, and every hand-off."""
        hands = [s for s in self.sent if position in s.positions]
        return {
            "status": ranks.status(effective(self)[position]),
            "why": self.why.get(position, self.reason),
            "handed_over": [{"at": s.at.isoformat(), "account": s.account, "attempt": s.attempt} for s in hands],
            "sent_twice": position in self.resent,
        }


def ids_to_bytes(ids: Iterable[int]) -> bytes:
    """Packed 8-byte ids, big-endian so that bytes sort like ids."""
    values = list(ids)
    return struct.pack(f">{len(values)}q", *values)


def ids_from_bytes(data: bytes) -> tuple[int, ...]:
    """The inverse of `ids_to_bytes`."""
    return struct.unpack(f">{len(data) // 8}q", data)


def shorts_to_bytes(values: Iterable[int]) -> bytes:
    """Packed 2-byte numbers: division indexes, positions."""
    numbers = list(values)
    return struct.pack(f">{len(numbers)}H", *numbers)


def shorts_from_bytes(data: bytes) -> tuple[int, ...]:
    """The inverse of `shorts_to_bytes`."""
    return struct.unpack(f">{len(data) // 2}H", data)


def effective(page: Page) -> list[int]:
    """The rank of every position: its outcome, or its latest intent if that is higher."""
    result = list(page.outcomes)
    if min(result, default=0) >= ranks.SUPPRESSED:
        return result  # everything is answered: no intent is higher
    for sent in page.sent:
        intent = ranks.sending(sent.attempt)
        for position in sent.positions:
            result[position] = max(result[position], intent)
    return result


def in_doubt(page: Page) -> list[int]:
    """Positions whose hand-off may have happened without anybody having written the outcome."""
    return [i for i, rank in enumerate(effective(page)) if ranks.is_in_doubt(rank)]


def unfinished(page: Page) -> list[int]:
    """Positions that still have to be sent: planned or cleanly refused for now."""
    return [i for i, rank in enumerate(effective(page)) if not ranks.is_final(rank) and not ranks.is_in_doubt(rank)]


def may_have_it(page: Page) -> list[int]:
    """Positions of people who have, or may have, received something: whom an all-clear or an update must reach."""
    found = []
    for i, rank in enumerate(effective(page)):
        if rank >= ranks.UNKNOWN or ranks.is_in_doubt(rank):
            found.append(i)
    return found


def refused(page: Page) -> list[int]:
    """Positions that this channel will never reach, or may not (ladder: they go on at once)."""
    return [
        i
        for i, rank in enumerate(page.outcomes)
        if rank == ranks.REFUSED or (rank == ranks.SUPPRESSED and page.why.get(i) == CHANNEL_OFF)
    ]


def unreached(page: Page) -> list[int]:
    """Positions that were handed over, or may have been, but of which no receipt says that they arrived."""
    return [i for i, rank in enumerate(page.outcomes) if ranks.UNKNOWN <= rank <= ranks.UNDELIVERED]


def sums(page: Page) -> Counter[tuple[str, int]]:
    """How many positions have (status, division index). People who moved to a later page are counted there."""
    counted: Counter[tuple[str, int]] = Counter()
    current = effective(page)
    for (rank, division), count in Counter(zip(current, page.divisions, strict=True)).items():
        counted[ranks.status(rank), division] += count
    for i, reason in page.why.items():
        if reason == MOVED and current[i] == ranks.SUPPRESSED:
            counted["suppressed", page.divisions[i]] -= 1
    return +counted


def runs(positions: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending positions as inclusive runs: a whole window is one run, so an intent costs a few bytes."""
    result: list[tuple[int, int]] = []
    for position in positions:
        if result and position == result[-1][1] + 1:
            result[-1] = (result[-1][0], position)
        else:
            result.append((position, position))
    return result


def windows(positions: Sequence[int], size: int) -> list[Sequence[int]]:
    """Cut positions into windows of at most `size`."""
    return [positions[i : i + size] for i in range(0, len(positions), size)]
