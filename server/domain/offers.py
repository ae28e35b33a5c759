"""What one citizen was offered or reminded of by a rule, and what became of it. Pure.

An offer's id follows from rule, period and person, so there is one of it however often and wherever rules are run. Its
state only rises: `found < offered < seen < accepted < done`; `declined`, `lapsed` and `withdrawn` end it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from server.domain.facts import Value, Values
from server.domain.rules import Rule


class State(StrEnum):
    """Where an offer stands."""

    FOUND = "found"  # stored, its notice is not in the outbox yet
    OFFERED = "offered"  # its notice waits, was sent, or it is in a digest
    SEEN = "seen"  # its citizen opened it
    ACCEPTED = "accepted"  # an application was begun or filed
    DONE = "done"  # the application was granted; a reminder: the fact was renewed
    DECLINED = "declined"
    LAPSED = "lapsed"  # nobody answered in time
    WITHDRAWN = "withdrawn"  # the rule was stopped, or the fact turned out wrong


OPEN = (State.FOUND, State.OFFERED, State.SEEN)
STEPS: dict[State, tuple[State, ...]] = {  # from where each state may be reached
    State.OFFERED: (State.FOUND,),
    State.SEEN: (State.FOUND, State.OFFERED),
    State.ACCEPTED: OPEN,
    State.DONE: (*OPEN, State.ACCEPTED),
    State.DECLINED: OPEN,
    State.LAPSED: OPEN,
    State.WITHDRAWN: OPEN,
}


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer. `occurrence` is the anchor's value that made it due; `digest` "" or the digest that tells of it."""

    id: str
    rule: str
    version: int
    citizen: int
    period: str
    occurrence: Value
    state: State
    found_at: datetime
    expires_at: datetime
    division: int = 0  # index of the person's first place, for figures
    digest: str = ""
    application: str = ""


COUNTS = ("all", *(state.value for state in State))


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of a rule's offers ever reached each state, "all": were made. `counted_at`: a part of it, last."""

    counts: Mapping[str, int]
    counted_at: datetime | None


def is_renewed(offer: Offer, rule: Rule, values: Values) -> bool:
    """Whether what the offer reminded of was seen to: the date it was about is gone, and there is a later one."""
    return not is_founded(offer, rule, values) and any(
        int(each) > int(offer.occurrence) for each in _dates(rule, values) or ()
    )


def is_founded(offer: Offer, rule: Rule, values: Values) -> bool:
    """Whether the date that the offer is about still counts: nobody objected to it or stated another one."""
    dates = _dates(rule, values)
    return dates is None or offer.occurrence in dates


def _dates(rule: Rule, values: Values) -> Sequence[Value] | None:
    """What is known of the anchor; None: it is no date."""
    anchor = rule.anchor
    if anchor.days is None and anchor.working_days is None:
        return None
    found = values.get(anchor.fact)
    return (found,) if isinstance(found, int | str) else found or ()


def offer_id(rule: str, period: str, citizen: int) -> str:
    """32 hexadecimal digits; who does not know the citizen's secret id cannot guess them."""
    return hashlib.blake2b(f"{rule}|{period}|{citizen}".encode(), digest_size=16).hexdigest()
