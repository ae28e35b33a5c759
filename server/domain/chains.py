"""A visit of several seats: a service that takes several slots in a row, or resources one after the other. Pure.

A chain is one booking to its citizen and many seats to the house. Its record says how far it has come, and each of its
steps can be done again by anybody: the seats alone decide. The stages:

taking -> held -> confirming -> booked -> ending -> ended
   |        |         |                      ^
   +--------+---------+----------------------+   a seat is gone or the time is over: all is given back
                       booked -> keeping -> moving -> booked   to other times: all of it, or none

Each of its bookings names the chain and has a code that follows from the chain's, so whoever finishes a step finds what
is there. No transaction: a process that is killed within one would lock the seats for a minute.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from server.domain.booking import Booking, Outcome, Slot, State, Stepped, Visit, ended, freed, kept
from server.domain.errors import ConflictError, HuiminError, InvalidInputError

MOST_STEPS = 6
MOST_SEATS = 16
LONGEST_GAP = timedelta(days=14)  # between the end of a step and the beginning of the next


class Stage(StrEnum):
    """How far a chain has come."""

    TAKING = "taking"
    HELD = "held"
    CONFIRMING = "confirming"
    BOOKED = "booked"
    KEEPING = "keeping"  # looking for seats to move to; all can still be left as it was
    MOVING = "moving"
    ENDING = "ending"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Chain:
    """One visit. `until`: when whoever works at it is thought dead, or when the hold ends; none if nothing is due."""

    code: str
    citizen: int
    holder: int
    key: str
    quota: str
    slots: tuple[str, ...]  # by time: one seat in each
    parts: tuple[int, ...]  # of each seat: see `part_numbers`
    services: tuple[str, ...]  # of each seat, "" if none was chosen
    begins_at: datetime
    stage: Stage
    until: datetime | None
    version: int = 0
    outcome: Outcome | None = None
    ended_at: datetime | None = None
    moves: int = 0
    targets: tuple[str, ...] = ()  # where it is moving to

    @property
    def codes(self) -> list[str]:
        """Of its bookings, by time."""
        return [self.code, *(_part_code(self.code, n) for n in range(1, len(self.slots)))]

    def booking(self, n: int, at: datetime, until: datetime) -> Booking:
        """Of its n-th seat. Its key has a blank: no request of a citizen can have it."""
        key = f"chain {self.code} {n}"
        code = self.codes[n]
        return Booking(
            code, self.citizen, self.holder, key, at, until,
            chain=self.code, part=self.parts[n], service=self.services[n],
        )  # fmt: skip

    def stepped(self, stage: Stage, until: datetime | None = None) -> Chain:
        """A version on."""
        return replace(self, stage=stage, until=until, version=self.version + 1)

    def ending(self, outcome: Outcome, at: datetime, until: datetime) -> Chain:
        """Decided: it ends like this. Whoever wants anything else of it writes the same record, so one of them wins."""
        return replace(self.stepped(Stage.ENDING, until), outcome=outcome, ended_at=at)


@dataclass(frozen=True, slots=True)
class Step:
    """What a citizen asks for: this long from the beginning of this slot on; 0: one slot."""

    slot: str
    minutes: int = 0
    service: str = ""


def too_many() -> InvalidInputError:
    """More than a visit may have."""
    return InvalidInputError(
        "visit_size",
        zh=f"一次就诊或办事最多{MOST_STEPS}个环节、{MOST_SEATS}个时段，请分开预约",
        en=f"a visit has 1 to {MOST_STEPS} steps and at most {MOST_SEATS} seats: book the rest on its own",
        field="steps",
    )


def out_of_order() -> InvalidInputError:
    """Steps overlap or lie too far apart."""
    return InvalidInputError(
        "visit_order",
        zh="各环节须按先后顺序、互不重叠，且间隔不超过14天，请调整时间",
        en="the steps have to follow one another, within 14 days and without overlap: choose other times",
        field="steps",
    )


def not_in_a_row() -> ConflictError:
    """The resource has no further slots right after the first."""
    return ConflictError(
        "slots_missing",
        zh="该时段之后没有足够的连续时段，请选择更早的时段",
        en="not enough time follows this slot for the service: choose an earlier one",
        field="steps",
    )


def other_shape() -> ConflictError:
    """A visit moves to times of the same resources' groups, as many as it has."""
    return ConflictError(
        "visit_shape",
        zh="改约须保持相同的业务和时段数量；如需变更业务，请取消后重新预约",
        en="a visit moves to the same services and as many slots: cancel it and book again for others",
        field="steps",
    )


def in_a_row(first: str, minutes: int, of_day: Sequence[Slot]) -> list[Slot] | HuiminError:
    """The slots that a step takes: from this one on, without a gap, until it is long enough."""
    ordered = sorted(of_day, key=lambda slot: slot.begins_at)
    start = next((n for n, slot in enumerate(ordered) if slot.id == first), None)
    if start is None:
        return not_in_a_row()
    found = [ordered[start]]
    for slot in ordered[start + 1 :]:
        if _length(found) >= timedelta(minutes=minutes):
            break
        if slot.begins_at != found[-1].ends_at:
            return not_in_a_row()
        found.append(slot)
    return found if _length(found) >= timedelta(minutes=minutes) else not_in_a_row()


def in_order(steps: Sequence[Sequence[Slot]]) -> HuiminError | None:
    """Whether somebody can be at all of these, one after the other."""
    if not 0 < len(steps) <= MOST_STEPS or sum(map(len, steps)) > MOST_SEATS:
        return too_many()
    for before, after in pairwise(steps):
        if not timedelta(0) <= after[0].begins_at - before[-1].ends_at <= LONGEST_GAP:
            return out_of_order()
    return None


def part_numbers(slots: Sequence[Slot]) -> tuple[int, ...]:
    """Of each slot: how many of the same group and day come before it in this visit.

    0 is what an ordinary booking has, so the database lets nobody have a visit and a booking in a group on one day.

    >>> at = datetime.fromisoformat("2026-11-25T09:00+08:00")
    >>> lab, doctor = (Slot(name, "h1", name, at, at + timedelta(minutes=30)) for name in ("lab", "doctor"))
    >>> part_numbers([lab, doctor, doctor])
    (0, 0, 1)
    """
    seen: Counter[tuple[str, date]] = Counter()
    numbers = []
    for slot in slots:
        numbers.append(seen[slot.group, slot.day])
        seen[slot.group, slot.day] += 1
    return tuple(numbers)


def has_same_shape(chain: Chain, slots: Sequence[Slot], known: Mapping[str, Slot]) -> bool:
    """Whether a chain could move there: the same groups in the same order."""
    groups = [known[slot].group if slot in known else None for slot in chain.slots]
    return groups == [slot.group for slot in slots]


def ended_part(visit: Visit, outcome: Outcome, at: datetime, spread: timedelta) -> Stepped:
    """One seat of a chain that ends: free again after a while. What was checked in or served stays as it is."""
    seat, booking = visit.seat, visit.booking
    if not visit.is_live or seat.state not in (State.HELD, State.BOOKED):
        return seat
    if outcome is Outcome.GIVEN_UP or seat.state is State.HELD:
        return freed(seat, at + spread)
    return freed(kept(seat, ended(booking, at, outcome)), at + spread)


def _part_code(chain: str, n: int) -> str:
    """As long and as hard to guess as the chain's own."""
    digest = hashlib.blake2b(f"{chain} {n}".encode(), digest_size=16).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")


def _length(slots: Sequence[Slot]) -> timedelta:
    return slots[-1].ends_at - slots[0].begins_at
