"""When two accounts may become one. Pure: facts in, one verdict out.

The danger is taking over somebody else's account with a telephone number that was theirs once: carriers hand a number
on after about ninety days. So a number alone joins only an account that has no other way in and was entered by it
lately; anything else waits some days while its addresses are told and each of its log-ins may object; and a verified
person is joined only with their ID number. What is not erased or locked loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from server.domain.citizens import AccountState, Kind

RECYCLED_AFTER = timedelta(days=90)
COOL_DOWN = timedelta(days=3)
OPEN_FOR = timedelta(days=7)  # from the proof to the last moment it may be confirmed
UNPROMPTED_FOR = timedelta(minutes=15)  # the same, where nothing has to cool down


class Means(StrEnum):
    """How control of the other account was proved."""

    PHONE = "phone"
    WECHAT = "wechat"


@dataclass(frozen=True, slots=True)
class Standing:
    """What matters of one account. `identity`: the blind index of its verified number, None without one."""

    state: AccountState
    kind: Kind
    identity: bytes | None
    has_other_way: bool  # it can be entered by something else than what was proved
    entered_at: datetime | None  # when somebody last logged in to it anew (not: used a live log-in); None: never


class JoinState(StrEnum):
    """Where a join stands."""

    PROVED = "proved"  # control of the other account was shown; nothing has moved
    DONE = "done"
    STOPPED = "stopped"  # the other account objected, or the one who asked took it back


@dataclass(frozen=True, slots=True)
class Join:
    """One join. It may be confirmed from `due_at` until `gone_at`. `proof`: blind index of the address shown."""

    id: str
    survivor: int
    absorbed: int
    means: Means
    proof: bytes
    state: JoinState
    proved_at: datetime
    due_at: datetime
    gone_at: datetime


class Refusal(StrEnum):
    """Why not. The values are error codes."""

    SAME = "join_same"
    ORGANISATION = "join_organisation"
    UNUSABLE = "join_unusable"
    NAMES = "names_differ"
    PROOF = "join_proof_needed"


def refusal(survivor: Standing, absorbed: Standing, shown: bytes | None) -> Refusal | None:
    """Why the two cannot become one, None if they can. `shown`: the blind index of the ID number given as proof."""
    if Kind.ORGANISATION in (survivor.kind, absorbed.kind):
        return Refusal.ORGANISATION
    if survivor.state is not AccountState.ACTIVE or absorbed.state is not AccountState.ACTIVE:
        return Refusal.UNUSABLE
    if survivor.identity and absorbed.identity and survivor.identity != absorbed.identity:
        return Refusal.NAMES
    if absorbed.identity and not survivor.identity and shown != absorbed.identity:
        return Refusal.PROOF
    return None


def waits_for(absorbed: Standing, means: Means, now: datetime) -> timedelta:
    """How long the join has to cool down."""
    # Without another way in, the last log-in was begun with a code to this very number: it was theirs then.
    was_entered_lately = absorbed.entered_at is not None and now - absorbed.entered_at < RECYCLED_AFTER
    is_safe = means is Means.WECHAT or (was_entered_lately and not absorbed.has_other_way)
    return timedelta(0) if is_safe else COOL_DOWN
